"""Scans of patients, where they are at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from med2e3.errors import InputError
from med2e3.volume import prepare, read_scan

DATA = Path(__file__).parents[2].parent / "shared" / "data"

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the real scans are not beside this checkout (../shared/data)"
)


def test_a_chest_ct():
    scan = read_scan(DATA / "lung1_image.nrrd")
    assert scan.voxels.shape == (48, 512, 512)
    assert scan.warnings == ()
    prepared = prepare(scan)
    assert (prepared.window.lower, prepared.window.upper) == (-150, 250)
    geometry = prepared.geometry
    # The lesion's own place, from its label map, through SimpleITK alone.
    label = sitk.ReadImage(str(DATA / "lung1_label.nrrd"))
    lesion = np.argwhere(sitk.GetArrayFromImage(label) > 0).mean(axis=0)
    place = np.array(label.TransformContinuousIndexToPhysicalPoint(lesion[::-1].tolist()))
    slice_ = geometry.slice_at_ras(place * (-1, -1, 1))
    assert geometry.slice_index(slice_) == pytest.approx(lesion[0], abs=1e-4)
    assert 32 <= geometry.slice_index(slice_) <= 34
    # Superior slices come first.
    assert geometry.slice_center_ras(0)[2] > geometry.slice_center_ras(31)[2]


def test_a_brain_mr_whose_axes_are_flipped():
    scan = read_scan(DATA / "brain1_image.nrrd")
    for plane in ("axial", "coronal", "sagittal"):
        prepared = prepare(scan, plane)
        assert prepared.geometry.slice_at_ras(prepared.geometry.slice_center_ras(7)) == (
            pytest.approx(7)
        )
        assert prepared.volume.mean() > 0.05


@pytest.mark.parametrize("name", ["lung1_label", "brain1_label"])
def test_label_maps_are_refused(name):
    with pytest.raises(InputError, match="label map"):
        read_scan(DATA / f"{name}.nrrd")
