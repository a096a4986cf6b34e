"""Whole runs: every stage, what is written, kills, and the faults that end one with a sentence."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from med2e3.errors import InputError, Med2E3Error
from med2e3.inference import VolumeSession
from med2e3.model import load_model
from med2e3.training import read_plan, train
from training.small import SIZE, recipe, write_data, write_recipe

PARTS = ("llm", "vision2d_model", "vision2d_connector", "vision3d_model", "vision3d_connector")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {
        f"{part}/{name}": tensor
        for part in PARTS
        for name, tensor in load_file(folder / part / "model.safetensors").items()
    }


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], part: str) -> bool:
    return all(torch.equal(one[n], other[n]) for n in one if n.startswith(f"{part}/"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_data(folder / "data")
    train(read_plan(write_recipe(folder)), folder / "data", folder / "out")
    return folder


def test_a_run_through_all_stages_leaves_a_model_that_answers(trained):
    model = load_model(trained / "out" / "model", device="cpu")
    assert (model.identity.name, model.identity.trained_on) == ("small", "synthetic")
    session = VolumeSession(model, torch.rand(1, *SIZE))
    answer = session.generate("In which plane is this?", max_new_tokens=8)
    assert len(answer.attention.scores) == SIZE[0]


@pytest.mark.parametrize(
    ("stage", "before", "learned"),
    [
        ("language", "initial", {"llm"}),
        ("ideal", "stages/language/model", {"llm"}),
        ("contrast", "initial", {"vision2d_model", "vision3d_model"}),
        # text_mlp and the text encoder are kept with the 3D connector and the 3D encoder.
        ("words", "stages/contrast/model", {"vision2d_connector", "vision3d_connector"}),
        (
            "evidence",
            "stages/words/model",
            {"vision2d_connector", "vision3d_connector", "vision3d_model"},
        ),
        ("align", "stages/evidence/model", {"llm", "vision2d_connector", "vision3d_connector"}),
        ("tune", "stages/align/model", {"llm", "vision2d_model", "vision2d_connector"}),
    ],
)
def test_a_stage_changes_the_parts_that_it_trains_and_no_others(trained, stage, before, learned):
    # The language model of align differs from evidence's because it comes from the stage ideal.
    old = weights(trained / "out" / before)
    new = weights(trained / "out" / "stages" / stage / "model")
    assert {part for part in PARTS if not same(old, new, part)} == learned


def test_align_goes_on_from_both_branches_untouched(trained):
    new = weights(trained / "out" / "stages" / "align" / "model")
    for stage, part in (("ideal", "llm"), ("evidence", "vision3d_model")):
        assert same(new, weights(trained / "out" / "stages" / stage / "model"), part)


def test_what_was_done_is_written_down(trained):
    out = trained / "out"
    data = json.loads((out / "data.json").read_text())
    assert data["train"] == {"records": 18, "volumes": 6, "left_out": []}
    assert len(data["files"]["train.json"]) == 64
    card = (out / "model" / "README.md").read_text()
    assert "| tune | answer |" in card
    assert data["files"]["train.json"] in card
    assert "training data are synthetic CT" in card
    assert "nothing of patients" in card
    assert list((out / "stages" / "tune" / "metrics").glob("events*"))
    assert json.loads((out / "run.json").read_text())["torch"] == torch.__version__


def test_a_finished_run_is_not_trained_again_and_not_with_other_settings(trained, capsys):
    plan = read_plan(trained / "recipe.yaml")
    before = weights(trained / "out" / "model")
    train(plan, trained / "data", trained / "out")
    assert "tune: finished before." in capsys.readouterr().err
    assert all(same(before, weights(trained / "out" / "model"), part) for part in PARTS)
    other = read_plan(trained / "recipe.yaml", ["stages.tune.train.llm=0.5"])
    with pytest.raises(InputError, match="other settings"):
        train(other, trained / "data", trained / "out")


def test_a_killed_run_goes_on_to_the_same_weights(trained, tmp_path):
    """Killed in the middle of the last stage, where scores are dropped at random."""
    command = [
        sys.executable, "-m", "med2e3", "train", "--config", str(trained / "recipe.yaml"),
        "--data", str(trained / "data"), "--out", str(tmp_path / "out"),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    saved = tmp_path / "out" / "stages" / "tune" / "run" / "checkpoint-2"
    deadline = time.monotonic() + 200
    while not saved.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "out" / "model").exists()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    straight, resumed = (weights(folder / "out" / "model") for folder in (trained, tmp_path))
    assert [name for name in straight if not torch.equal(straight[name], resumed[name])] == []


def test_adapters_are_merged_and_leave_an_ordinary_checkpoint(trained, tmp_path):
    values = recipe()
    values["network"] = {"checkpoint": str(trained / "out" / "model")}
    values["stages"] = [
        {
            "name": "tune", "objective": "answer", "train": {"llm": 1e-2},
            "lora": {"r": 2, "lora_alpha": 4, "target_modules": ["qkv_proj"]},
        }
    ]  # fmt: skip
    train(read_plan(write_recipe(tmp_path, values)), trained / "data", tmp_path / "out")
    old, new = weights(trained / "out" / "model"), weights(tmp_path / "out" / "model")
    assert old.keys() == new.keys()
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    assert changed == {f"llm/model.layers.{n}.self_attn.qkv_proj.weight" for n in (0, 1)}


def test_a_loss_that_is_no_number_ends_with_a_sentence(trained, tmp_path):
    plan = read_plan(trained / "recipe.yaml", ["stages.language.train.llm=1e30"])
    with pytest.raises(Med2E3Error, match="The loss of the stage language became"):
        train(plan, trained / "data", tmp_path / "out", stages=["language"])


def test_a_full_disk_ends_with_a_sentence(trained, tmp_path, monkeypatch):
    def no_room(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    plan = read_plan(trained / "recipe.yaml")
    monkeypatch.setattr("med2e3.training.stage.save_part", no_room)
    with pytest.raises(InputError, match=r"is full; free some space and run the same command"):
        train(plan, trained / "data", tmp_path / "out", stages=["language"])


def test_a_stage_wants_those_before_it(trained, tmp_path):
    plan = read_plan(trained / "recipe.yaml")
    with pytest.raises(InputError, match="goes on from ideal, which is not finished"):
        train(plan, trained / "data", tmp_path / "out", stages=["align"])


def test_a_data_folder_that_is_not_there_ends_with_a_sentence(trained, tmp_path):
    with pytest.raises(InputError, match=r"There is no data folder .*nowhere"):
        train(read_plan(trained / "recipe.yaml"), tmp_path / "nowhere", tmp_path / "out")


def test_records_that_changed_are_not_gone_on_with(trained, tmp_path):
    write_data(tmp_path / "data", volumes=2)
    with pytest.raises(InputError, match="not those that the run"):
        train(read_plan(trained / "recipe.yaml"), tmp_path / "data", trained / "out")


def test_two_processes_share_a_run_and_leave_one_model(trained, tmp_path):
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "med2e3", "train", "--config", str(trained / "recipe.yaml"),
        "--data", str(trained / "data"), "--out", str(tmp_path / "out"),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert load_model(tmp_path / "out" / "model", device="cpu").identity.name == "small"
    steps = re.findall(r"language: step \d+ of (\d+)", ended.stderr)
    # Three batches an epoch are two rounds for two processes, and there are two epochs.
    assert set(steps) == {"4"}
