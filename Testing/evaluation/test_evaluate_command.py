"""``med2e3 evaluate`` as a person or a script runs it."""

from __future__ import annotations

import json

import pytest

from med2e3.phantoms.dataset import write_dataset

ASKED_FOR = {
    "closed_accuracy", "open_scores", "report_scores", "finding_f1", "false_finding_rate",
    "attention", "controls",
}  # fmt: skip


def test_one_json_object_about_fresh_phantoms(med2e3, tmp_path):
    ended = med2e3("evaluate", "phantom", "--count", 1, "--seed", 41, "--json", "--out", tmp_path)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found.keys() >= ASKED_FOR
    assert found["volumes"] == 1
    assert found["first_seed"] == 41
    assert found["closed_accuracy"].keys() == {
        *("plane", "phase", "organ", "abnormality", "location", "mean")
    }
    for figures in found["attention"].values():
        assert figures.keys() >= {"hit1", "hit3", "auroc", "mass_ratio", "effective_slices"}
    assert found == json.loads((tmp_path / "evaluation.json").read_text("utf-8"))

    page = med2e3("evaluate", "document", tmp_path / "evaluation.json", "--out", tmp_path / "docs")
    assert page.returncode == 0, page.stderr
    assert (tmp_path / "docs" / "evaluation.md").is_file()


def test_a_table_about_a_stored_split(med2e3, model, tmp_path):
    write_dataset(tmp_path, test=1, size=model.configuration.vision3d.volume_size, workers=1)
    ended = med2e3("evaluate", "phantom", "--data", tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "1 volumes" in ended.stdout
    assert "location" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--count", 10, "--seed", 1_000_000], "learned from"),
        (["--count", 10, "--seed", 999_999], "learned from"),
        (["--data", "nowhere"], "nowhere/test.json"),
        (["--ablations"], "need --data, --stage0 and --out"),
        (["--ablations", "--data", ".", "--stage0", ".", "--out", "out"], "config.yaml"),
        (["--model", "nowhere"], "no checkpoint folder"),
    ],
)
def test_what_cannot_be_evaluated_ends_as_a_sentence(med2e3, arguments, sentence):
    ended = med2e3("evaluate", "phantom", *arguments)
    assert ended.returncode == 2
    assert sentence in ended.stderr
    assert ended.stdout == ""


def test_a_page_of_nothing_is_refused(med2e3, tmp_path):
    ended = med2e3("evaluate", "document", "--out", tmp_path)
    assert ended.returncode == 2
    assert "--ablations" in ended.stderr
    assert not list(tmp_path.iterdir())


def test_a_page_of_something_else_is_refused(med2e3, tmp_path):
    (tmp_path / "a.json").write_text("{")
    ended = med2e3("evaluate", "document", tmp_path / "a.json", "--out", tmp_path)
    assert ended.returncode == 2
    assert "a.json" in ended.stderr
