"""A model in one precision: this engine and the released way in turn, and what comes of it.

Absolute times move with the machine and what else it does. Each ratio of two ways is the median
over pairs of runs that followed one another.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from med2e3.bench.limits import Limits, limits_of
from med2e3.bench.released_way import answer, eager
from med2e3.inference import VolumeSession
from med2e3.inference.session import fit_prompt
from med2e3.model import LoadedModel, load_model
from med2e3.model.checkpoint import checkpoint_memory, parameters_without_memory
from med2e3.model.precision import size_of

QUESTIONS = ("Is there a nodule in the lungs?", "Which organ is enlarged?")

Figures = dict[str, Any]
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
) -> Figures:
    """The figures of a model in one precision.

    ``pairs`` runs of each way are made in turn; of the released way ``released_pairs``, if that is
    less, and none of what it knows nothing of: quantised weights and other families. ``limit`` is
    the share of what the machine can do that a stage makes use of: of its matrix throughput in the
    encoders and the prefill, of its memory bandwidth in the decoding. ``memory_peak`` is the peak
    of this process while the engine alone has run.
    """
    told(f"load {dtype}")
    started = time.perf_counter()
    model = load_model(folder, device=device, dtype=dtype)
    load = time.perf_counter() - started
    volume = torch.rand(
        1, *model.configuration.vision3d.volume_size, generator=torch.Generator().manual_seed(0)
    )
    if released_pairs is None:
        released_pairs = pairs
    if model.precision.keeps_narrow or model.precision.bits or not model.scores_slices:
        released_pairs = 0
    ours, released, peak = [], [], 0
    for number in range(pairs):
        told(f"{model.precision}, this engine, {number + 1} of {pairs}")
        ours.append(_own_way(model, volume, tokens))
        peak = peak or memory_peak()
        if number < released_pairs:
            told(f"{model.precision}, the released way, {number + 1} of {pairs}")
            # A model may end its text early: as many tokens on either way.
            with eager(model):
                released.append(answer(model, volume, QUESTIONS[0], len(ours[-1]["token_ids"])))
    # Afterwards, for what it measures with takes memory too.
    limits = limits_of(model.device, model.dtype)
    here, there = _medians(ours), _medians(released)
    return {
        "dtype": dtype,
        "precision": str(model.precision),
        "device": str(model.device),
        "load": load,
        "ours": here,
        "released": there,
        "runs": {"ours": len(ours), "released": len(released)},
        "products_per_second": limits.products,
        "bytes_per_second": limits.bandwidth,
        "weight_bytes": _bytes_of_language_model(model),
        "limit": _shares_of_limits(model, here, limits),
        "ratios": _ratios(ours, released),
        "same_tokens": all(
            one["token_ids"] == other["token_ids"]
            for one, other in zip(ours, released, strict=False)
        )
        if released
        else None,
        "memory_peak": peak,
        "memory_expected": checkpoint_memory(folder)[model.precision.weights],
        "logits": probe_logits(model).tolist(),
    }


def memory_peak() -> int:
    """The most bytes that this process has had in memory, what it has mapped of files included."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource  # Windows has none.

    # In bytes on macOS, elsewhere in kibibytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@torch.inference_mode()
def probe_logits(model: LoadedModel) -> torch.Tensor:
    """The language model's logits [length, words] behind a fixed text without an image, to hold one
    precision against another."""
    ids = model.prompt_tokenizer.prompt(" ".join(QUESTIONS)).after
    tokens = torch.tensor([ids], device=model.device)
    logits: torch.Tensor = model.llm(input_ids=tokens).logits[0, :, : len(model.prompt_tokenizer)]
    return logits.float().cpu()


