"""``med2e3 doctor``: what is installed, what the machine has, and what is missing."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import sys
from typing import Any

import typer

from med2e3 import __version__
from med2e3.command.options import AsJson
from med2e3.command.told import Debug, told

_PACKAGES = (
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
)


@told
def doctor(as_json: AsJson = False, debug: Debug = False) -> None:
    """Tell versions, devices and memory, and what is missing. Status 2 if something is."""
    found = examine()
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        _print_for_people(found)
    if found["missing"]:
        raise typer.Exit(2)


def examine() -> dict[str, Any]:
    """Versions by package, devices, memory in GiB, and a sentence for each thing missing."""
    versions: dict[str, str | None] = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    missing = [
        f"The Python package {package} is not installed; run: {sys.executable} -m pip install "
        f"{package}"
        for package, version in versions.items()
        if version is None
    ]
    devices = ["cpu"]
    if versions["torch"]:
        try:
            devices += _cuda_devices()
        except ImportError as error:
            missing.append(f"torch is installed but cannot be loaded ({error}); install it anew.")
    memory: dict[str, float] = {}
    if versions["psutil"]:
        import psutil

        system = psutil.virtual_memory()
        memory = {"total": system.total / 2**30, "available": system.available / 2**30}
    model: dict[str, Any] | None = None
    if not missing:
        from med2e3.model import model_identity

        identity = model_identity(None)
        model = {
            "name": identity.name,
            "trained": identity.trained,
            "description": identity.description,
        }
    return {
        "med2e3": __version__,
        "python": platform.python_version(),
        "interpreter": sys.executable,
        "system": platform.platform(),
        "packages": versions,
        "devices": devices,
        "memory_gib": memory,
        "embedded_model": model,
        "missing": missing,
    }


def _cuda_devices() -> list[str]:
    import torch

    return [
        f"cuda:{number} {torch.cuda.get_device_name(number)}, "
        f"{torch.cuda.get_device_properties(number).total_memory / 2**30:.1f} GiB"
        for number in range(torch.cuda.device_count())
    ]


def _print_for_people(found: dict[str, Any]) -> None:
    print(f"med2e3 {found['med2e3']}, Python {found['python']} ({found['interpreter']})")
    print(found["system"])
    for package, version in found["packages"].items():
        print(f"  {package:15} {version or 'missing'}")
    print("Devices:")
    for device in found["devices"]:
        print(f"  {device}")
    if found["memory_gib"]:
        memory = found["memory_gib"]
        print(f"Memory: {memory['available']:.1f} of {memory['total']:.1f} GiB free")
    if found["embedded_model"]:
        print(f"Embedded model: {found['embedded_model']['description']}")
    for sentence in found["missing"]:
        print(sentence)
    if not found["missing"]:
        print("Nothing is missing.")
