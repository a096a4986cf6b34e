"""Ablations go from one start to a table, go on where they were, and refuse to mix."""

from __future__ import annotations

import dataclasses
import json

import pytest
import yaml

from med2e3.errors import InputError
from med2e3.evaluation import predicting
from med2e3.evaluation.ablations import (
    OtherTexts,
    Setup,
    from_stage_0,
    results_of,
    run_ablations,
)
from med2e3.evaluation.cases import Truth
from med2e3.evaluation.document import write_ablations, write_document
from med2e3.evaluation.evaluate import evaluate_model
from med2e3.phantoms.dataset import write_dataset
from med2e3.training import read_plan, train

SIZE = (32, 32, 32)
RECIPE = {
    "name": "tiny",
    "description": "For a test.",
    "seed": 0,
    "threads": 1,
    "data": {"train": ["train.json"]},
    "network": {
        "max_length": 400,
        "volume_size": list(SIZE),
        "vocabulary": {"prompt": 450, "scoring": 300},
        "llm": {
            "model_type": "phi3",
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "max_position_embeddings": 512,
        },
        "vision2d": {
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "patch_size": 8,
        },
        "vision3d": {
            "hidden_size": 16,
            "mlp_dim": 32,
            "num_layers": 1,
            "num_heads": 2,
            "patch_size": [4, 8, 8],
        },
        "text": {
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "max_position_embeddings": 256,
        },
    },
    "trainer": {"per_device_train_batch_size": 8, "max_steps": 1},
    "stages": [
        {"name": "language", "objective": "language", "train": {"llm": 1e-3}},
        {
            "name": "align",
            "objective": "answer",
            "after": ["language"],
            "train": {"vision2d_connector": 1e-3, "vision3d_connector": 1e-3, "text_mlp": 1e-3},
            "questions_per_volume": 4,
            "cache_features": True,
        },
        {
            "name": "tune",
            "objective": "answer",
            "after": ["align"],
            "train": {"llm": 1e-3, "vision2d_model": 1e-3},
            "questions_per_volume": 4,
            "cache_features": True,
        },
    ],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder, train=3, test=2, size=SIZE, workers=1)
    return folder


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
    return read_plan(path)


@pytest.fixture(scope="module")
def stage_0(tmp_path_factory, plan, data):
    run = tmp_path_factory.mktemp("run")
    train(plan, data, run, stages=["language"])
    return run


@pytest.fixture(scope="module")
def setup(tmp_path_factory, plan, data, stage_0):
    out = tmp_path_factory.mktemp("ablations")
    return Setup(from_stage_0(plan, stage_0, out), data, out, threads=1)


@pytest.fixture(scope="module")
def results(setup):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predicting, "REPORT_TOKENS", 8)
        patch.setattr(predicting, "ANSWER_TOKENS", 4)
        return run_ablations(setup, ["tg-is-other-text", "3d-only"], [0])


def test_the_stages_before_answers_are_shared(plan, stage_0, setup):
    assert [stage.name for stage in setup.plan.stages] == ["align", "tune"]
    assert [stage.after for stage in setup.plan.stages] == [(), ("align",)]
    start = setup.out / "stage-0"
    assert setup.plan.network == {"checkpoint": str(start)}
    language = stage_0 / "stages" / "language" / "model"
    for part, source in (("llm", language), ("vision2d_model", stage_0 / "initial")):
        weights = f"{part}/model.safetensors"
        assert (start / weights).read_bytes() == (source / weights).read_bytes()
    # A checkpoint is taken as it is.
    assert from_stage_0(plan, start, setup.out).network == {"checkpoint": str(start)}


def test_a_start_that_is_not_finished_is_refused(plan, tmp_path):
    with pytest.raises(InputError, match="neither a checkpoint nor"):
        from_stage_0(plan, tmp_path, tmp_path / "out")
    (tmp_path / "initial").mkdir()
    with pytest.raises(InputError, match="language is not finished"):
        from_stage_0(plan, tmp_path, tmp_path / "out")


