"""What is no scan, wherever it comes from."""

from __future__ import annotations

import numpy as np
import pytest

from med2e3.errors import InputError
from med2e3.volume import Scan

RANDOM = np.random.default_rng(1)
NOISE = RANDOM.integers(-1000, 1000, (6, 7, 8)).astype(np.int16)


def refused(voxels, *words, matrix=None, modality="") -> None:
    with pytest.raises(InputError) as caught:
        Scan(voxels, np.eye(4) if matrix is None else matrix, modality)
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_scan_is_accepted_and_left_alone():
    voxels = NOISE.copy()
    voxels.flags.writeable = False
    assert Scan(voxels, np.eye(4)).voxels is voxels


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0, 0), (3, 4, 5), (5, 6, 7)])
def test_nan_and_inf(value, place):
    voxels = NOISE.astype(np.float32)
    voxels[place] = value
    refused(voxels, "not a number or infinite", "replace")


@pytest.mark.parametrize("value", [0, -1000, 55])
def test_a_constant_volume(value):
    refused(np.full((5, 6, 7), value, np.int16), "empty", f"{value}")


def test_air_alone():
    air = RANDOM.integers(-1024, -940, (9, 30, 30)).astype(np.int16)
    refused(air, "all air")
    refused(air, "all air", modality="CT")
    # Another kind of scan may have such numbers.
    Scan(air, np.eye(4), "MR")


@pytest.mark.parametrize("shape", [(7, 8), (3, 6, 7, 8), (1, 7, 8), (6, 1, 8), (6, 7, 1)])
def test_shapes(shape):
    refused(np.resize(NOISE, shape), "open" if len(shape) < 4 else "export")


def test_masks_and_label_maps():
    labels = np.zeros((20, 40, 40), np.uint8)
    refused(labels > 0, "mask")
    labels[8:10, 20:24, 20:23] = 1
    refused(labels, "label map")
    for number in range(1, 30):
        labels[number // 2, number : number + 10, 5:30] = number
    refused(labels, "label map", "29")
    refused(labels.astype(np.int16), "label map")


def test_an_8_bit_picture_is_no_label_map():
    picture = RANDOM.integers(0, 256, (8, 32, 32)).astype(np.uint8)
    picture[:, :10] = 0
    Scan(picture, np.eye(4))


@pytest.mark.parametrize(
    "matrix",
    [
        np.diag([1.0, 1, 0, 1]),
        np.full((4, 4), np.nan),
        np.eye(3),
        np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]),
    ],
)
def test_broken_geometry(matrix):
    refused(NOISE, "geometry is broken", matrix=matrix)
