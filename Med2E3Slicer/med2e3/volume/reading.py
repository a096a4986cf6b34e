"""Reading a scan from a file or a folder.

What a file is is told from its content; its name may be wrong. NRRD, MetaImage and DICOM are read
with SimpleITK.
"""

from __future__ import annotations

import math
import os
import re
import tokenize
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813

from med2e3.errors import InputError
from med2e3.volume.checking import check_shape
from med2e3.volume.dicom import (
    ReadProgress,
    Series,
    describe_single_file,
    is_dicom,
    list_series,
    read_dicom_folder,
)
from med2e3.volume.itk_image import array_of, ijk_to_ras_of, itk_name
from med2e3.volume.nifti import beginning, is_analyze, is_nifti, read_nifti
from med2e3.volume.scan import Scan

__all__ = ["Series", "list_series", "read_scan"]

_ARRAY_TO_RAS = np.diag([-1.0, -1.0, -1.0, 1.0])
"""An array without a place is laid out as the model sees axial slices (columns from right to left,
rows from front to back, slices downwards), so "axial" leaves it untouched as "acquired" does."""

_ARRAY_DAMAGE = (OSError, ValueError, EOFError, SyntaxError, tokenize.TokenError)
"""What a cut or damaged .npy file makes numpy raise, which reads its header as Python text."""

_HEADER_BYTES = 1 << 16
_ZLIB_OR_GZIP = 32 + zlib.MAX_WBITS
_UNPACKED_AT_ONCE = 1 << 20
_META_TYPE_BYTES = {
    "CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "LONG": 4, "ULONG": 4,
    "LONG_LONG": 8, "ULONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8,
}  # fmt: skip


