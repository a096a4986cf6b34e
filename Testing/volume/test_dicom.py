"""DICOM folders: every voxel where it was scanned, or a sentence that says why not."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest

from med2e3.errors import InputError
from med2e3.volume import list_series, read_scan

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def refused(folder, *words, **options) -> str:
    with pytest.raises(InputError) as caught:
        read_scan(folder, **options)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "Secret" not in message
    # A UID is drawn at random, and may hold the patient's number by chance.
    assert "4711" not in re.sub(r"\b1\.2\.826[.\d]+", "", message)
    return message


def test_slices_are_placed_by_their_position(dicom_series, values, tmp_path):
    series = dicom_series(values)
    # Neither the numbers nor the order of the files tell where the slices are.
    for dataset, number in zip(
        series.datasets, (5, 3, 9, 1, 12, 7, 2, 8, 11, 4, 10, 6), strict=True
    ):
        dataset.InstanceNumber = number
    scan = read_scan(series.write(tmp_path / "study" / "series"))
    assert np.array_equal(scan.voxels, values)
    assert scan.modality == "CT"
    assert scan.warnings == ()
    expected = np.diag([0.8, 0.7, 2.5, 1.0])
    expected[:3, 3] = (-20, -30, 100)
    np.testing.assert_allclose(scan.ijk_to_ras, LPS_TO_RAS @ expected, atol=1e-6)


@pytest.mark.parametrize(
    "orientation",
    [
        (1, 0, 0, 0, 0, -1),
        (0, 1, 0, 0, 0, -1),
        (-1, 0, 0, 0, 1, 0),
        (0.8, 0.6, 0, -0.36, 0.48, 0.8),
    ],
)
def test_every_corner_of_an_oblique_series_is_where_dicom_says(
    dicom_series, values, tmp_path, orientation
):
    series = dicom_series(values, orientation=orientation)
    scan = read_scan(series.write(tmp_path))
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    for k, dataset in enumerate(series.datasets):
        for j, i in ((0, 0), (19, 0), (0, 23)):
            # DICOM PS3.3 C.7.6.2.1.1
            place = np.array(dataset.ImagePositionPatient, float) + row * 0.8 * i + column * 0.7 * j
            found = scan.ijk_to_ras @ (i, j, k, 1)
            np.testing.assert_allclose(found[:3], place * (-1, -1, 1), atol=1e-4)
            assert scan.voxels[k, j, i] == values[k, j, i]


def test_a_tilted_gantry_keeps_every_slice_where_it_was(dicom_series, values, tmp_path):
    tilt = np.radians(15)
    step = np.array([0, 2.5 * np.tan(tilt), 2.5])
    series = dicom_series(values, step=step)
    scan = read_scan(series.write(tmp_path))
    for k, dataset in enumerate(series.datasets):
        place = np.array(dataset.ImagePositionPatient, float) * (-1, -1, 1)
        np.testing.assert_allclose((scan.ijk_to_ras @ (0, 0, k, 1))[:3], place, atol=1e-4)
    assert np.array_equal(scan.voxels, values)
    assert any("tilted by 15 degrees" in warning for warning in scan.warnings)


def test_several_series_are_named_and_one_is_chosen(dicom_series, values, tmp_path):
    thin = dicom_series(values).set(SeriesNumber=7, SeriesDescription="Secret")
    scout = dicom_series(values[:2]).set(
        SeriesNumber=1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]
    )
    thin.write(tmp_path / "DICOM" / "A")
    scout.write(tmp_path / "DICOM" / "B")
    message = refused(
        tmp_path, "2 series", "--series", thin.uid, scout.uid, "12 slices", "2 slices"
    )
    assert "series 7, CT, 12 slices" in message
    assert "series 1, CT, localizer, 2 slices" in message
    refused(tmp_path, "1.2.3.4", thin.uid, scout.uid, series_uid="1.2.3.4")
    assert read_scan(tmp_path, series_uid=thin.uid).voxels.shape == (12, 20, 24)
    listed = {series.uid: series for series in list_series(tmp_path)}
    assert listed[thin.uid].slices == 12
    assert listed[thin.uid].modality == "CT"
    assert listed[scout.uid].is_localizer
    assert not listed[thin.uid].is_localizer


def test_progress_rises_to_the_end(dicom_series, values, tmp_path):
    told = []
    read_scan(
        dicom_series(values).write(tmp_path),
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == sorted(told)
    assert told[0] == (0, 100)
    assert told[-1] == (100, 100)


def test_a_missing_slice_is_refused(dicom_series, values, tmp_path):
    series = dicom_series(values)
    del series.datasets[4]
    refused(series.write(tmp_path), "lacks 1 slice", "between slices 4 and 5", "5.00 mm")


def test_uneven_slices_are_refused(dicom_series, values, tmp_path):
    series = dicom_series(values)
    for number, dataset in enumerate(series.datasets[6:]):
        dataset.ImagePositionPatient = [-20, -30, 115 + 3.6 * number + 1.1]
    refused(series.write(tmp_path), "not evenly spaced", "resample")


def test_one_slice_out_of_line_is_refused(dicom_series, values, tmp_path):
    series = dicom_series(values)
    series.datasets[5].ImagePositionPatient = [-14, -30, 112.5]
    refused(series.write(tmp_path), "not evenly spaced")


def test_rounded_positions_are_told(dicom_series, values, tmp_path):
    series = dicom_series(values)
    series.datasets[5].ImagePositionPatient = [-20, -30, 112.6]
    scan = read_scan(series.write(tmp_path))
    assert any("not quite evenly" in warning for warning in scan.warnings)


def test_two_phases_in_one_series_are_refused(dicom_series, values, tmp_path):
    first, second = dicom_series(values), dicom_series(values)
    first.write(tmp_path / "arterial")
    second.set(SeriesInstanceUID=first.uid).write(tmp_path / "venous")
    refused(tmp_path, "12 places", "on each other", "phases")


def test_a_copy_of_a_slice_is_left_out_and_told(dicom_series, values, tmp_path):
    series = dicom_series(values)
    series.write(tmp_path)
    shutil.copy(sorted(tmp_path.iterdir())[3], tmp_path / "copy of a slice.dcm")
    scan = read_scan(tmp_path)
    assert np.array_equal(scan.voxels, values)
    assert any("there twice" in warning for warning in scan.warnings)


def test_mixed_directions_sizes_and_spacings_are_refused(dicom_series, values, tmp_path):
    series = dicom_series(values)
    series.datasets[0].ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    refused(series.write(tmp_path / "directions"), "different directions")
    series = dicom_series(values)
    small = series.datasets[3]
    small.Rows, small.Columns = 10, 24
    small.PixelData = small.PixelData[: 10 * 24 * 2]
    refused(series.write(tmp_path / "sizes"), "differ in size", "24 x 10", "24 x 20")
    series = dicom_series(values)
    series.datasets[2].PixelSpacing = [0.5, 0.5]
    refused(series.write(tmp_path / "spacings"), "pixel spacing")


def test_localizers_among_the_slices_are_left_out(dicom_series, values, tmp_path):
    series = dicom_series(values)
    scout = dicom_series(values[:1]).datasets[0]
    scout.SeriesInstanceUID = series.uid
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    series.datasets.append(scout)
    scan = read_scan(series.write(tmp_path))
    assert np.array_equal(scan.voxels, values)
    assert any("1 localizer" in warning for warning in scan.warnings)


def test_each_slice_is_rescaled_by_its_own_slope(dicom_series, values, tmp_path):
    series = dicom_series(values)
    for number, dataset in enumerate(series.datasets):
        dataset.Modality = "PT"
        dataset.RescaleSlope = f"{1 + number / 8}"
        dataset.RescaleIntercept = 0
    scan = read_scan(series.write(tmp_path))
    slopes = (1 + np.arange(12) / 8)[:, None, None]
    np.testing.assert_allclose(scan.voxels, (values + 1024) * slopes, rtol=1e-6)
    assert scan.modality == "PT"


def test_slices_without_a_place_are_refused(dicom_series, values, tmp_path):
    series = dicom_series(values)
    del series.datasets[0].ImagePositionPatient
    refused(series.write(tmp_path), "does not say where it lies")


def test_a_multi_frame_object_is_refused(dicom_series, values, tmp_path):
    series = dicom_series(values[:1])
    dataset = series.datasets[0]
    dataset.NumberOfFrames = 3
    dataset.PixelData = dataset.PixelData * 3
    folder = series.write(tmp_path)
    refused(folder, "multi-frame", "NRRD")
    refused(next(folder.iterdir()), "multi-frame")


def test_colour_slices_are_refused(dicom_series, values, tmp_path):
    series = dicom_series(values).set(
        SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0,
        BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=b"\x40\x80\xc0" * (20 * 24),
    )  # fmt: skip
    refused(series.write(tmp_path), "colour")


def test_a_single_slice_is_refused_and_its_folder_asked_for(dicom_series, values, tmp_path):
    folder = dicom_series(values).write(tmp_path / "series")
    refused(sorted(folder.iterdir())[0], "one file of a DICOM series", str(folder))
    alone = dicom_series(values[:1]).write(tmp_path / "alone")
    refused(alone, "1 slice", "whole scan")


def test_folders_without_images(dicom_series, values, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(empty, "no DICOM image", str(empty))
    (empty / "notes.txt").write_text("nothing of use")
    refused(empty, "no DICOM image")


def test_what_is_no_image_is_passed_over(dicom_series, values, tmp_path):
    series = dicom_series(values)
    series.write(tmp_path)
    report = dicom_series(values[:1]).datasets[0]
    report.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.22"
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID
    del report.PixelData, report.Rows, report.Columns
    report.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    (tmp_path / "DICOMDIR.txt").write_bytes(b"x" * 5000)
    scan = read_scan(tmp_path)
    assert scan.warnings == ()
    assert scan.voxels.shape == (12, 20, 24)


def test_a_cut_file_is_never_passed_over_in_silence(dicom_series, values, tmp_path):
    folder = dicom_series(values).write(tmp_path)
    last = min(folder.iterdir())
    content = last.read_bytes()
    last.write_bytes(content[: len(content) - 100])
    scan = read_scan(folder)
    assert scan.voxels.shape == (11, 20, 24)
    assert any("could not be read" in w and last.name in w for w in scan.warnings)
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[:700])
    refused(folder, "No DICOM file", "cut")


def test_closed_folders_and_files(dicom_series, values, open_folder, as_ordinary_user):
    folder = dicom_series(values).write(open_folder / "series")
    folder.chmod(0)
    with as_ordinary_user():
        refused(folder, "cannot be read", "permissions")
    folder.chmod(0o755)
    for file in folder.iterdir():
        file.chmod(0)
    with as_ordinary_user():
        refused(folder, "No DICOM file", "closed to you")


def test_nothing_is_printed(dicom_series, values, tmp_path, capfd):
    series = dicom_series(values, step=np.array([0, 0.4, 2.5]))
    folder = series.write(tmp_path)
    (folder / "cut").write_bytes(next(folder.iterdir()).read_bytes()[:900])
    read_scan(folder)
    assert capfd.readouterr() == ("", "")
