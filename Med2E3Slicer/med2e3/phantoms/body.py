"""What the regions of a body share: the person, the wall of the trunk, the spine, the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional

from med2e3.phantoms.canvas import AIR, Canvas
from med2e3.phantoms.contrast import CORTICAL_BONE, FAT, SPONGY_BONE, Tissues
from med2e3.phantoms.findings import Draw, Lesion, LesionMaker
from med2e3.phantoms.phantom import Grid
from med2e3.phantoms.shapes import Field, Shape, column, everywhere

RIGHT, LEFT = -1, 1


@dataclass(frozen=True, eq=False)
class Person:
    """Who is scanned: what differs from one to the next comes from ``random``."""

    random: np.random.Generator
    sex: str
    tissues: Tissues
    fat: float
    """Thickness of the fat under the skin, 1 for the usual."""

    def around(self, value: float, share: float = 0.08) -> float:
        """A value of this person that is about ``value`` in most."""
        return value * float(self.random.uniform(1 - share, 1 + share))

    def jitter(self, mm: float) -> float:
        return float(self.random.uniform(-mm, mm))

    def near(self, centre: tuple[float, ...], mm: float) -> tuple[float, ...]:
        return tuple(c + self.jitter(mm) for c in centre)


Lesions = Mapping[tuple[str, str], LesionMaker]
"""How to make a lesion of each (organ, kind) of a region in this very person."""


@dataclass(frozen=True)
class FieldOfView:
    """Where a scan of a region starts and ends, (x, y, z) in mm, LPS, in a body of usual size."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Spine:
    """Vertebrae at ``offset`` and every ``pitch`` mm; ``back`` gives their y by z.

    The sacrum follows below ``lowest``.
    """

    offset: float
    pitch: float
    width: float
    depth: float
    back: Callable[[Field], Field]
    lowest: float = -np.inf

    def body(self, wider: float = 0) -> Shape:
        """All the vertebral bodies and discs."""
        return self._near(
            column_along(self.back, self.width + wider, self.depth + wider),
        )

    def _near(self, shape: Shape) -> Shape:
        backs = [float(self.back(np.float64(z))) for z in range(-200, 201, 10)]
        return shape & everywhere_in(
            (-50, min(backs) - 30, self.lowest), (50, max(backs) + 75, np.inf)
        )

    def from_middle(self, z: Field) -> Field:
        """How far above the middle of the vertebra next to it a place is."""
        height: Field = (z - np.float32(self.offset) + 40 * self.pitch) % np.float32(
            self.pitch
        ) - np.float32(self.pitch / 2)
        return height

    def middles(self, low: float, high: float) -> list[float]:
        """The heights of the vertebrae's middles between two heights."""
        first = self.offset + self.pitch / 2
        start = int(np.ceil((low - first) / self.pitch))
        end = int(np.floor((high - first) / self.pitch))
        return [first + n * self.pitch for n in range(start, end + 1)]

    def paint(self, canvas: Canvas, skin: Shape, muscle: float) -> None:
        discs = self.body()
        canvas.paint(discs, muscle + 30, "spine")
        disc = self.pitch * 0.14
        vertebra = self._near(
            discs
            & everywhere(lambda x, y, z: np.abs(self.from_middle(z)) - (self.pitch / 2 - disc))
        )
        canvas.paint(vertebra, CORTICAL_BONE - 200, "spine")
        canvas.paint(vertebra.grown(-2.4), SPONGY_BONE)
        depth = self.depth

        def arch(x: Field, y: Field, z: Field) -> Field:
            back, height = y - self.back(z), self.from_middle(z)
            ring = np.maximum(
                np.abs(np.hypot(x, back - depth - 10) - 13) - 3.4, np.abs(height - 1) - 10
            )
            transverse = np.maximum(
                np.abs(back - depth - 12 - 0.25 * np.abs(x)) - 4.5,
                np.maximum(np.abs(x) - 38, np.abs(height - 3) - 5),
            )
            spinous = np.maximum(
                np.maximum(np.abs(x) - 3.4, np.abs(back - depth - 29) - 11), np.abs(height + 3) - 9
            )
            made: Field = np.minimum(np.minimum(ring, transverse), spinous)
            return made

        behind = self._near(everywhere(arch)) & skin.grown(-6)
        canvas.paint(behind, CORTICAL_BONE - 100, "spine")
        canvas.paint(behind.grown(-2.0), SPONGY_BONE + 60)
        canal = column_along(lambda z: self.back(z) + depth + 10, 9.5, 9.5)
        canvas.paint(self._near(canal), 5)
        canvas.paint(self._near(canal.grown(-4.0)), 38)

    def fracture(self, draw: Draw, low: float, high: float) -> Lesion:
        """A burst vertebra: its fragments lie apart, wider than their neighbours."""
        middles = self.middles(low, high)
        middle = middles[draw.random.integers(len(middles))]
        half = self.pitch / 2 - 3
        slab = everywhere(lambda x, y, z: np.abs(z - np.float32(middle)) - np.float32(half))
        burst = self.body(7).within((-50, -200, middle - half - 1), (50, 200, middle + half + 1))
        burst = burst.lumpy(draw.random, 2.0, 10) & slab
        angles = draw.random.uniform(0.2, 0.8) + np.array([0, draw.random.uniform(0.9, 1.5)])
        shifts = draw.random.uniform(-5, 5, 2)
        gap = float(draw.random.uniform(2.6, 3.4))

        def gaps(x: Field, y: Field, z: Field) -> Field:
            back = y - self.back(z)
            first, second = (
                np.abs(x * np.float32(np.cos(angle)) + back * np.float32(np.sin(angle)) - shift)
                for angle, shift in zip(angles, shifts.astype(np.float32), strict=True)
            )
            made: Field = np.minimum(first, second) - np.float32(gap)
            return made

        cracks = (burst & everywhere(gaps)).lumpy(draw.random, 0.8, 5)
        return Lesion(burst, [(burst, 700), (burst.grown(-3), 380), (cracks, 20)])


