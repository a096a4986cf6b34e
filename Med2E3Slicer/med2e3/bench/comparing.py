"""Several precisions, each in a process of its own, and what they are to one another."""

from __future__ import annotations

import functools
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from med2e3.bench.measuring import Figures, measure
from med2e3.model.checkpoint import checkpoint_precision
from med2e3.pool import process_pool

RATIOS = (
    "first_answer",
    "first_answer_float32",
    "first_answer_after_click",
    "next_question_first_token",
    "encoders_onnx",
    "decode_int4",
    "decode_int4_of_bandwidth",
)
"""What the bench answers; None where what it takes was not measured."""


def measure_each(folder: Path | None, dtypes: Sequence[str], **options: Any) -> list[Figures]:
    """The figures of :func:`~med2e3.bench.measuring.measure` in each precision.

    A process each, so that the peak of its memory is its own and no other model stands beside it.
    ``logits`` are replaced by how far they are from those of the first precision. A precision that
    another name stands for already is not measured again.
    """
    found: list[Figures] = []
    for dtype in dtypes:
        known = [one for one in found if one["precision"] == _precision(folder, dtype, options)]
        if known:
            found.append({**known[0], "dtype": dtype})
            continue
        with process_pool(1, torch.get_num_threads()) as pool:
            work = functools.partial(measure, folder, dtype, told=tell, **options)
            found.append(pool.submit(work).result())
    exact = np.asarray(found[0]["logits"])
    return [{**figures, "logits": _apart(figures["logits"], exact)} for figures in found]


def _precision(folder: Path | None, dtype: str, options: dict[str, Any]) -> str:
    """What a name means here, so that "auto" is not measured a second time."""
    return str(checkpoint_precision(folder, options.get("device", "auto"), dtype))


def _apart(logits: list[list[float]], exact: NDArray[np.float64]) -> dict[str, float]:
    """How far logits are from others, and for how many words the most likely one is the same."""
    found = np.asarray(logits)
    return {
        "error": float(np.linalg.norm(found - exact) / np.linalg.norm(exact)),
        "same_word": float((found.argmax(-1) == exact.argmax(-1)).mean()),
    }


def tell(what: str) -> None:
    """Say on stderr what goes on."""
    print(what, file=sys.stderr, flush=True)


def ratios(found: Sequence[Figures], encoders: Figures | None) -> dict[str, float | None]:
    """Across precisions: what users get by default ("auto", or else the first) against the better
    of the released way's; the other ratios within one precision."""
    by_name = {figures["dtype"]: figures for figures in found}
    released = [figures["released"]["whole"] for figures in found if figures["released"]]
    default = by_name.get("auto", found[0])["ours"]
    exact, half, quarter = (by_name.get(name) for name in ("float32", "bfloat16", "int4"))
    answers: dict[str, float | None] = dict.fromkeys(RATIOS)
    if released:
        answers["first_answer"] = min(released) / default["whole"]
        answers["first_answer_after_click"] = min(released) / default["whole_after_click"]
        sooner = [
            figures["ratios"]["next_question_first_token"] for figures in found if figures["ratios"]
        ]
        answers["next_question_first_token"] = statistics.median(sooner)
    if exact and exact["ratios"]:
        answers["first_answer_float32"] = exact["ratios"]["first_answer"]
    if encoders:
        answers["encoders_onnx"] = encoders["torch"] / encoders["onnx"]
    if quarter:
        bandwidth = max(figures["bytes_per_second"] for figures in found)
        rate = quarter["ours"]["tokens_per_second"]
        answers["decode_int4_of_bandwidth"] = rate * quarter["weight_bytes"] / bandwidth
        if half and half["released"]:
            eagerly = (half["ours"]["tokens"] - 1) / half["released"]["decode"]
            answers["decode_int4"] = rate / eagerly
    return answers
