"""Data sets of phantoms: the released layout, made again the same, and gone on with."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from typer.testing import CliRunner

from med2e3.command.main import app
from med2e3.errors import InputError
from med2e3.phantoms import (
    DRAFT_GRID,
    QUESTION_TYPES,
    Grid,
    dataset,
    findings_in,
    make_phantom,
)
from med2e3.phantoms.dataset import write_dataset
from med2e3.phantoms.wording import FORMS
from med2e3.volume import Scan, prepare

SIZE = (32, 32, 32)
COUNTS = {"train": 6, "validation": 1, "test": 3}


def write(folder: Path, *, size=SIZE, workers=1, seed=0, **counts: int) -> None:
    write_dataset(folder, **(counts or COUNTS), size=size, workers=workers, seed=seed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "set"
    write(folder)
    return folder


@pytest.fixture
def copy(folder, tmp_path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def records(folder: Path, split: str) -> list[dict]:
    return json.loads((folder / f"{split}.json").read_text(encoding="utf-8"))


def every_record(folder: Path) -> list[dict]:
    return [record for split in COUNTS for record in records(folder, split)]


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_records_have_the_released_layout(folder):
    identifiers = set()
    for record in every_record(folder):
        human, gpt = record["conversations"]
        assert human["from"] == "human"
        assert human["value"].startswith("<image3d>\n")
        assert human["value"].count("<image3d>") == 1
        assert gpt["from"] == "gpt"
        assert gpt["value"]
        assert record["question"]
        assert 0 <= record["question_type"] <= 5
        assert (folder / record["vision3d"]).is_file()
        assert record["id"] not in identifiers
        identifiers.add(record["id"])


def test_each_volume_has_one_report_and_questions(folder):
    for split, count in COUNTS.items():
        by_volume: dict[str, Counter] = {}
        for record in records(folder, split):
            by_volume.setdefault(record["vision3d"], Counter())[record["question_type"]] += 1
        assert len(by_volume) == count
        for kinds in by_volume.values():
            assert kinds[0] == 1
            assert kinds[2] == 1
            assert sum(kinds.values()) >= 4
    asked = Counter(record["question_type"] for record in every_record(folder))
    assert asked.keys() == set(range(6))


def test_volumes_are_what_the_engine_makes_of_the_phantoms(folder):
    for record in records(folder, "test"):
        if record["question_type"]:
            continue
        truth = record["phantom"]
        volume = np.load(folder / record["vision3d"])
        assert volume.dtype == np.float16
        assert volume.shape == (1, *SIZE)
        assert volume.min() >= 0
        assert volume.max() <= 1
        phantom = make_phantom(truth["seed"], grid=DRAFT_GRID)
        scan = Scan(phantom.voxels, phantom.ijk_to_ras, "CT")
        prepared = prepare(scan, plane=truth["plane"], window="auto", size=SIZE)
        assert np.array_equal(volume, prepared.volume.numpy().astype(np.float16))
        assert (truth["region"], truth["phase"]) == (phantom.region, phantom.phase)


def test_the_truth_stands_beside_each_record(folder):
    for record in every_record(folder):
        truth, answer = record["phantom"], record["conversations"][1]["value"]
        claims = {(f["kind"], f["organ"], f["side"]) for f in truth["findings"]}
        assert truth["plane"] in truth["description"]
        assert set(truth["slices"]) <= set(range(SIZE[0]))
        assert truth["slices"]
        assert all(finding["slices"] for finding in truth["findings"])
        if record["question_type"] == 0:
            assert truth["asked"] == "report"
            assert findings_in(answer, truth["region"]) == claims
            continue
        right = truth["choices"][truth["letter"]]
        kind = QUESTION_TYPES[record["question_type"] - 1]
        asked = record["conversations"][0]["value"].removeprefix("<image3d>\n")
        if truth["asked"] == "closed":
            assert answer == f"{truth['letter']}. {right}"
            assert "Choices: A. " in asked
        else:
            assert answer.lower() == f"{right}."
            assert asked == record["question"]
        if kind == "plane":
            assert right == truth["plane"]
        if truth["depends_on"]:
            of_findings = [truth["findings"][number]["slices"] for number in truth["depends_on"]]
            assert set(truth["slices"]) == set().union(*of_findings)


def test_each_patch_tells_what_it_shows(folder):
    """Held against the voxels of the phantom, carried to the model's patches one by one."""
    record = next(r for r in every_record(folder) if r["phantom"]["findings"])
    truth = record["phantom"]
    cover = np.load(folder / truth["cover"])
    assert cover.dtype == np.uint8
    assert cover.shape == (
        len(truth["findings"]) + len(truth["organs"]), SIZE[0], SIZE[1] // 16, SIZE[2] // 16
    )  # fmt: skip
    phantom = make_phantom(truth["seed"], grid=DRAFT_GRID)
    scan = Scan(phantom.voxels, phantom.ijk_to_ras, "CT")
    geometry = prepare(scan, plane=truth["plane"], size=SIZE).geometry
    ijk_to_patch = np.linalg.inv(geometry.overlay_to_ijk)
    masks = [*(finding.mask for finding in phantom.findings), *phantom.organs.values()]
    for mask, covered in zip(masks, cover, strict=True):
        ijk = np.argwhere(mask)[:, ::-1]
        column, row, slice_ = np.rint(ijk_to_patch[:3] @ np.c_[ijk, np.ones(len(ijk))].T)
        voxels = np.zeros(covered.shape)
        inside = (column >= 0) & (row >= 0) & (slice_ >= 0) & (slice_ < covered.shape[0])
        inside &= (row < covered.shape[1]) & (column < covered.shape[2])
        places = tuple(axis[inside].astype(int) for axis in (slice_, row, column))
        np.add.at(voxels, places, 1)
        # A patch that is covered for the most part holds more of the mask's voxels than one that
        # is not covered at all.
        assert voxels[covered > 200].min(initial=np.inf) > voxels[covered == 0].max(initial=0)


