"""DICOM folders: which series they hold, and one series as a scan.

A slice is placed by the position and the orientation that it states itself (Image Position and
Image Orientation (Patient), DICOM PS3.3 C.7.6.2), never by its number or its file's name. What
cannot be placed on one even grid is refused: slices that were made up in between would be shown
to the model, and to its reader, as if they had been scanned.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from med2e3.errors import InputError
from med2e3.volume.itk_image import LPS_TO_RAS, array_of, itk_name
from med2e3.volume.scan import Scan

ReadProgress = Callable[[int, int], None]
"""Told (done, total) as a scan is read."""

_SAME_DIRECTION = 1e-3
"""Largest difference of direction cosines within a series: 0.4 mm at the edge of a body."""

_UNEVEN = 0.1
"""A slice may lie this share of a slice's distance off the even grid, far below the half that the
whole way from scan to model is allowed."""
_UNEVEN_WORTH_TELLING = 0.02

_TILT_WORTH_TELLING_DEGREES = 1.0

_VOLUME_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.2",  # CT, with .1 and .2 enhanced
    "1.2.840.10008.5.1.4.1.1.4",  # MR, with its enhanced kinds
    "1.2.840.10008.5.1.4.1.1.128",  # PET
)
"""SOP classes whose objects are slices of a volume: one of these that cannot be read is missed."""


@dataclass(frozen=True)
class Series:
    """A series of images in a DICOM folder, as a person chooses it.

    ``number`` is the one that scanner and viewers show ("" if there is none), ``slices`` how many
    files it has, ``modality`` the DICOM code, and ``is_localizer`` is true for the overview images
    that a scan is planned on. The description is not among them: people write names into it, and
    what a series is called here goes into messages and from there into logs.
    """

    uid: str
    number: str
    modality: str
    slices: int
    is_localizer: bool

    def __str__(self) -> str:
        kind = "localizer, " if self.is_localizer else ""
        count = "1 slice" if self.slices == 1 else f"{self.slices} slices"
        number = f"series {self.number}" if self.number else "no series number"
        return f"{self.uid}  {number}, {self.modality or 'unknown'}, {kind}{count}"


@dataclass(frozen=True)
class _Slice:
    """One file of a series.

    ``spacing`` (2,) is from row to row and from column to column, in mm; ``position`` (3,) and
    ``orientation`` (6,) are in LPS. They are NaN where the file does not have them. ``stored`` is
    what has to agree for slices to share a pixel type.
    """

    path: Path
    uid: str
    series_uid: str
    series_number: str
    modality: str
    is_localizer: bool
    is_multi_frame: bool
    samples: int
    size: tuple[str, str]
    spacing: NDArray[np.float64]
    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    stored: tuple[str, ...]


@dataclass(frozen=True)
class _Contents:
    series: dict[str, list[_Slice]]
    unreadable: list[Path]


def list_series(folder: Path) -> tuple[Series, ...]:
    """The series of images in a folder and the folders below it, sorted by their UID.

    Raises :class:`~med2e3.errors.InputError` if there are none, or the folder cannot be read.
    """
    return _described(_contents(folder))


def series_files(folder: Path, series_uid: str | None = None) -> tuple[Path, ...]:
    """The files of the series that :func:`read_dicom_folder` reads, in no order."""
    return tuple(slice_.path for slice_ in _chosen(_contents(folder), folder, series_uid))


def read_dicom_folder(
    folder: Path,
    series_uid: str | None = None,
    progress: ReadProgress = lambda done, total: None,
) -> Scan:
    """One series of a folder as a scan, with the slices in the order in which they lie.

    Without ``series_uid`` the folder must hold one series alone. Raises
    :class:`~med2e3.errors.InputError` where the user has to choose, and for a series that is no
    volume: mixed orientations or sizes, slices that are missing, doubled or unevenly spaced.
    """
    # Looking at every file for its tags takes about as long as reading the voxels of one series.
    contents = _contents(folder, lambda share: progress(round(50 * share), 100))
    slices = _chosen(contents, folder, series_uid)
    warnings = []
    if contents.unreadable:
        count = len(contents.unreadable)
        named = _name_of(contents.unreadable[0])
        warnings.append(
            f"{count} {'file' if count == 1 else 'files'} in the folder could not be read "
            f"({named}{' and others' if count > 1 else ''}); if the scan "
            "begins or ends too early, copy or export it again."
        )
    slices = _without_localizers(slices, warnings)
    slices = _without_copies(slices, warnings)
    _check_alike(slices)
    slices, ijk_to_ras = _stacked(slices, warnings)
    voxels = _voxels(slices, lambda share: progress(round(50 + 50 * share), 100))
    return Scan(voxels, ijk_to_ras, slices[0].modality, tuple(warnings))


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is a DICOM file."""
    if head[128:132] == b"DICM":
        return True
    # Old files begin at once with an element of group 0002 or 0008.
    return len(head) > 8 and head[:4] in (
        b"\x02\0\0\0",
        b"\x08\0\0\0",
        b"\x08\0\5\0",
        b"\x08\0\x08\0",
    )


