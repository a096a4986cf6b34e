"""Any name, any place and any locale: what is asked for is done, or a sentence says what to do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reliability.file_cases import FORMATS, series, voxels
from reliability.record import tried
from reliability.volume_cases import placed
from reliability.volume_files import write_volume
from volume.conftest import as_ordinary_user, open_folder  # noqa: F401 - fixtures

NAMES = [
    "a b", "R&D (1) [2] {3}", "it's \"so\"; #1!", "胸部CT 検査", "Грудная клетка", "صدر المريض",
    "%s %(x)s {0} $HOME `id`", "-rf", "e\u0301 and \u00e9", "x" * 240, "検" * 80,
]  # fmt: skip
TOPIC = "Paths and locale"
QUESTION = "Где? どこ “où”?"


def named(name: str) -> str:
    return f"{len(name)} characters" if len(name) > 60 else name


@pytest.mark.parametrize("name", NAMES, ids=named)
def test_every_path_of_a_report_bears_the_name(med2e3, tmp_path, name):
    home = tmp_path / name
    home.mkdir()
    series().set(FrameOfReferenceUID="1.2.3.4").write(home / "dicom")
    model = home / "model"
    shutil.copytree(Path(__file__).parents[2] / "Med2E3Slicer" / "med2e3" / "embedded", model)
    pdf, out, objects = home / "report.pdf", home / name, home / "objects"
    ended = med2e3(
        "report", home / "dicom", "--model", model, "--out", out, "--pdf", pdf, "--dicom", objects,
        "--max-new-tokens", 2, "--json",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    answer = json.loads(ended.stdout)
    assert json.loads((out / "result.json").read_text(encoding="utf-8")) == answer
    assert {path.name for path in out.iterdir()} == {
        "report.txt", "result.json", "attention.nii.gz", "attention.png"
    }  # fmt: skip
    assert pdf.read_bytes().startswith(b"%PDF")
    assert any(objects.iterdir())
    assert {path.name for path in home.iterdir()} == {
        "dicom", "model", "report.pdf", name, "objects"
    }  # fmt: skip
    tried(TOPIC, "a name for scan, model, --out, --pdf and --dicom", 1, "everything written there")


@pytest.mark.parametrize("name", NAMES, ids=named)
def test_every_format_is_read_under_the_name(med2e3, tmp_path, name):
    # A refusal takes no model, and says that the file was read to its end.
    for ending in ("nrrd", "mha", "nii", "nii.gz"):
        folder = tmp_path / ending / name
        folder.mkdir(parents=True)
        file = folder / f"{name}.{ending}"
        write_volume(file, np.full((3, 4, 5), 7, np.int16), placed())
        ended = med2e3("attend", file, "lung")
        assert ended.returncode == 2, ended.stderr
        assert "every voxel is 7" in ended.stderr
    tried(TOPIC, "a name for a file of each format and its folder", 4, "read")


def test_a_name_that_the_system_does_not_take(med2e3, tmp_path):
    ended = med2e3("attend", tmp_path / ("x" * 300), "lung")
    assert ended.returncode == 2
    assert ended.stderr.strip().endswith(".")
    ended = med2e3("attend", tmp_path / ("x" * 300) / "y.nii", "lung", "--out", tmp_path / "out")
    assert ended.returncode == 2
    scan = write_volume(tmp_path / "scan.nrrd", voxels(), placed())
    ended = med2e3("attend", scan, "lung", "--out", tmp_path / ("y" * 300))
    assert ended.returncode == 2
    assert "--out" in ended.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"scan.nrrd"}
    tried(TOPIC, "a name of 300 characters", 3, "refused with a sentence")


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_bytes_that_are_no_text_in_a_name(med2e3, tmp_path):
    scan = write_volume(tmp_path / os.fsdecode(b"scan \xff.nii"), voxels(), placed())
    out = tmp_path / os.fsdecode(b"out \xfe")
    ended = med2e3("attend", scan, "lung", "--json", "--out", out)
    assert ended.returncode == 0, ended.stderr
    assert json.loads((out / "result.json").read_text(encoding="utf-8"))
    folder = series().write(tmp_path / "series")
    last = sorted(folder.iterdir())[-1]
    last.rename(folder / os.fsdecode(b"\xe9\xff"))
    nrrd = write_volume(tmp_path / os.fsdecode(b"\xff.nrrd"), voxels(), placed())
    for path in (folder, nrrd):
        ended = med2e3("attend", path, "lung", "--json")
        assert ended.returncode == 2, ended.stderr
        assert "not in UTF-8" in ended.stderr
        assert "rename" in ended.stderr
    ended = med2e3("attend", tmp_path / os.fsdecode(b"no such \xff.nii"), "lung")
    assert ended.returncode == 2
    assert "There is no file" in ended.stderr
    tried(TOPIC, "a name that is no UTF-8", 5, "read and written, or refused with a sentence")


def test_a_folder_that_cannot_be_written(med2e3, open_folder, as_ordinary_user):  # noqa: F811
    scan = write_volume(open_folder / "scan.nrrd", voxels(), placed())
    closed = open_folder / "closed"
    closed.mkdir()
    scan.chmod(0o444)
    closed.chmod(0o555)
    # Whoever runs this as root may keep Python's own files from others; so they are loaded first.
    assert (
        med2e3("report", scan, "--max-new-tokens", 1, "--pdf", open_folder / "r.pdf").returncode
        == 0
    )
    with as_ordinary_user():
        ended = med2e3("report", scan, "--max-new-tokens", 1, "--out", closed)
        assert ended.returncode == 2, ended.stderr
        assert "cannot be written" in ended.stderr
        assert "--out" in ended.stderr
        ended = med2e3("report", scan, "--max-new-tokens", 1, "--out", closed / "new")
        assert ended.returncode == 2, ended.stderr
        ended = med2e3("report", scan, "--max-new-tokens", 1, "--pdf", closed / "r.pdf")
        assert ended.returncode == 2, ended.stderr
        assert "closed cannot be written" in ended.stderr
        # What is only read need not be writable.
        assert med2e3("attend", scan, "lung", "--json").returncode == 0
    assert list(closed.iterdir()) == []
    tried(TOPIC, "a folder that cannot be written", 3, "refused with a sentence, nothing in it")


@pytest.fixture(scope="session")
def german(tmp_path_factory):
    """The name of a locale with a decimal comma, which the system need not have installed."""
    folder = tmp_path_factory.mktemp("locale")
    localedef = shutil.which("localedef")
    if localedef:
        # Status 1 is for warnings.
        subprocess.run([localedef, "-i", "de_DE", "-f", "UTF-8", folder / "de_DE.UTF-8"],
                       capture_output=True)  # fmt: skip
    if not (folder / "de_DE.UTF-8").is_dir():
        pytest.skip("there is no localedef that could make a German locale")
    return folder


_EACH = """
import sys
from med2e3.command.main import main
for path in sys.argv[1:]:
    sys.argv = ["med2e3", "attend", path, "lung", "--json", "--window", "40.5,400.5"]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code
