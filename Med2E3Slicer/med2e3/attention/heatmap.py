"""Heatmaps: arrays on the grid of patches, and their file.

A heatmap is indexed (slice, row, column) of the grid of patches, (32, 16, 16) for the released
model, and
:attr:`SliceGeometry.overlay_to_ras <med2e3.volume.geometry.SliceGeometry.overlay_to_ras>` tells
where its voxels lie.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from med2e3.attention.scores import Attention
from med2e3.volume.geometry import SliceGeometry

Heatmap = NDArray[np.float32]
"""(slices, rows, columns) of the grid of patches."""


def slice_heatmap(attention: Attention) -> Heatmap:
    """The scores as a heatmap: every voxel of a slice is the slice's score, 0 to 1.

    It is the score itself, not the score relative to an even share, so that a voxel reads the same
    as the ranked list and the result file.
    """
    values = np.asarray(attention.scores, dtype=np.float32)
    grid = np.shape(attention.patch_shares)
    heatmap: Heatmap = np.broadcast_to(values[:, None, None], grid).copy()
    return heatmap


def patch_heatmap(attention: Attention) -> Heatmap:
    """What each patch adds to its slice's logit, less what its place adds in the average slice.

    Logits that all rise by the same amount leave the scores as they are. So what a place has in
    common with the same place of all slices (an empty corner, say) chose nothing, and is taken
    off. A slice's patches add up to its logit less the mean logit: above 0 speaks for the slice,
    below 0 against it.
    """
    shares = np.asarray(attention.patch_shares, dtype=np.float64)
    heatmap: Heatmap = (shares - shares.mean(axis=0)).astype(np.float32)
    return heatmap


def write_heatmap(path: Path, heatmap: NDArray[np.floating[Any]], geometry: SliceGeometry) -> None:
    """Write a heatmap as ``.nii.gz`` in the scan's space, on the grid of patches.

    The grid keeps the obliqueness and the shear of the scan (a gantry tilt, a transform) in NIfTI's
    sform; ITK would straighten it as it writes, and the heatmap would lie beside what it shows.
    Raises OSError where the file cannot be written.
    """
    if heatmap.shape != geometry.overlay_size:
        raise ValueError(
            f"A heatmap {heatmap.shape} does not lie on the grid {geometry.overlay_size}."
        )
    image = nibabel.Nifti1Image(
        np.asarray(heatmap, dtype=np.float32).transpose(), geometry.overlay_to_ras
    )
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = b"Med-2E3 attention. Research use only."
    nibabel.save(image, path)
