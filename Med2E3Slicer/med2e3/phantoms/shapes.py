"""Shapes by the distance to their surface: what organs and findings are made of.

Places are millimetres in LPS: x to the patient's left, y to the back, z upwards. Distances are
negative inside a shape and need to be exact near its surface alone. A shape knows nothing of
voxels, so the same body can be sampled on any grid.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Field = NDArray[np.floating[Any]]
"""Distances, places or Hounsfield units of any shapes that broadcast."""

Point = Sequence[float]
"""(x, y, z) in mm, LPS."""

_EVERYWHERE = (-np.inf, -np.inf, -np.inf), (np.inf, np.inf, np.inf)
_LATTICE = 36


@dataclass(frozen=True, eq=False)
class Shape:
    """A solid: ``distance(x, y, z)`` to its surface, and a box round it, ``low`` to ``high``."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    distance: Callable[[Field, Field, Field], Field]

    def __or__(self, other: Shape) -> Shape:
        return Shape(
            tuple(map(min, self.low, other.low)),
            tuple(map(max, self.high, other.high)),
            lambda x, y, z: np.minimum(self.distance(x, y, z), other.distance(x, y, z)),
        )

    def __and__(self, other: Shape) -> Shape:
        return Shape(
            tuple(map(max, self.low, other.low)),
            tuple(map(min, self.high, other.high)),
            lambda x, y, z: np.maximum(self.distance(x, y, z), other.distance(x, y, z)),
        )

    def __sub__(self, other: Shape) -> Shape:
        return Shape(
            self.low,
            self.high,
            lambda x, y, z: np.maximum(self.distance(x, y, z), -other.distance(x, y, z)),
        )

    def grown(self, mm: float) -> Shape:
        """The shape with its surface ``mm`` further out; further in where ``mm`` is negative."""
        return Shape(
            tuple(low - mm for low in self.low),
            tuple(high + mm for high in self.high),
            lambda x, y, z: self.distance(x, y, z) - np.float32(mm),
        )

    def moved(self, by: Point) -> Shape:
        return Shape(
            tuple(low + step for low, step in zip(self.low, by, strict=True)),
            tuple(high + step for high, step in zip(self.high, by, strict=True)),
            lambda x, y, z: self.distance(
                x - np.float32(by[0]), y - np.float32(by[1]), z - np.float32(by[2])
            ),
        )

    def lumpy(self, random: np.random.Generator, mm: float, grain: float) -> Shape:
        """The shape with lumps of up to about ``mm``, ``grain`` mm from one to the next."""
        waves = [
            (2 * np.pi / (grain * random.uniform(1.4, 2.4, 3)), random.uniform(0, 2 * np.pi, 3))
            for _ in range(2)
        ]

        def distance(x: Field, y: Field, z: Field) -> Field:
            lumps = self.distance(x, y, z)
            for (fx, fy, fz), (px, py, pz) in waves:
                lumps = lumps + (
                    np.float32(mm)
                    * np.sin(np.float32(fx) * x + np.float32(px))
                    * np.sin(np.float32(fy) * y + np.float32(py))
                    * np.sin(np.float32(fz) * z + np.float32(pz))
                )
            return lumps

        return Shape(
            tuple(low - mm for low in self.low), tuple(high + mm for high in self.high), distance
        )

    def within(self, low: Point, high: Point) -> Shape:
        """The part of the shape inside a box."""
        return self & box(low, high)

    def at(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """The distances of points (N, 3)."""
        x, y, z = points.T
        return np.broadcast_to(self.distance(x, y, z), x.shape).astype(np.float64)


def ellipsoid(centre: Point, radii: Point, *, roll: float = 0, tilt: float = 0) -> Shape:
    """An ellipsoid with its axes along those of the patient.

    ``roll`` then turns it about z and ``tilt`` about y, in degrees: a positive roll takes its
    left end to the back, a positive tilt takes its top to the left.
    """
    roll, tilt = np.deg2rad(roll), np.deg2rad(tilt)
    turn_z = np.array(
        [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    )
    turn_y = np.array(
        [[np.cos(tilt), 0, np.sin(tilt)], [0, 1, 0], [-np.sin(tilt), 0, np.cos(tilt)]]
    )
    axes = turn_y @ turn_z
    reach = np.sqrt(((axes * np.asarray(radii)) ** 2).sum(1))
    straight = roll == 0 and tilt == 0
    rx, ry, rz = (np.float32(radius) for radius in radii)
    smallest = np.float32(1e-6 / max(radii) ** 2)

    def distance(x: Field, y: Field, z: Field) -> Field:
        x, y, z = (v - np.float32(c) for v, c in zip((x, y, z), centre, strict=True))
        if not straight:
            x, y, z = (
                np.float32(axes[0, n]) * x + np.float32(axes[1, n]) * y + np.float32(axes[2, n]) * z
                for n in range(3)
            )
        x2, y2, z2 = (x / rx) ** 2, (y / ry) ** 2, (z / rz) ** 2
        level = np.sqrt(x2 + y2 + z2 + np.float32(1e-6))
        slope = np.sqrt(x2 / rx**2 + y2 / ry**2 + z2 / rz**2 + smallest)
        measured: Field = (level - 1) * level / slope
        return measured

    return Shape(
        tuple(c - r for c, r in zip(centre, reach, strict=True)),
        tuple(c + r for c, r in zip(centre, reach, strict=True)),
        distance,
    )


def ball(centre: Point, radius: float) -> Shape:
    return capsule(centre, centre, radius)


def capsule(start: ArrayLike, end: ArrayLike, radius: float) -> Shape:
    """A straight tube with round ends."""
    a, b = np.asarray(start, np.float64), np.asarray(end, np.float64)
    along = b - a
    squared = float(along @ along)

    def distance(x: Field, y: Field, z: Field) -> Field:
        dx, dy, dz = (v - np.float32(c) for v, c in zip((x, y, z), a, strict=True))
        if squared > 0:
            ux, uy, uz = (np.float32(part) for part in along)
            share = np.clip((dx * ux + dy * uy + dz * uz) / np.float32(squared), 0, 1)
            dx, dy, dz = dx - share * ux, dy - share * uy, dz - share * uz
        measured: Field = np.sqrt(dx * dx + dy * dy + dz * dz) - np.float32(radius)
        return measured

    return Shape(tuple(np.minimum(a, b) - radius), tuple(np.maximum(a, b) + radius), distance)


def tube(path: Sequence[Point], radius: float | Sequence[float]) -> Shape:
    """A tube along the points of a path; a radius for all, or one for each stretch."""
    stretches = list(itertools.pairwise(path))
    radii = [radius] * len(stretches) if isinstance(radius, int | float) else list(radius)
    made = capsule(*stretches[0], radii[0])
    for (start, end), wide in zip(stretches[1:], radii[1:], strict=True):
        made = made | capsule(start, end, wide)
    return made


def box(low: Point, high: Point) -> Shape:
    """A block with its faces across the patient's axes; a side may be infinitely far."""

    def distance(x: Field, y: Field, z: Field) -> Field:
        measured: Field = np.full((), -1e9, np.float32)
        for v, start, end in zip((x, y, z), low, high, strict=True):
            if np.isfinite(start):
                measured = np.maximum(measured, np.float32(start) - v)
            if np.isfinite(end):
                measured = np.maximum(measured, v - np.float32(end))
        return measured

    return Shape(tuple(low), tuple(high), distance)


def everywhere(distance: Callable[[Field, Field, Field], Field]) -> Shape:
    """A shape without a box of its own."""
    return Shape(*_EVERYWHERE, distance)


def side_of(side: int, from_middle: float = 0) -> Shape:
    """The half of the body on the patient's right (-1) or left (1), from a distance on."""
    return everywhere(lambda x, y, z: np.float32(from_middle) - np.float32(side) * x)


def column(
    width: Callable[[Field], Field],
    depth: Callable[[Field], Field],
    *,
    power: float = 2.0,
    centre_y: float = 0,
    centre_x: float = 0,
) -> Shape:
    """A body of elliptic cross-section, squarer for a higher power; its half axes depend on z."""

    def distance(x: Field, y: Field, z: Field) -> Field:
        x, y = x - np.float32(centre_x), y - np.float32(centre_y)
        w, d = width(z), depth(z)
        if power == 2:
            level = np.sqrt((x / w) ** 2 + (y / d) ** 2)
        else:
            p = np.float32(power)
            level = (np.abs(x) ** p * w**-p + np.abs(y) ** p * d**-p) ** np.float32(1 / power)
        # Along the ray from the middle, shortened to the normal for the usual flatness of a trunk.
        # The millimetre keeps the very middle inside.
        radius = np.sqrt(x * x + y * y + 1)
        measured: Field = radius * (1 - 1 / np.maximum(level, np.float32(0.05)))
        return measured

    return everywhere(distance)


def lattice(shape: Shape, steps: int = _LATTICE) -> NDArray[np.float64]:
    """Evenly spaced points (N, 3) of the shape's inside. Raises ValueError for an empty shape."""
    axes = [
        low + (np.arange(steps) + 0.5) * (high - low) / steps
        for low, high in zip(shape.low, shape.high, strict=True)
    ]
    x, y, z = axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]
    inside = np.broadcast_to(shape.distance(x, y, z), (steps,) * 3) < 0
    if not inside.any():
        raise ValueError("the shape is empty")
    i, j, k = np.nonzero(inside)
    return np.stack([axes[0][i], axes[1][j], axes[2][k]], axis=1)


def measure(shape: Shape) -> tuple[NDArray[np.float64], float]:
    """The centre of mass (x, y, z) of a shape, and its largest diameter in mm."""
    points = lattice(shape)
    # Directions spread over half a sphere by the golden angle.
    count = 64
    up = (np.arange(count) + 0.5) / count
    turn = np.arange(count) * np.pi * (3 - np.sqrt(5))
    flat = np.sqrt(1 - up**2)
    directions = np.stack([flat * np.cos(turn), flat * np.sin(turn), up])
    along = points @ directions
    step = (np.asarray(shape.high) - np.asarray(shape.low)) / _LATTICE
    spans = along.max(0) - along.min(0) + step @ np.abs(directions)
    return points.mean(0), float(spans.max())


def ramp(values: Field, start: float, end: float) -> Field:
    """0 up to ``start``, 1 from ``end`` on, smooth in between."""
    share = np.clip((values - np.float32(start)) / np.float32(end - start), 0, 1)
    eased: Field = share * share * (3 - 2 * share)
    return eased
