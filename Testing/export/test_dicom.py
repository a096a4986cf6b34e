"""A report as DICOM objects: what they say, what they refer to, and where the heatmap lies."""

from __future__ import annotations

import shutil
import subprocess
import unicodedata
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from med2e3.attention import patch_heatmap
from med2e3.attention.arrays import array_message, array_of
from med2e3.errors import InputError
from med2e3.export.dicom import export_dicom
from med2e3.export.document import document_of
from med2e3.volume import read_scan

REVIEWED = {"reviewer": "Dr. Ärztin", "reviewed_at": "2026-11-24T23:00:00Z", "is_edited": True}


def exported(report, files, folder):
    """The three objects, read back."""
    made = export_dicom(report, files, folder)
    assert [Path(file).name.rsplit("-", 1)[0] for file in made.files] == [
        "report", "key-objects", "heatmap",
    ]  # fmt: skip
    return [pydicom.dcmread(file) for file in made.files]


def texts(item) -> list[str]:
    """Every text in a content tree, in order."""
    found = [item.TextValue] if "TextValue" in item else []
    return found + [text for child in item.get("ContentSequence", ()) for text in texts(child)]


def images(item) -> list[str]:
    found = [r.ReferencedSOPInstanceUID for r in item.get("ReferencedSOPSequence", ())]
    return found + [uid for child in item.get("ContentSequence", ()) for uid in images(child)]


def positions_of(ct_files) -> dict[str, np.ndarray]:
    headers = [pydicom.dcmread(file, stop_before_pixels=True) for file in ct_files]
    return {
        header.SOPInstanceUID: np.array(header.ImagePositionPatient, float) for header in headers
    }


def test_all_objects_belong_to_the_scans_patient_and_study(ct, scan, report_on, tmp_path):
    source = pydicom.dcmread(ct[0])
    objects = exported(report_on(scan), ct, tmp_path / "out")
    for made in objects:
        for name in (
            "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID",
            "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName",
        ):  # fmt: skip
            assert made[name].value == source[name].value, name
        assert made.SeriesInstanceUID != source.SeriesInstanceUID
        assert "AI draft" in made.SeriesDescription
    assert len({made.SeriesInstanceUID for made in objects}) == 3
    assert [made.Modality for made in objects] == ["SR", "KO", "OT"]
    assert objects[2].FrameOfReferenceUID == source.FrameOfReferenceUID
    assert {str(uid) for uid in images(objects[1])} <= set(positions_of(ct))


def test_a_draft_says_what_it_is(ct, scan, report_on, tmp_path):
    report = report_on(scan)
    narrative, keys, heat = exported(report, ct, tmp_path / "out")
    assert narrative.VerificationFlag == "UNVERIFIED"
    assert narrative.CompletionFlag == "PARTIAL"
    assert narrative.PreliminaryFlag == "PRELIMINARY"
    said = texts(narrative)
    for text in (
        "The lungs are clear.", "A nodule of 3.5 mm lies in the right upper lobe.",
        "Größe: 3,5 mm – 結節 في الرئة.", report.model.name, f"model sha256 {report.model.sha256}",
    ):  # fmt: skip
        assert text in said
    assert sum("AI draft, not reviewed" in text for text in said) == 1
    assert any("AI draft, not reviewed" in text for text in texts(keys))
    assert "AI draft, not reviewed" in heat.ContentDescription
    assert report.model.sha256 == heat.DeviceSerialNumber


