"""What the machine can do at best, found out in a few seconds."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

_ROWS, _WIDTH = 1024, 3072
_BYTES = 2**30
_TIMES = 5
_FEW = 32
_LONG = 0.5
"""Seconds after which once is enough."""


@dataclass(frozen=True)
class Limits:
    """``products`` are floating-point operations a second in large matrix products, in a precision
    or in float32, which it can be widened to, whichever is faster; ``bandwidth`` bytes a second
    that the best of all precisions reads from memory."""

    products: float
    bandwidth: float


@torch.inference_mode()
def limits_of(device: torch.device, dtype: torch.dtype) -> Limits:
    """Measure them. ``dtype`` is what the products are in."""
    products = max(_products(device, one) for one in {dtype, torch.float32})
    bandwidth = max(_bandwidth(device, one) for one in (torch.float32, torch.bfloat16))
    return Limits(products, bandwidth)


def _products(device: torch.device, dtype: torch.dtype) -> float:
    right = torch.randn(_WIDTH, _WIDTH, dtype=dtype, device=device)
    rate = 0.0
    # A few rows first: in bfloat16 all of them take a minute on a CPU without units for it.
    for rows in (_FEW, _ROWS):
        left = torch.randn(rows, _WIDTH, dtype=dtype, device=device)
        seconds = _median_seconds(functools.partial(torch.matmul, left, right), device)
        rate = 2 * rows * _WIDTH * _WIDTH / seconds
        if seconds > _LONG:
            break
    return rate


def _bandwidth(device: torch.device, dtype: torch.dtype) -> float:
    # Larger than any cache, so that it comes from memory each time.
    matrix = torch.ones(_BYTES // (_WIDTH * dtype.itemsize), _WIDTH, dtype=dtype, device=device)
    vector = torch.ones(_WIDTH, dtype=dtype, device=device)
    return matrix.nbytes / _median_seconds(lambda: matrix @ vector, device)


def _median_seconds(work: Callable[[], object], device: torch.device) -> float:
    first = _seconds(work, device)
    if first > _LONG:
        return first
    return statistics.median(_seconds(work, device) for _ in range(_TIMES))


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    _wait_for(device)
    started = time.perf_counter()
    work()
    _wait_for(device)
    return time.perf_counter() - started


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
