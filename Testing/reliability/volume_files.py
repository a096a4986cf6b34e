"""Files of a volume in each format, written byte by byte, so that any matrix and type fits."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np

_NRRD_TYPES = {
    "i1": "int8", "u1": "uint8", "i2": "int16", "u2": "uint16", "i4": "int32", "u4": "uint32",
    "i8": "int64", "u8": "uint64", "f4": "float", "f8": "double",
}  # fmt: skip
_META_TYPES = {
    "i1": "CHAR", "u1": "UCHAR", "i2": "SHORT", "u2": "USHORT", "i4": "INT", "u4": "UINT",
    "i8": "LONG_LONG", "u8": "ULONG_LONG", "f4": "FLOAT", "f8": "DOUBLE",
}  # fmt: skip


def write_volume(path: Path, voxels: np.ndarray, ijk_to_ras: np.ndarray) -> Path:
    """Write (K, J, I) voxels in the format that the path's ending names."""
    writers = {".nrrd": _write_nrrd, ".mha": _write_mha, ".nii": _write_nifti, ".gz": _write_nifti}
    writers[path.suffix](path, voxels, ijk_to_ras)
    return path


def _write_nrrd(path: Path, voxels: np.ndarray, ijk_to_ras: np.ndarray) -> None:
    directions = " ".join(_vector(ijk_to_ras[:3, axis]) for axis in range(3))
    header = [
        "NRRD0005",
        f"type: {_NRRD_TYPES[voxels.dtype.str[1:]]}",
        "dimension: 3",
        "space: right-anterior-superior",
        f"sizes: {' '.join(map(str, voxels.shape[::-1]))}",
        f"space directions: {directions}",
        "kinds: domain domain domain",
        f"endian: {'big' if voxels.dtype.str[0] == '>' else 'little'}",
        "encoding: raw",
        f"space origin: {_vector(ijk_to_ras[:3, 3])}",
    ]
    path.write_bytes("\n".join(header).encode() + b"\n\n" + voxels.tobytes())


def _vector(values: np.ndarray) -> str:
    return "(" + ",".join(f"{value:.15g}" for value in values) + ")"


def _write_mha(path: Path, voxels: np.ndarray, ijk_to_ras: np.ndarray) -> None:
    ijk_to_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ ijk_to_ras
    spacing = np.linalg.norm(ijk_to_lps[:3, :3], axis=0)
    header = [
        "ObjectType = Image",
        "NDims = 3",
        "BinaryData = True",
        f"BinaryDataByteOrderMSB = {voxels.dtype.str[0] == '>'}",
        "CompressedData = False",
        f"TransformMatrix = {_row((ijk_to_lps[:3, :3] / spacing).T.ravel())}",
        f"Offset = {_row(ijk_to_lps[:3, 3])}",
        f"ElementSpacing = {_row(spacing)}",
        f"DimSize = {' '.join(map(str, voxels.shape[::-1]))}",
        f"ElementType = MET_{_META_TYPES[voxels.dtype.str[1:]]}",
        "ElementDataFile = LOCAL",
    ]
    path.write_bytes("\n".join(header).encode() + b"\n" + voxels.tobytes())


def _row(values: np.ndarray) -> str:
    return " ".join(f"{value:.15g}" for value in values)


def _write_nifti(path: Path, voxels: np.ndarray, ijk_to_ras: np.ndarray) -> None:
    header = nibabel.Nifti1Header()
    header.set_data_dtype(voxels.dtype)
    header.set_data_shape(voxels.shape[::-1])
    header.set_sform(ijk_to_ras, 1)
    header["pixdim"][1:4] = np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    header["vox_offset"] = 352
    content = header.binaryblock + b"\0" * 4 + voxels.tobytes()
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
