"""Which slices of the model's volume show what a question is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from med2e3.phantoms.phantom import Phantom
from med2e3.phantoms.questions import Question

if TYPE_CHECKING:
    from med2e3.volume.geometry import SliceGeometry


def slices_of(question: Question, phantom: Phantom, geometry: SliceGeometry) -> list[int]:
    """The model slices that the answer depends on, in order.

    These are the slices that the masks of the question's findings touch, or of its organ where it
    has none, or all slices where it has neither. ``geometry`` is that of the phantom as it was
    prepared.
    """
    masks = [phantom.findings[number].mask for number in question.findings]
    if not masks and question.organ in phantom.organs:
        masks = [phantom.organs[question.organ]]
    if not masks:
        return list(range(geometry.size[0]))
    return slices_touching(np.logical_or.reduce(masks), geometry)


def slices_touching(mask: NDArray[np.bool_], geometry: SliceGeometry) -> list[int]:
    """The model slices that a mask (K, J, I) touches, in order.

    A slice is as thick as slices lie apart. It is touched where the centre of a voxel of the mask
    is in it or, should slices be thinner than voxels, its own centre is in such a voxel.
    """
    axis = 2 - geometry.scan_axis
    marked = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
    centres = np.array([geometry.slice_index(number) for number in range(geometry.size[0])])
    thickness = abs(centres[1] - centres[0]) if len(centres) > 1 else float(mask.shape[axis])
    reach = max(thickness, 1.0) / 2
    near = np.abs(centres[:, None] - marked[None]) <= reach
    return [int(number) for number in np.flatnonzero(near.any(axis=1))]
