"""Reading a recipe: what is wrong in it is named before anything costs time."""

from __future__ import annotations

import pytest

from med2e3.errors import InputError
from med2e3.training import read_plan
from training.small import recipe, write_recipe


def test_a_file_that_extends_another_holds_only_what_differs(tmp_path):
    write_recipe(tmp_path)
    changed = tmp_path / "changed.yaml"
    changed.write_text(
        "extends: recipe.yaml\nstages:\n- name: tune\n  train: {llm: null, text_mlp: 1e-2}\n"
    )
    tune = read_plan(changed).stage("tune")
    assert tune.train == {"vision2d_model": 1e-3, "vision2d_connector": 1e-3, "text_mlp": 1e-2}
    assert tune.after == ("align",)


def test_a_new_stage_of_an_extending_file_comes_before_the_one_that_follows_it_there(tmp_path):
    write_recipe(tmp_path)
    changed = tmp_path / "changed.yaml"
    changed.write_text(
        "extends: recipe.yaml\nstages:\n"
        "- {name: first, objective: language, train: {llm: 1e-3}}\n"
        "- {name: again, objective: language, train: {llm: 1e-3}}\n"
        "- {name: align, after: [again]}\n"
        "- {name: last, objective: answer, train: {llm: 1e-3}}\n"
    )
    plan = read_plan(changed)
    assert [stage.name for stage in plan.stages] == [
        "language", "ideal", "contrast", "words", "evidence", "first", "again", "align", "tune",
        "last",
    ]  # fmt: skip
    assert plan.stage("align").after == ("again",)


def test_single_settings_can_be_changed(tmp_path):
    path = write_recipe(tmp_path)
    plan = read_plan(
        path, ["seed=7", "stages.tune.trainer.max_steps=3", "stages.tune.train.llm=1e-4"]
    )
    assert (plan.seed, plan.stage("tune").trainer["max_steps"]) == (7, 3)
    assert plan.stage("tune").train["llm"] == 1e-4


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("stages.tune.sped=1", r"no setting stages\[6\].sped"),
        ("stages.tune.train.vision=1", "not vision"),
        ("stages.tune.train.llm=-1", "a learning rate above 0"),
        (
            "stages.tune.objective=guess",
            "one of answer, contrast, evidence, ideal, language, words",
        ),
        ("stages.tune.after=[later]", "an earlier stage, not 'later'"),
        ("stages.align.augment=true", "cache_features must be off"),
        ("stages.align.lora={r: 2}", "lora must be absent"),
        ("stages.language.exercises={letters: 2}", "shares from 0 to 1 of letters, statements"),
        ("stages.language.asked={report: 1}", "asked must be shares that leave something over"),
        (
            "stages.language.asked={closed riddle: 0.1}",
            "shares from 0 to 1 of report, closed plane",
        ),
        ("stages.language.exercises={riddles: 1}", "shares from 0 to 1 of letters, statements"),
        ("stages.align.evidence=2", "a share from 0 to 1"),
        ("weights=int4", "one of float32, bfloat16, float16"),
        ("data=7", "data must be a table"),
        ("stages.none.x=1", "there is no none"),
        ("seed", "takes NAME=VALUE"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, setting, told):
    with pytest.raises(InputError, match=told):
        read_plan(write_recipe(tmp_path), [setting])


def test_a_trainer_setting_that_there_is_not_is_named(tmp_path):
    from med2e3.training import train
    from training.small import write_data

    write_data(tmp_path / "data", volumes=2)
    values = recipe()
    values["trainer"] = {"learnig_rate": 1}
    with pytest.raises(InputError, match=r"stage language .*learnig_rate"):
        train(read_plan(write_recipe(tmp_path, values)), tmp_path / "data", tmp_path / "out")


@pytest.mark.parametrize(("content", "told"), [("a: [", "not YAML"), ("7", "no settings")])
def test_a_broken_file_is_named(tmp_path, content, told):
    (tmp_path / "recipe.yaml").write_text(content)
    with pytest.raises(InputError, match=told):
        read_plan(tmp_path / "recipe.yaml")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="There is no configuration file"):
        read_plan(tmp_path / "recipe.yaml")
