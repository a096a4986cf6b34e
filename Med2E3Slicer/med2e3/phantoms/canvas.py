"""Painting tissue into a volume by the distance to its surface, with soft edges as a CT has them.

Places are millimetres in LPS: x to the patient's left, y to the back, z upwards. Distances are
negative inside a shape and need to be exact near its surface alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Field = NDArray[np.floating[Any]]
"""Distances or Hounsfield units of any shape that broadcasts to the canvas's (K, J, I)."""


class Canvas:
    """A volume of Hounsfield units (K, J, I), all air at first.

    ``x`` (1, 1, I), ``y`` (1, J, 1) and ``z`` (K, 1, 1) are the places of its voxels.
    """

    def __init__(self, size: tuple[int, int, int], spacing: tuple[float, float, float]) -> None:
        slices, rows, columns = size
        self.spacing = spacing
        self.z = _centred(slices, spacing[0])[:, None, None]
        self.y = _centred(rows, spacing[1])[None, :, None]
        self.x = _centred(columns, spacing[2])[None, None, :]
        self.hu: Field = np.full(size, -1000, np.float32)

    def paint(self, distance: Field, hu: ArrayLike) -> None:
        """Fill a shape with a tissue of ``hu``, a number or a field of the canvas's shape."""
        share = np.clip(0.5 - distance / np.float32(self.spacing[2]), 0, 1)
        self.hu += (np.asarray(hu, np.float32) - self.hu) * share

    def paint_capsule(self, start: ArrayLike, end: ArrayLike, radius: float, hu: float) -> None:
        """A straight tube with round ends; a ball where ``start`` is ``end``. Places are (x, y, z).

        Only the box around it is touched. What is thinner than a voxel comes out fainter.
        """
        a, b = np.asarray(start, np.float64), np.asarray(end, np.float64)
        reach = radius + self.spacing[2]
        box = tuple(
            slice(*np.searchsorted(axis.ravel(), (low - reach, high + reach)))
            for axis, low, high in zip(
                (self.z, self.y, self.x),
                np.minimum(a, b)[::-1],
                np.maximum(a, b)[::-1],
                strict=True,
            )
        )
        x, y, z = self.x[:, :, box[2]], self.y[:, box[1]], self.z[box[0]]
        distance = distance_to_line(x, y, z, a, b) - np.float32(radius)
        share = np.clip(0.5 - distance / np.float32(self.spacing[2]), 0, 1)
        share *= min(1.0, (2 * radius / self.spacing[2]) ** 2)
        inside = self.hu[box]
        inside += (np.float32(hu) - inside) * share

    def paint_path(self, path: Sequence[ArrayLike], radius: float, hu: float) -> None:
        """A tube along the points of a path."""
        for start, end in itertools.pairwise(path):
            self.paint_capsule(start, end, radius, hu)

    def ellipsoid(self, centre: tuple[float, float, float], radii: tuple[float, ...]) -> Field:
        """The distance to an ellipsoid's surface, with its axes along those of the patient."""
        (cx, cy, cz), (rx, ry, rz) = centre, radii
        x, y, z = self.x - np.float32(cx), self.y - np.float32(cy), self.z - np.float32(cz)
        level = np.sqrt((x / rx) ** 2 + (y / ry) ** 2 + (z / rz) ** 2)
        slope = np.sqrt((x / rx**2) ** 2 + (y / ry**2) ** 2 + (z / rz**2) ** 2)
        distance: Field = (level - 1) * level / np.maximum(slope, np.float32(1e-6))
        return distance


def distance_to_line(
    x: Field, y: Field, z: Field, a: NDArray[np.float64], b: NDArray[np.float64]
) -> Field:
    """The distance to the straight line between two points."""
    along = b - a
    squared = float(along @ along)
    dx, dy, dz = (v - np.float32(start) for v, start in zip((x, y, z), a, strict=True))
    if squared == 0:
        ball: Field = np.sqrt(dx**2 + dy**2 + dz**2)
        return ball
    ux, uy, uz = (np.float32(part) for part in along)
    share = np.clip((dx * ux + dy * uy + dz * uz) / np.float32(squared), 0, 1)
    distance: Field = np.sqrt(
        (dx - share * ux) ** 2 + (dy - share * uy) ** 2 + (dz - share * uz) ** 2
    )
    return distance


def ellipse(x: Field, y: Field, width: Field, depth: Field, power: float = 2.0) -> Field:
    """The distance to a cylinder whose cross-section is an ellipse, squarer for a higher power.

    ``width`` and ``depth`` are its half axes; they may change along z.
    """
    level = (np.abs(x / width) ** power + np.abs(y / depth) ** power) ** np.float32(1 / power)
    radius = np.sqrt(x**2 + y**2)
    # Along the ray from the middle, shortened to the normal for the usual flatness of a chest.
    distance: Field = radius * (1 - 1 / np.maximum(level, np.float32(0.05)))
    return distance


def ramp(values: Field, start: float, end: float) -> Field:
    """0 up to ``start``, 1 from ``end`` on, smooth in between."""
    share = np.clip((values - np.float32(start)) / np.float32(end - start), 0, 1)
    eased: Field = share * share * (3 - 2 * share)
    return eased


def smooth_noise(random: np.random.Generator, size: tuple[int, ...], grain: int) -> Field:
    """Noise of mean 0 and deviation 1 whose grains are ``grain`` voxels wide in every direction."""
    coarse: Field = random.standard_normal([length // grain + 3 for length in size], np.float32)
    for axis, length in enumerate(size):
        places = np.arange(length, dtype=np.float32) / grain
        below = places.astype(int)
        weight = ramp(places - below, 0, 1)
        shape = [1] * len(size)
        shape[axis] = length
        weight = weight.reshape(shape)
        coarse = (
            np.take(coarse, below, axis) * (1 - weight) + np.take(coarse, below + 1, axis) * weight
        )
    noise: Field = (coarse - coarse.mean()) / coarse.std()
    return noise


def _centred(count: int, spacing: float) -> Field:
    return ((np.arange(count) - (count - 1) / 2) * spacing).astype(np.float32)
