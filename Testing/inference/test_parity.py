"""Every step of the network against what the released code computed from the same weights."""

from __future__ import annotations

from collections import defaultdict

import pytest

from med2e3.errors import InputError
from med2e3.inference.parity import Row, compare
from med2e3.model import load_model
from reference import REFERENCE, needs_reference

STEPS = {
    "preprocessed voxels", "2D encoder", "3D encoder", "2D tokens", "3D tokens", "question ids",
    "text embedding", "text vector", "slice logits", "slice scores", "slice logits, sum of patches",
    "fused tokens", "prompt ids", "first logits", "logits of all steps", "generated ids",
    "generated text",
}  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    model = load_model(REFERENCE, device="cpu", dtype="float32")
    return compare(model, REFERENCE / "cases.safetensors")


@needs_reference
def test_every_step_of_every_case_agrees_with_the_released_code(rows):
    differing = [row for row in rows if not row.agrees]
    assert differing == []


@needs_reference
def test_every_step_of_every_case_was_held(rows):
    steps = defaultdict(set)
    for row in rows:
        steps[row.case].add(row.step)
    assert set(steps) == {"case0", "case1", "case2", "trunc"}
    for case in ("case0", "case1", "case2"):
        assert steps[case] >= STEPS


@needs_reference
def test_a_network_that_differs_is_noticed(tmp_path):
    model = load_model(REFERENCE, device="cpu", dtype="float32")
    model.text_mlp.weight.add_(0.01)
    rows = compare(model, REFERENCE / "cases.safetensors")
    differing = {row.step for row in rows if not row.agrees}
    assert {"text vector", "slice scores", "fused tokens", "first logits"} <= differing
    assert not {"2D tokens", "3D tokens", "text embedding"} & differing


def test_figures_that_are_none_are_refused_by_name(tmp_path):
    path = tmp_path / "cases.safetensors"
    path.write_bytes(b"no figures")
    with pytest.raises(InputError, match=r"cases\.safetensors"):
        compare(load_model(), path)
    with pytest.raises(InputError, match=r"nowhere\.safetensors"):
        compare(load_model(), tmp_path / "nowhere.safetensors")
