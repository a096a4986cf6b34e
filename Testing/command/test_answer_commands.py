"""``med2e3 report``, ``ask`` and ``attend`` as a person or a script runs them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813

from med2e3.model.identity import CARD, EMBEDDED
from med2e3.wire.messages import DRAFT_MARK, MODEL_MARKS

FIELDS = {
    "kind", "question", "text", "token_ids", "token_probabilities", "sentences", "history_used",
    "finish_reason", "slice_scores", "slices", "plane",
    "window", "timings", "model", "warnings",
}  # fmt: skip


def med2e3_process(*arguments: object) -> subprocess.CompletedProcess:
    """The command as a shell starts it."""
    return subprocess.run(
        [sys.executable, "-m", "med2e3", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUTF8": "1"},
    )


@pytest.fixture(scope="session")
def scan_path(tmp_path_factory) -> Path:
    """A block of tissue in air with one bright slab, as NIfTI, in HU."""
    voxels = np.full((40, 48, 24), -1000, np.int16)
    voxels[5:35, 6:42, 2:22] = 40
    voxels[10:20, 20:28, 8:12] = 300
    voxels += np.random.default_rng(0).integers(-20, 20, voxels.shape, dtype=np.int16)
    path = tmp_path_factory.mktemp("scan") / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([2.0, 2.0, 5.0, 1.0])), path)
    return path


def test_report_prints_one_json_object(scan_path):
    ended = med2e3_process("report", scan_path, "--json", "--max-new-tokens", 6)
    assert ended.returncode == 0, ended.stderr
    answer = json.loads(ended.stdout)
    assert set(answer) >= FIELDS
    assert answer["kind"] == "report"
    assert len(answer["slice_scores"]) == len(answer["slices"]) == 32
    assert sum(answer["slice_scores"]) == pytest.approx(1, abs=1e-5)
    assert set(answer["timings"]) >= {
        "read",
        "preprocess",
        "encode",
        "score",
        "prefill",
        "decode",
    }
    assert set(answer["model"]) == {"name", "sha256", "trained_on"}
    assert len(answer["token_ids"]) <= 6
    first = answer["slices"][0]
    assert set(first) == {"index", "ras", "score"}


def test_the_same_scan_gives_the_same_text_twice(med2e3, scan_path):
    texts = [
        json.loads(med2e3("ask", scan_path, "Is there a mass?", "--json").stdout)["text"]
        for _ in range(2)
    ]
    assert texts[0] == texts[1]


def test_slices_follow_the_plane(med2e3, scan_path):
    for plane, axis in (("axial", 2), ("coronal", 1), ("sagittal", 0)):
        ended = med2e3("attend", scan_path, "mass", "--json", "--plane", plane)
        answer = json.loads(ended.stdout)
        assert answer["plane"] == plane
        positions = np.array([place["ras"] for place in answer["slices"]])
        assert np.ptp(positions[:, axis]) > 20
        assert np.ptp(np.delete(positions, axis, axis=1), axis=0) == pytest.approx(0, abs=1e-6)


def test_people_read_the_text_and_the_slices(med2e3, scan_path):
    ended = med2e3("report", scan_path, "--max-new-tokens", 6)
    assert ended.returncode == 0, ended.stderr
    assert "AI draft, not reviewed" in ended.stdout
    assert "slice" in ended.stdout


@pytest.mark.parametrize("trained_on", MODEL_MARKS)
def test_what_the_model_learned_from_stands_with_its_text(med2e3, scan_path, tmp_path, trained_on):
    model, out = tmp_path / "model", tmp_path / "results"
    shutil.copytree(EMBEDDED, model)
    (model / CARD).write_text(json.dumps({"name": "some", "trained_on": trained_on}))
    ended = med2e3("report", scan_path, "--max-new-tokens", 4, "--model", model, "--out", out)
    assert ended.returncode == 0, ended.stderr
    answer = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert answer["model"]["trained_on"] == trained_on
    mark = f"{DRAFT_MARK} {MODEL_MARKS[trained_on]}".rstrip()
    for text in (ended.stdout, (out / "report.txt").read_text(encoding="utf-8")):
        assert [line for line in text.splitlines() if "AI draft" in line] == [mark]
    info = json.loads(med2e3("model", "info", model, "--json").stdout)
    assert info["trained_on"] == trained_on


def test_out_writes_the_four_files(med2e3, scan_path, tmp_path):
    out = tmp_path / "results"
    ended = med2e3("report", scan_path, "--json", "--max-new-tokens", 4, "--out", out)
    assert ended.returncode == 0, ended.stderr
    names = {path.name for path in out.iterdir()}
    assert names == {"report.txt", "result.json", "attention.nii.gz", "attention.png"}
    answer = json.loads(ended.stdout)
    assert json.loads((out / "result.json").read_text(encoding="utf-8")) == answer
    assert (out / "report.txt").read_text(encoding="utf-8").startswith(answer["text"])
    heatmap = nibabel.load(out / "attention.nii.gz")
    best = max(answer["slices"], key=lambda place: place["score"])
    brightest = np.argwhere(heatmap.get_fdata() == heatmap.get_fdata().max())
    centre = nibabel.affines.apply_affine(heatmap.affine, brightest.mean(axis=0))
    np.testing.assert_allclose(centre, best["ras"], atol=0.1)
    assert (out / "attention.png").read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [out]


def test_a_report_of_a_dicom_series_is_exported(med2e3, scan_path, tmp_path):
    folder = tmp_path / "series"
    series = sitk.ReadImage(str(scan_path))
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    folder.mkdir()
    for number in range(series.GetDepth()):
        image = series[:, :, number]
        position = series.TransformIndexToPhysicalPoint((0, 0, number))
        for tag, value in {
            "0008|0016": "1.2.840.10008.5.1.4.1.1.2", "0008|0018": f"1.2.3.4.{number + 1}",
            "0008|0060": "CT", "0020|000d": "1.2.3.1", "0020|000e": "1.2.3.2",
            "0020|0052": "1.2.3.3", "0020|0037": "1\\0\\0\\0\\1\\0",
            "0020|0032": "\\".join(f"{value:.3f}" for value in position),
        }.items():  # fmt: skip
            image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{number}.dcm"))
        writer.Execute(image)
    out, pdf = tmp_path / "dicom", tmp_path / "report.pdf"
    ended = med2e3("report", folder, "--json", "--max-new-tokens", 4, "--dicom", out, "--pdf", pdf)
    assert ended.returncode == 0, ended.stderr
    objects = {file.name.split("-")[0]: pydicom.dcmread(file) for file in out.iterdir()}
    assert set(objects) == {"report", "key", "heatmap"}
    assert {made.StudyInstanceUID for made in objects.values()} == {"1.2.3.1"}
    assert objects["report"].VerificationFlag == "UNVERIFIED"
    assert pdf.read_bytes().startswith(b"%PDF")


def test_a_question_goes_on_from_earlier_answers(med2e3, scan_path, tmp_path):
    first = med2e3("ask", scan_path, "Is there a mass?", "--json", "--max-new-tokens", 8)
    (tmp_path / "first.json").write_text(first.stdout, encoding="utf-8")
    question = ("ask", scan_path, "Where is it?", "--json", "--max-new-tokens", 8)
    alone = json.loads(med2e3(*question).stdout)
    after = json.loads(med2e3(*question, "--after", tmp_path / "first.json").stdout)
    assert (alone["history_used"], after["history_used"]) == (0, 1)
    assert after["token_probabilities"] != alone["token_probabilities"]
    assert after["slice_scores"] == alone["slice_scores"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ask", "SCAN", "Where?", "--after", "gone.json"], "gone.json"),
        (["ask", "SCAN", "Where?", "--after", "SCAN"], "no answer"),
        (["report", "SCAN", "--dicom", "new"], "DICOM folder"),
        (["report", "SCAN", "--pdf", "."], "--pdf"),
        (["report", ".", "--dicom", "SCAN"], "--dicom"),
        (["report", "no such file.nii"], "no such file.nii"),
        (["report", "SCAN", "--plane", "diagonal"], "diagonal"),
        (["report", "SCAN", "--window", "wide"], "wide"),
        (["report", "SCAN", "--window", "40,-5"], "40,-5"),
        (["report", "SCAN", "--model", "no such folder"], "no such folder"),
        (["ask", "SCAN", "   "], "empty"),
        (["attend", "SCAN", ""], "empty"),
        (["report", "SCAN", "--max-new-tokens", "0"], "max-new-tokens"),
        (["report", "SCAN", "--out", "SCAN"], "--out"),
        (["report", "SCAN", "--device", "cuda"], "cuda"),
        (["report"], "VOLUME"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_ends_with_a_sentence_and_status_2(med2e3, scan_path, arguments, said):
    if "cuda" in arguments:
        import torch

        if torch.cuda.is_available():
            pytest.skip("this machine has a CUDA device")
    arguments = [scan_path if argument == "SCAN" else argument for argument in arguments]
    ended = med2e3(*arguments)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_nothing_is_left_of_a_request_that_failed(med2e3, scan_path, tmp_path):
    ended = med2e3("report", scan_path, "--model", tmp_path / "none", "--out", tmp_path / "out")
    assert ended.returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_a_question_that_is_cut_is_told(med2e3, scan_path):
    ended = med2e3("ask", scan_path, "nodule " * 700, "--json", "--max-new-tokens", 1)
    assert ended.returncode == 0, ended.stderr
    assert any("cut" in warning for warning in json.loads(ended.stdout)["warnings"])


def test_debug_shows_the_stack_trace(scan_path):
    ended = med2e3_process("report", "missing.nii", "--debug")
    assert ended.returncode != 0
    assert "Traceback" in ended.stderr


def test_paths_of_every_script_work(med2e3, scan_path, tmp_path):
    folder = tmp_path / "Пациент & 患者 (1) مريض"
    folder.mkdir()
    path = folder / "c t'1.nii.gz"
    path.write_bytes(scan_path.read_bytes())
    ended = med2e3("attend", path, "mass", "--json", "--out", folder / "erg ebnis")
    assert ended.returncode == 0, ended.stderr
    assert (folder / "erg ebnis" / "result.json").is_file()


def test_doctor_names_versions_and_devices(med2e3):
    ended = med2e3("doctor", "--json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = json.loads(ended.stdout)
    assert found["packages"]["torch"]
    assert found["machine"]["devices"][0]["kind"] == "cpu"
    assert found["model"]["problem"] == ""
    assert found["missing"] == []
    assert "Nothing is missing" in med2e3("doctor").stdout


def test_model_info_and_check_of_the_embedded_model(med2e3):
    found = json.loads(med2e3("model", "info", "--json").stdout)
    assert len(found["sha256"]) == 64
    assert sum(found["parameters"].values()) > 0
    assert "complete" in med2e3("model", "check").stdout
    assert json.loads(med2e3("model", "check", "--json").stdout)["steps"] == []


def test_model_check_prints_the_table_of_the_reference(med2e3):
    reference = Path(__file__).parents[2].parent / "shared" / "reference"
    if not reference.is_dir():
        pytest.skip("the reference checkpoint (../shared/reference) is not beside this repository")
    ended = med2e3("model", "check", reference, "--cases", reference / "cases.safetensors")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "DIFFERS" not in ended.stdout
    assert "generated" in ended.stdout
    figures = reference / "cases.safetensors"
    found = json.loads(med2e3("model", "check", reference, "--cases", figures, "--json").stdout)
    assert found["agrees"] is True
    assert len(found["steps"]) > 50


def test_download_asks_first(med2e3, tmp_path):
    ended = med2e3("model", "download", tmp_path / "model", typed="n\n")
    assert ended.returncode == 2
    assert "non-commercial" in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("module", "package", "options"),
    [
        ("SimpleITK", "SimpleITK", []),
        ("fpdf", "fpdf2", ["--pdf", "report.pdf"]),
        ("uharfbuzz", "uharfbuzz", ["--pdf", "report.pdf"]),
        ("highdicom", "highdicom", ["--dicom", "out"]),
    ],
)
def test_a_missing_package_is_named_without_a_stack_trace(module, package, options):
    script = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from med2e3.command.main import main\n"
        f"sys.argv = ['med2e3', 'report', 'scan.nii', *{options!r}]\n"
        "main()"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 1
    assert f"pip install {package}\n" in ended.stderr
    assert "Traceback" not in ended.stderr