def _own_way(model: LoadedModel, volume: torch.Tensor, tokens: int) -> Figures:
    session = VolumeSession(model, volume)
    started = time.perf_counter()
    session.encode()
    encode = time.perf_counter() - started
    session.read_ahead()
    clicked = session.generate(QUESTIONS[0], max_new_tokens=1)
    # As if nobody had read ahead.
    session.beginning = None
    first = session.generate(QUESTIONS[0], max_new_tokens=tokens)
    second = session.generate(QUESTIONS[1], max_new_tokens=1)
    past = [(QUESTIONS[0], first.text)]
    turn = session.generate(QUESTIONS[1], history=past, max_new_tokens=1)
    begun = encode + first.timings["score"] + first.timings["prefill"]
    return {
        "encode": encode,
        "score": first.timings["score"],
        "prefill": first.timings["prefill"],
        "decode": first.timings["decode"],
        "first_token": begun,
        "whole": begun + first.timings["decode"],
        "whole_after_click": sum(clicked.timings.values()) + first.timings["decode"],
        "next_first_token": second.timings["score"] + second.timings["prefill"],
        "next_turn_first_token": turn.timings["score"] + turn.timings["prefill"],
        "tokens": float(len(first.token_ids)),
        "tokens_per_second": (len(first.token_ids) - 1) / first.timings["decode"],
        "token_ids": first.token_ids,
    }


def _medians(runs: list[Figures]) -> dict[str, float]:
    return {
        name: statistics.median(run[name] for run in runs)
        for name in (runs[0] if runs else ())
        if name != "token_ids"
    }


def _ratios(ours: list[Figures], released: list[Figures]) -> dict[str, float]:
    pairs = list(zip(ours, released, strict=False))
    if not pairs:
        return {}

    def ratio(quicker: Callable[[Figures], float], slower: str) -> float:
        return float(statistics.median(there[slower] / quicker(here) for here, there in pairs))

    return {
        "first_answer": ratio(lambda here: here["whole"], "whole"),
        "first_answer_after_click": ratio(lambda here: here["whole_after_click"], "whole"),
        "first_token": ratio(lambda here: here["first_token"], "first_token"),
        "next_question_first_token": ratio(lambda here: here["next_first_token"], "first_token"),
        "next_turn_first_token": ratio(lambda here: here["next_turn_first_token"], "first_token"),
    }


def _shares_of_limits(
    model: LoadedModel, here: dict[str, float], limits: Limits
) -> dict[str, float]:
    """How near each stage comes to what the machine can do."""
    encode, prefill = _operations(model)
    read = _bytes_of_language_model(model) * here["tokens_per_second"]
    return {
        "encode": encode / here["encode"] / limits.products,
        "prefill": prefill / (here["prefill"] + here["score"]) / limits.products,
        "decode": read / limits.bandwidth,
    }


def _bytes_of_language_model(model: LoadedModel) -> int:
    """What is read of it for each token: all but its embeddings."""
    layers = (one for one in model.llm.modules() if not isinstance(one, nn.Embedding))
    return sum(
        one.nbytes
        for layer in layers
        for one in (*layer.parameters(recurse=False), *layer.buffers(recurse=False))
    )


@torch.inference_mode()
def _operations(model: LoadedModel) -> tuple[int, int]:
    """Floating-point operations of both encoders, counted on a copy of the network that has shapes
    and no numbers; and of reading the first question's prompt, twice for each weight of a linear
    layer and each token, and the products of the attention."""
    with parameters_without_memory():
        empty = type(model)(model.configuration)
    empty.to("meta")
    volume = torch.empty(1, *model.configuration.vision3d.volume_size, device="meta")
    with FlopCounterMode(display=False) as encode:
        image = len(empty.encode_volume(volume))
        if model.scores_slices:
            image += empty.encode_slices(volume[0]).shape[1]
    prompt, _ = fit_prompt(model, QUESTIONS[0], image, None)
    length = len(prompt.before) + image + len(prompt.after)
    attention = 2 * length**2 * model.configuration.width * model.llm.config.num_hidden_layers
    return encode.get_total_flops(), 2 * size_of(empty).linear * length + 2 * attention
