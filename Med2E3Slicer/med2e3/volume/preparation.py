"""From a scan to what the model sees: turn, window, crop, resize.

With the scan's own orientation and no window this is the released code's preprocessing: crop to
the bounding box of voxels above 0, then resize trilinearly with ``align_corners=False``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray

from med2e3.errors import InputError
from med2e3.volume.checking import looks_like_label_map
from med2e3.volume.geometry import (
    SliceGeometry,
    obliqueness_degrees,
    orientation_along,
    slice_geometry,
)
from med2e3.volume.scan import Scan
from med2e3.volume.window import Window, choose_window

MODEL_SIZE = (32, 256, 256)
"""(slices, rows, columns) that the released model was trained with."""

_FEW_SLICES = 16
_OBLIQUE_DEGREES = 20


@dataclass(frozen=True, eq=False)
class PreparedVolume:
    """A scan as the model sees it.

    ``volume`` is float32 [1, slices, rows, columns] from 0 to 1 (as it came, with the window
    "none"). ``geometry`` leads back to the scan, ``window`` tells what is black and white, and
    ``warnings`` are sentences for the user that the scan's own do not hold.
    """

    volume: torch.Tensor
    geometry: SliceGeometry
    window: Window
    warnings: tuple[str, ...]


def prepare(
    scan: Scan,
    plane: str = "axial",
    window: str = "auto",
    size: tuple[int, int, int] = MODEL_SIZE,
) -> PreparedVolume:
    """Make of a scan what the model sees.

    ``plane`` is one of :data:`~med2e3.volume.geometry.PLANES`, ``window`` as
    :func:`~med2e3.volume.window.choose_window` takes it, ``size`` (slices, rows, columns).

    The crop keeps the bounding box of all voxels that the window does not make black. Raises
    :class:`~med2e3.errors.InputError` where the window leaves nothing to see.
    """
    orientation = orientation_along(plane, scan.ijk_to_ras)
    chosen = choose_window(window, scan)
    crop = orientation.turn_box(_foreground_box(scan.voxels, chosen), scan.voxels.shape)
    turned = orientation.turn(scan.voxels)
    geometry = slice_geometry(plane, orientation, turned.shape, crop, size, scan.ijk_to_ras)
    resize = _DepthResize.between(crop[0].stop - crop[0].start, size[0])
    planes = turned[crop][resize.planes]
    volume = resize.blend(_in_plane(_windowed(planes, chosen), size[1:]))
    if volume.min() == volume.max():
        raise InputError(
            f"The window {chosen.name} makes every voxel of the scan alike that it does not make "
            "black, so there is nothing to tell apart; choose a wider one."
        )
    warnings = (
        *chosen.warnings,
        *_modality_warnings(scan),
        *_slice_warnings(scan, geometry, turned[crop].shape[0], len(resize.planes)),
    )
    return PreparedVolume(volume[None], geometry, chosen, warnings)


@dataclass(frozen=True)
class _DepthResize:
    """Linear resizing across the slices.

    A model slice blends the two planes of the scan on either side of it. So only ``planes`` (in
    order, each once) need to be read, converted and resized, 64 at most of any long scan.
    ``below`` and ``above`` (one for each model slice) count in ``planes``.
    """

    planes: NDArray[np.int64]
    below: torch.Tensor
    above: torch.Tensor
    weight: torch.Tensor

    @classmethod
    def between(cls, source: int, target: int) -> _DepthResize:
        # As torch's own trilinear resize computes it, in its order and in float32, so that the
        # weights are equal to its. It is resized_to_source, written another way.
        scale = torch.tensor(source, dtype=torch.float32) / target
        position = (torch.arange(target, dtype=torch.float32) + 0.5) * scale - 0.5
        position = position.clamp(0, source - 1)
        below = position.long()
        above = (below + 1).clamp(max=source - 1)
        planes, places = torch.unique(torch.cat([below, above]), return_inverse=True)
        return cls(planes.numpy(), places[:target], places[target:], position - below)

    def blend(self, planes: torch.Tensor) -> torch.Tensor:
        weight = self.weight[:, None, None]
        return planes[self.below] * (1 - weight) + planes[self.above] * weight


def _foreground_box(voxels: NDArray[Any], window: Window) -> tuple[slice, slice, slice]:
    """The bounding box, in (k, j, i), of what the window does not make black."""
    in_slab = np.zeros(voxels.shape[0], dtype=bool)
    in_row = np.zeros(voxels.shape[1], dtype=bool)
    in_column = np.zeros(voxels.shape[2], dtype=bool)
    for place, slab in enumerate(voxels):
        seen = slab > window.background
        rows = seen.any(axis=1)
        in_slab[place] = rows.any()
        in_row |= rows
        in_column |= seen.any(axis=0)
    if not in_slab.any():
        raise InputError(
            f"With the window {window.name} the whole scan is black (no voxel is above "
            f"{window.background:g}); choose another, or auto."
        )
    return _span(in_slab), _span(in_row), _span(in_column)


def _span(marked: NDArray[np.bool_]) -> slice:
    places = np.flatnonzero(marked)
    return slice(int(places[0]), int(places[-1]) + 1)


def _windowed(planes: NDArray[Any], window: Window) -> torch.Tensor:
    values = torch.from_numpy(np.array(planes, dtype=np.float32, order="C"))
    if window.keeps_values:
        return values
    return values.sub_(window.lower).div_(window.upper - window.lower).clamp_(0, 1)


def _in_plane(planes: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    resized = functional.interpolate(planes[None], size=size, mode="bilinear", align_corners=False)
    return resized[0]


def _modality_warnings(scan: Scan) -> tuple[str, ...]:
    warnings = []
    if scan.modality and scan.modality != "CT":
        warnings.append(
            f"The scan is {scan.modality}, and the model was trained on CT: what it says about "
            "another kind of scan is not to be relied on."
        )
    if looks_like_label_map(scan.voxels):
        warnings.append(
            "The volume has few values in even patches, like a label map; if it is one, open the "
            "image that it was drawn on."
        )
    return tuple(warnings)


def _slice_warnings(
    scan: Scan, geometry: SliceGeometry, slices: int, slices_seen: int
) -> tuple[str, ...]:
    warnings = []
    if slices < _FEW_SLICES:
        warnings.append(
            f"The scan has {slices} slices with something on them in the {geometry.plane} plane; "
            f"the model's {geometry.size[0]} slices are interpolated between them."
        )
    if slices_seen < slices:
        warnings.append(
            f"The model's {geometry.size[0]} slices blend {slices_seen} of the scan's {slices} "
            f"{geometry.plane} slices; what lies on the others alone is not seen."
        )
    degrees = obliqueness_degrees(geometry.plane, geometry)
    if degrees > _OBLIQUE_DEGREES:
        warnings.append(
            f"The scan is oblique: its slices nearest to the {geometry.plane} plane are "
            f"{degrees:.0f} degrees off it."
        )
    return tuple(warnings)
