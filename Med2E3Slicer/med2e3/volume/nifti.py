"""NIfTI files, read as they are.

ITK is not asked for these: it fills the missing part of a cut file with zeros and says nothing, it
refuses the sheared matrices that registration leaves, and it does not know NIfTI-2. The layout is
that of the NIfTI-1.1 and NIfTI-2 headers (nifti1.h, nifti2.h).
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from med2e3.errors import InputError
from med2e3.volume.checking import check_shape
from med2e3.volume.scan import Scan

HEADER_BYTES = 540
"""Enough of a file's beginning for either version of the header."""

_GZIP = b"\x1f\x8b"
_MOST_COMPRESSED = 1100
"""Deflate makes nothing more than 1032 times smaller."""

_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8",
    1280: "u8",
}  # fmt: skip
_COLOUR_TYPES = (128, 2304)

_MM_BY_UNIT = {1: 1000.0, 2: 1.0, 3: 0.001}


@dataclass(frozen=True)
class _Header:
    """The fields that tell what the voxels are and where they lie, of either version."""

    byte_order: str
    dim: tuple[int, ...]
    datatype: int
    pixdim: tuple[float, ...]
    vox_offset: int
    slope: float
    intercept: float
    unit: int
    qform_code: int
    sform_code: int
    quaternion: tuple[float, ...]
    offset: tuple[float, ...]
    sform: tuple[float, ...]
    in_two_files: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """(…, K, J, I), without the empty axes that some programs write after the third."""
        sizes = list(self.dim[1 : self.dim[0] + 1])
        while len(sizes) > 3 and sizes[-1] == 1:
            sizes.pop()
        return tuple(reversed(sizes))


def is_nifti(head: bytes) -> bool:
    """Whether a file that begins with ``head`` (unpacked) has a NIfTI header."""
    return head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0")


def is_analyze(head: bytes) -> bool:
    """Whether ``head`` is that of NIfTI's forerunner, which does not tell left from right."""
    return not is_nifti(head) and head[:4] in (struct.pack("<i", 348), struct.pack(">i", 348))


def beginning(path: Path) -> bytes:
    """The first bytes of a file, unpacked if it is packed with gzip."""
    with open(path, "rb") as file:
        head = file.read(HEADER_BYTES)
    if head.startswith(_GZIP):
        try:
            with gzip.open(path, "rb") as packed:
                return packed.read(HEADER_BYTES)
        except (OSError, EOFError, zlib.error):
            return b""
    return head


def read_nifti(path: Path) -> Scan:
    """The scan in a NIfTI file (.nii, .nii.gz or .hdr with its .img).

    Raises :class:`~med2e3.errors.InputError` for a file that is cut, damaged or no 3D scan.
    """
    header = _parse(beginning(path), path)
    check_shape(header.shape)
    if header.datatype not in _TYPES:
        kind = "colours" if header.datatype in _COLOUR_TYPES else "more than one number"
        raise InputError(
            f"{path} has {kind} in each voxel; open a scan with one grey value a voxel."
        )
    stored = _voxels(_voxel_file(path) if header.in_two_files else path, header)
    ijk_to_ras, warnings = _placement(header)
    return Scan(_scaled(stored, header), ijk_to_ras, warnings=warnings)


def _parse(head: bytes, path: Path) -> _Header:
    second = head[4:8] in (b"n+2\0", b"ni2\0")
    order = "<" if head[:4] == struct.pack("<i", 540 if second else 348) else ">"

    def fields(layout: str, at: int) -> tuple[Any, ...]:
        return struct.unpack_from(order + layout, head, at)

    try:
        if second:
            header = _Header(
                byte_order=order,
                dim=fields("8q", 16),
                datatype=fields("h", 12)[0],
                pixdim=fields("8d", 104),
                vox_offset=fields("q", 168)[0],
                slope=fields("d", 176)[0],
                intercept=fields("d", 184)[0],
                unit=fields("i", 500)[0] & 7,
                qform_code=fields("i", 344)[0],
                sform_code=fields("i", 348)[0],
                quaternion=fields("3d", 352),
                offset=fields("3d", 376),
                sform=fields("12d", 400),
                in_two_files=head[4:8] == b"ni2\0",
            )
        else:
            header = _Header(
                byte_order=order,
                dim=fields("8h", 40),
                datatype=fields("h", 70)[0],
                pixdim=fields("8f", 76),
                vox_offset=int(fields("f", 108)[0]),
                slope=fields("f", 112)[0],
                intercept=fields("f", 116)[0],
                unit=head[123] & 7,
                qform_code=fields("h", 252)[0],
                sform_code=fields("h", 254)[0],
                quaternion=fields("3f", 256),
                offset=fields("3f", 268),
                sform=fields("12f", 280),
                in_two_files=head[344:348] == b"ni1\0",
            )
    except (struct.error, ValueError, OverflowError):
        raise _damaged(path) from None
    if not 1 <= header.dim[0] <= 7 or min(header.shape) < 1 or header.vox_offset < 0:
        raise _damaged(path)
    return header


