"""Where the model's slices and patches lie in the scan.

Indices follow ITK and Slicer: IJK are continuous voxel indices with voxel centres at integers, RAS
are millimetres. The array of a scan is indexed (k, j, i), the model's volume (slice, row, column).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from med2e3.errors import InputError

Matrix = NDArray[np.float64]
"""(4, 4), maps homogeneous coordinates."""
Point = NDArray[np.float64]
"""(3,)"""

ACQUIRED = "acquired"

_ANATOMICAL_AXES = {"axial": (2, 1, 0), "coronal": (1, 2, 0), "sagittal": (0, 2, 1)}
"""The RAS axes that slices, rows and columns run along. All run against it, that is from right to
left, from anterior to posterior and from superior to inferior, as a radiologist reads a scan."""

PLANES = (ACQUIRED, *_ANATOMICAL_AXES)

PATCH_SIZE = 16
"""Rows and columns of a patch: both encoders of the model cut a slice into 16 x 16 pixels."""


@dataclass(frozen=True, eq=False)
class SliceGeometry:
    """The way from the model's volume back to the scan: reorientation, crop and resize in one.

    ``plane`` is one of :data:`PLANES` and ``scan_axis`` the scan's IJK axis (0, 1, 2) that the
    slices are cut across. ``size`` is (slices, rows, columns) of the model's volume.
    ``model_to_ijk`` maps (column, row, slice, 1) with voxel centres at integers to IJK,
    ``ijk_to_ras`` goes on to millimetres.
    """

    plane: str
    scan_axis: int
    size: tuple[int, int, int]
    model_to_ijk: Matrix
    ijk_to_ras: Matrix

    @property
    def model_to_ras(self) -> Matrix:
        """(4, 4), maps (column, row, slice, 1) to millimetres."""
        return self.ijk_to_ras @ self.model_to_ijk

    @property
    def voxel_spacing_mm(self) -> tuple[float, float, float]:
        """Distance between the centres of neighbouring slices, rows and columns."""
        column, row, slice_ = np.linalg.norm(self.model_to_ras[:3, :3], axis=0)
        return float(slice_), float(row), float(column)

    @property
    def slice_spacing_mm(self) -> float:
        """Distance between the centres of neighbouring model slices."""
        return self.voxel_spacing_mm[0]

    @property
    def overlay_size(self) -> tuple[int, int, int]:
        """(slices, rows, columns) of the grid of patches."""
        slices, rows, columns = self.size
        return slices, rows // PATCH_SIZE, columns // PATCH_SIZE

    @property
    def overlay_to_ijk(self) -> Matrix:
        """(4, 4), maps (patch column, patch row, model slice, 1), patch centres at integers, to
        the scan's IJK."""
        first = (PATCH_SIZE - 1) / 2
        overlay_to_model = np.diag([PATCH_SIZE, PATCH_SIZE, 1.0, 1.0])
        overlay_to_model[:2, 3] = first
        return self.model_to_ijk @ overlay_to_model

    @property
    def overlay_to_ras(self) -> Matrix:
        """(4, 4), maps (patch column, patch row, model slice, 1) to millimetres."""
        return self.ijk_to_ras @ self.overlay_to_ijk

    def slice_center_ijk(self, slice_: float) -> Point:
        """(3,): the centre of a model slice in the scan's IJK."""
        _, rows, columns = self.size
        return _transformed(self.model_to_ijk, ((columns - 1) / 2, (rows - 1) / 2, slice_))

    def slice_center_ras(self, slice_: float) -> Point:
        """(3,): the centre of a model slice in millimetres."""
        return _transformed(self.ijk_to_ras, self.slice_center_ijk(slice_))

    def slice_centers_ras(self) -> NDArray[np.float64]:
        """(slices, 3): the centres of all model slices in millimetres."""
        return np.stack([self.slice_center_ras(slice_) for slice_ in range(self.size[0])])

    def slice_index(self, slice_: float) -> float:
        """The centre of a model slice counted in slices of the scan along the plane's axis.

        A fraction from 0 to the number of slices less 1 (at most half a slice beyond, where the
        model has more slices than the scan), in the scan's own order.
        """
        return float(self.slice_center_ijk(slice_)[self.scan_axis])

    def patch_center_ras(self, slice_: float, row: float, column: float) -> Point:
        """(3,): the centre of a patch in millimetres."""
        return _transformed(self.overlay_to_ras, (column, row, slice_))

    def slice_at_ras(self, point: ArrayLike) -> float:
        """The model slice, as a fraction, that a point (3,) in millimetres lies on.

        Below 0 or above the number of slices less 1 for a point outside what the model sees.
        """
        ras_to_model = np.linalg.inv(self.model_to_ras).astype(np.float64)
        return float(_transformed(ras_to_model, point)[2])


