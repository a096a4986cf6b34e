"""What the machine can do at best, found out in a few seconds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

_ROWS, _WIDTH = 1024, 3072
_BYTES = 2**30
_TIMES = 5


@dataclass(frozen=True)
class Limits:
    """``products`` are floating-point operations a second in large matrix products in a precision,
    ``bandwidth`` bytes a second that the best of all precisions reads from memory."""

    products: float
    bandwidth: float


@torch.inference_mode()
def limits_of(device: torch.device, dtype: torch.dtype) -> Limits:
    """Measure them. ``dtype`` is what the products are in."""
    left = torch.randn(_ROWS, _WIDTH, dtype=dtype, device=device)
    right = torch.randn(_WIDTH, _WIDTH, dtype=dtype, device=device)
    seconds = _median_seconds(lambda: left @ right, device)
    products = 2 * _ROWS * _WIDTH * _WIDTH / seconds
    bandwidth = max(_bandwidth(device, one) for one in (torch.float32, torch.bfloat16))
    return Limits(products, bandwidth)


def _bandwidth(device: torch.device, dtype: torch.dtype) -> float:
    # Larger than any cache, so that it comes from memory each time.
    matrix = torch.ones(_BYTES // (_WIDTH * dtype.itemsize), _WIDTH, dtype=dtype, device=device)
    vector = torch.ones(_WIDTH, dtype=dtype, device=device)
    return matrix.nbytes / _median_seconds(lambda: matrix @ vector, device)


def _median_seconds(work: Callable[[], object], device: torch.device) -> float:
    work()
    times = []
    for _ in range(_TIMES):
        _wait_for(device)
        started = time.perf_counter()
        work()
        _wait_for(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
