"""What a phantom is: a synthetic scan, its findings, and where everything lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REGIONS = ("head", "chest", "abdomen", "pelvis")
PHASES = ("plain", "arterial", "portal venous")


@dataclass(frozen=True)
class Grid:
    """How finely a body is sampled. The field of view and what the scanner resolves of it do not
    depend on it."""

    slices: int
    rows: int
    columns: int


SCAN_GRID = Grid(64, 256, 256)
"""As fine as a real scan."""
DRAFT_GRID = Grid(64, 144, 144)
"""Fine enough for what a small model sees: for data sets."""


@dataclass(frozen=True, eq=False)
class Finding:
    """Something that is not normal, and where it is.

    ``side`` is the patient's side, "" for organs in the middle; ``level`` is the third of the organ
    along the body's axis, "" for organs that have none. ``size_mm`` is the largest diameter,
    ``center_ras`` the centre of mass in mm, ``mask`` (K, J, I) holds the voxels.
    """

    kind: str
    organ: str
    side: str
    level: str
    size_mm: float
    center_ras: tuple[float, float, float]
    mask: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Phantom:
    """A synthetic scan and what is in it.

    ``voxels`` is int16 (K, J, I) in Hounsfield units, ``ijk_to_ras`` (4, 4) places them in mm.
    ``organs`` are masks (K, J, I) of the organs that are seen, by name in the singular.
    """

    seed: int
    region: str
    phase: str
    voxels: NDArray[np.int16]
    ijk_to_ras: NDArray[np.float64]
    findings: tuple[Finding, ...]
    organs: dict[str, NDArray[np.bool_]]