def test_a_reviewed_report_names_its_reader_and_is_still_not_verified(
    ct, scan, report_on, tmp_path
):
    narrative, keys, heat = exported(report_on(scan, **REVIEWED), ct, tmp_path / "out")
    assert narrative.CompletionFlag == "COMPLETE"
    assert narrative.VerificationFlag == "UNVERIFIED"
    assert "VerifyingObserverSequence" not in narrative
    said = " ".join(texts(narrative))
    assert "Reviewed by Dr. Ärztin on 2026-11-24 23:00 UTC" in said
    assert "edited by a person" in said
    assert "draft" not in said + " ".join(texts(keys)) + heat.ContentDescription


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal", "acquired"])
def test_key_objects_are_the_images_nearest_to_the_best_places(
    ct, scan, report_on, tmp_path, plane
):
    report = report_on(scan, plane)
    narrative, keys, _ = exported(report, ct, tmp_path / "out")
    document = document_of(report)
    assert document.best_slices() == (9, 21, 4)
    positions = positions_of(ct)
    expected = []
    for slice_ in (9, 21, 4):
        height = document.strongest_place(slice_)[2]
        off = {uid: abs(position[2] - height) for uid, position in positions.items()}
        expected.append(min(off, key=off.get))
        assert min(off.values()) <= 1.5
    assert images(keys) == images(narrative) == list(dict.fromkeys(expected))


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal", "acquired"])
def test_the_heatmap_lies_where_the_model_looked(ct, scan, report_on, tmp_path, plane):
    report = report_on(scan, plane)
    *_, heat = exported(report, ct, tmp_path / "out")
    document = document_of(report)
    assert (heat.NumberOfFrames, heat.Rows, heat.Columns) == document.heatmap.shape
    stored = np.frombuffer(heat.FloatPixelData, "<f4").reshape(document.heatmap.shape)
    shared = heat.SharedFunctionalGroupsSequence[0]
    directions = np.array(
        shared.PlaneOrientationSequence[0].ImageOrientationPatient, float
    ).reshape(2, 3)
    row_mm, column_mm = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    for frame, group in enumerate(heat.PerFrameFunctionalGroupsSequence):
        origin = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        # Frames may be in another order than the model's slices: find the slice that lies there.
        ras = np.diag([-1, -1, 1]) @ origin
        slice_ = round((np.linalg.inv(document.heatmap_to_ras) @ (*ras, 1))[2])
        np.testing.assert_array_equal(stored[frame], document.heatmap[slice_])
        for row, column in ((0, 0), (15, 0), (3, 12)):
            lps = origin + column * column_mm * directions[0] + row * row_mm * directions[1]
            expected = (document.heatmap_to_ras @ (column, row, slice_, 1))[:3]
            np.testing.assert_allclose(np.diag([-1, -1, 1]) @ lps, expected, atol=1e-3)
    mapping = shared.RealWorldValueMappingSequence[0]
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "1"
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)
    referred = heat.ReferencedSeriesSequence[0]
    assert referred.SeriesInstanceUID == pydicom.dcmread(ct[0]).SeriesInstanceUID
    found = {one.ReferencedSOPInstanceUID for one in referred.ReferencedInstanceSequence}
    assert found == set(positions_of(ct))


def test_the_heatmap_is_that_of_the_pictures(scan, report_on):
    report = report_on(scan)
    document = document_of(report)
    np.testing.assert_array_equal(document.heatmap, patch_heatmap(document.attention))
    np.testing.assert_array_equal(document.attention.patch_shares, array_of(report.patch_shares))


@pytest.mark.parametrize("state", ["draft", "reviewed"])
@pytest.mark.parametrize("case", ["plain", "oblique", "anonymous"])
def test_the_validator_finds_no_error(make_ct, report_on, tmp_path, state, case):
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian's dicom3tools) is not installed")
    options = {
        "plain": {},
        "oblique": {
            "orientation": (0.8, 0.6, 0, -0.6, 0.8, 0),
            "step": (0, 0, 3),
        },
        "anonymous": dict.fromkeys(
            ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID",
             "ReferringPhysicianName"), ""
        ),
    }[case]  # fmt: skip
    files = make_ct(**options)
    report = report_on(read_scan(files[0].parent), **(REVIEWED if state == "reviewed" else {}))
    made = export_dicom(report, files, tmp_path / "out")
    for file in made.files:
        ended = subprocess.run(["dciodvfy", "-new", file], capture_output=True, text=True)
        assert "Error" not in ended.stderr, ended.stderr


def test_what_an_anonymous_series_lacks_is_empty(make_ct, report_on, tmp_path):
    lacking = ("PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID",
               "StudyTime", "ReferringPhysicianName")  # fmt: skip
    files = make_ct(**dict.fromkeys((*lacking, "SliceThickness", "Manufacturer")))
    for made in exported(report_on(read_scan(files[0].parent)), files, tmp_path / "out"):
        assert all(not made[name].value for name in lacking)