def test_rows_come_in_the_order_of_the_table_with_all_figures(results, setup, data):
    assert [one.name for one in results.variants] == ["3d-only", "tg-is-other-text"]
    for one in results.variants:
        assert one.seeds == (0,)
        (figures,) = one.runs
        assert figures["volumes"] == 2
        assert figures["closed_accuracy"].keys() >= {"plane", "location", "mean"}
    assert results_of(setup.out / "ablations.json") == results
    three_d, guided = (one.runs[0]["attention"]["report"] for one in results.variants)
    # Each is examined as the network that it is: one prefers no slice, the other some.
    assert three_d["questions"] == guided["questions"] == 2
    assert three_d["auroc"] == 0.5
    assert guided["auroc"] != 0.5


def test_what_is_done_is_kept_and_more_seeds_can_follow(results, setup, monkeypatch):
    trained = []
    monkeypatch.setattr(
        "med2e3.evaluation.ablations._run", lambda job: trained.append(str(job)) or job
    )
    told = []
    again = run_ablations(
        setup, ["3d-only"], [0, 1], progress=lambda what, done, total: told.append((done, total))
    )
    assert trained == ["3d-only, seed 1"]
    assert told == [(1, 2), (2, 2)]
    assert again == results


def test_runs_of_another_recipe_do_not_mix(results, setup):
    longer = dataclasses.replace(setup.plan.stages[0], questions_per_volume=2)
    other = dataclasses.replace(setup.plan, stages=(longer, *setup.plan.stages[1:]))
    with pytest.raises(InputError, match="another data set, start or recipe"):
        run_ablations(dataclasses.replace(setup, plan=other), ["3d-only"], [0])
    with pytest.raises(InputError, match="another data set, start or recipe"):
        run_ablations(dataclasses.replace(setup, volumes=1), ["3d-only"], [0])
    with pytest.raises(InputError, match="no variant"):
        run_ablations(setup, ["4d-only"], [0])


def test_another_text_is_never_the_question_and_the_same_each_time(data):
    questions = [f"Question {number}?" for number in range(5)]
    others = OtherTexts(questions)
    given = {(v, q): others.of(v, q) for v in map(str, range(40)) for q in questions}
    assert all(text in questions and text != question for (_, question), text in given.items())
    assert given == {pair: OtherTexts(questions[::-1]).of(*pair) for pair in given}
    # No question has a code of its own: over the volumes it gets every other.
    assert {text for (_, q), text in given.items() if q == "Question 0?"} == set(questions[1:])
    truth = Truth("7", "chest", "", "", frozenset(), (), ())
    assert others(truth, "Question 1?") == given["7", "Question 1?"]
    with pytest.raises(InputError, match="one question alone"):
        OtherTexts(["Where?", "Where?"])


def test_the_records_to_train_with_have_the_other_texts_too(results, setup, data):
    before = json.loads((data / "train.json").read_text("utf-8"))
    after = json.loads((setup.out / "other-texts" / "train.json").read_text("utf-8"))
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        assert old["question"] != new["question"]
        assert {**old, "question": ""} == {**new, "question": ""}


def test_the_page_has_every_table_and_every_figure(results, model, cases, tmp_path, monkeypatch):
    monkeypatch.setattr(predicting, "REPORT_TOKENS", 8)
    monkeypatch.setattr(predicting, "ANSWER_TOKENS", 4)
    evaluation = evaluate_model(model, cases, controlled=1, examined=1)
    evaluation = json.loads(json.dumps(evaluation, allow_nan=False))
    page = write_document(tmp_path, evaluation).read_text("utf-8")
    assert model.identity.name in page
    assert "chance.**" not in page
    nothing = evaluation | {"model": evaluation["model"] | {"trained_on": "nothing"}}
    told = write_document(tmp_path / "untrained", nothing).read_text("utf-8")
    assert "**It is untrained: the figures are those of chance.**" in told
    variants = write_ablations(tmp_path, results).read_text("utf-8")
    for one in results.variants:
        assert f"| {one.label} |" in variants
        assert one.description in variants
    pictures = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert pictures == [
        f"evaluation-{name}.png" for name in ("ablations", "attention", "perturbation", "scores")
    ]
    for picture in pictures:
        assert f"(images/{picture})" in page + variants
        assert (tmp_path / "images" / picture).read_bytes().startswith(b"\x89PNG")
    table_rows = [
        line.count("|") for line in (page + variants).splitlines() if line.startswith("|")
    ]
    assert min(table_rows) >= 3