"""
"""One process for all files, since each takes seconds to load torch."""


def test_a_decimal_comma_changes_no_number(german, tmp_path):
    matrix = placed((0.75, 1.25, 2.5), origin=(1.5, 2.25, -3.125))
    files = [
        write_volume(tmp_path / f"scan.{ending}", voxels(), matrix)
        for ending in ("nrrd", "mha", "nii")
    ]
    files.append(series(origin=(-1.5, 2.25, 3.125)).write(tmp_path / "dicom"))
    (tmp_path / "packed").mkdir()
    files.append(FORMATS["NRRD, packed"][0](tmp_path / "packed"))

    def answers(**environment: str) -> list[dict]:
        ended = subprocess.run(
            [sys.executable, "-c", _EACH, *files],
            capture_output=True,
            env={**os.environ, **environment},
        )
        assert ended.returncode == 0, ended.stderr
        return [
            {**json.loads(line), "timings": {}}
            for line in ended.stdout.decode("ascii").splitlines()
        ]

    with_comma = answers(LOCPATH=str(german), LC_ALL="de_DE.UTF-8", LANG="de_DE.UTF-8")
    assert len(with_comma) == len(files)
    assert with_comma == answers(LC_ALL="C.UTF-8")
    tried(TOPIC, "a locale with a decimal comma, each format", len(files), "the same numbers")


@pytest.mark.parametrize("codec", ["ascii", "cp1252", "shift_jis"])
def test_a_terminal_that_cannot_show_every_character(tmp_path, codec):
    scan = write_volume(tmp_path / "scan.nrrd", voxels(), placed())
    environment = {**os.environ, "PYTHONUTF8": "0", "PYTHONIOENCODING": codec}
    command = [sys.executable, "-m", "med2e3", "ask", scan, QUESTION, "--max-new-tokens", "3"]
    for more in (["--json"], []):
        ended = subprocess.run([*command, *more], capture_output=True, env=environment)
        assert ended.returncode == 0, ended.stderr
        if more:
            assert json.loads(ended.stdout)["question"] == QUESTION
    tried(TOPIC, f"stdout in {codec}", 2, "answered, and JSON is whole")
