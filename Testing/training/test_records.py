"""Reading records: a bad one is named and left out, never trained on and never fatal."""

from __future__ import annotations

import json

import numpy as np
import pytest

from med2e3.errors import InputError
from med2e3.training.records import read_records
from training.small import SIZE, write_data


def spoil(folder, change):
    """Change the first record of a small data set."""
    file = write_data(folder)
    records = json.loads(file.read_text())
    change(records[0])
    file.write_text(json.dumps(records))
    return file


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: r.update(vision3d="train/none.npy"), "is missing"),
        (lambda r: r.update(vision3d="../other.npy"), "outside the image folder"),
        (lambda r: r.update(question=" "), "has no question"),
        (lambda r: r["conversations"][1].update(value=""), "answer is empty"),
        (lambda r: r["conversations"][0].update(value="What?"), "<image3d>"),
        (lambda r: r["conversations"].pop(), "not one question and one answer"),
    ],
)
def test_a_bad_record_is_named_and_left_out(tmp_path, change, reason):
    found = read_records([spoil(tmp_path, change)], tmp_path, SIZE)
    assert len(found.good) == 17
    (bad,) = found.bad
    assert bad.identifier == "train.json[0] 0-0"
    assert reason in bad.reason


@pytest.mark.parametrize(
    ("voxels", "reason"),
    [
        (np.zeros((1, 4, 32, 32), np.float32), "has the shape (1, 4, 32, 32)"),
        (np.full((1, *SIZE), np.nan, np.float32), "no numbers"),
        (np.full((1, *SIZE), 40, np.float32), "not from 0 to 1"),
        (np.zeros((1, *SIZE), np.int16), "int16"),
    ],
)
def test_a_bad_volume_takes_its_three_records_along(tmp_path, voxels, reason):
    file = write_data(tmp_path)
    np.save(tmp_path / "train" / "2.npy", voxels)
    found = read_records([file], tmp_path, SIZE)
    assert len(found.good) == 15
    assert all(reason in bad.reason for bad in found.bad)
    assert [bad.identifier.split()[1] for bad in found.bad] == ["2-0", "2-4", "2-1"]


def test_a_volume_cut_short_is_left_out(tmp_path):
    file = write_data(tmp_path)
    path = tmp_path / "train" / "1.npy"
    path.write_bytes(path.read_bytes()[:5000])
    assert "not a whole .npy file" in read_records([file], tmp_path, SIZE).bad[0].reason


def test_a_volume_that_went_bad_is_seen_although_it_was_looked_at_before(tmp_path):
    file, checked = write_data(tmp_path), tmp_path / "checked.json"
    assert not read_records([file], tmp_path, SIZE, checked=checked).bad
    looked = []
    read_records([file], tmp_path, SIZE, checked=checked, progress=lambda *of: looked.append(of))
    assert not looked
    np.save(tmp_path / "train" / "0.npy", np.full((1, *SIZE), np.inf, np.float32))
    assert len(read_records([file], tmp_path, SIZE, checked=checked).bad) == 3


def test_a_file_without_one_good_record_is_refused(tmp_path):
    file = tmp_path / "train.json"
    file.write_text('[{"id": "a"}]')
    with pytest.raises(InputError, match=r"holds no record that can be used.*train.json\[0\] a"):
        read_records([file], tmp_path, SIZE)


@pytest.mark.parametrize(("content", "told"), [("[1, 2", "not JSON"), ("{}", "no list")])
def test_a_broken_record_file_is_named(tmp_path, content, told):
    file = tmp_path / "train.json"
    file.write_text(content)
    with pytest.raises(InputError, match=told):
        read_records([file], tmp_path, SIZE)


def test_a_missing_record_file_is_named(tmp_path):
    with pytest.raises(InputError, match="There is no record file"):
        read_records([tmp_path / "train.json"], tmp_path, SIZE)