def describe_single_file(path: Path) -> str:
    """Why a DICOM file cannot be opened by itself: a sentence."""
    found = _read_tags(_tag_reader(), path)
    if found is not None and found.is_multi_frame:
        return _multi_frame(path)
    return (
        f"{path} is one file of a DICOM series; give the folder that holds all of its slices "
        f"({path.parent})."
    )


# -- what is in the folder -------------------------------------------------------------------------


def _contents(folder: Path, progress: Callable[[float], None] = lambda share: None) -> _Contents:
    contents = _Contents({}, [])
    reader = _tag_reader()
    paths = list(_files_below(folder, contents.unreadable))
    for number, path in enumerate(paths):
        progress(number / len(paths))
        try:
            with open(path, "rb") as file:
                head = file.read(1024)
        except OSError:
            contents.unreadable.append(path)
            continue
        if not is_dicom(head):
            continue
        found = _read_tags(reader, path)
        if found is not None:
            contents.series.setdefault(found.series_uid, []).append(found)
        elif _media_storage_class(head).startswith(_VOLUME_CLASSES):
            contents.unreadable.append(path)
    if contents.series:
        return contents
    if contents.unreadable:
        raise InputError(
            f"No DICOM file in {folder} can be read ({_name_of(contents.unreadable[0])}, for one, "
            "is cut, damaged or closed to you); copy or export the series again."
        )
    raise InputError(
        f"There is no DICOM image in {folder} or the folders in it; give the folder of a series, "
        "or a NIfTI, NRRD or MHA file."
    )