def test_a_tilted_gantry_keeps_its_slant_and_refuses_what_dicom_cannot_hold(
    make_ct, report_on, tmp_path
):
    files = make_ct(step=(0, 1.0, 3.0))
    scan = read_scan(files[0].parent)
    report = report_on(scan, "acquired")
    *_, heat = exported(report, files, tmp_path / "out")
    first, last = (
        np.array(heat.PerFrameFunctionalGroupsSequence[frame].PlanePositionSequence[0]
                 .ImagePositionPatient, float)
        for frame in (0, -1)
    )  # fmt: skip
    slant = (last - first)[1] / (last - first)[2]
    assert slant == pytest.approx(1 / 3, abs=1e-3)
    with pytest.raises(InputError, match="tilted"):
        export_dicom(report_on(scan, "sagittal"), files, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_second_export_leaves_the_first_alone(ct, scan, report_on, tmp_path):
    for _ in range(2):
        export_dicom(report_on(scan), ct, tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 6


def test_all_files_or_none(ct, scan, report_on, tmp_path, monkeypatch):
    saved = []

    def full(self, path, *args, **options):
        saved.append(path)
        if len(saved) == 3:
            raise OSError(28, "No space left on device")
        Path(path).write_bytes(b"")

    monkeypatch.setattr(pydicom.Dataset, "save_as", full)
    with pytest.raises(InputError, match="No space left"):
        export_dicom(report_on(scan), ct, tmp_path / "out")
    assert len(saved) == 3
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"text": " \n"}, "empty"),
        ({"reviewer": "Dr. A"}, "time"),
        ({"reviewed_at": "2026-01-01T00:00:00Z"}, "name"),
        ({"written_at": "yesterday"}, "ISO 8601"),
        ({"slice_scores": (1.0,)}, "attention"),
        ({"heatmap_to_ras": (1.0,) * 15}, "attention"),
        ({"heatmap_to_ras": (float("nan"),) * 16}, "attention"),
        ({"patch_shares": array_message(np.zeros((4, 4)))}, "attention"),
        ({"heatmap_to_ras": tuple(np.diag([9.0, 9, 9, 1]).ravel())}, "does not lie"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_report_that_cannot_be_exported_is_refused(ct, scan, report_on, tmp_path, change, said):
    with pytest.raises(InputError, match=said):
        export_dicom(report_on(scan, **change), ct, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_that_are_no_series_of_the_scan_are_refused(ct, scan, make_ct, report_on, tmp_path):
    report = report_on(scan)
    damaged = tmp_path / "damaged.dcm"
    damaged.write_bytes(ct[0].read_bytes()[:300])
    other = make_ct()
    no_frame = make_ct(FrameOfReferenceUID=None)
    in_order = sorted(ct, key=lambda file: pydicom.dcmread(file).InstanceNumber)
    for files, said in (
        ((), "did not come from DICOM"),
        ([tmp_path / "gone.dcm"], "gone.dcm cannot be read"),
        ([damaged], "damaged.dcm cannot be read"),
        ([ct[0], other[0]], "several series"),
        (no_frame, "frame of reference"),
        (in_order[:5], "does not lie"),
    ):
        with pytest.raises(InputError, match=said):
            export_dicom(report, files, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_word_of_the_patient_is_logged(make_ct, report_on, tmp_path, caplog, capfd, recwarn):
    files = make_ct(PatientName="Geheim", PatientID="G-7", PatientSex="X")
    export_dicom(report_on(read_scan(files[0].parent)), files, tmp_path / "out")
    told = caplog.text + "".join(capfd.readouterr()) + "".join(str(w.message) for w in recwarn)
    assert "Geheim" not in told
    assert "G-7" not in told


@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda text: text.strip()))
def test_any_text_comes_back_sentence_by_sentence(ct, scan, report_on, tmp_path, text):
    narrative, *_ = exported(report_on(scan, text=text), ct, tmp_path / "out")
    kept = "".join(c for c in text if unicodedata.category(c) != "Cc" or c.isspace())
    assert "".join(kept.split()) in "".join("".join(texts(narrative)).split())
