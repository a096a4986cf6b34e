"""The field's benchmarks, from data in their published layouts to figures and a page."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from evaluation.published import write_ct_rate, write_m3d
from med2e3.evaluation.benchmarks.items import BENCHMARKS, Item
from med2e3.evaluation.benchmarks.measuring import measure_rows
from med2e3.evaluation.benchmarks.running import Row
from med2e3.evaluation.text_metrics import compare, text_metrics
from med2e3.phantoms.questions import QUESTION_TYPES
from other_checkpoints import VOLUME, write_lamed


@pytest.fixture(scope="module")
def m3d(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("m3d")
    write_m3d(folder, 3, model.configuration.vision3d.volume_size)
    return folder


@pytest.fixture(scope="module")
def rate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ct-rate")
    write_ct_rate(folder, 2)
    return folder


def rows_of(out: Path) -> dict[str, dict]:
    lines = (out / "answers.jsonl").read_text("utf-8").splitlines()[1:]
    rows = [json.loads(line) for line in lines]
    assert len({row["identifier"] for row in rows}) == len(rows)
    return {row["identifier"]: row for row in rows}


def test_closed_questions_of_m3d_vqa(med2e3, m3d, tmp_path):
    ended = med2e3("evaluate", "m3d-vqa-closed", m3d, "--out", tmp_path, "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    with (m3d / "M3D_VQA_test.csv").open() as file:
        table = list(csv.DictReader(file))
    rows = rows_of(tmp_path)
    assert found["items"] == len(table) == len(rows)
    assert found["unread"] == {}
    # The released rule by hand, for each kind.
    for number, kind in enumerate(QUESTION_TYPES, 1):
        right = [
            row["Answer Choice"] + "." in rows[f"test-{place}"]["text"]
            for place, row in enumerate(table)
            if row["Question Type"] == str(number)
        ]
        if right:
            mean = sum(right) / len(right)
            assert found["kinds"][kind]["accuracy"]["mean"] == pytest.approx(mean)
            assert found["kinds"][kind]["items"] == len(right)
    means = [kind["accuracy"]["mean"] for kind in found["kinds"].values()]
    assert found["macro"]["accuracy"] == pytest.approx(sum(means) / len(means))
    assert found["controls"].keys() == {"blank", "shuffled", "swapped"}
    assert all(len(row["scores"]) == 32 for row in rows.values())

    page = (tmp_path / "benchmark.html").read_text("utf-8")
    assert not re.search(r"(src|href)=.(?!data:image/png;base64,)", page)
    assert found["mark"] in page
    assert json.loads((tmp_path / "benchmark.json").read_text("utf-8")) == found


def test_a_run_that_was_stopped_goes_on_to_the_same_end(med2e3, m3d, tmp_path):
    arguments = ("evaluate", "m3d-vqa-closed", m3d, "--controlled", 2, "--json", "--out", tmp_path)
    whole = med2e3(*arguments).stdout
    written = (tmp_path / "answers.jsonl").read_text("utf-8")
    lines = written.splitlines(keepends=True)
    (tmp_path / "answers.jsonl").write_text("".join(lines[:3]) + lines[3][:20], "utf-8")
    assert med2e3(*arguments).stdout == whole
    again = (tmp_path / "answers.jsonl").read_text("utf-8")
    assert sorted(again.splitlines()) == sorted(written.splitlines())
    # What is there is not asked again.
    (tmp_path / "answers.jsonl").write_text(
        again.replace(lines[1], lines[1].replace('"text": "', '"text": "D. ')), "utf-8"
    )
    changed = json.loads(lines[1])["identifier"]
    med2e3(*arguments)
    assert rows_of(tmp_path)[changed]["text"].startswith("D. ")


def test_on_ray_the_answers_are_the_same(m3d, tmp_path):
    pytest.importorskip("ray", reason="needs the packages of med2e3[cohort]")

    def run(out: Path, *options: str) -> dict:
        command = ["evaluate", "m3d-vqa-closed", m3d, "--controlled", "2", "--json", "--out", out]
        ended = subprocess.run(
            [sys.executable, "-m", "med2e3", *command, *options],
            env={**os.environ, "RAY_worker_niceness": "0", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    assert run(tmp_path / "ray", "--workers", "2") == run(tmp_path / "here")
    there, here = rows_of(tmp_path / "ray"), rows_of(tmp_path / "here")
    assert {identifier: row["text"] for identifier, row in there.items()} == {
        identifier: row["text"] for identifier, row in here.items()
    }


def test_a_family_without_slice_scores_is_examined_like_the_others(med2e3, tmp_path):
    write_m3d(tmp_path / "m3d", 1, VOLUME)
    write_lamed(tmp_path / "model")
    ended = med2e3(
        "evaluate", "m3d-cap", tmp_path / "m3d", "--model", tmp_path / "model", "--out",
        tmp_path / "out", "--json",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    (row,) = rows_of(tmp_path / "out").values()
    assert row["scores"] == []
    assert row["text"]


def test_answers_to_other_questions_are_not_mixed_in(med2e3, m3d, tmp_path):
    assert med2e3("evaluate", "m3d-vqa-closed", m3d, "--out", tmp_path).returncode == 0
    ended = med2e3("evaluate", "m3d-vqa-open", m3d, "--out", tmp_path)
    assert ended.returncode == 2
    assert "choose another folder with --out" in ended.stderr


@pytest.mark.parametrize("name", ["m3d-cap", "m3d-vqa-open"])
def test_texts_of_m3d(med2e3, m3d, tmp_path, name):
    found = json.loads(med2e3("evaluate", name, m3d, "--out", tmp_path, "--json").stdout)
    items = BENCHMARKS[name].read(m3d, "test")
    rows = rows_of(tmp_path)
    metrics = text_metrics()
    for kind, figures in found["kinds"].items():
        scores = [
            compare(rows[item.identifier]["text"], item.reference, metrics)
            for item in items
            if item.kind == kind
        ]
        assert figures["items"] == len(scores)
        for metric in metrics:
            mean = sum(score[metric] for score in scores) / len(scores)
            assert figures[metric]["mean"] == pytest.approx(mean)
            low, high = figures[metric]["interval"]
            assert low <= figures[metric]["mean"] <= high


def test_ct_rate_from_nifti_files(med2e3, rate, tmp_path):
    ended = med2e3("evaluate", "ct-rate", rate, "--out", tmp_path, "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["kinds"].keys() == {"report", "multiple choice", "short answer"}
    assert "rougeL" in found["kinds"]["report"]
    items = BENCHMARKS["ct-rate"].read(rate, "valid")
    closed = next(item for item in items if item.choices)
    assert closed.letter in closed.choices
    assert "(" not in closed.question
    assert f"({closed.letter}) {closed.choices[closed.letter]}" in closed.asked
    reports = [item for item in items if item.kind == "report"]
    assert len(reports) == 2


def test_a_volume_that_is_missing_is_named_and_the_rest_goes_on(med2e3, m3d, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(m3d, data)
    missing = sorted((data / "test").glob("3000001.npy"))[0]
    missing.unlink()
    ended = med2e3("evaluate", "m3d-cap", data, "--out", tmp_path / "out", "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert list(found["unread"]) == [str(missing)]
    assert found["kinds"]["report"]["items"] == 2
    assert missing.name in (tmp_path / "out" / "benchmark.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: (folder / "M3D_VQA_test.csv").unlink(), "holds no M3D_VQA_test.csv"),
        (
            lambda folder: (folder / "M3D_VQA_test.csv").write_text("Question\nWhere?\n"),
            "lacks the column Image Path",
        ),
        (lambda folder: shutil.rmtree(folder), "There is no folder"),
    ],
)
def test_files_that_are_not_as_published_are_told(med2e3, m3d, tmp_path, spoil, told):
    data = tmp_path / "data"
    shutil.copytree(m3d, data)
    spoil(data)
    ended = med2e3("evaluate", "m3d-vqa-closed", data, "--out", tmp_path / "out")
    assert ended.returncode == 2
    assert told in ended.stderr
    assert not (tmp_path / "out").exists()


def test_the_figures_by_hand():
    choices = {"A": "liver", "B": "spleen", "C": "kidney", "D": "lung"}

    def item(number: int, volume: str, kind: str, letter: str) -> Item:
        return Item(
            str(number), Path(volume), kind, "Which?", "Which? Choices", letter, choices, letter
        )

    items = [
        item(1, "one", "organ", "A"),
        item(2, "one", "organ", "B"),
        item(3, "two", "plane", "C"),
        item(4, "three", "plane", "D"),
    ]
    rows = {
        "1": Row("1", "A. liver", controls={"blank": "A. liver"}),
        # Right by the released rule, for the letter is somewhere; not by the stricter one.
        "2": Row("2", "A. liver or B. spleen", controls={"blank": "C. kidney"}),
        "3": Row("3", "It is C", ended=False),
        "4": Row("4", fault="The volume three is missing."),
    }
    found = measure_rows(BENCHMARKS["m3d-vqa-closed"], items, rows, {})
    assert found["kinds"]["organ"]["accuracy"]["mean"] == 1
    assert found["kinds"]["organ"]["accuracy_strict"]["mean"] == 0.5
    assert found["kinds"]["plane"]["accuracy"]["mean"] == 0
    assert found["macro"] == {"accuracy": 0.5, "accuracy_strict": 0.25}
    assert found["micro"]["accuracy"]["mean"] == pytest.approx(2 / 3)
    assert found["unread"] == {"three": "The volume three is missing."}
    assert found["cut_texts"] == 1
    assert found["controls"]["blank"] == {"items": 2, "accuracy": 0.5, "as_it_is": 1}
