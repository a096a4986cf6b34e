"""The scan: voxels, and where they lie in the patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from med2e3.volume.checking import check_ijk_to_ras, check_voxels


@dataclass(frozen=True, eq=False)
class Scan:
    """A scan that the model can be asked about.

    ``voxels`` is the array in (K, J, I) order as it was stored, of any real type (it may be a
    memory map and is never changed). ``ijk_to_ras`` (4, 4) maps (i, j, k, 1) to millimetres; its
    axes may be oblique, flipped, sheared or scaled. ``modality`` is the DICOM code ("CT", "MR",
    "PT"), or "" where the source does not tell it. ``warnings`` are sentences for the user.

    Wherever it comes from, a scan is checked as it is made: :class:`~med2e3.errors.InputError`
    says why one cannot be used.
    """

    voxels: NDArray[Any]
    ijk_to_ras: NDArray[np.float64]
    modality: str = ""
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_voxels(self.voxels, self.modality)
        check_ijk_to_ras(self.ijk_to_ras)
