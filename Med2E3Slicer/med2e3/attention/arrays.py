"""Attention as it travels: arrays as the messages of the wire, and back."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from med2e3.wire.messages import Array


def array_message(values: NDArray[np.floating[Any]]) -> Array:
    """Numbers of any shape as they travel: as float32."""
    plain = np.ascontiguousarray(values, dtype="<f4")
    return Array(plain.shape, base64.b64encode(plain.tobytes()).decode("ascii"))


def array_of(message: Array) -> NDArray[np.float32]:
    """The numbers of a message. Raises ValueError where they do not fill its shape."""
    values: NDArray[np.float32] = np.frombuffer(base64.b64decode(message.data), dtype="<f4")
    return values.reshape(message.shape)