def _voxel_file(header_path: Path) -> Path:
    for suffix in (".img", ".img.gz", ".IMG"):
        found = header_path.with_suffix("").with_suffix(suffix)
        if found.is_file():
            return found
    raise InputError(
        f"{header_path} is a header without voxels; put its .img file beside it, or open a .nii "
        "or .nii.gz file."
    )


def _voxels(path: Path, header: _Header) -> NDArray[Any]:
    """The stored voxels, (K, J, I): a memory map, or unpacked straight into their place."""
    dtype = np.dtype(header.byte_order + _TYPES[header.datatype])
    expected = math.prod(header.shape) * dtype.itemsize
    size = path.stat().st_size
    with open(path, "rb") as file:
        packed = file.read(2) == _GZIP
        if not packed and size >= header.vox_offset + expected:
            return np.memmap(file, dtype, "r", header.vox_offset, header.shape)
        if packed and size * _MOST_COMPRESSED >= expected:
            file.seek(0)
            voxels = np.empty(header.shape, dtype)
            if _unpack(file, header.vox_offset, voxels):
                return voxels
    raise _damaged(path)


def _unpack(file: BinaryIO, offset: int, voxels: NDArray[Any]) -> bool:
    """Fill ``voxels`` from a gzip file; false if it is cut or its checksum is wrong."""
    target = voxels.reshape(-1).view(np.uint8).data
    try:
        with gzip.GzipFile(fileobj=file) as unpacked:
            unpacked.read(offset)
            done = 0
            while done < len(target):
                count = unpacked.readinto(target[done:])
                if not count:
                    return False
                done += count
            # The checksum is compared at the end alone.
            while unpacked.read(1 << 20):
                pass
    except (OSError, EOFError, zlib.error):
        return False
    return True


def _scaled(stored: NDArray[Any], header: _Header) -> NDArray[Any]:
    slope, intercept = header.slope, header.intercept
    # The standard's "not scaled" is a slope of 0; some programs write NaN.
    if slope == 0 or not (math.isfinite(slope) and math.isfinite(intercept)):
        return stored
    if (slope, intercept) == (1, 0):
        return stored
    values = stored.astype(np.float32)
    values *= slope
    values += intercept
    return values


def _placement(header: _Header) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    sform = np.eye(4)
    sform[:3] = np.reshape(header.sform, (3, 4))
    qform = _qform(header)
    warnings: tuple[str, ...] = ()
    if header.sform_code > 0:
        chosen = sform
        if header.qform_code > 0 and _apart(sform, qform, header.shape):
            warnings = (
                "The file places the scan in two ways that differ (sform and qform); the sform "
                "was used, as most programs do.",
            )
    elif header.qform_code > 0:
        chosen = qform
    else:
        chosen = np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.diag([*_spacing(header), 1.0])
        warnings = (
            "The file does not say how the scan lies in the patient; it was taken to run from "
            "right to left, from front to back and upwards, so left and right may be wrong.",
        )
    placed = chosen.copy()
    placed[:3] *= _MM_BY_UNIT.get(header.unit, 1.0)
    return placed, warnings


def _spacing(header: _Header) -> list[float]:
    return [abs(size) or 1.0 for size in header.pixdim[1:4]]


def _qform(header: _Header) -> NDArray[np.float64]:
    b, c, d = header.quaternion
    a = math.sqrt(max(0.0, 1 - (b * b + c * c + d * d)))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    x, y, z = _spacing(header)
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * (x, y, -z if header.pixdim[0] < 0 else z)
    matrix[:3, 3] = header.offset
    return matrix


def _apart(one: NDArray[np.float64], other: NDArray[np.float64], shape: tuple[int, ...]) -> bool:
    """Whether two matrices place a corner of the scan more than half a voxel apart."""
    last = np.array(shape[::-1][:3]) - 1
    corners = np.array(
        [[i, j, k, 1] for i in (0, last[0]) for j in (0, last[1]) for k in (0, last[2])]
    )
    distance = np.linalg.norm((corners @ (one - other).T)[:, :3], axis=1).max()
    return bool(distance > np.linalg.norm(one[:3, :3], axis=0).min() / 2)


def _damaged(path: Path) -> InputError:
    return InputError(f"{path} is cut or damaged; copy or export the scan again.")
