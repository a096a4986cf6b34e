"""What no model can be asked about, each with one sentence that says what it is and what to do.

Voxels are looked at one slab of the array at a time, so that neither a memory map nor a long
scan is ever copied as a whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from med2e3.errors import InputError

_MOST_LABELS = 256
"""No anatomical label set in wide use has more; an 8-bit image has no more grey levels either."""

_LABEL_MAP_FLATNESS = 0.9
"""The least share of equal neighbours that makes few integers a label map: noise leaves fewer."""

_COARSEST_SCAN = 16
"""No scanner counts in so few steps; small lesions on an empty grid have few equal neighbours."""

_LABEL_MAP_CURE = "open the image that it was drawn on"


_LARGEST = 1e37
"""The model counts in float32, which ends at 3.4e38."""

_AIR_HU = -500
"""Between air and everything else in a patient; lungs have vessels and a wall around them."""

_FLATTEST = 1e-9
"""The smallest step between voxels, as a share of the matrix's largest number."""


def check_voxels(voxels: NDArray[Any], modality: str = "") -> None:
    """Refuse voxels that are no scan.

    ``voxels`` is (K, J, I), ``modality`` the DICOM code if it is known. Raises
    :class:`~med2e3.errors.InputError` for a 2D image, a time series, one slice, anything but real
    numbers, NaN, Inf or next to it, one value throughout, air alone, or a label map.
    """
    check_shape(voxels.shape)
    if voxels.dtype.kind == "b":
        raise InputError(f"The volume is a mask, not an image; {_LABEL_MAP_CURE}.")
    if voxels.dtype.kind not in "iuf":
        raise InputError(
            f"The volume's voxels are of the type {voxels.dtype}, not one real number each; "
            "open a scan with one grey value a voxel."
        )
    lowest, highest = _range(voxels)
    if max(-lowest, highest) > _LARGEST:
        raise InputError(
            f"The volume's values are too large (from {lowest:g} to {highest:g}); rescale them, or "
            "export the scan again."
        )
    if lowest == highest:
        raise InputError(
            f"The volume is empty: every voxel is {lowest:g}; open a scan with something in it."
        )
    if modality in ("", "CT") and highest <= _AIR_HU:
        raise InputError(
            f"The volume is all air: no voxel is above {highest:g} HU; open a scan with a patient "
            "in it."
        )
    if _is_label_map(voxels, lowest, highest):
        raise InputError(
            f"The volume is a label map (few whole numbers, from {lowest:g} to {highest:g}), "
            f"not an image; {_LABEL_MAP_CURE}."
        )


def check_ijk_to_ras(ijk_to_ras: NDArray[np.float64]) -> None:
    """Refuse a matrix that does not give every voxel a place of its own, or none that
    double precision could tell from its neighbour's.

    Raises :class:`~med2e3.errors.InputError`.
    """
    usable = (
        ijk_to_ras.shape == (4, 4)
        and bool(np.isfinite(ijk_to_ras).all())
        and np.array_equal(ijk_to_ras[3], [0, 0, 0, 1])
        and np.linalg.norm(ijk_to_ras[:3, :3], -2) > _FLATTEST * np.abs(ijk_to_ras[:3]).max()
    )
    if not usable:
        raise InputError(
            "The volume's geometry is broken (its matrix from voxels to millimetres cannot be "
            "inverted); export the scan again, or correct its spacing and transform."
        )


def looks_like_label_map(voxels: NDArray[Any]) -> bool:
    """Whether voxels that passed :func:`check_voxels` still resemble a label map.

    True for few whole numbers in even patches that no label set would choose (0 and 1000, say) or
    that are stored as floating point: too doubtful to refuse.
    """
    lowest, _ = _range(voxels)
    return lowest >= 0 and _has_even_patches(voxels, _distinct_integers(voxels))


def check_shape(shape: tuple[int, ...]) -> None:
    """Refuse the shape of anything but a volume of at least 2 voxels along each of its 3 axes."""
    if len(shape) < 3:
        raise InputError("The volume is a single 2D image; open a scan with at least 2 slices.")
    if len(shape) > 3:
        raise InputError(
            f"The volume has {len(shape)} dimensions {shape}, a time series or several channels; "
            "export one 3D volume of it."
        )
    if shape[0] < 2:
        raise InputError(
            f"The volume has {shape[0]} slice; open a scan with at least 2, the whole series."
        )
    if min(shape) < 2:
        raise InputError(
            f"The volume is only one voxel wide (slices, rows, columns: {shape}); open a scan "
            "with at least 2 voxels in each direction."
        )


def _range(voxels: NDArray[Any]) -> tuple[float, float]:
    lowest, highest = np.inf, -np.inf
    for slab in voxels:
        # A NaN or an infinity anywhere shows in one of the two, so there is no third pass.
        slab_lowest, slab_highest = float(slab.min()), float(slab.max())
        if not (np.isfinite(slab_lowest) and np.isfinite(slab_highest)):
            raise InputError(
                "The volume has voxels that are not a number or infinite; replace them (by "
                "-1024 in a CT, by 0 elsewhere) and save it again."
            )
        lowest, highest = min(lowest, slab_lowest), max(highest, slab_highest)
    return lowest, highest


def _is_label_map(voxels: NDArray[Any], lowest: float, highest: float) -> bool:
    # Label sets count up from 0 and use most numbers; a phantom of air and metal does not, and
    # floating point holds as many images scaled to 0 and 1 as it holds masks.
    if voxels.dtype.kind == "f" or lowest != 0 or highest >= 4 * _MOST_LABELS:
        return False
    if highest < _COARSEST_SCAN:
        return True
    labels = _distinct_integers(voxels)
    return len(labels) > (highest + 1) / 4 and _has_even_patches(voxels, labels)


def _distinct_integers(voxels: NDArray[Any]) -> NDArray[Any]:
    """The distinct values, sorted; none if there are too many for labels or one is a fraction."""
    found = np.empty(0, dtype=voxels.dtype)
    for slab in voxels:
        found = np.union1d(found, slab)
        if len(found) > _MOST_LABELS or (found.dtype.kind == "f" and (found % 1 != 0).any()):
            return found[:0]
    return found


def _has_even_patches(voxels: NDArray[Any], labels: NDArray[Any]) -> bool:
    if len(labels) == 0:
        return False
    pairs = equal = 0
    for slab in voxels:
        left, right = slab[:, :-1], slab[:, 1:]
        foreground = (left != labels[0]) | (right != labels[0])
        pairs += np.count_nonzero(foreground)
        equal += np.count_nonzero(foreground & (left == right))
    return equal >= _LABEL_MAP_FLATNESS * pairs
