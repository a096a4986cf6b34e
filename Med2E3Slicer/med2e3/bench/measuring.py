"""Both ways in turn, several times, on the same machine with the same weights: medians and ratios.

Absolute times move with the machine and what else it does. Each ratio is the median over pairs of
runs that followed one another.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch
from torch.utils.flop_counter import FlopCounterMode

from med2e3.bench.limits import Limits, limits_of
from med2e3.bench.released_way import answer, eager
from med2e3.inference import VolumeSession
from med2e3.model import LoadedModel, load_model

QUESTIONS = ("Is there a nodule in the lungs?", "Which organ is enlarged?")

Seconds = dict[str, float]
Told = Callable[[str], None]


def measure(
    folder: Path | None,
    dtype: str,
    *,
    device: str = "auto",
    tokens: int = 64,
    pairs: int = 3,
    released_pairs: int | None = None,
    told: Told = lambda what: None,
) -> dict[str, Any]:
    """The figures of a model in one precision.

    ``pairs`` runs of each way are made in turn (of the released way ``released_pairs``, if that is
    less). ``limit`` is the share of what the machine can do that a stage makes use of: of its
    matrix throughput in the encoders and the prefill, of its memory bandwidth in the decoding.
    """
    told(f"load {dtype}")
    started = time.perf_counter()
    model = load_model(folder, device=device, dtype=dtype)
    load = time.perf_counter() - started
    limits = limits_of(model.device, model.dtype)
    volume = torch.rand(
        1, *model.configuration.vision3d.volume_size, generator=torch.Generator().manual_seed(0)
    )
    ours, released = [], []
    for number in range(pairs):
        told(f"{dtype}, this engine, {number + 1} of {pairs}")
        ours.append(_own_way(model, volume, tokens))
        if number < (pairs if released_pairs is None else released_pairs):
            told(f"{dtype}, the released way, {number + 1} of {pairs}")
            with eager(model):
                released.append(answer(model, volume, QUESTIONS[0], tokens))
    here, there = _medians(ours), _medians(released)
    return {
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": str(model.device),
        "load": load,
        "ours": here,
        "released": there,
        "runs": {"ours": len(ours), "released": len(released)},
        "products_per_second": limits.products,
        "bytes_per_second": limits.bandwidth,
        "limit": _shares_of_limits(model, volume, here, limits, tokens),
        "ratios": _ratios(ours, released),
        "resident_bytes": psutil.Process().memory_info().rss,
    }


def _own_way(model: LoadedModel, volume: torch.Tensor, tokens: int) -> Seconds:
    session = VolumeSession(model, volume)
    started = time.perf_counter()
    session.encode()
    encode = time.perf_counter() - started
    first = _ask(session, QUESTIONS[0], tokens)
    second = _ask(session, QUESTIONS[1], tokens)
    return {
        "encode": encode,
        "score": first["score"],
        "prefill": first["prefill"],
        "decode": first["decode"],
        "first_token": encode + first["score"] + first["prefill"],
        "whole": encode + first["score"] + first["prefill"] + first["decode"],
        "next_first_token": second["score"] + second["prefill"],
        "tokens_per_second": first["tokens"] / first["decode"],
    }


def _ask(session: VolumeSession, question: str, tokens: int) -> Seconds:
    written = session.generate(question, max_new_tokens=tokens)
    return {**written.timings, "tokens": float(max(1, len(written.token_ids) - 1))}


def _medians(runs: list[Seconds]) -> Seconds:
    return {
        name: statistics.median(run[name] for run in runs) for name in (runs[0] if runs else ())
    }


def _ratios(ours: list[Seconds], released: list[Seconds]) -> dict[str, float]:
    pairs = list(zip(ours, released, strict=False))
    if not pairs:
        return {}
    return {
        "first_answer": statistics.median(there["whole"] / here["whole"] for here, there in pairs),
        "first_token": statistics.median(
            there["first_token"] / here["first_token"] for here, there in pairs
        ),
        "next_question_first_token": statistics.median(
            there["first_token"] / here["next_first_token"] for here, there in pairs
        ),
        "next_answer": statistics.median(
            there["whole"] / (here["next_first_token"] + here["decode"]) for here, there in pairs
        ),
    }


def _shares_of_limits(
    model: LoadedModel, volume: torch.Tensor, here: Seconds, limits: Limits, tokens: int
) -> dict[str, float]:
    """How near each stage comes to what the machine can do."""
    session = VolumeSession(model, volume)
    encode = FlopCounterMode(display=False)
    with encode:
        session.encode()
    prefill = FlopCounterMode(display=False)
    with prefill:
        session.generate(QUESTIONS[0], max_new_tokens=1)
    weights = sum(one.nbytes for one in model.llm.parameters())
    return {
        "encode": encode.get_total_flops() / here["encode"] / limits.products,
        "prefill": prefill.get_total_flops() / (here["prefill"] + here["score"]) / limits.products,
        "decode": weights * here["tokens_per_second"] / limits.bandwidth,
    }