def everywhere_in(low: tuple[float, ...], high: tuple[float, ...]) -> Shape:
    """All of a box, without faces of its own: keeps what it is joined with small."""
    return Shape(low, high, lambda x, y, z: np.full((), -1e9, np.float32))


def column_along(back: Callable[[Field], Field], width: float, depth: float) -> Shape:
    """A column of elliptic cross-section whose middle is at y = ``back(z)``."""
    upright = column(lambda z: np.float32(width), lambda z: np.float32(depth))
    return everywhere(lambda x, y, z: upright.distance(x, y - back(z), z))


def paint_table(canvas: Canvas, y: float, half_width: float) -> None:
    """The shell of the table under the patient, and the air inside it."""

    def table(x: Field, v: Field, z: Field) -> Field:
        hollow = np.abs(v - np.float32(y + 10) + np.float32(0.0011) * x**2) - 9
        top: Field = np.maximum(hollow, np.abs(x) - np.float32(half_width))
        return top

    low = (-half_width - 5, y - 55, -np.inf)
    shape = everywhere(table) & everywhere_in(low, (half_width + 5, y + 25, np.inf))
    canvas.paint(shape, -350)
    canvas.paint(shape.grown(-2), AIR + 60)


def paint_wall(
    canvas: Canvas, person: Person, skin: Shape, fat: Callable[[Field, Field, Field], Field]
) -> Shape:
    """Skin, fat and, under ``fat`` mm of it, muscle; the shape of what is inside the fat."""
    texture = canvas.texture(person.random, 9)
    canvas.paint(skin, 25, "skin")
    canvas.paint(skin.grown(-2.4), FAT)
    inside = everywhere(
        lambda x, y, z: skin.distance(x, y, z) + np.float32(person.fat) * fat(x, y, z)
    )
    canvas.paint(inside, person.tissues.muscle)
    canvas.hu += np.where(canvas.hu > AIR + 500, texture * np.float32(4), 0)
    return inside


def add_noise(canvas: Canvas, random: np.random.Generator, hu: float, grid: Grid) -> None:
    """The grain of a soft kernel: on ``grid``, which is what the scanner resolves, each voxel has a
    part of its neighbours' noise; other canvases have what lies between."""
    noise = random.standard_normal((grid.slices, grid.rows, grid.columns), np.float32)
    for axis in (1, 2):
        noise = noise + np.float32(0.6) * (np.roll(noise, 1, axis) + np.roll(noise, -1, axis))
    volume = torch.from_numpy(np.float32(hu / 1.72) * noise)[None, None]
    sampled = functional.interpolate(volume, canvas.hu.shape, mode="trilinear")
    canvas.hu += sampled[0, 0].numpy()