def test_no_seed_and_no_paraphrase_is_shared(folder):
    seeds = {
        split: {record["phantom"]["seed"] for record in records(folder, split)} for split in COUNTS
    }
    assert seeds["train"] == set(range(1_000_000, 1_000_006))
    assert seeds["validation"] == {2_000_000}
    assert seeds["test"] == set(range(3_000_000, 3_000_003))
    reports = {split: FORMS["report"][split] for split in ("train", "test")}
    for split in COUNTS:
        wording = "train" if split == "train" else "test"
        for record in records(folder, split):
            if record["question_type"] == 0:
                assert record["question"] in reports[wording]


def test_what_was_made_is_told(folder):
    told = json.loads((folder / "dataset.json").read_text())
    assert told["size"] == list(SIZE)
    assert told["seed"] == 0
    assert told["generator"] >= 1
    for split, count in COUNTS.items():
        of_split = told["splits"][split]
        written = (folder / f"{split}.json").read_bytes()
        assert of_split["sha256"] == hashlib.sha256(written).hexdigest()
        assert of_split["volumes"] == count
        assert of_split["records"] == len(json.loads(written))
        assert of_split["first_seed"] == min(
            record["phantom"]["seed"] for record in json.loads(written)
        )


def test_the_number_of_processes_does_not_matter(folder, tmp_path):
    write(tmp_path / "set", workers=2)
    assert content(tmp_path / "set") == content(folder)


def test_what_is_whole_is_kept_and_the_rest_made_again(folder, copy):
    whole = copy / "train" / "1000002.npy"
    kept = whole.stat().st_mtime_ns, whole.stat().st_ino
    (copy / "train" / "1000000.npy").unlink()
    cut = copy / "train" / "1000001.npy"
    cut.write_bytes(cut.read_bytes()[:1000])
    (copy / "train" / "1000003.json").write_text('{"made":')
    (copy / "train.json").unlink()
    (copy / "dataset.json").unlink()
    told = []
    write_dataset(
        copy, **COUNTS, size=SIZE, workers=1, progress=lambda *counts: told.append(counts)
    )
    assert told == [(7, 10), (8, 10), (9, 10), (10, 10)]
    assert content(copy) == content(folder)
    assert (whole.stat().st_mtime_ns, whole.stat().st_ino) == kept


def test_a_data_set_grows(copy):
    before = records(copy, "test")
    write(copy, test=4)
    assert records(copy, "test")[: len(before)] == before
    assert len({record["vision3d"] for record in records(copy, "test")}) == 4
    told = json.loads((copy / "dataset.json").read_text())["splits"]
    assert told["train"]["volumes"] == 6
    assert told["test"]["volumes"] == 4


