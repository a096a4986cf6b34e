"""A phantom on disk, and the command that writes it."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from med2e3.phantoms import Grid, make_phantom, write_phantom
from med2e3.volume import read_scan

# Stored with an axis turned round, and with a tilted gantry, among others.
SEEDS = (1, 3, 33)


@pytest.mark.parametrize("seed", SEEDS)
def test_written_and_read_again(seed, tmp_path):
    phantom = make_phantom(seed, grid=Grid(24, 64, 64))
    scan = read_scan(write_phantom(phantom, tmp_path / "new folder"))
    assert np.array_equal(scan.voxels, phantom.voxels)
    np.testing.assert_allclose(scan.ijk_to_ras, phantom.ijk_to_ras, atol=1e-6)
    truth = json.loads((tmp_path / "new folder" / "truth.json").read_text())
    assert (truth["seed"], truth["region"], truth["phase"]) == (
        seed,
        phantom.region,
        phantom.phase,
    )
    assert [(f["kind"], f["organ"], f["center_ras"]) for f in truth["findings"]] == [
        (f.kind, f.organ, list(f.center_ras)) for f in phantom.findings
    ]
    assert len(list((tmp_path / "new folder").iterdir())) == 2


def med2e3(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "med2e3", *map(str, arguments)], capture_output=True, text=True
    )


def test_the_command(tmp_path):
    ended = med2e3("phantom", "--seed", 4, "--region", "chest", "--out", tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    expected = make_phantom(4, region="chest")
    assert np.array_equal(read_scan(tmp_path / "out" / "phantom.nrrd").voxels, expected.voxels)
    assert "chest" in ended.stdout
    for finding in expected.findings:
        assert finding.kind in ended.stdout


def test_what_the_command_refuses(tmp_path):
    (tmp_path / "file").touch()
    ended = med2e3("phantom", "--out", tmp_path / "file")
    assert ended.returncode == 2
    assert "is a file; --out takes a folder" in ended.stderr
    ended = med2e3("phantom", "--region", "toe", "--out", tmp_path / "out")
    assert ended.returncode == 2
    assert "head, chest, abdomen, pelvis" in ended.stderr
    assert med2e3("phantom").returncode == 2
