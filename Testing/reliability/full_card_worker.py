"""The worker, on a graphics card that is full the first time it loads, encodes and writes.

Each of these fails once, as PyTorch fails there. The second call looks whether what the first had
made was given back, and fails as well if it was not.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch

import med2e3.model
from med2e3.command.main import main
from med2e3.inference import VolumeSession

SENTENCE = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 GiB of "
    "which 1.05 GiB is free."
)


def full_once(function: Callable[..., Any]) -> Callable[..., Any]:
    half_done: list[weakref.ref[torch.Tensor]] = []

    def run(*arguments: Any, **options: Any) -> Any:
        if half_done:
            assert half_done[0]() is None, "the memory of the first try was kept"
            return function(*arguments, **options)
        made = torch.zeros(1000)
        half_done.append(weakref.ref(made))
        raise torch.OutOfMemoryError(SENTENCE)

    return run


if __name__ == "__main__":
    with (
        mock.patch.object(med2e3.model, "load_model", full_once(med2e3.model.load_model)),
        mock.patch.object(VolumeSession, "encode", full_once(VolumeSession.encode)),
        mock.patch.object(VolumeSession, "generate", full_once(VolumeSession.generate)),
    ):
        main()
