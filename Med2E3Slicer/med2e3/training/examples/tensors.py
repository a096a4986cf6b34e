"""The tensors of a batch, and how several volumes become one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Batch = dict[str, Any]
"""Tensors by the names of what an objective takes; ``words`` are several, by names of their own."""


def stacked(volumes: Sequence[NDArray[np.float32]]) -> torch.Tensor:
    return torch.from_numpy(np.stack(volumes))


def concatenated(parts: Iterable[NDArray[Any]]) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(list(parts)))


def filled_up(masks: Sequence[NDArray[np.bool_]]) -> torch.Tensor:
    """Masks [things, places] as one [n, most things, places], false where there are fewer."""
    filled = np.zeros((len(masks), max(map(len, masks)), masks[0].shape[1]), dtype=bool)
    for place, mask in zip(filled, masks, strict=True):
        place[: len(mask)] = mask
    return torch.from_numpy(filled)