def read_scan(
    path: str | os.PathLike[str],
    series_uid: str | None = None,
    progress: ReadProgress = lambda done, total: None,
) -> Scan:
    """Read a scan: a NIfTI, NRRD or MetaImage file, a DICOM folder, or a ``.npy`` array.

    ``series_uid`` chooses one series of a DICOM folder (see :func:`list_series`) and is needed
    where the folder has several. A ``.npy`` array (K, J, I) has no place in a patient: it is
    taken for axial slices of 1 mm in radiological layout, the top one first. ``progress`` is told
    how far a DICOM folder is; single files are read at once.

    Raises :class:`~med2e3.errors.InputError` for all that is not one whole 3D scan.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return read_dicom_folder(path, series_uid, progress)
        head = beginning(path)
    except FileNotFoundError:
        raise InputError(f"There is no file or folder {path}; check the path.") from None
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror or error}); check its permissions."
        ) from None
    if series_uid is not None:
        raise InputError(f"{path} is a file, and --series chooses from a folder; leave it out.")
    if head.startswith(b"\x93NUMPY"):
        return _read_array(path)
    if is_nifti(head):
        return read_nifti(path)
    if head.startswith(b"NRRD"):
        _check_nrrd_unpacks(path)
        return _read_with_itk(path, "NrrdImageIO")
    if b"NDims" in head and b"=" in head:
        _check_meta_is_whole(path)
        return _read_with_itk(path, "MetaImageIO")
    raise InputError(_why_not(path, head))


def _why_not(path: Path, head: bytes) -> str:
    if not head and path.stat().st_size == 0:
        return f"{path} is empty; copy or export the scan again."
    if is_dicom(head):
        return describe_single_file(path)
    if is_analyze(head):
        return (
            f"{path} is an Analyze 7.5 file, which does not tell left from right; export the scan "
            "as NIfTI or NRRD."
        )
    for suffix in (".hdr", ".mhd", ".nhdr"):
        header = path.with_suffix(suffix)
        if path.suffix.lower() in (".img", ".raw", ".zraw") and header.is_file():
            return f"{path} has the voxels alone; give the header beside it, {header.name}."
    return (
        f"{path} is not a scan in a format that is read here; give a NIfTI, NRRD or MHA file, or "
        "the folder of a DICOM series."
    )


def _read_array(path: Path) -> Scan:
    try:
        voxels = np.load(path, mmap_mode="r", allow_pickle=False)
    except _ARRAY_DAMAGE:
        raise InputError(
            f"{path} is cut, damaged or holds Python objects; save a plain array of numbers with "
            "numpy.save."
        ) from None
    warning = (
        "An array has no place in a patient: it was taken for axial slices of 1 mm, the top one "
        "first, with the patient's right at the left."
    )
    return Scan(voxels, _ARRAY_TO_RAS, warnings=(warning,))


def _read_with_itk(path: Path, image_io: str) -> Scan:
    reader = sitk.ImageFileReader()
    reader.SetFileName(itk_name(path))
    reader.SetImageIO(image_io)
    try:
        # What is no scan is refused by its header, before gigabytes of it are read.
        reader.ReadImageInformation()
        _check_kind(path, reader)
        image = reader.Execute()
    except RuntimeError as error:
        raise InputError(
            f"{path} is cut or damaged, or the file of its voxels is missing; copy or export the "
            "scan again."
        ) from error
    if image.GetDimension() == 4:
        image = image[:, :, :, 0]
    return Scan(array_of(image), ijk_to_ras_of(image), warnings=_unplaced(reader, image_io))


def _check_kind(path: Path, reader: sitk.ImageFileReader) -> None:
    components = reader.GetNumberOfComponents()
    if components != 1:
        raise InputError(
            f"{path} has {components} values in each voxel (colours, directions or a time "
            "series); open a scan with one grey value a voxel."
        )
    shape = list(reversed(reader.GetSize()))
    if len(shape) == 4 and shape[0] == 1:
        shape = shape[1:]
    check_shape(tuple(shape))


def _unplaced(reader: sitk.ImageFileReader, image_io: str) -> tuple[str, ...]:
    if image_io == "NrrdImageIO" and not reader.HasMetaDataKey("NRRD_space"):
        return (
            "The file does not say how the scan lies in the patient; it was taken to run from "
            "right to left, from front to back and upwards, so left and right may be wrong.",
        )
    return ()


def _check_nrrd_unpacks(path: Path) -> None:
    """Refuse a packed NRRD file that disagrees with its checksum, at which ITK does not look."""
    with open(path, "rb") as file:
        head = file.read(_HEADER_BYTES)
    blank_line = re.search(rb"\r?\n\r?\n", head)
    if not blank_line:
        return
    lines = head[: blank_line.start()].decode("latin-1").splitlines()
    fields = {
        key.strip().lower().replace(" ", ""): value.strip()
        for key, _, value in (line.partition(":") for line in lines)
    }
    if fields.get("encoding", "").lower() not in ("gz", "gzip"):
        return
    if any(fields.get(skip, "0") != "0" for skip in ("byteskip", "lineskip")):
        return
    data_path, start = path, blank_line.end()
    if "datafile" in fields:
        data_path, start = path.parent / fields["datafile"], 0
    # Where the voxels are in several files, or none, there is no such file; ITK has to find out.
    if os.path.isfile(data_path) and not _unpacks(data_path, start):
        raise InputError(f"{path} is cut or damaged; copy or export the scan again.")


def _check_meta_is_whole(path: Path) -> None:
    """Refuse a cut or damaged MetaImage file.

    ITK would print to stderr before it fails, and takes what it could not unpack for voxels.
    """
    with open(path, "rb") as file:
        head = file.read(_HEADER_BYTES)
    fields: dict[str, str] = {}
    end = 0
    for line in head.splitlines(keepends=True):
        end += len(line)
        key, _, value = line.decode("latin-1").partition("=")
        fields[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            break
    if not fields.keys() >= {"NDims", "DimSize", "ElementType", "ElementDataFile"}:
        raise InputError(f"{path} is cut or damaged; copy or export the scan again.")
    where = fields["ElementDataFile"]
    data_path, start = (path, end) if where == "LOCAL" else (path.parent / where, 0)
    # A damaged name may be too long for the system, which Path.is_file() would not take.
    if not os.path.isfile(data_path):
        if where == "LIST" or "%" in where:
            # The voxels are in several files, which ITK puts together.
            return
        raise InputError(
            f"{path} is a header, and the file of its voxels is missing; put {where} beside it."
        )
    if not _is_whole(data_path, start, fields):
        raise InputError(f"{path} is cut or damaged; copy or export the scan again.")


def _is_whole(data_path: Path, start: int, fields: dict[str, str]) -> bool:
    """Whether a file has the voxels that a MetaImage header tells, from the byte ``start`` on."""
    voxel_bytes = _meta_voxel_bytes(fields)
    if voxel_bytes and fields.get("CompressedData", "").lower() == "true":
        return _unpacks(data_path, start, voxel_bytes)
    return data_path.stat().st_size - start >= voxel_bytes


def _meta_voxel_bytes(fields: dict[str, str]) -> int:
    """How many bytes the voxels take; 0 where ITK has to find out."""
    kind = fields["ElementType"].removeprefix("MET_").removesuffix("_ARRAY")
    if fields.get("BinaryData", "True").lower() == "false":
        return 0
    try:
        voxels = math.prod(int(size) for size in fields["DimSize"].split())
        channels = int(fields.get("ElementNumberOfChannels", "1"))
    except ValueError:
        return 0
    return voxels * channels * _META_TYPE_BYTES.get(kind, 0)


def _unpacks(path: Path, start: int, count: float = math.inf) -> bool:
    """Whether a file from ``start`` on unpacks, to ``count`` bytes if that is known, and agrees
    with its checksum."""
    unpack = zlib.decompressobj(_ZLIB_OR_GZIP)
    unpacked = 0
    with open(path, "rb") as file:
        file.seek(start)
        while not unpack.eof and unpacked <= count:
            packed = unpack.unconsumed_tail or file.read(_UNPACKED_AT_ONCE)
            try:
                piece = unpack.decompress(packed, _UNPACKED_AT_ONCE)
            except zlib.error:
                return False
            if not packed and not piece:
                return False
            unpacked += len(piece)
    return math.isinf(count) or unpacked == count
