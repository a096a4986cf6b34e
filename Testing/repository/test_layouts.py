"""The engine and its embedded model work alike from a checkout, a wheel and Slicer's folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from repository.test_packaging import MODULE_FOLDER, REPOSITORY, cmake_list


def slicers_folder(folder: Path) -> Path:
    """What Slicer's packaging makes of the lists in CMake: every file under its own name."""
    for name in cmake_list("MODULE_PYTHON_SCRIPTS") + cmake_list("MODULE_PYTHON_RESOURCES"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(MODULE_FOLDER / name, folder / name)
    return folder


def unpacked_wheel(folder: Path) -> Path:
    # Built from a copy: setuptools leaves folders of its own where it builds.
    source = folder / "source"
    shutil.copytree(
        REPOSITORY,
        source,
        ignore=shutil.ignore_patterns(".*", "demo", "build", "*.egg-info", "__pycache__"),
    )
    subprocess.run(
        [
            sys.executable, "-m", "pip", "wheel", str(source), "--no-deps", "--no-build-isolation",
            "--quiet", "--disable-pip-version-check", "--wheel-dir", str(folder),
        ],
        check=True,
    )  # fmt: skip
    (wheel,) = folder.glob("med2e3-*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "installed")
    return folder / "installed"


def a_checkout(folder: Path) -> Path:
    return MODULE_FOLDER


@pytest.mark.parametrize("layout", [a_checkout, slicers_folder, unpacked_wheel])
def test_the_embedded_model_is_found(layout, tmp_path):
    installed = layout(tmp_path)
    ended = subprocess.run(
        [sys.executable, "-m", "med2e3", "model", "info", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert Path(json.loads(ended.stdout)["folder"]).parent.parent == installed
