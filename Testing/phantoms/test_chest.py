"""The synthetic chest: the truth that it states is in its voxels."""

from __future__ import annotations

import functools
import json
import subprocess
import sys

import numpy as np
import pytest

from med2e3.phantoms import chest_phantom, write_phantom
from med2e3.volume import Scan, prepare, read_scan

made = functools.cache(chest_phantom)


@pytest.fixture
def phantom():
    return made(4)


def places(phantom) -> np.ndarray:
    """(K, J, I, 3): where each voxel lies, in RAS mm."""
    ijk = np.stack(np.meshgrid(*(range(n) for n in phantom.voxels.shape), indexing="ij")[::-1], -1)
    return ijk @ phantom.ijk_to_ras[:3, :3].T + phantom.ijk_to_ras[:3, 3]


def test_the_same_seed_gives_the_same_scan_and_another_seed_another(phantom):
    again, other = chest_phantom(4), made(5)
    assert np.array_equal(again.voxels, phantom.voxels)
    assert again.nodule == phantom.nodule
    assert other.nodule != phantom.nodule
    assert not np.array_equal(other.voxels, phantom.voxels)


@pytest.mark.parametrize("seed", [4, 5])
def test_the_nodule_is_where_the_truth_says(seed):
    phantom = made(seed)
    distance = np.linalg.norm(places(phantom) - phantom.nodule.center_ras, axis=-1)
    inside = phantom.voxels[distance < phantom.nodule.radius - 2]
    around = phantom.voxels[
        (distance > phantom.nodule.radius + 3) & (distance < phantom.nodule.radius + 7)
    ]
    assert abs(inside.mean() - 45) < 15
    assert np.median(around) < -750
    # Its centre of mass, from the voxels alone.
    near = distance < phantom.nodule.radius + 1
    weight = np.clip(phantom.voxels[near] + 850, 0, None)
    centre = np.average(places(phantom)[near], axis=0, weights=weight)
    assert np.linalg.norm(centre - phantom.nodule.center_ras) < 1.5


def test_it_has_the_tissues_of_a_chest(phantom):
    assert phantom.voxels.dtype == np.int16
    assert phantom.voxels.shape == (80, 256, 256)
    spacing = np.linalg.norm(phantom.ijk_to_ras[:3, :3], axis=0)
    np.testing.assert_allclose(spacing, (1.4, 1.4, 3.75))

    def litres(lower: float, upper: float) -> float:
        count = np.count_nonzero((phantom.voxels >= lower) & (phantom.voxels < upper))
        return count * float(np.prod(spacing)) / 1e6

    assert 2 < litres(-930, -750) < 7
    assert 2 < litres(-150, -50) < 9
    assert 4 < litres(0, 250) < 14
    assert 0.3 < litres(300, 3000) < 2.5


def test_the_patient_lies_as_the_matrix_says(phantom):
    """Liver on the right and low, spine at the back, aortic arch to the left of the middle."""
    right, front, up = np.moveaxis(places(phantom), -1, 0)
    lung = (phantom.voxels > -930) & (phantom.voxels < -750)
    low = up < up.min() + 60
    soft = (phantom.voxels > 60) & (phantom.voxels < 150)
    assert (soft & low & (right > 0)).sum() > 1.3 * (soft & low & (right < 0)).sum()
    bone = phantom.voxels > 300
    middle = np.abs(right) < 30
    assert front[bone & middle].mean() < front[lung].mean() - 20
    heart = (phantom.voxels > 140) & (phantom.voxels < 220) & (np.abs(up + 25) < 30)
    assert right[heart].mean() < -3


def test_it_is_a_scan_for_the_model(phantom):
    prepared = prepare(Scan(phantom.voxels, phantom.ijk_to_ras, "CT"))
    assert (prepared.window.lower, prepared.window.upper) == (-150, 250)
    slice_ = prepared.geometry.slice_at_ras(phantom.nodule.center_ras)
    assert 0 <= slice_ <= 31
    assert [w for w in prepared.warnings if "blend" not in w] == []


def test_written_and_read_again(phantom, tmp_path):
    scan = read_scan(write_phantom(phantom, tmp_path / "new folder"))
    assert np.array_equal(scan.voxels, phantom.voxels)
    np.testing.assert_allclose(scan.ijk_to_ras, phantom.ijk_to_ras, atol=1e-9)
    truth = json.loads((tmp_path / "new folder" / "truth.json").read_text())
    assert truth["seed"] == 4
    assert truth["nodule"]["center_ras"] == list(phantom.nodule.center_ras)
    assert truth["nodule"]["radius"] == phantom.nodule.radius
    assert len(list((tmp_path / "new folder").iterdir())) == 2


def med2e3(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "med2e3", *map(str, arguments)], capture_output=True, text=True
    )


def test_the_command(phantom, tmp_path):
    ended = med2e3("phantom", "--seed", 4, "--out", tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    assert np.array_equal(read_scan(tmp_path / "out" / "phantom.nrrd").voxels, phantom.voxels)
    (tmp_path / "file").touch()
    ended = med2e3("phantom", "--out", tmp_path / "file")
    assert ended.returncode == 2
    assert "is a file; --out takes a folder" in ended.stderr
    assert med2e3("phantom").returncode == 2
