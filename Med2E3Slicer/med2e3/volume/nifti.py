"""NIfTI files, read with nibabel.

ITK is not asked for these: it fills the missing part of a cut file with zeros and says nothing, it
refuses the sheared matrices that registration leaves, and it does not know NIfTI-2. nibabel's own
``load`` goes by the file's name and prints what it finds odd; so its parts are used.
"""

from __future__ import annotations

import gzip
import io
import itertools
import logging
import math
import os
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.affines import apply_affine, voxel_sizes
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import array_from_file
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from med2e3.errors import InputError
from med2e3.volume.checking import check_shape
from med2e3.volume.scan import Scan

HEADER_BYTES = 540
"""Enough of a file's beginning for either version of the header."""

_GZIP = b"\x1f\x8b"
_MOST_COMPRESSED = 1100
"""Deflate makes nothing more than 1032 times smaller."""

_HEADERS: dict[bytes, Any] = {
    b"n+1\0": nibabel.Nifti1Image.header_class,
    b"ni1\0": nibabel.Nifti1Pair.header_class,
    b"n+2\0": nibabel.Nifti2Image.header_class,
    b"ni2\0": nibabel.Nifti2Pair.header_class,
}
_MM_BY_UNIT = {1: 1000.0, 2: 1.0, 3: 0.001}

_DAMAGE = (
    WrapStructError, HeaderDataError, ValueError, OverflowError, OSError, EOFError, zlib.error,
)  # fmt: skip
"""What a cut or damaged file makes nibabel and gzip raise."""

_repairs = logging.getLogger(f"{__name__}.repairs")
"""What nibabel says as it puts a header right; nothing of it is for the user."""
_repairs.setLevel(logging.CRITICAL)


def is_nifti(head: bytes) -> bool:
    """Whether a file that begins with ``head`` (unpacked) has a NIfTI header."""
    return _magic(head) in _HEADERS


def is_analyze(head: bytes) -> bool:
    """Whether ``head`` is that of NIfTI's forerunner, which does not tell left from right."""
    return not is_nifti(head) and bool(nibabel.AnalyzeHeader.may_contain_header(head))


def beginning(path: Path) -> bytes:
    """The first bytes of a file, unpacked if it is packed with gzip."""
    with _open(path) as file:
        try:
            return file.read(HEADER_BYTES)
        except (gzip.BadGzipFile, EOFError, zlib.error):
            return b""


def read_nifti(path: Path) -> Scan:
    """The scan in a NIfTI file (.nii, .nii.gz or .hdr with its .img).

    Raises :class:`~med2e3.errors.InputError` for a file that is cut, damaged or no 3D scan.
    """
    head = beginning(path)
    header_class = _HEADERS[_magic(head)]
    voxel_path = path if header_class.is_single else _voxel_file(path)
    # Where a damaged header's numbers overflow, the scan is refused for what comes of it.
    with _open(voxel_path) as file, np.errstate(all="ignore"):
        try:
            header = header_class(head[: header_class.sizeof_hdr], check=False)
            _repair(header)
            _check_kind(path, header)
            ijk_to_ras, warnings = _placement(header)
            voxels = _scaled(_stored_voxels(file, header), header)
        except _DAMAGE as error:
            raise InputError(f"{path} is cut or damaged; copy or export the scan again.") from error
    return Scan(voxels, ijk_to_ras, warnings=warnings)


def _magic(head: bytes) -> bytes:
    return head[344:348] if head[344:348] in _HEADERS else head[4:8]


def _open(path: Path) -> io.BufferedIOBase:
    """Open a file, to be unpacked as it is read if its content, whatever its name, is packed."""
    with open(path, "rb") as file:
        packed = file.read(2) == _GZIP
    return gzip.open(path, "rb") if packed else open(path, "rb")


