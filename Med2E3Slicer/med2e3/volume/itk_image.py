"""What SimpleITK reads, as numpy sees it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from med2e3.errors import InputError

# ITK prints its warnings on stderr. Those that matter are checked for and told as sentences.
sitk.ProcessObject.SetGlobalWarningDisplay(False)

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""DICOM and ITK count millimetres to the left and back, Slicer and NIfTI to the right and front."""


def itk_name(path: Path) -> str:
    """A path as SimpleITK takes it: a name that is no UTF-8 would end the whole process.

    Raises :class:`~med2e3.errors.InputError` for such a name.
    """
    name = str(path)
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        shown = os.fsencode(name).decode("utf-8", "replace")
        raise InputError(
            f"The name {shown} is not in UTF-8, so that the file cannot be opened; rename it."
        ) from None
    return name


class _Pixels:
    """Keeps an image alive for as long as an array looks at its memory."""

    def __init__(self, image: sitk.Image) -> None:
        self._image = image
        self.__array_interface__ = sitk.GetArrayViewFromImage(image).__array_interface__


def array_of(image: sitk.Image) -> NDArray[Any]:
    """The pixels of an image, not copied, with its axes in the reverse order: (K, J, I) in 3D."""
    return np.asarray(_Pixels(image))


def ijk_to_ras_of(image: sitk.Image) -> NDArray[np.float64]:
    """(4, 4): where a 3D image says that its voxels lie, in millimetres."""
    ijk_to_lps = np.eye(4)
    ijk_to_lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    ijk_to_lps[:3, 3] = image.GetOrigin()
    ijk_to_ras: NDArray[np.float64] = LPS_TO_RAS @ ijk_to_lps
    return ijk_to_ras
