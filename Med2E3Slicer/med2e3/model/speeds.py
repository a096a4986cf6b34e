"""What this machine's processor multiplies and reads at in each precision, measured once.

The figures lie in the user's cache folder and are made anew when the processor, the number of
threads or a library has changed.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as functional

from med2e3.model.quantised import quantised

_OUT, _IN, _ROWS = 8192, 3072, 256
"""A layer of the size that large models have, and as many rows as a prompt has."""

_COPIES = 3
"""So many layers are read in turn that no cache holds them all."""

_TIMES = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Speeds:
    """``products`` are floating-point operations a second for many rows at once, in float32 and
    bfloat16; ``bandwidth`` bytes of weights a second for one row, in those, int8 and int4;
    ``widened`` how many weights a second are made wider."""

    products: dict[str, float]
    bandwidth: dict[str, float]
    widened: float

    @property
    def faster_products(self) -> str:
        """Which of float32 and bfloat16 multiplies many rows faster."""
        return max(self.products, key=lambda name: self.products[name])


def speeds_of_this_machine(folder: Path | None = None) -> Speeds:
    """Measured in a second or two, or as they were measured before (in ``folder``, or the user's
    cache folder). A folder that cannot be written to is no fault: they are measured again then."""
    path = (folder or _cache_folder()) / "speeds.json"
    key = _this_machine()
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["machine"] == key:
            return Speeds(**stored["speeds"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    found = measure()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        partial.write_text(
            json.dumps({"machine": key, "speeds": dataclasses.asdict(found)}), encoding="utf-8"
        )
        partial.replace(path)
    except OSError as error:
        log.debug("the machine's speeds could not be kept: %s", error.strerror)
    return found


@torch.inference_mode()
def measure() -> Speeds:
    """Time large products and single rows in every precision."""
    wide = [torch.full((_OUT, _IN), 0.01) for _ in range(_COPIES)]
    halved = [weight.bfloat16() for weight in wide]
    rows, row = torch.full((_ROWS, _IN), 0.01), torch.full((1, _IN), 0.01)
    operations = 2 * _ROWS * _OUT * _IN
    products = {
        "float32": operations / _seconds(partial(functional.linear, rows), wide[:1]),
        "bfloat16": operations / _seconds(partial(functional.linear, rows.bfloat16()), halved[:1]),
    }
    weights = _COPIES * _OUT * _IN
    bandwidth = {
        "float32": 4 * weights / _seconds(partial(functional.linear, row), wide),
        "bfloat16": 2 * weights / _seconds(partial(functional.linear, row.bfloat16()), halved),
    }
    for name, bits in (("int8", 8), ("int4", 4)):
        layers = [quantised(weight, None, bits, torch.float32) for weight in halved]
        bandwidth[name] = bits / 8 * weights / _seconds(lambda layer: layer(row), layers)
    return Speeds(products, bandwidth, _OUT * _IN / _seconds(torch.Tensor.float, halved[:1]))


def _seconds(work: Callable[[Any], object], arguments: Sequence[Any]) -> float:
    """The shortest time of a few in which ``work`` did all its arguments."""
    times = []
    for _ in range(_TIMES + 1):
        started = time.perf_counter()
        for argument in arguments:
            work(argument)
        times.append(time.perf_counter() - started)
    return max(min(times), 1e-9)


def _this_machine() -> list[str]:
    return [
        platform.machine(),
        platform.processor(),
        torch.backends.cpu.get_cpu_capability(),
        f"{torch.get_num_threads()} threads",
        f"torch {torch.__version__}",
    ]


def _cache_folder() -> Path:
    home = Path.home()
    if sys.platform == "win32":
        place = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        place = home / "Library" / "Caches"
    else:
        place = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return place / "med2e3"
