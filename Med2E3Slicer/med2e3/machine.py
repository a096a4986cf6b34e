"""What this Python has installed, what the machine has free, and what is missing for a model.

``python -m med2e3.machine [MODEL_DIR]`` prints it as JSON. It needs the standard library alone, so
that it can also examine a Python that lacks every package of the engine and name them.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from med2e3 import __version__
from med2e3.errors import InputError

PACKAGES = (
    "torch",
    "transformers",
    "sentencepiece",
    "protobuf",
    "safetensors",
    "numpy",
    "SimpleITK",
    "nibabel",
    "matplotlib",
    "typer",
    "tqdm",
    "psutil",
    "huggingface_hub",
)
"""The distributions that the engine needs, as ``pyproject.toml`` names them."""

EXPORT_PACKAGES = ("pydicom", "highdicom", "fpdf2", "uharfbuzz")
"""Those without which reports are written but not exported as DICOM and PDF."""

OLDEST_PYTHON = (3, 10)

# The released model on a CPU of 139 GFLOP/s and 18.5 GB/s in float32, one volume: encoders 70 s,
# prompt 34 s, then 0.825 s a token. The first two are bound by arithmetic, the last by memory.
_RELEASED_PARAMETERS = 4.36e9
_FLOP_BEFORE_TEXT = 104 * 139e9
_BYTES_A_TOKEN = 0.825 * 18.5e9
_TOKENS_OF_A_REPORT = 128
_SMALLEST_WORTH_AN_ESTIMATE = 1e8


def examine(model_folder: Path | None = None) -> dict[str, Any]:
    """Versions by package, the machine in bytes, and a sentence for each thing missing.

    ``lacking`` names the packages without which nothing runs, ``lacking_for_exports`` the others.
    ``model`` tells about the checkpoint in ``model_folder``, or the embedded one; ``problem`` in it
    is a sentence, empty if its files are there, ``memory`` the bytes that the model takes as it
    answers, by precision. ``cpu_seconds`` estimates how long a report takes
    on this CPU; None for a model so small that nobody waits for it, or that cannot be read. Where
    something is missing, ``machine`` and ``model`` are None.
    """
    versions = {package: installed_version(package) for package in (*PACKAGES, *EXPORT_PACKAGES)}
    lacking = [package for package in PACKAGES if versions[package] is None]
    missing = [
        f"The Python package {package} is not installed; run: {sys.executable} -m pip install "
        f"{package}"
        for package in lacking
    ]
    if sys.version_info < OLDEST_PYTHON:
        missing.append(
            f"This Python is {platform.python_version()} and the engine needs "
            f"{'.'.join(map(str, OLDEST_PYTHON))} or newer; choose another Python."
        )
    if not missing:
        try:
            importlib.import_module("torch")
        except (ImportError, OSError) as error:
            missing.append(f"torch is installed but cannot be loaded ({error}); install it anew.")
    machine = None if missing else _machine()
    model = None if missing else _model(model_folder)
    return {
        "med2e3": __version__,
        "python": platform.python_version(),
        "interpreter": sys.executable,
        "system": platform.platform(),
        "packages": versions,
        "lacking": lacking,
        "lacking_for_exports": [name for name in EXPORT_PACKAGES if versions[name] is None],
        "missing": missing,
        "machine": machine,
        "model": model,
        "cpu_seconds": _cpu_seconds(model),
    }


def installed_version(package: str) -> str | None:
    """The version of a distribution here; None if there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        # Slicer's own Python has packages that were built with it and have no metadata.
        return "unknown" if importlib.util.find_spec(package) else None


def _machine() -> dict[str, Any]:
    from med2e3.service.machine import describe_machine

    return dataclasses.asdict(describe_machine())


def _model(folder: Path | None) -> dict[str, Any]:
    from med2e3.download import RECORD
    from med2e3.model import EMBEDDED
    from med2e3.model.checkpoint import checkpoint_memory, checkpoint_size
    from med2e3.model.identity import card_of

    folder = folder or EMBEDDED
    try:
        size, memory, problem = checkpoint_size(folder), checkpoint_memory(folder), ""
    except InputError as error:
        size, memory, problem = 0, {}, str(error)
    card = None if problem else card_of(folder)
    return {
        "name": card.name if card else "",
        "trained_on": card.trained_on if card else "",
        "description": card.description if card else "",
        "problem": problem,
        "downloaded": (folder / RECORD).is_file(),
        "bytes_on_disk": size,
        "memory": memory,
    }


def _cpu_seconds(model: dict[str, Any] | None) -> float | None:
    # Checkpoints hold two bytes a parameter.
    parameters = model["bytes_on_disk"] / 2 if model else 0
    if parameters < _SMALLEST_WORTH_AN_ESTIMATE:
        return None
    flop_per_second, bytes_per_second = _cpu_speed()
    seconds = _FLOP_BEFORE_TEXT / flop_per_second
    seconds += _TOKENS_OF_A_REPORT * _BYTES_A_TOKEN / bytes_per_second
    return seconds * parameters / _RELEASED_PARAMETERS


def _cpu_speed() -> tuple[float, float]:
    """(floating point operations, bytes from memory) per second, the best of a few short tries."""
    import torch

    side, rows = 1024, 16384
    square, tall = torch.rand(side, side), torch.rand(rows, 4096)
    vector = torch.rand(4096)
    flop = 2 * side**3 / _best_time(lambda: square @ square)
    size = tall.numel() * tall.element_size() / _best_time(lambda: tall @ vector)
    return flop, size


def _best_time(work: Any) -> float:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return max(min(times), 1e-9)


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
    print(json.dumps(examine(Path(sys.argv[1]) if len(sys.argv) > 1 else None)))
