"""What the model sees of a scan."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as functional

from med2e3.errors import InputError
from med2e3.volume import MODEL_SIZE, PLANES, Scan, prepare

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    "shape", [(32, 256, 256), (3, 20, 300), (33, 70, 50), (200, 64, 40), (511, 30, 30)]
)
def test_acquired_without_a_window_is_the_released_preprocessing(shape):
    """Crop to the box of voxels above 0, then resize trilinearly (align_corners false)."""
    random = np.random.default_rng(shape[0])
    voxels = random.random(shape).astype(np.float32)
    voxels[random.random(shape) < 0.3] = -0.5
    voxels[:, :4] = 0
    voxels[:, :, -7:] = -1
    voxels[-1] = 0
    seen = np.argwhere(voxels > 0)
    box = tuple(slice(a, b + 1) for a, b in zip(seen.min(0), seen.max(0), strict=True))
    cropped = torch.from_numpy(voxels[box].copy())[None, None]
    expected = functional.interpolate(cropped, MODEL_SIZE, mode="trilinear", align_corners=False)

    prepared = prepare(Scan(voxels, LPS), "acquired", "none")
    assert prepared.volume.shape == (1, *MODEL_SIZE)
    assert prepared.volume.dtype == torch.float32
    assert torch.equal(prepared.volume > 0.5, expected[0] > 0.5)
    assert (prepared.volume - expected[0]).abs().max() < 5e-7


def test_a_volume_of_the_models_own_size_goes_in_unchanged():
    voxels = np.random.default_rng(0).random(MODEL_SIZE).astype(np.float32) + 0.01
    prepared = prepare(Scan(voxels, LPS), "acquired", "none")
    assert np.array_equal(prepared.volume[0].numpy(), voxels)


def test_the_window_scales_before_the_resize_and_crops_what_is_black():
    voxels = np.full((10, 20, 20), -1000, np.int16)
    voxels[2:8, 5:15, 3:18] = np.random.default_rng(0).integers(-300, 400, (6, 10, 15))
    voxels[2:8, 5:15, 3:18].ravel()[::7] = 3000
    voxels[2, 5, 3] = voxels[7, 14, 17] = 100
    prepared = prepare(Scan(voxels, LPS, "CT"), "acquired", "40,400", (6, 10, 15))
    expected = np.clip((voxels[2:8, 5:15, 3:18].astype(np.float32) + 160) / 400, 0, 1)
    np.testing.assert_allclose(prepared.volume[0].numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(prepared.geometry.slice_center_ijk(0), (10, 9.5, 2))


def patient() -> np.ndarray:
    """(K, J, I) in LPS order: a body with one marker at each of its six sides, each of its own
    brightness."""
    voxels = np.full((24, 30, 36), -1000, np.int16)
    voxels[2:22, 3:27, 3:33] = 0
    voxels[10:14, 13:17, 3:6] = 100  # right
    voxels[10:14, 13:17, 30:33] = 200  # left
    voxels[10:14, 3:6, 16:20] = 300  # anterior
    voxels[10:14, 24:27, 16:20] = 400  # posterior
    voxels[2:5, 13:17, 16:20] = 500  # inferior
    voxels[19:22, 13:17, 16:20] = 600  # superior
    return voxels


MARKERS = {"R": 100, "L": 200, "A": 300, "P": 400, "I": 500, "S": 600}
EDGES = {
    # slice first and last, row first and last, column first and last
    "axial": "SIAPRL",
    "coronal": "APSIRL",
    "sagittal": "RLSIAP",
}


@pytest.mark.parametrize("plane", EDGES)
@pytest.mark.parametrize("flips", [(), (0,), (1,), (2,), (0, 1, 2)])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (0, 2, 1)])
def test_radiological_layout(plane, flips, order):
    """The patient's right is at the picture's left, front and head are at the top, however the
    scan was stored."""
    ijk_to_ras = np.diag([-1.0, -1.5, 2.0, 1.0])
    voxels = np.flip(patient(), [2 - axis for axis in flips])
    for axis in flips:
        last = np.zeros(4)
        last[axis] = voxels.shape[2 - axis] - 1
        last[3] = 1
        flip = np.eye(4)
        flip[axis] = (*(-np.eye(3)[axis]), last[axis])
        ijk_to_ras = ijk_to_ras @ flip
    voxels = voxels.transpose([2 - order[2 - place] for place in range(3)])
    ijk_to_ras = ijk_to_ras[:, [*order, 3]]
    prepared = prepare(Scan(voxels, ijk_to_ras, "CT"), plane, "500,1300")
    picture = prepared.volume[0].numpy()
    value = {side: (marker + 150) / 1300 for side, marker in MARKERS.items()}
    slices, rows, columns = (length // 2 for length in picture.shape)
    found = (
        picture[1, rows, columns],
        picture[-2, rows, columns],
        picture[slices, 8, columns],
        picture[slices, -9, columns],
        picture[slices, rows, 8],
        picture[slices, rows, -9],
    )
    np.testing.assert_allclose(found, [value[side] for side in EDGES[plane]], atol=0.01)


def test_the_default_is_axial():
    voxels = patient()
    scan = Scan(voxels, LPS, "CT")
    assert torch.equal(prepare(scan).volume, prepare(scan, "axial", "auto").volume)
    assert prepare(scan).geometry.plane == "axial"


def test_a_window_that_leaves_nothing_is_refused():
    scan = Scan(np.random.default_rng(0).integers(-50, 60, (5, 6, 7)).astype(np.int16), LPS, "CT")
    with pytest.raises(InputError, match="window 2000,100 the whole scan is black"):
        prepare(scan, window="2000,100")
    with pytest.raises(InputError, match="every voxel of the scan alike"):
        prepare(scan, window="-1000,100")


def test_the_scan_is_never_changed_and_may_be_a_memory_map(tmp_path):
    voxels = np.random.default_rng(0).integers(-1000, 1000, (40, 30, 20)).astype(np.int16)
    np.save(tmp_path / "scan.npy", voxels)
    mapped = np.load(tmp_path / "scan.npy", mmap_mode="r")
    for plane in PLANES:
        for window in ("auto", "none", "lung"):
            fresh = prepare(Scan(voxels.copy(), LPS, "CT"), plane, window)
            assert torch.equal(prepare(Scan(mapped, LPS, "CT"), plane, window).volume, fresh.volume)
    assert np.array_equal(mapped, voxels)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f2", "f4", "f8", ">i2"])
def test_every_pixel_type(dtype):
    numbers = np.random.default_rng(0).integers(1, 120, (5, 6, 7))
    prepared = prepare(Scan(numbers.astype(dtype), LPS), "acquired", "60,120", (5, 6, 7))
    np.testing.assert_allclose(prepared.volume[0].numpy(), numbers / 120, atol=1e-6)


def test_warnings_tell_what_may_mislead():
    random = np.random.default_rng(0)

    def warnings(shape, matrix=LPS, modality="CT", plane="axial") -> str:
        voxels = random.integers(-100, 200, shape).astype(np.int16)
        return " ".join(prepare(Scan(voxels, matrix, modality), plane).warnings)

    assert warnings((40, 40, 40)) == ""
    assert "is MR, and the model was trained on CT" in warnings((40, 40, 40), modality="MR")
    assert "8 slices" in warnings((8, 40, 40))
    assert "blend 64 of the scan's 200 axial slices" in warnings((200, 40, 40))
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.6), -np.sin(0.6)], [np.sin(0.6), np.cos(0.6)]]
    assert "34 degrees off" in warnings((40, 40, 40), turn, plane="coronal")
    assert warnings((40, 40, 40), turn, plane="acquired") == ""
