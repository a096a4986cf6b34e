"""What can be wrong with a cohort before any study is read: a sentence, and status 2."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from cohort.conftest import write_scan
from med2e3.command.main import main


@pytest.fixture
def refused(capsys, monkeypatch, tmp_path):
    """The sentence with which the command ends in this process; Ray never starts for it."""

    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["med2e3", "batch", *map(str, arguments)])
        monkeypatch.delenv("MED2E3_DEBUG", raising=False)
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert ended.value.code == 2
        assert printed.out == ""
        assert "Traceback" not in printed.err
        return printed.err

    return run


@pytest.fixture
def scans(tmp_path) -> Path:
    write_scan(tmp_path / "scans" / "one.nii.gz")
    return tmp_path / "scans"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("none.csv", None, "no manifest or folder"),
        ("scan.nii", "", "med2e3 report"),
        ("empty.csv", "path\n", "names no study"),
        ("pathless.csv", "study,path\nA,\n", "Row 1"),
        ("other.csv", "file\na.nii\n", "Row 1"),
        ("twice.csv", "path,study\na.nii,A\nb.nii,A\n", "two studies"),
        ("capitals.csv", "path,study\na.nii,A\nb.nii,a\n", "capitals"),
        ("broken.json", "[{", "damaged"),
        ("object.json", '{"path": "a.nii"}', "list of objects"),
        ("broken.parquet", "PAR", "damaged"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_told(refused, tmp_path, name, text, said):
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert said.lower() in refused(tmp_path / name, "--out", tmp_path / "out").lower()
    assert not (tmp_path / "out").exists()


def test_a_folder_without_studies_is_told(refused, tmp_path):
    (tmp_path / "series").mkdir()
    (tmp_path / "series" / "IM0001").write_bytes(bytes(132))
    assert "no study" in refused(tmp_path / "series", "--out", tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no questions"),
        ("- Is there a mass?", "no questions"),
        ("mass: [", "no YAML"),
        ("../mass: Is there a mass?", "folder of that name"),
        ("mass: ''", "no question under mass"),
        ("mass: 1", "no question under mass"),
        ("mass: Is it?\nMASS: Is it?", "capitals"),
    ],
)
def test_questions_that_cannot_be_asked_are_told(refused, scans, tmp_path, text, said):
    questions = tmp_path / "questions.yaml"
    questions.write_text(text, encoding="utf-8")
    assert said in refused(scans, "--out", tmp_path / "out", "--questions", questions)


def test_settings_that_would_fail_for_every_study_are_told_before(refused, scans, tmp_path):
    out = ["--out", tmp_path / "out"]
    assert "wide" in refused(scans, *out, "--window", "wide")
    assert "none here" in refused(scans, *out, "--model", tmp_path / "none here")
    assert not (tmp_path / "out").exists()


def test_an_out_that_is_a_file_is_told(refused, scans, tmp_path):
    assert "--out" in refused(scans, "--out", scans / "one.nii.gz")


def test_results_of_other_settings_are_not_mixed(refused, scans, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "settings.json").write_text(json.dumps({"window": "lung"}), encoding="ascii")
    assert "other settings" in refused(scans, "--out", out)
    (out / "settings.json").write_text("{", encoding="ascii")
    assert "damaged" in refused(scans, "--out", out)
    (out / "settings.json").unlink()
    (out / "studies" / "one").mkdir(parents=True)
    assert "settings.json" in refused(scans, "--out", out)


def test_two_runs_cannot_write_into_one_folder(refused, scans, tmp_path):
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".lock"):
        assert "Another run" in refused(scans, "--out", tmp_path / "out")


@pytest.mark.parametrize(
    ("address", "said"), [("127.0.0.1:9", "no Ray cluster"), ("nowhere", "HOST:PORT")]
)
def test_an_address_without_a_cluster_is_told(refused, scans, tmp_path, address, said):
    assert said in refused(scans, "--out", tmp_path / "out", "--ray-address", address)


def test_a_missing_package_is_named(capsys, monkeypatch, scans, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr(sys, "argv", ["med2e3", "batch", str(scans), "--out", str(tmp_path / "o")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "med2e3[cohort]" in capsys.readouterr().err
