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
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from med2e3.bench.limits import Limits, limits_of
from med2e3.bench.released_way import answer, eager
from med2e3.inference import VolumeSession
from med2e3.inference.session import fit_prompt
from med2e3.model import LoadedModel, load_model
from med2e3.model.checkpoint import parameters_without_memory

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
            # A model may end its text early: as many tokens on either way.
            with eager(model):
                released.append(answer(model, volume, QUESTIONS[0], int(ours[-1]["tokens"])))
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
        "limit": _shares_of_limits(model, here, limits),
        "ratios": _ratios(ours, released),
        "resident_bytes": psutil.Process().memory_info().rss,
    }


def _own_way(model: LoadedModel, volume: torch.Tensor, tokens: int) -> Seconds:
    session = VolumeSession(model, volume)
    started = time.perf_counter()
    session.encode()
    encode = time.perf_counter() - started
    first = _ask(session, QUESTIONS[0], tokens)
    second = _ask(session, QUESTIONS[1], 1)
    return {
        "encode": encode,
        "score": first["score"],
        "prefill": first["prefill"],
        "decode": first["decode"],
        "first_token": encode + first["score"] + first["prefill"],
        "whole": encode + first["score"] + first["prefill"] + first["decode"],
        "next_first_token": second["score"] + second["prefill"],
        "tokens": first["tokens"],
        "tokens_per_second": (first["tokens"] - 1) / first["decode"],
    }


def _ask(session: VolumeSession, question: str, tokens: int) -> Seconds:
    written = session.generate(question, max_new_tokens=tokens)
    return {**written.timings, "tokens": float(len(written.token_ids))}


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


def _shares_of_limits(model: LoadedModel, here: Seconds, limits: Limits) -> dict[str, float]:
    """How near each stage comes to what the machine can do."""
    encode, prefill = _operations(model)
    weights = sum(one.nbytes for one in model.llm.parameters())
    return {
        "encode": encode / here["encode"] / limits.products,
        "prefill": prefill / (here["prefill"] + here["score"]) / limits.products,
        "decode": weights * here["tokens_per_second"] / limits.bandwidth,
    }


@torch.inference_mode()
def _operations(model: LoadedModel) -> tuple[int, int]:
    """Floating-point operations of both encoders, counted on a copy of the network that has shapes
    and no numbers; and of reading the first question's prompt, twice for each weight of a linear
    layer and each token, and the products of the attention."""
    with parameters_without_memory():
        empty = LoadedModel(model.configuration)
    empty.to("meta")
    volume = torch.empty(1, *model.configuration.vision3d.volume_size, device="meta")
    with FlopCounterMode(display=False) as encode:
        tokens_2d = empty.encode_slices(volume[0])
        tokens_3d = empty.encode_volume(volume)
    image = tokens_2d.shape[1] + tokens_3d.shape[0]
    prompt, _ = fit_prompt(model, QUESTIONS[0], image, None)
    length = len(prompt.before) + image + len(prompt.after)
    layers = [one for one in model.llm.model.modules() if isinstance(one, nn.Linear)]
    weights = sum(one.weight.numel() for one in layers)
    attention = 2 * length**2 * model.configuration.width * model.llm.config.num_hidden_layers
    return encode.get_total_flops(), 2 * weights * length + 2 * attention