def _files_below(folder: Path, unreadable: list[Path]) -> Iterator[Path]:
    def refused(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise InputError(
                f"The folder {folder} cannot be read ({error.strerror}); check its permissions."
            ) from None
        unreadable.append(Path(error.filename))

    for place, folders, files in os.walk(folder, onerror=refused):
        folders.sort()
        for name in sorted(files):
            yield Path(place, name)


def _tag_reader() -> sitk.ImageFileReader:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    return reader


def _read_tags(reader: sitk.ImageFileReader, path: Path) -> _Slice | None:
    """None for a file without an image, or that is cut or damaged."""
    reader.SetFileName(itk_name(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return None

    def tag(key: str) -> str:
        stored = str(reader.GetMetaData(key)).strip(" \0") if reader.HasMetaDataKey(key) else ""
        # All of these are ASCII. What else damage has left of one can still be told and sent.
        return stored.encode("ascii", "replace").decode()

    image_type = tag("0008|0008").upper().split("\\")
    number = tag("0020|0011")
    return _Slice(
        path=path,
        uid=tag("0008|0018"),
        series_uid=tag("0020|000e"),
        series_number=number if number.isdigit() else "",
        modality=tag("0008|0060").upper(),
        is_localizer="LOCALIZER" in image_type,
        is_multi_frame=tag("0028|0008") not in ("", "1"),
        samples=reader.GetNumberOfComponents(),
        size=(tag("0028|0010"), tag("0028|0011")),
        spacing=_numbers(tag("0028|0030"), 2),
        position=_numbers(tag("0020|0032"), 3),
        orientation=_numbers(tag("0020|0037"), 6),
        stored=tuple(
            tag(key) for key in ("0028|1052", "0028|1053", "0028|0100", "0028|0101", "0028|0103")
        ),
    )


def _numbers(text: str, count: int) -> NDArray[np.float64]:
    """(count,): the numbers of a tag with several values, NaN if it does not have as many."""
    try:
        numbers = np.array([float(part) for part in text.split("\\")])
    except ValueError:
        numbers = np.empty(0)
    return numbers if len(numbers) == count else np.full(count, np.nan)


def _media_storage_class(head: bytes) -> str:
    """What kind of object a file holds: element (0002,0002), which even a cut file still has."""
    at = 132
    while at + 8 <= len(head):
        group, element, kind, length = struct.unpack_from("<HH2sH", head, at)
        if group != 2:
            break
        at += 8
        if kind in (b"OB", b"UN", b"OW"):
            (length,) = struct.unpack_from("<I", head.ljust(at + 4, b"\0"), at)
            at += 4
        if element == 2:
            return head[at : at + length].rstrip(b"\0 ").decode("ascii", "replace")
        at += length
    return ""


# -- which series ----------------------------------------------------------------------------------


def _described(contents: _Contents) -> tuple[Series, ...]:
    return tuple(
        Series(
            uid=uid,
            number=slices[0].series_number,
            modality=slices[0].modality,
            slices=len(slices),
            is_localizer=all(slice_.is_localizer for slice_ in slices),
        )
        for uid, slices in sorted(contents.series.items())
    )


def _chosen(contents: _Contents, folder: Path, series_uid: str | None) -> list[_Slice]:
    if series_uid is None and len(contents.series) == 1:
        return next(iter(contents.series.values()))
    if series_uid is not None and series_uid.strip() in contents.series:
        return contents.series[series_uid.strip()]
    listed = "\n".join(f"  {series}" for series in _described(contents))
    if series_uid is not None:
        raise InputError(f"There is no series {series_uid} in {folder}; it holds:\n{listed}")
    raise InputError(
        f"{folder} holds {len(contents.series)} series; choose one with --series UID:\n{listed}"
    )


# -- one series as a volume ------------------------------------------------------------------------


def _without_localizers(slices: list[_Slice], warnings: list[str]) -> list[_Slice]:
    kept = [slice_ for slice_ in slices if not slice_.is_localizer]
    if not kept or len(kept) == len(slices):
        return slices
    warnings.append(
        f"{len(slices) - len(kept)} localizer images in the series were left out of the volume."
    )
    return kept


def _without_copies(slices: list[_Slice], warnings: list[str]) -> list[_Slice]:
    by_uid = {slice_.uid or str(slice_.path): slice_ for slice_ in slices}
    if len(by_uid) < len(slices):
        warnings.append(
            f"{len(slices) - len(by_uid)} files of the series are there twice; one of each was "
            "used."
        )
    return list(by_uid.values())


def _check_alike(slices: Sequence[_Slice]) -> None:
    first = slices[0]
    for slice_ in slices:
        if slice_.is_multi_frame:
            raise InputError(_multi_frame(slice_.path))
    if any(slice_.samples > 1 for slice_ in slices):
        raise InputError(
            "The series has colour images, not one grey value a voxel; choose the scan that they "
            "were made from."
        )
    for slice_ in slices:
        if not _is_placed(slice_):
            raise InputError(
                f"{_name_of(slice_.path)} does not say where it lies in the patient (its position, "
                "orientation or pixel spacing is missing or broken); choose a series of CT or MR "
                "slices."
            )
    if len({slice_.size for slice_ in slices}) > 1:
        sizes = sorted({f"{slice_.size[1]} x {slice_.size[0]}" for slice_ in slices})
        raise InputError(
            f"The slices of the series differ in size ({', '.join(sizes)}), so they are no "
            "volume; export those of one size as a series of their own."
        )
    if not all(np.allclose(s.spacing, first.spacing, rtol=1e-3) for s in slices):
        raise InputError(
            "The slices of the series differ in pixel spacing, so they are no volume; export "
            "those of one spacing as a series of their own."
        )
    if not all(np.allclose(s.orientation, first.orientation, atol=_SAME_DIRECTION) for s in slices):
        raise InputError(
            "The slices of the series lie in different directions (a localizer, or several "
            "reformats), so they are no volume; export those of one direction as a series of "
            "their own."
        )
    if len(slices) < 2:
        raise InputError(
            f"The series has 1 slice ({_name_of(first.path)}); give the folder of the whole scan."
        )


def _is_placed(slice_: _Slice) -> bool:
    """Whether all numbers are there, and rows and columns do not run along each other."""
    if not np.isfinite([*slice_.position, *slice_.orientation, *slice_.spacing]).all():
        return False
    normal = np.cross(slice_.orientation[:3], slice_.orientation[3:])
    return bool(np.linalg.norm(normal) > 0.1)


def _stacked(
    slices: Sequence[_Slice], warnings: list[str]
) -> tuple[list[_Slice], NDArray[np.float64]]:
    """The slices in order along their normal, and the (4, 4) matrix from IJK to RAS."""
    orientation = np.mean([slice_.orientation for slice_ in slices], axis=0)
    along_row, along_column = (_unit(part) for part in (orientation[:3], orientation[3:]))
    normal = _unit(np.cross(along_row, along_column))
    slices = sorted(slices, key=lambda slice_: float(normal @ slice_.position))
    positions = np.stack([slice_.position for slice_ in slices])
    _check_gaps(np.diff(positions @ normal))

    count = len(slices)
    step = (positions[-1] - positions[0]) / (count - 1)
    distance = float(step @ normal)
    even = positions[0] + np.arange(count)[:, None] * step
    off = float(np.linalg.norm(positions - even, axis=1).max())
    if off > _UNEVEN * distance:
        raise InputError(
            f"The slices of the series are not evenly spaced (one lies {off:.2f} mm off, at "
            f"{distance:.2f} mm from slice to slice); load it in Slicer, resample it and save it."
        )
    if off > _UNEVEN_WORTH_TELLING * distance:
        warnings.append(
            f"The slices are not quite evenly spaced: they lie up to {off:.2f} mm beside the even "
            f"distance of {distance:.2f} mm."
        )
    tilt = float(np.degrees(np.arccos(min(1.0, distance / float(np.linalg.norm(step))))))
    if tilt > _TILT_WORTH_TELLING_DEGREES:
        warnings.append(
            f"The scan was taken with the gantry tilted by {tilt:.0f} degrees; every slice is kept "
            "where it was taken, so the volume is slanted."
        )
    row_mm, column_mm = slices[0].spacing
    ijk_to_lps = np.eye(4)
    ijk_to_lps[:3, 0] = along_row * column_mm
    ijk_to_lps[:3, 1] = along_column * row_mm
    ijk_to_lps[:3, 2] = step
    ijk_to_lps[:3, 3] = positions[0]
    return slices, LPS_TO_RAS @ ijk_to_lps


def _check_gaps(gaps: NDArray[np.float64]) -> None:
    """Refuse slices at the same place and missing ones. ``gaps`` are in millimetres."""
    typical = float(np.median(gaps))
    doubled = int(np.count_nonzero(gaps < max(_UNEVEN * typical, 1e-3)))
    if doubled:
        raise InputError(
            f"In {doubled} {'place' if doubled == 1 else 'places'} of the series two slices lie on "
            "each other (several phases or echoes in one series?); export one of them as a series "
            "of its own."
        )
    missing = np.flatnonzero(gaps > 1.5 * typical)
    whole = np.abs(gaps / typical - np.round(gaps / typical)) < _UNEVEN
    if len(missing) and whole.all():
        count = int(np.round(gaps / typical - 1).sum())
        at = int(missing[0])
        raise InputError(
            f"The series lacks {count} {'slice' if count == 1 else 'slices'} (the first between "
            f"slices {at + 1} and {at + 2}, which are {gaps[at]:.2f} mm apart and not "
            f"{typical:.2f}); export it again, whole."
        )
    if len(missing) or (gaps < (1 - 2 * _UNEVEN) * typical).any():
        raise InputError(
            f"The slices of the series are not evenly spaced (from {gaps.min():.2f} to "
            f"{gaps.max():.2f} mm); load it in Slicer, resample it and save it."
        )


def _voxels(slices: Sequence[_Slice], progress: Callable[[float], None]) -> NDArray[np.generic]:
    reader = sitk.ImageSeriesReader()
    reader.AddCommand(sitk.sitkProgressEvent, lambda: progress(reader.GetProgress()))
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileNames([str(slice_.path) for slice_ in slices])
    if len({slice_.stored for slice_ in slices}) > 1:
        # ITK takes the pixel type of the first file for all, which would cut the others' values.
        reader.SetOutputPixelType(sitk.sitkFloat32)
    try:
        return array_of(reader.Execute())
    except RuntimeError as error:
        raise InputError(
            f"The slices of the series in {slices[0].path.parent} cannot be read (damaged, or "
            "packed in a way that is not known here); export it again, uncompressed."
        ) from error


def _name_of(path: Path) -> str:
    """A file's name as it can be printed and sent; bytes that are no UTF-8 are replaced."""
    return os.fsencode(path.name).decode("utf-8", "replace")


def _multi_frame(path: Path) -> str:
    return (
        f"{path} holds all of its slices in one multi-frame DICOM object, which is not read "
        "here; load it in Slicer, or save it from there as NRRD or NIfTI."
    )


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = vector / np.linalg.norm(vector)
    return unit
