"""A night's work: a cohort of all sorts, in one run that the tests look at from all sides."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import psutil
import pytest
from pydicom import dcmread

from cohort.conftest import command, environment, med2e3, rows, write_scan
from export.conftest import write_ct_series
from med2e3.wire.messages import DRAFT_MARK

MARK = "MARKED"
QUESTIONS = "effusion: Is there a pleural effusion?\nphase: In which phase was it taken?\n"
SETTINGS = ["--max-new-tokens", "4", "--dicom"]
REPORT_FILES = {"report.txt", "result.json", "attention.nii.gz", "attention.png"}

linux = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux tells it here")


@dataclass
class Watched:
    """What could be seen from outside as the command ran. ``addresses`` are those that its
    processes listen at, ``log_folders`` Ray's, ``told`` all that was in them, ``arguments`` the
    command lines."""

    addresses: set[str]
    log_folders: dict[Path, int]
    told: str
    arguments: str


@dataclass
class Night:
    source: Path
    questions: Path
    out: Path
    ended: subprocess.CompletedProcess[str]
    watched: Watched

    def again(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return med2e3(
            "batch", self.source, "--out", self.out, "--questions", self.questions, *SETTINGS,
            *arguments,
        )  # fmt: skip


@pytest.fixture(scope="session")
def night(tmp_path_factory) -> Night:
    folder = tmp_path_factory.mktemp("night")
    source = folder / "studies"
    write_scan(source / f"{MARK} one.nii.gz", 1)
    write_scan(source / "two" / "deep" / "scan.nii.gz", 2)
    write_ct_series(source / "dicom" / "first", PatientName=f"{MARK}^Name")
    few = write_ct_series(source / "dicom" / "second", SeriesNumber=9)
    for file in few[10:]:
        file.unlink()
    write_scan(source / "several" / "ct.nii.gz", 3)
    write_scan(source / "several" / "other.nii.gz", 4)
    whole = write_scan(folder / "whole.nii.gz")
    (source / f"{MARK} cut.nii.gz").write_bytes(whole.read_bytes()[:1500])
    (source / "empty").mkdir()
    (source / "notes.txt").write_text("no study", encoding="utf-8")
    questions = folder / "questions.yaml"
    questions.write_text(QUESTIONS, encoding="utf-8")
    out = folder / "out"
    line = command("batch", source, "--out", out, "--questions", questions, "--json", *SETTINGS)
    with open(folder / "stdout", "w+") as said, open(folder / "stderr", "w+") as told:
        process = subprocess.Popen(line, env=environment(), stdout=said, stderr=told)
        watched = _watch(process)
        said.seek(0)
        told.seek(0)
        ended = subprocess.CompletedProcess(line, process.returncode, said.read(), told.read())
    return Night(source, questions, out, ended, watched)


def _watch(process: subprocess.Popen[bytes]) -> Watched:
    watched = Watched(set(), {}, "", "")
    root = psutil.Process(process.pid)
    while process.poll() is None:
        for one in _processes(root):
            try:
                watched.addresses |= {
                    connection.laddr.ip
                    for connection in one.net_connections("inet")
                    if connection.status == psutil.CONN_LISTEN
                }
                watched.arguments += " ".join(one.cmdline()) + "\n"
            except psutil.Error:
                continue
        for folder in Path("/tmp").glob(f"med2e3-ray-{process.pid}-*"):
            watched.log_folders[folder] = stat.S_IMODE(folder.stat().st_mode)
            watched.told = _texts(folder) or watched.told
        time.sleep(1)
    return watched


def _processes(root: psutil.Process) -> list[psutil.Process]:
    try:
        return root.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _texts(folder: Path) -> str:
    found = []
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                found.append(path.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
    return "\n".join(found)


def test_each_study_ends_as_it_should_and_the_status_tells_that_some_failed(night):
    assert night.ended.returncode == 3, night.ended.stderr
    found = rows(night.out)
    assert {study: row["status"] for study, row in found.items()} == {
        f"{MARK} one.nii.gz": "partial",
        "two": "partial",
        "dicom": "done",
        "several": "failed",
        f"{MARK} cut.nii.gz": "failed",
        "empty": "failed",
    }
    assert "2 scans" in found["several"]["error"]
    assert "cut or damaged" in found[f"{MARK} cut.nii.gz"]["error"]
    assert "no DICOM image" in found["empty"]["error"]
    assert "is a file" in found["two"]["error"]


def test_the_summary_counts_them(night):
    summary = json.loads(night.ended.stdout)
    assert summary.pop("seconds") > 0
    assert summary == {
        "studies": 6,
        "done": 1,
        "partial": 2,
        "failed": 3,
        "before": 0,
        "table": str(night.out / "manifest.parquet"),
    }


def test_stderr_has_the_bar_and_nothing_else(night):
    lines = [line for line in night.ended.stderr.replace("\r", "\n").split("\n") if line.strip()]
    assert lines
    assert [line for line in lines if not line.startswith("studies:")] == []


def test_a_row_tells_what_was_read_by_whom_and_how_long_it_took(night):
    row = rows(night.out)["dicom"]
    assert (
        row["series"]
        == dcmread(next((night.source / "dicom" / "first").iterdir())).SeriesInstanceUID
    )
    assert any("2 series" in warning for warning in row["warnings"])
    assert row["path"] == str(night.source / "dicom")
    assert len(row["model_sha256"]) == 64
    assert row["started_at"] < row["finished_at"]
    for step in ("read", "preprocess", "encode", "report", "questions", "write"):
        assert row[f"{step}_seconds"] > 0
    assert row["node"]


def test_a_study_has_the_files_of_med2e3_report(night, tmp_path):
    row = rows(night.out)[f"{MARK} one.nii.gz"]
    folder = night.out / row["folder"]
    alone = tmp_path / "alone"
    scan = night.source / f"{MARK} one.nii.gz"
    ended = med2e3("report", scan, "--out", alone, "--max-new-tokens", 4)
    assert ended.returncode == 0, ended.stderr
    assert {path.name for path in alone.iterdir()} == REPORT_FILES
    assert {path.name for path in folder.iterdir()} == {*REPORT_FILES, "outcome.json", "questions"}
    together, once = (
        json.loads((place / "result.json").read_text(encoding="utf-8")) for place in (folder, alone)
    )
    assert set(together["timings"]) == set(once["timings"])
    for answer in (together, once):
        del answer["timings"]
    for name in ("slice_scores", "token_probabilities"):
        assert together.pop(name) == pytest.approx(once.pop(name), abs=1e-5)
    for places in (together.pop("slices"), once.pop("slices")):
        assert len(places) == 32
    for sentences in (together["sentences"], once["sentences"]):
        for sentence in sentences:
            sentence["confidence"] = pytest.approx(sentence["confidence"], abs=1e-5)
    assert together == once
    assert (folder / "report.txt").read_bytes() == (alone / "report.txt").read_bytes()
    heatmaps = [nibabel.load(place / "attention.nii.gz") for place in (folder, alone)]
    np.testing.assert_allclose(heatmaps[0].affine, heatmaps[1].affine)
    np.testing.assert_allclose(heatmaps[0].get_fdata(), heatmaps[1].get_fdata(), atol=1e-5)


def test_every_question_has_its_answer(night):
    for study in (f"{MARK} one.nii.gz", "two", "dicom"):
        place = night.out / rows(night.out)[study]["folder"] / "questions"
        assert {path.name for path in place.iterdir()} == {"effusion", "phase"}
        answer = json.loads((place / "phase" / "result.json").read_text(encoding="utf-8"))
        assert answer["kind"] == "answer"
        assert answer["question"] == "In which phase was it taken?"
        assert DRAFT_MARK in (place / "phase" / "answer.txt").read_text(encoding="utf-8")


def test_dicom_objects_belong_to_the_series_that_was_read(night):
    row = rows(night.out)["dicom"]
    objects = [dcmread(file) for file in (night.out / row["folder"] / "dicom").iterdir()]
    assert sorted(one.Modality for one in objects) == ["KO", "OT", "SR"]
    source = dcmread(next((night.source / "dicom" / "first").iterdir()))
    assert {one.StudyInstanceUID for one in objects} == {source.StudyInstanceUID}


@linux
def test_nobody_else_can_reach_ray_or_read_its_logs(night):
    assert night.watched.addresses == {"127.0.0.1"} | night.watched.addresses & {"::ffff:127.0.0.1"}
    assert len(night.watched.log_folders) == 1
    assert set(night.watched.log_folders.values()) == {0o700}


@linux
def test_logs_and_command_lines_of_ray_tell_nothing_of_the_studies(night):
    assert "session" in night.watched.arguments
    assert len(night.watched.told) > 1000
    assert MARK not in night.watched.told
    # Only the command itself was given the folder.
    assert str(night.source) not in night.watched.arguments
    assert str(night.source) not in night.watched.told


@linux
def test_nothing_of_ray_is_left(night):
    (folder,) = night.watched.log_folders
    assert not folder.exists()
    left = [
        process.cmdline()
        for process in psutil.process_iter()
        if folder.name in " ".join(process.cmdline())
    ]
    assert left == []
    assert {path.name for path in night.out.iterdir()} <= {
        "studies", "failed", "settings.json", "manifest.parquet", ".lock",
    }  # fmt: skip


def test_the_table_is_made_again_from_what_is_there(night, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(night.out, out)
    (out / "manifest.parquet").unlink()
    good = tmp_path / "good.csv"
    good.write_text(
        f"study;path;series;age\ntwo;{night.source / 'two'};;61\n", encoding="utf-8-sig"
    )
    ended = med2e3(
        "batch", good, "--out", out, "--questions", night.questions, *SETTINGS,
        env={**environment(), "RAY_ADDRESS": "nowhere:1"},
    )  # fmt: skip
    # Nothing is left to do, so Ray is not even asked; the one study has no DICOM objects.
    assert ended.returncode == 3, ended.stderr
    assert ended.stdout.startswith("0 of 1 studies done, 1 without DICOM objects, 1 were there")
    assert rows(out) == rows(night.out)
    for name in os.listdir(night.out / "studies"):
        file = Path("studies", name, "outcome.json")
        assert (out / file).read_bytes() == (night.out / file).read_bytes()
