"""Encoders that take memory only while they encode.

A volume is encoded once, and then only the language model is at work. On a card that is nearly
full the encoders wait in the processor's memory. On a processor whose weights are read straight
from the checkpoint's files, they are mapped anew: the system has the memory back, and reads the
files again for the next volume.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from med2e3.memory import return_freed_memory
from med2e3.model import LoadedModel

_ROOM_ON_A_CARD = 2 * 2**30
"""Free bytes of a card below which the encoders leave it after each volume."""


@contextmanager
def encoders_at_hand(model: LoadedModel) -> Iterator[None]:
    """Let the encoders be where they compute inside, and off where they are in the way after it."""
    encoders = [one for name in _ENCODERS if (one := getattr(model, name, None)) is not None]
    for encoder in encoders:
        encoder.to(model.device)
    try:
        yield
    finally:
        if _is_nearly_full(model.device):
            for encoder in encoders:
                encoder.to("cpu")
        else:
            model.map_encoders_anew()
            return_freed_memory()


_ENCODERS = ("vision2d_model", "vision3d_model")


def _is_nearly_full(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.mem_get_info(device)[0] < _ROOM_ON_A_CARD
