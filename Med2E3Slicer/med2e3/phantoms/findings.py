"""Which findings there are, how they are drawn, and how a lesion finds its place in an organ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from med2e3.phantoms.canvas import Density
from med2e3.phantoms.contrast import Tissues
from med2e3.phantoms.shapes import Field, Shape, ball, lattice

FINDINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "head": {
        "brain": ("mass", "cyst", "haemorrhage", "calcification"),
        "subdural space": ("haemorrhage",),
        "cerebral artery": ("aneurysm",),
        "skull": ("fracture",),
    },
    "chest": {
        "lung": ("nodule", "mass", "consolidation", "calcification"),
        "pleura": ("effusion",),
        "pericardium": ("effusion",),
        "aorta": ("aneurysm",),
        "rib": ("fracture",),
    },
    "abdomen": {
        "liver": ("mass", "cyst", "calcification"),
        "gallbladder": ("stone",),
        "pancreas": ("mass",),
        "spleen": ("mass", "cyst"),
        "kidney": ("mass", "cyst", "stone"),
        "aorta": ("aneurysm",),
        "peritoneum": ("effusion",),
        "spine": ("fracture",),
    },
    "pelvis": {
        "bladder": ("mass", "stone"),
        "uterus": ("mass",),
        "ovary": ("cyst",),
        "prostate": ("calcification",),
        "iliac artery": ("aneurysm",),
        "peritoneum": ("effusion",),
        "femur": ("fracture",),
    },
}
"""The kinds of finding that occur in each organ of each region: a closed list."""

SIDED = frozenset(
    {
        "brain", "subdural space", "cerebral artery", "skull", "lung", "pleura", "rib", "liver",
        "kidney", "ovary", "iliac artery", "femur",
    }
)  # fmt: skip
"""Organs with a left and a right; of the liver it is the lobe, of the brain the hemisphere."""

LEVELLED = frozenset({"brain", "lung", "liver", "spleen", "kidney"})
"""Organs long enough that a finding lies in their upper, middle or lower third."""

LEVELS = ("lower", "middle", "upper")
SIDES = {-1: "right", 1: "left", 0: ""}

_SHARES = (0.2, 0.25, 0.3, 0.25)
_ONE_SEX = {"uterus": "female", "ovary": "female", "prostate": "male"}
# Not at the border between two levels.
_LEVEL_ENDS = {"lower": (0.03, 0.29), "middle": (0.37, 0.63), "upper": (0.71, 0.97)}
_CANDIDATES = 1500
_APART_MM = 6


@dataclass(frozen=True)
class Wanted:
    """A finding that was drawn: -1 is the right side, 1 the left, 0 neither."""

    kind: str
    organ: str
    side: int


@dataclass(frozen=True, eq=False)
class Lesion:
    """What a finding is made of: its mask shows ``shape``, and ``layers`` are painted in turn."""

    shape: Shape
    layers: Sequence[tuple[Shape, Density]]
    level: str = ""


@dataclass(frozen=True, eq=False)
class Draw:
    """What a lesion is drawn with; ``taken`` are the places and radii of those drawn before."""

    random: np.random.Generator
    side: int
    tissues: Tissues
    taken: list[tuple[NDArray[np.float64], float]] = field(default_factory=list)


LesionMaker = Callable[[Draw], Lesion]


def draw_findings(random: np.random.Generator, region: str, sex: str) -> list[Wanted]:
    """0 to 3 findings of a region, never the same kind twice in the same organ and side."""
    pairs = [
        (organ, kind)
        for organ, kinds in FINDINGS[region].items()
        for kind in kinds
        if _ONE_SEX.get(organ, sex) == sex
    ]
    count = int(random.choice(len(_SHARES), p=_SHARES))
    wanted: list[Wanted] = []
    while len(wanted) < count:
        organ, kind = pairs[random.integers(len(pairs))]
        side = int(random.choice((-1, 1))) if organ in SIDED else 0
        one = Wanted(kind, organ, side)
        if one not in wanted:
            wanted.append(one)
    return wanted


def place(
    draw: Draw,
    organ: Shape,
    radii: tuple[float, float],
    *,
    whole: Shape | None = None,
    depth: tuple[float, float] = (-99, -0.8),
    levelled: bool = True,
) -> tuple[NDArray[np.float64], float, str]:
    """A centre, a radius and a level for a round lesion in an organ.

    ``depth`` says how far from the organ's surface the centre may be, in radii: from -99 (deep
    inside) to -0.8 it sticks out a little at most. Levels are thirds of ``whole``, the organ itself
    where it is not given. Where the organ is too small for what was drawn, the lesion is smaller.
    """
    random = draw.random
    radius = float(random.uniform(*radii))
    heights = lattice(whole or organ, 24)[:, 2]
    bottom, top = heights.min(), heights.max()
    points = random.uniform(organ.low, organ.high, (_CANDIDATES, 3))
    deep = organ.at(points)
    share = (points[:, 2] - bottom) / (top - bottom)
    levels = [LEVELS[n] for n in random.permutation(3)] if levelled else [""]
    for shrunk in (1, 0.9, 0.8, 0.7, 0.6):
        for level in levels:
            start, end = _LEVEL_ENDS.get(level, (-9, 9))
            r = max(radius * shrunk, radii[0])
            fits = (deep > depth[0] * r) & (deep < depth[1] * r) & (share > start) & (share < end)
            for centre, other in draw.taken:
                fits &= np.linalg.norm(points - centre, axis=1) > r + other + _APART_MM
            if fits.any():
                centre = points[np.flatnonzero(fits)[0]]
                draw.taken.append((centre, r))
                return centre, r, level
    centre = points[deep.argmin()]
    inside = next((n for n in LEVELS if share[deep.argmin()] < _LEVEL_ENDS[n][1] + 0.04), "upper")
    draw.taken.append((centre, radii[0]))
    return centre, radii[0], inside if levelled else ""


def round_lesion(centre: NDArray[np.float64], radius: float, hu: Density, level: str) -> Lesion:
    """A smooth ball: a cyst, a nodule, a stone."""
    shape = ball(centre.tolist(), radius)
    return Lesion(shape, [(shape, hu)], level)


def mottled(random: np.random.Generator, hu: float, contrast: float, grain: float) -> Density:
    """A tissue whose density goes up and down by ``contrast``, without order."""
    fx, fy, fz = (2 * np.pi / (grain * random.uniform(1.5, 2.5, 3))).astype(np.float32)
    px, py, pz = random.uniform(0, 2 * np.pi, 3).astype(np.float32)
    bend = np.float32(1.8)

    def density(x: Field, y: Field, z: Field) -> Field:
        along = np.sin(fx * x + px + bend * np.sin(np.float32(0.6) * fy * y + pz))
        across = np.sin(fy * y + py + bend * np.sin(np.float32(0.7) * fz * z + px))
        upwards = np.sin(fz * z + pz + bend * np.sin(np.float32(0.8) * fx * x + py))
        varied: Field = np.float32(hu) + np.float32(contrast * 0.6) * (along + across * upwards)
        return varied

    return density