@dataclass(frozen=True)
class Orientation:
    """How a scan's array is turned to be seen along a plane.

    ``axes`` are the IJK axes that become slices, rows and columns, and ``flipped`` tells which of
    the three run against the scan's own order.
    """

    axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    @property
    def scan_axis(self) -> int:
        return self.axes[0]

    def turn(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """A view of a (K, J, I) array as (slices, rows, columns)."""
        turned: NDArray[Any] = voxels.transpose([2 - axis for axis in self.axes])
        return turned[tuple(slice(None, None, -1 if flip else 1) for flip in self.flipped)]

    def turn_box(
        self, box: tuple[slice, slice, slice], shape: tuple[int, ...]
    ) -> tuple[slice, slice, slice]:
        """The place of a box (k, j, i) of an array of a shape after turning it."""
        turned = []
        for axis, flip in zip(self.axes, self.flipped, strict=True):
            part, length = box[2 - axis], shape[2 - axis]
            turned.append(slice(length - part.stop, length - part.start) if flip else part)
        slices, rows, columns = turned
        return slices, rows, columns

    def turned_to_ijk(self, shape: tuple[int, ...]) -> Matrix:
        """(4, 4): from (column, row, slice, 1) of the turned array of a shape to IJK."""
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1
        for place, (axis, flip) in enumerate(zip(self.axes, self.flipped, strict=True)):
            matrix[axis, 2 - place] = -1 if flip else 1
            matrix[axis, 3] = shape[place] - 1 if flip else 0
        return matrix


def orientation_along(plane: str, ijk_to_ras: Matrix) -> Orientation:
    """How to turn a scan so that its slices are cut along ``plane``, as a radiologist sees it.

    "acquired" leaves the array as it is. The others take for each anatomical direction the scan's
    own axis nearest to it; the axes are matched together, so that none is taken twice in a scan
    that is oblique by 45 degrees. Raises :class:`~med2e3.errors.InputError` for another plane.
    """
    if plane not in PLANES:
        raise InputError(f"There is no plane {plane!r}; choose one of {', '.join(PLANES)}.")
    if plane == ACQUIRED:
        return Orientation((2, 1, 0), (False, False, False))
    cosines = _direction_cosines(ijk_to_ras)
    # nearest[a] is the IJK axis that goes with the RAS axis a.
    nearest = max(
        permutations(range(3)),
        key=lambda axes: sum(abs(cosines[ras, ijk]) for ras, ijk in enumerate(axes)),
    )
    slices, rows, columns = _ANATOMICAL_AXES[plane]
    return Orientation(
        (nearest[slices], nearest[rows], nearest[columns]),
        (
            bool(cosines[slices, nearest[slices]] > 0),
            bool(cosines[rows, nearest[rows]] > 0),
            bool(cosines[columns, nearest[columns]] > 0),
        ),
    )


def obliqueness_degrees(plane: str, geometry: SliceGeometry) -> float:
    """The angle between the anatomical plane and the slices that stand for it; 0 for "acquired"."""
    if plane == ACQUIRED:
        return 0.0
    column, row = geometry.model_to_ras[:3, 0], geometry.model_to_ras[:3, 1]
    normal = np.cross(column, row)
    cosine = abs(normal[_ANATOMICAL_AXES[plane][0]]) / np.linalg.norm(normal)
    return float(np.degrees(np.arccos(min(1.0, cosine))))


def edge_letters(geometry: SliceGeometry) -> tuple[str, str, str, str]:
    """The patient's directions (R, L, A, P, S, I) at a slice's left, right, top and bottom edge."""
    column, row = geometry.model_to_ras[:3, 0], geometry.model_to_ras[:3, 1]
    return _letter(-column), _letter(column), _letter(-row), _letter(row)


def resized_to_source(source: int, target: int) -> tuple[float, float]:
    """(scale, offset) from an index after resizing to the index before.

    This is the convention of ``align_corners=False``: the outer edges of the first and the last
    voxel stay where they are, not their centres.
    """
    scale = source / target
    return scale, (scale - 1) / 2


def slice_geometry(
    plane: str,
    orientation: Orientation,
    shape: tuple[int, ...],
    crop: tuple[slice, slice, slice],
    size: tuple[int, int, int],
    ijk_to_ras: Matrix,
) -> SliceGeometry:
    """The geometry of a scan turned to ``shape``, cropped and resized to ``size``.

    Shape, crop and size are in the order (slices, rows, columns).
    """
    model_to_turned = np.eye(4)
    for place, (kept, target) in enumerate(zip(crop, size, strict=True)):
        scale, offset = resized_to_source(kept.stop - kept.start, target)
        model_to_turned[2 - place, 2 - place] = scale
        model_to_turned[2 - place, 3] = offset + kept.start
    return SliceGeometry(
        plane=plane,
        scan_axis=orientation.scan_axis,
        size=size,
        model_to_ijk=orientation.turned_to_ijk(shape) @ model_to_turned,
        ijk_to_ras=np.asarray(ijk_to_ras, dtype=np.float64),
    )


def _direction_cosines(ijk_to_ras: Matrix) -> NDArray[np.float64]:
    axes = np.asarray(ijk_to_ras, dtype=np.float64)[:3, :3]
    cosines: NDArray[np.float64] = axes / np.linalg.norm(axes, axis=0)
    return cosines


def _letter(direction: Point) -> str:
    axis = int(np.argmax(np.abs(direction)))
    return "RAS"[axis] if direction[axis] > 0 else "LPI"[axis]


def _transformed(matrix: Matrix, point: ArrayLike) -> Point:
    moved: Point = matrix[:3, :3] @ np.asarray(point, dtype=np.float64) + matrix[:3, 3]
    return moved
