"""Small cohorts, and ``med2e3 batch`` as a shell starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

pytest.importorskip("ray", reason="cohorts need the packages of med2e3[cohort]")


def write_scan(path: Path, seed: int = 0, slices: int = 24) -> Path:
    """A block of tissue in air with one bright slab, as NIfTI, in HU."""
    random = np.random.default_rng(seed)
    voxels = np.full((40, 48, slices), -1000, np.int16)
    voxels[5:35, 6:42, 2:-2] = 40
    voxels[10:20, 20:28, 8:12] = 300
    voxels += random.integers(-20, 20, voxels.shape, dtype=np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([2.0, 2.0, 5.0, 1.0])), path)
    return path


def write_slow_scan(path: Path) -> Path:
    """A scan that takes a second to unpack: long enough to be hit while it is read."""
    voxels = np.full((256, 256, 600), -1000, np.int16)
    voxels[60:200, 60:200] = 40
    voxels[100:120, 100:120] = 300
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), path)
    return path


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "med2e3", *map(str, arguments)]


def environment() -> dict[str, str]:
    """One thread, for the tests share the machine; and Ray's processes wait for no others."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONUTF8": "1",
        "RAY_worker_niceness": "0",
    }


def med2e3(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        encoding="utf-8",
        **{"env": environment(), **options},
    )


def rows(out: Path) -> dict[str, dict[str, Any]]:
    """The table of a results' folder, by study."""
    from pyarrow import parquet

    listed = parquet.read_table(out / "manifest.parquet").to_pylist()
    found = {row["study"]: row for row in listed}
    assert len(found) == len(listed)
    return found
