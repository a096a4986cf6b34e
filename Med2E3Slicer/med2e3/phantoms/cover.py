"""How much of each patch of a volume its findings and organs cover."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from med2e3.errors import InputError

if TYPE_CHECKING:
    from med2e3.volume.geometry import SliceGeometry

Cover = NDArray[np.uint8]
"""[findings and organs, findings first, slices, patch rows, patch columns], from 0 to 255: how much
of each patch each covers."""

SEEN = 14
"""A patch of which less is covered, but something, counts neither as covered nor as not."""


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


_SAMPLES = (2, 4, 4)
"""At how many places a patch is sampled, across slices, rows and columns."""


def cover_of(masks: Sequence[NDArray[np.bool_]], geometry: SliceGeometry) -> Cover:
    """How much each mask (K, J, I) covers of each patch of 16 by 16 pixels of each model slice."""
    shape = geometry.overlay_size
    # Places within a patch, evenly spread: with two, at 1/4 and 3/4.
    slice_, row, column = (
        (np.arange(count * samples) + 0.5) / samples - 0.5
        for count, samples in zip(shape, _SAMPLES, strict=True)
    )
    grid = np.meshgrid(slice_, row, column, indexing="ij")
    places = np.stack([grid[2], grid[1], grid[0], np.ones_like(grid[0])]).reshape(4, -1)
    ijk = np.rint(geometry.overlay_to_ijk[:3] @ places).astype(int)
    covered = np.zeros((len(masks), *shape), np.float32)
    for number, mask in enumerate(masks):
        size = np.array(mask.shape[::-1])[:, None]
        inside = ((ijk >= 0) & (ijk < size)).all(axis=0)
        i, j, k = np.clip(ijk, 0, size - 1)
        seen = (mask[k, j, i] & inside).reshape(
            shape[0], _SAMPLES[0], shape[1], _SAMPLES[1], shape[2], _SAMPLES[2]
        )
        covered[number] = seen.mean(axis=(1, 3, 5))
    whole: Cover = np.rint(covered * 255).astype(np.uint8)
    return whole
