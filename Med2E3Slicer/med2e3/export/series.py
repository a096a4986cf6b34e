"""The DICOM series that a report is about: its headers, and which image lies where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from med2e3.errors import InputError

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])

_MAY_BE_EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID",
    "StudyDate", "StudyTime", "ReferringPhysicianName",
)  # fmt: skip
"""What every object has, but which a series that was made anonymous may lack altogether."""

# highdicom looks at it to see whether the images are its own grid's; which they never are.
_ANY_THICKNESS = 1.0

_SEXES = ("M", "F", "O", "")


@dataclass(frozen=True, eq=False)
class SourceSeries:
    """The images of a series without their pixels, in the order of the slices of its scan.

    ``positions`` (images, 3) are the centres of the first pixels, ``row``, ``column`` and
    ``normal`` (3,) unit vectors along a row, along a column and across, in LPS millimetres.
    """

    images: tuple[Dataset, ...]
    positions: NDArray[np.float64]
    row: NDArray[np.float64]
    column: NDArray[np.float64]
    normal: NDArray[np.float64]

    def nearest_image(self, ras: NDArray[np.float64]) -> Dataset:
        """The image whose plane a point (3,) is nearest to."""
        distances = (self.positions - RAS_TO_LPS @ ras) @ self.normal
        return self.images[int(np.abs(distances).argmin())]

    def holds(self, ras: NDArray[np.float64], margin: float) -> bool:
        """Whether a point (3,) lies in the series, or within ``margin`` millimetres of it."""
        point = RAS_TO_LPS @ ras
        along = (point - self.positions) @ self.normal
        nearest = int(np.abs(along).argmin())
        image = self.images[nearest]
        row_mm, column_mm = (float(value) for value in image.PixelSpacing)
        x, y = ((point - self.positions[nearest]) @ axis for axis in (self.row, self.column))
        return bool(
            abs(along[nearest]) <= margin + self._slice_distance
            and -margin <= x <= image.Columns * column_mm + margin
            and -margin <= y <= image.Rows * row_mm + margin
        )

    @property
    def _slice_distance(self) -> float:
        if len(self.images) < 2:
            return float(self.images[0].SliceThickness)
        return float(np.median(np.diff(self.positions @ self.normal)))


def read_series(files: Sequence[Path]) -> SourceSeries:
    """The headers of a series' files. Raises InputError where they are not those of one scan."""
    if not files:
        raise InputError(
            "The scan did not come from DICOM, so there is no study that DICOM objects could "
            "belong to; load it from DICOM, or export the report as PDF or text."
        )
    images = [_header(file) for file in files]
    # As med2e3.volume.dicom does: a localizer in the series is no slice of its volume.
    slices = [image for image in images if "LOCALIZER" not in image.get("ImageType", ())]
    images = slices or images
    if len({(image.StudyInstanceUID, image.SeriesInstanceUID) for image in images}) > 1:
        raise InputError("The DICOM files are of several series; give those of the scan alone.")
    if any(int(image.get("NumberOfFrames") or 1) > 1 for image in images):
        raise InputError(
            "The scan is one multi-frame DICOM object, which the DICOM export does not read; "
            "export the report as PDF or text."
        )
    try:
        orientation = np.array(images[0].ImageOrientationPatient, dtype=np.float64)
        positions = np.array([i.ImagePositionPatient for i in images], dtype=np.float64)
        row, column = orientation[:3], orientation[3:]
        if "FrameOfReferenceUID" not in images[0] or len(images[0].PixelSpacing) != 2:
            raise AttributeError
    except (AttributeError, TypeError, ValueError):
        raise InputError(
            "The DICOM files do not say where their images lie in the patient (position, "
            "orientation, pixel spacing and frame of reference are needed); choose a series of CT "
            "or MR slices."
        ) from None
    normal = np.cross(row, column)
    order = np.argsort(positions @ normal, kind="stable")
    return SourceSeries(
        tuple(images[place] for place in order), positions[order], row, column, normal
    )


def _header(file: Path) -> Dataset:
    try:
        header = dcmread(file, stop_before_pixels=True, force=True)
        # Texts are read in the series' own character set before they go into objects in UTF-8.
        header.decode()
        for name in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
            if not header.get(name):
                raise InvalidDicomError(name)
    except (OSError, InvalidDicomError, ValueError, AttributeError, EOFError) as error:
        raise InputError(
            f"{file.name} cannot be read as a DICOM image any more ({type(error).__name__}); see "
            "that the scan's files are still where it was loaded from."
        ) from None
    for name in _MAY_BE_EMPTY:
        if name not in header:
            setattr(header, name, "")
    if not header.get("SliceThickness"):
        header.SliceThickness = _ANY_THICKNESS
    if header.PatientSex not in _SEXES:
        header.PatientSex = ""
    return header
