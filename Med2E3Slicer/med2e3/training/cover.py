"""How much of each patch of a synthetic volume its findings and organs cover, as its files tell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from med2e3.errors import InputError

SEEN = 14
"""Of 255: a patch of which less is covered, but something, counts neither as covered nor as not."""

Cover = NDArray[np.uint8]
"""[findings and organs, findings first, slices, patch rows, patch columns], to 255."""


def most_covered(cover: Cover, grid: tuple[int, int, int]) -> Cover:
    """The most that any part of a patch is covered, where patches of the ``grid`` (slices, rows,
    columns) are larger than those of the file. Raises InputError where they do not fit."""
    shape = cover.shape[1:]
    if any(size % count for size, count in zip(shape, grid, strict=True)):
        raise InputError(
            f"The records tell what covers {shape} patches (slices, rows, columns) and the encoder "
            f"has {grid}; give the encoder patches of 16 voxels, or train it without what the "
            "records tell of patches (the contrast stages, and evidence)."
        )
    parts = [n for size, count in zip(shape, grid, strict=True) for n in (count, size // count)]
    most: Cover = cover.reshape(len(cover), *parts).max(axis=(2, 4, 6))
    return most