def test_another_seed_is_another_data_set(tmp_path):
    write(tmp_path, seed=10, test=1)
    assert {record["phantom"]["seed"] for record in records(tmp_path, "test")} == {3_000_010}


@pytest.mark.parametrize("other", [{"size": (16, 32, 32)}, {"seed": 3}])
def test_a_folder_holds_one_kind_of_data_set(copy, other):
    before = content(copy)
    with pytest.raises(InputError, match=r"another size, seed or generator; choose another"):
        write(copy, **other)
    assert content(copy) == before


def test_what_cannot_be_is_told(tmp_path):
    for wanted, sentence in (
        ({"train": 0}, "would be empty"),
        ({"train": 1, "seed": 1_000_000}, "choose a smaller seed"),
        ({"train": 1, "size": (0, 32, 32)}, "three numbers above 0"),
    ):
        with pytest.raises(InputError, match=sentence):
            write(tmp_path / "set", **wanted)
    assert not (tmp_path / "set").exists()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write(tmp_path / "file", train=1)
    (tmp_path / "dataset.json").write_text("[]")
    with pytest.raises(InputError, match="is not what `med2e3 phantom dataset` writes"):
        write(tmp_path, train=1)


def test_a_disk_that_will_not_do_is_told_at_once(tmp_path, monkeypatch):
    free = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    with pytest.raises(InputError, match=r"needs 0\.1 GB more .* has 0\.0 GB"):
        write(tmp_path, train=1000)
    assert not list(tmp_path.rglob("*.npy"))


def test_a_full_disk_leaves_nothing_unfinished(tmp_path, monkeypatch):
    replace_file, calls = os.replace, []

    def fills_up(source, target):
        calls.append(target)
        if len(calls) > 4:
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        replace_file(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fills_up)
        with pytest.raises(InputError, match=r"is full; make room and run the command again"):
            write(tmp_path, train=3)
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["1000000.cover.npy", "1000000.json", "1000000.npy", "1000001.npy"]
    write(tmp_path, train=3)
    assert len({record["vision3d"] for record in records(tmp_path, "train")}) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is not known there")
def test_a_killed_command_leaves_no_process_behind(tmp_path):
    command = [
        sys.executable, "-m", "med2e3", "phantom", "dataset", "--out", str(tmp_path), "--train",
        "500", "--size", "32", "64", "64", "--workers", "2",
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        drawers: list[psutil.Process] = []
        while len(drawers) < 2 or not list(tmp_path.rglob("*.npy")):
            assert process.poll() is None
            time.sleep(0.1)
            children = psutil.Process(process.pid).children()
            drawers = [one for one in children if "spawn_main" in " ".join(one.cmdline())]
        process.kill()
    _, alive = psutil.wait_procs(drawers, timeout=20)
    assert not alive


def test_the_common_plane_cannot_be_guessed(tmp_path, monkeypatch):
    """Most volumes are axial, but not most answers to which plane it is."""
    body = make_phantom(0, grid=Grid(8, 16, 16))
    monkeypatch.setattr(dataset, "make_phantom", lambda seed, grid: replace(body, seed=seed))
    write(tmp_path, train=120, size=(8, 8, 8))
    made = [(record["phantom"]["plane"], record) for record in records(tmp_path, "train")]
    planes = Counter(plane for plane, record in made if record["question_type"] == 0)
    answers = Counter(plane for plane, record in made if record["question_type"] == 1)
    assert planes["axial"] > 60
    assert max(answers.values()) <= 0.5 * answers.total()


def test_the_command(tmp_path):
    wanted = ["phantom", "dataset", "--out", str(tmp_path / "set"), "--test", "1", "--workers", "1"]
    ended = CliRunner().invoke(app, [*wanted, "--size", "16", "32", "32"])
    assert ended.exit_code == 0, ended.output
    assert "1 volumes of 16 x 32 x 32" in ended.output
    assert np.load(tmp_path / "set" / "test" / "3000000.npy").shape == (1, 16, 32, 32)
    ended = CliRunner().invoke(app, [*wanted, "--size", "16", "16", "16"])
    assert ended.exit_code == 2
    assert "choose another folder" in ended.output