def _voxel_file(header_path: Path) -> Path:
    stem = header_path.name.removesuffix(".gz").rpartition(".")[0] or header_path.name
    for suffix in (".img", ".img.gz", ".IMG"):
        found = header_path.with_name(stem + suffix)
        if found.is_file():
            return found
    raise InputError(
        f"{header_path} is a header without voxels; put its .img file beside it, or open a .nii "
        "or .nii.gz file."
    )


def _repair(header: Any) -> None:
    """Put right what can be, in place; raises one of ``_DAMAGE`` where something cannot."""
    header.check_fix(logger=_repairs)
    dim = header["dim"]
    if not 1 <= dim[0] <= 7 or dim[1 : dim[0] + 1].min() < 1:
        raise HeaderDataError(f"sizes {dim}")
    # Some programs write empty axes after the third.
    while dim[0] > 3 and dim[dim[0]] == 1:
        dim[0] -= 1
    # nibabel refuses a quaternion that rounding has left longer than 1; the standard's own library
    # shortens it.
    quaternion = np.array([header[f"quatern_{axis}"] for axis in "bcd"], float)
    length = np.linalg.norm(quaternion)
    if 1 < length < math.inf:
        for axis, value in zip("bcd", quaternion / length, strict=True):
            header[f"quatern_{axis}"] = value


def _check_kind(path: Path, header: Any) -> None:
    check_shape(header.get_data_shape()[::-1])
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf":
        kind = "colours" if dtype.names else "more than one number"
        raise InputError(
            f"{path} has {kind} in each voxel; open a scan with one grey value a voxel."
        )


def _stored_voxels(file: io.BufferedIOBase, header: Any) -> NDArray[Any]:
    """The voxels as they are in the file, (K, J, I): a memory map, or unpacked."""
    shape, dtype = header.get_data_shape(), header.get_data_dtype()
    # An offset of 0 stands for the least one.
    offset = header.get_data_offset() or (header.single_vox_offset if header.is_single else 0)
    most = os.fstat(file.fileno()).st_size
    if isinstance(file, gzip.GzipFile):
        most *= _MOST_COMPRESSED
    # Asked first: nibabel sets memory aside for as many voxels as a damaged header may tell.
    if offset < 0 or most < offset + math.prod(shape) * dtype.itemsize:
        raise EOFError("fewer voxels than the header tells")
    voxels: NDArray[Any] = array_from_file(shape, dtype, file, offset, mmap="r").T
    # The checksum of a packed file is compared at its end alone.
    file.seek(0, os.SEEK_END)
    return voxels


def _scaled(stored: NDArray[Any], header: Any) -> NDArray[Any]:
    slope, intercept = header.get_slope_inter()
    if slope is None or (slope, intercept) == (1, 0):
        return stored
    values = stored.astype(np.float32)
    values *= slope
    values += intercept
    return values


def _placement(header: Any) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    sform, qform = header.get_sform(coded=True)[0], header.get_qform(coded=True)[0]
    warnings: tuple[str, ...] = ()
    if sform is not None:
        placed = sform
        if qform is not None and _apart(sform, qform, header.get_data_shape()):
            warnings = (
                "The file places the scan in two ways that differ (sform and qform); the sform "
                "was used, as most programs do.",
            )
    elif qform is not None:
        placed = qform
    else:
        right_to_left, front_to_back, upwards = header.get_zooms()[:3]
        placed = np.diag([-right_to_left, -front_to_back, upwards, 1.0])
        warnings = (
            "The file does not say how the scan lies in the patient; it was taken to run from "
            "right to left, from front to back and upwards, so left and right may be wrong.",
        )
    placed[:3] *= _MM_BY_UNIT.get(header["xyzt_units"] & 7, 1.0)
    return placed, warnings


def _apart(one: NDArray[np.float64], other: NDArray[np.float64], shape: tuple[int, ...]) -> bool:
    """Whether two matrices place a corner of the scan more than half a voxel apart."""
    corners = np.array(list(itertools.product(*((0, size - 1) for size in shape))))
    distances = np.linalg.norm(apply_affine(one - other, corners), axis=1)
    return bool(distances.max() > voxel_sizes(one).min() / 2)
