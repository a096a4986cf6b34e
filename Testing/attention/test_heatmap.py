"""Heatmaps: what their voxels hold and where they lie."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from med2e3.attention import patch_heatmap, ranked, slice_heatmap, write_heatmap
from med2e3.volume import PLANES


def turned(degrees):
    """A rotation about an axis that is none of the patient's."""
    axis = np.array([1.0, 2.0, -0.5]) / np.linalg.norm([1.0, 2.0, -0.5])
    cross = np.cross(np.eye(3), axis)
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def placed(axes, spacing, origin=(-91.5, 40.25, 12.0)):
    matrix = np.eye(4)
    matrix[:3, :3] = np.asarray(axes) * spacing
    matrix[:3, 3] = origin
    return matrix


SHEARED = np.array([[1, 0, 0], [0, 1, 0.3], [0, 0, 1.0]])

GRIDS = {
    "straight": placed(np.eye(3), (0.7, 0.7, 5.0)),
    "flipped": placed(np.diag([-1, 1, -1]), (0.8, 1.1, 3.0)),
    "mirrored": placed(np.diag([-1, 1, 1]), (0.8, 1.1, 3.0)),
    "permuted": placed(np.eye(3)[[2, 0, 1]], (0.9, 1.0, 4.0)),
    "oblique": placed(turned(25), (0.7, 0.8, 2.5)),
    "tilted gantry": placed(SHEARED, (0.7, 0.7, 5.0)),
    "sheared and oblique": placed(turned(40) @ SHEARED, (0.7, 0.9, 3.0)),
}


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("ijk_to_ras", GRIDS.values(), ids=GRIDS)
def test_the_best_slice_is_read_back_where_it_lies(
    make_prepared, attention, tmp_path, ijk_to_ras, plane
):
    geometry = make_prepared(ijk_to_ras, plane=plane).geometry
    write_heatmap(tmp_path / "heat.nii.gz", slice_heatmap(attention), geometry)
    image = nibabel.load(tmp_path / "heat.nii.gz")
    assert image.header.get_xyzt_units()[0] == "mm"
    voxels = image.get_fdata()
    brightest = np.argwhere(voxels == voxels.max())
    assert len(brightest) == 16 * 16
    best = ranked(attention.scores)[0]
    centre = nibabel.affines.apply_affine(image.affine, brightest.mean(axis=0))
    np.testing.assert_allclose(centre, geometry.slice_center_ras(best), atol=0.01)
    assert voxels.max() == pytest.approx(attention.scores[best], rel=1e-6)


@pytest.mark.parametrize("ijk_to_ras", GRIDS.values(), ids=GRIDS)
def test_every_patch_is_read_back_where_it_lies(make_prepared, attention, tmp_path, ijk_to_ras):
    geometry = make_prepared(ijk_to_ras).geometry
    write_heatmap(tmp_path / "heat.nii.gz", patch_heatmap(attention), geometry)
    image = nibabel.load(tmp_path / "heat.nii.gz")
    column, row, slice_ = np.unravel_index(image.get_fdata().argmax(), image.shape)
    assert (slice_, row, column) == (9, 2, 13)
    there = nibabel.affines.apply_affine(image.affine, (column, row, slice_))
    np.testing.assert_allclose(there, geometry.patch_center_ras(9, 2, 13), atol=0.01)


@pytest.mark.parametrize("name", ["straight", "flipped", "mirrored", "permuted", "oblique"])
def test_itk_reads_the_same_place(make_prepared, attention, tmp_path, name):
    geometry = make_prepared(GRIDS[name]).geometry
    write_heatmap(tmp_path / "heat.nii.gz", patch_heatmap(attention), geometry)
    image = SimpleITK.ReadImage(str(tmp_path / "heat.nii.gz"))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), patch_heatmap(attention))
    for patch in ((0, 0, 0), (13, 2, 9), (15, 15, 31)):
        left, posterior, superior = image.TransformIndexToPhysicalPoint(patch)
        column, row, slice_ = patch
        expected = geometry.patch_center_ras(slice_, row, column)
        np.testing.assert_allclose((-left, -posterior, superior), expected, atol=0.01)


def test_the_same_heatmap_gives_the_same_bytes(make_prepared, attention, tmp_path):
    geometry = make_prepared(GRIDS["oblique"]).geometry
    for name in ("one.nii.gz", "two.nii.gz"):
        write_heatmap(tmp_path / name, slice_heatmap(attention), geometry)
    assert (tmp_path / "one.nii.gz").read_bytes() == (tmp_path / "two.nii.gz").read_bytes()


def test_a_heatmap_on_another_grid_is_refused(make_prepared, tmp_path):
    geometry = make_prepared(GRIDS["straight"]).geometry
    with pytest.raises(ValueError, match="grid"):
        write_heatmap(tmp_path / "heat.nii.gz", np.zeros((16, 16, 32)), geometry)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_an_os_error(make_prepared, attention, tmp_path):
    geometry = make_prepared(GRIDS["straight"]).geometry
    with pytest.raises(OSError, match="missing"):
        write_heatmap(tmp_path / "missing" / "heat.nii.gz", slice_heatmap(attention), geometry)


def test_every_voxel_of_a_slice_is_the_slices_score(attention):
    heatmap = slice_heatmap(attention)
    assert heatmap.shape == (32, 16, 16)
    for slice_, score in enumerate(attention.scores):
        np.testing.assert_allclose(heatmap[slice_], score, rtol=1e-6)


@given(arrays(np.float64, (32, 2, 2), elements=st.floats(-0.0625, 0.0625, width=16)))
def test_patches_add_up_to_what_sets_their_slice_apart(make_attention, quarters):
    attention = make_attention(np.kron(quarters, np.ones((1, 8, 8))))
    sums = patch_heatmap(attention).sum(axis=(1, 2))
    apart = attention.logits - attention.logits.mean()
    np.testing.assert_allclose(sums, apart, atol=1e-4)


def test_what_all_slices_have_in_common_is_not_shown(make_attention, attention):
    common = np.random.default_rng(5).normal(0, 0.1, (16, 16))
    shifted = make_attention(attention.patch_shares + common)
    np.testing.assert_allclose(shifted.scores, attention.scores, rtol=1e-9)
    np.testing.assert_allclose(patch_heatmap(shifted), patch_heatmap(attention), atol=1e-6)
