"""Painting shapes into a volume of Hounsfield units, with soft edges as a CT has them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from med2e3.phantoms.shapes import Field, Point, Shape, capsule, ramp

Density = float | Callable[[Field, Field, Field], Field]
"""Hounsfield units: a number, or a function of places."""

AIR = -1000


class Canvas:
    """A volume of Hounsfield units ``hu`` (K, J, I), all air at first, with labels of organs.

    ``x`` (1, 1, I), ``y`` (1, J, 1) and ``z`` (K, 1, 1) are the places of its voxels, in mm, LPS;
    ``size`` is (slices, rows, columns) and ``low`` and ``high`` are the corners (x, y, z) of the
    field of view; edges are ``resolution`` mm wide, or a voxel, should that be more.
    """

    def __init__(
        self, size: tuple[int, int, int], low: Point, high: Point, resolution: float = 0.0
    ) -> None:
        self.low, self.high = tuple(low), tuple(high)
        ends = list(zip(low, high, size[::-1], strict=True))
        self.spacing = tuple((end - start) / count for start, end, count in ends)
        self.softness = max(self.spacing[0], resolution)
        x, y, z = (
            (start + (np.arange(count) + 0.5) * (end - start) / count).astype(np.float32)
            for start, end, count in ends
        )
        self.axes = (x, y, z)
        self.x, self.y, self.z = x[None, None, :], y[None, :, None], z[:, None, None]
        self.hu: NDArray[np.float32] = np.full(size, AIR, np.float32)
        self.labels = np.zeros(size, np.uint8)
        self.organs: list[str] = []

    def paint(self, shape: Shape, hu: Density, organ: str | None = None) -> None:
        """Fill a shape with a tissue, and say which organ it is; without one, labels stay."""
        box, (x, y, z) = self._box(shape, self.softness)
        inside = self.hu[box]
        if not inside.size:
            return
        distance = shape.distance(x, y, z)
        share = np.clip(0.5 - distance / np.float32(self.softness), 0, 1)
        tissue = np.float32(hu) if isinstance(hu, int | float) else hu(x, y, z)
        inside += (tissue - inside) * share
        if organ is not None:
            np.copyto(self.labels[box], self._label(organ), where=share > 0.5)

    def paint_path(
        self, path: Sequence[ArrayLike], radius: float, hu: float, organ: str | None = None
    ) -> None:
        """A tube along the points of a path. What is thinner than an edge comes out fainter."""
        share = min(1.0, (2 * radius / self.softness) ** 2)
        for start, end in itertools.pairwise(path):
            stretch = capsule(start, end, radius)
            if share == 1:
                self.paint(stretch, hu, organ)
            elif share > 0.15:
                self._tint(stretch, hu, share)

    def mask(self, shape: Shape) -> NDArray[np.bool_]:
        """The voxels (K, J, I) whose middle is inside a shape."""
        mask = np.zeros(self.hu.shape, bool)
        box, places = self._box(shape, 0)
        if mask[box].size:
            mask[box] = shape.distance(*places) < 0
        return mask

    def organ_mask(self, organ: str) -> NDArray[np.bool_]:
        mask: NDArray[np.bool_] = self.labels == self._label(organ)
        return mask

    def texture(self, random: np.random.Generator, grain: float) -> Field:
        """Noise (K, J, I) of mean 0 and deviation about 1, ``grain`` mm wide, alike on any grid."""
        counts = [
            int((high - low) / grain) + 3 for low, high in zip(self.low, self.high, strict=True)
        ]
        field: Field = random.standard_normal(counts[::-1], np.float32)
        for axis in (0, 1, 2):
            places = (self.axes[2 - axis] - np.float32(self.low[2 - axis])) / np.float32(grain)
            below = places.astype(int)
            shape = [1, 1, 1]
            shape[axis] = len(places)
            weight = ramp(places - below, 0, 1).reshape(shape)
            first = np.take(field, below, axis)
            field = first + (np.take(field, below + 1, axis) - first) * weight
        field *= np.float32(1.5)
        return field

    def _tint(self, shape: Shape, hu: float, strength: float) -> None:
        box, places = self._box(shape, self.softness)
        inside = self.hu[box]
        if inside.size:
            share = np.clip(0.5 - shape.distance(*places) / np.float32(self.softness), 0, 1)
            inside += (np.float32(hu) - inside) * (share * np.float32(strength))

    def _box(self, shape: Shape, margin: float) -> tuple[tuple[slice, ...], tuple[Field, ...]]:
        x, y, z = (
            slice(*np.searchsorted(axis, (low - margin, high + margin)))
            for axis, low, high in zip(self.axes, shape.low, shape.high, strict=True)
        )
        return (z, y, x), (self.x[:, :, x], self.y[:, y], self.z[z])

    def _label(self, organ: str) -> int:
        if organ not in self.organs:
            self.organs.append(organ)
        return self.organs.index(organ) + 1
