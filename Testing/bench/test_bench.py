"""`med2e3 bench` measures both ways, and both give the same tokens."""

from __future__ import annotations

import json

import pytest
import torch

from med2e3.bench import around, comparing
from med2e3.bench.full_size import write_full_size
from med2e3.bench.released_way import eager
from med2e3.inference import VolumeSession
from med2e3.model import load_model
from med2e3.model.precision import BITS
from other_checkpoints import write_lamed

STAGES = {"encode", "score", "prefill", "decode", "first_token", "whole", "next_first_token"}


def test_every_stage_is_measured_in_every_precision(med2e3, tmp_path):
    arguments = ("--pairs", 2, "--tokens", 4, "--questions", 3, "--out", tmp_path / "out")
    ended = med2e3("bench", *arguments, "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert [one["dtype"] for one in found["precisions"]] == [*BITS, "auto"]
    for figures in found["precisions"]:
        assert set(figures["ours"]) >= STAGES
        assert all(seconds > 0 for seconds in figures["ours"].values())
        assert all(0 < share < 1.5 for share in figures["limit"].values())
        is_quantised = figures["dtype"] in ("int8", "int4")
        assert figures["runs"] == {"ours": 2, "released": 0 if is_quantised else 2}
        assert figures["memory_peak"] > 0
    exact = found["precisions"][0]
    assert exact["same_tokens"]
    assert exact["logits"]["error"] == 0
    # Fewer bits are farther away, and not lost.
    errors = [one["logits"]["error"] for one in found["precisions"][:4]]
    assert errors == sorted(errors)
    assert errors[-1] < 0.5
    assert all(value > 0 for value in found["ratios"].values())
    assert found["around"]["encoders"]["difference"] < 1e-3
    assert len(found["growth"]["first_token"]) == 3
    assert json.loads((tmp_path / "out" / "bench.json").read_text())["ratios"] == found["ratios"]
    for name in ("bench-stages.png", "bench-growth.png"):
        assert (tmp_path / "out" / name).stat().st_size > 10_000


def test_a_table_for_people(med2e3):
    arguments = ("--dtype", "float32", "--pairs", 1, "--released-pairs", 0, "--tokens", 2)
    ended = med2e3("bench", *arguments)
    assert ended.returncode == 0, ended.stderr
    assert "first token, next question" in ended.stdout
    assert "GB/s" in ended.stdout
    # What was not measured is not made up.
    assert ended.stdout.count("not measured") == len(comparing.RATIOS) - 1


def test_a_family_without_slices_is_measured_without_what_it_lacks(med2e3, tmp_path):
    write_lamed(tmp_path / "lamed")
    arguments = ("--model", tmp_path / "lamed", "--dtype", "float32", "--pairs", 1, "--tokens", 3)
    ended = med2e3("bench", *arguments, "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["precisions"][0]["ours"]["whole"] > 0
    assert found["precisions"][0]["runs"]["released"] == 0
    assert found["around"]["encoders"] is None
    assert found["ratios"]["encoders_onnx"] is None


def test_without_onnx_all_else_is_measured(monkeypatch):
    monkeypatch.setattr(around, "PACKAGES", ("no_such_package",))
    said = []
    assert around.encoders(None, said.append) is None
    assert "med2e3[onnx]" in said[0]


def test_attention_written_out_gives_the_same_tokens():
    model = load_model(device="cpu")
    size = model.configuration.vision3d.volume_size
    volume = torch.rand(1, *size, generator=torch.Generator().manual_seed(0))

    def written() -> list[int]:
        return VolumeSession(model, volume).generate("Which plane?", max_new_tokens=8).token_ids

    usual = written()
    with eager(model):
        assert written() == usual
    assert written() == usual


def test_a_model_and_full_size_together_are_refused(med2e3, tmp_path):
    ended = med2e3("bench", "--model", tmp_path, "--full-size", tmp_path / "full")
    assert ended.returncode == 2
    assert "either" in ended.stderr


def test_the_full_size_layout_is_the_released_one(tmp_path, monkeypatch):
    """With narrow parts, for the whole takes 8.7 GB."""
    from med2e3.bench import full_size

    monkeypatch.setitem(full_size._LLM, "hidden_size", 96)
    monkeypatch.setitem(full_size._LLM, "intermediate_size", 96)
    monkeypatch.setitem(full_size._LLM, "num_hidden_layers", 1)
    for name, value in (("hidden_size", 32), ("intermediate_size", 32), ("num_hidden_layers", 1)):
        monkeypatch.setitem(full_size._VISION_2D, name, value)
    for name, value in (("hidden_size", 24), ("mlp_dim", 24), ("num_layers", 1)):
        monkeypatch.setitem(full_size._VISION_3D, name, value)
    parts = []
    folder = write_full_size(tmp_path / "full", parts.append)
    assert parts[0] == "llm"
    model = load_model(folder)
    assert model.identity.trained_on == "nothing"
    # It is there now.
    write_full_size(folder, pytest.fail)
