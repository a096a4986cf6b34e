"""What the engine runs on: its packages, its devices and their memory. No network is asked."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator

import psutil

from med2e3.machine import EXPORT_PACKAGES, PACKAGES, installed_version
from med2e3.wire.messages import Device, Machine


def describe_machine() -> Machine:
    """Versions, processors, and what memory each device has and has free, in bytes."""
    memory = psutil.virtual_memory()
    processor = Device("cpu", "cpu", memory.total, memory.available)
    packages = {package: installed_version(package) for package in (*PACKAGES, *EXPORT_PACKAGES)}
    return Machine(
        python=platform.python_version(),
        interpreter=sys.executable,
        system=platform.platform(),
        cpu_count=os.cpu_count() or 1,
        devices=(processor, *(_cuda_devices() if packages["torch"] else ())),
        packages=packages,
    )


def _cuda_devices() -> Iterator[Device]:
    # Imported here so that a machine can be described whose torch is broken or missing.
    try:
        import torch
    except (ImportError, OSError):
        return
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        yield Device(f"cuda:{number} {torch.cuda.get_device_name(number)}", "cuda", total, free)
