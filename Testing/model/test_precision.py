"""Precisions: what each means on which machine, what it keeps, and what it changes."""

from __future__ import annotations

import json
import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from med2e3.errors import InputError
from med2e3.inference import VolumeSession
from med2e3.model import load_model, speeds
from med2e3.model.precision import BITS, Precision, Size, chosen_precision, fastest, fitting_a_card
from med2e3.model.quantised import EightBitLinear, FourBitLinear, quantised
from med2e3.model.speeds import Speeds, speeds_of_this_machine
from reference import REFERENCE, needs_reference

CPU = torch.device("cpu")

RELEASED = Size(
    linear=3_623_878_656, words=197_001_216, others=560_000_000, beside=660_000_000, prompt=576
)
"""About what the released model has."""

SMALL = Size(linear=10_000_000, words=100_000, others=5_000_000, beside=10_000, prompt=192)

# Bytes and operations a second, as two kinds of processor have them.
WITHOUT_BFLOAT16 = Speeds(
    {"float32": 77e9, "bfloat16": 21e9},
    {"float32": 19e9, "bfloat16": 22e9, "int8": 14e9, "int4": 10e9},
    8e8,
)
WITH_BFLOAT16 = Speeds(
    {"float32": 200e9, "bfloat16": 800e9},
    {"float32": 24e9, "bfloat16": 15e9, "int8": 12e9, "int4": 13e9},
    8e8,
)

GIGABYTE = 2**30


def chosen(name: str, machine: Speeds, size: Size = RELEASED) -> Precision:
    return chosen_precision(name, CPU, size, speeds=lambda: machine)


@pytest.mark.parametrize(
    ("machine", "computes"), [(WITHOUT_BFLOAT16, "float32"), (WITH_BFLOAT16, "bfloat16")]
)
def test_products_are_computed_in_what_the_processor_multiplies_faster(machine, computes):
    assert chosen("int8", machine) == Precision(computes, "int8")
    assert chosen("int4", machine) == Precision(computes, "int4")
    assert fastest(machine, 64 * GIGABYTE, RELEASED).computes == computes


def test_a_precision_that_is_named_is_taken_whatever_is_faster():
    assert chosen("float32", WITH_BFLOAT16) == Precision("float32", "float32")
    assert chosen("bfloat16", WITHOUT_BFLOAT16) == Precision("bfloat16", "bfloat16")


@pytest.mark.parametrize("machine", [WITHOUT_BFLOAT16, WITH_BFLOAT16])
def test_less_memory_never_brings_a_wider_model(machine):
    widths = [
        BITS[fastest(machine, free * GIGABYTE, RELEASED).weights] for free in (64, 12, 8, 5, 1)
    ]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == 4
    # 4 bits change words: with room for 8 nobody gets them unasked.
    assert 4 not in widths[:3]


def test_a_small_model_stays_in_float32_so_that_its_words_are_the_same_everywhere():
    def never() -> Speeds:
        raise AssertionError("nothing needs to be measured for it")

    found = chosen_precision("auto", CPU, SMALL, speeds=never)
    assert found == Precision("float32", "float32")


def test_a_card_gets_the_widest_model_that_fits_it():
    names = [fitting_a_card(free * GIGABYTE, RELEASED) for free in (24, 12, 8, 6)]
    assert names == ["bfloat16", "bfloat16", "int8", "int4"]


def test_an_unknown_precision_is_refused():
    with pytest.raises(InputError, match="float8"):
        chosen("float8", WITH_BFLOAT16)


def test_the_machine_is_measured_once(tmp_path, monkeypatch):
    measured = []
    monkeypatch.setattr(speeds, "measure", lambda: measured.append(1) or WITH_BFLOAT16)
    assert speeds_of_this_machine(tmp_path) == WITH_BFLOAT16
    assert speeds_of_this_machine(tmp_path) == WITH_BFLOAT16
    assert len(measured) == 1
    assert os.listdir(tmp_path) == ["speeds.json"]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"machine": null, "speeds": {}}'])
def test_a_spoilt_note_of_the_speeds_is_made_anew(tmp_path, monkeypatch, content):
    monkeypatch.setattr(speeds, "measure", lambda: WITHOUT_BFLOAT16)
    (tmp_path / "speeds.json").write_text(content, encoding="utf-8")
    assert speeds_of_this_machine(tmp_path) == WITHOUT_BFLOAT16
    assert json.loads((tmp_path / "speeds.json").read_text(encoding="utf-8"))["speeds"]


def test_speeds_that_cannot_be_kept_are_told_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(speeds, "measure", lambda: WITHOUT_BFLOAT16)
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert speeds_of_this_machine(tmp_path / "file") == WITHOUT_BFLOAT16


def test_what_is_measured_are_speeds():
    found = speeds.measure()
    assert set(found.products) == {"float32", "bfloat16"}
    assert set(found.bandwidth) == set(BITS)
    assert min(*found.products.values(), *found.bandwidth.values(), found.widened) > 1e6


@settings(max_examples=30, deadline=None)
@given(
    outputs=st.integers(1, 3).map(lambda n: 64 * n),
    width=st.integers(1, 3).map(lambda n: 64 * n),
    scale=st.sampled_from([1e-3, 0.02, 5.0]),
    has_bias=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_quantised_layers_are_near_the_layer_that_they_stand_for(
    outputs, width, scale, has_bias, seed
):
    torch.manual_seed(seed)
    weight = torch.randn(outputs, width) * scale
    bias = torch.randn(outputs) if has_bias else None
    for bits, most in ((8, 0.02), (4, 0.2)):
        layer = quantised(weight, bias, bits, torch.float32)
        for rows in (torch.randn(1, 1, width), torch.randn(2, 20, width)):
            exact = torch.nn.functional.linear(rows, weight, bias)
            found = layer(rows)
            assert found.shape == exact.shape
            assert found.dtype == rows.dtype
            without_bias = exact - (0 if bias is None else bias)
            assert (found - exact).norm() <= most * without_bias.norm() + 1e-2 * exact.norm()


def test_layers_of_zeros_stay_zeros():
    for bits in (8, 4):
        layer = quantised(torch.zeros(64, 64), None, bits, torch.float32)
        assert not layer(torch.randn(1, 64)).any()
        assert not layer(torch.randn(30, 64)).any()


def test_a_layer_whose_sizes_do_not_suit_4_bits_has_8():
    assert isinstance(quantised(torch.ones(64, 64), None, 4, torch.float32), FourBitLinear)
    for shape in ((60, 64), (64, 70), (1, 1)):
        layer = quantised(torch.randn(shape), None, 4, torch.float32)
        assert isinstance(layer, EightBitLinear)
        assert layer(torch.randn(1, shape[1])).shape == (1, shape[0])


def volume_for(model) -> torch.Tensor:
    size = model.configuration.vision3d.volume_size
    return torch.rand(1, *size, generator=torch.Generator().manual_seed(3))


def loaded(monkeypatch, dtype: str, folder=None, machine: Speeds = WITHOUT_BFLOAT16):
    monkeypatch.setattr(
        "med2e3.model.checkpoint.chosen_precision",
        lambda name, device, size: chosen_precision(name, device, size, speeds=lambda: machine),
    )
    return load_model(folder, device="cpu", dtype=dtype)


@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_fewer_bits_in_the_language_model_change_no_bit_of_the_scores(monkeypatch, dtype):
    question = "Is there a nodule in the left lung?"
    exact, smaller = loaded(monkeypatch, "float32"), loaded(monkeypatch, dtype)
    there = VolumeSession(exact, volume_for(exact)).attend(question)
    here = VolumeSession(smaller, volume_for(exact)).attend(question)
    assert (there.logits == here.logits).all()
    assert (there.patch_shares == here.patch_shares).all()
    written = VolumeSession(smaller, volume_for(exact)).generate(question, max_new_tokens=8)
    assert written.token_ids
    assert str(smaller.precision) == f"{dtype} (computed in float32)"


@needs_reference
def test_weights_kept_narrow_and_widened_to_compute_change_nothing(monkeypatch):
    """The released layout holds bfloat16; what is written from it in float32 is the same."""
    folder = REFERENCE
    exact = loaded(monkeypatch, "float32", folder)
    narrow = loaded(monkeypatch, "int8", folder)
    stored = [one.dtype for one in narrow.vision2d_model.parameters() if one.dim() == 2]
    assert min(dtype.itemsize for dtype in stored) <= 4
    volume = volume_for(exact)
    here, there = VolumeSession(narrow, volume).encode(), VolumeSession(exact, volume).encode()
    assert torch.equal(here.tokens_2d, there.tokens_2d)
    assert torch.equal(here.tokens_3d, there.tokens_3d)
    assert torch.equal(here.keys, there.keys)


def test_a_second_volume_is_encoded_alike_after_the_encoders_were_mapped_anew(monkeypatch):
    model = loaded(monkeypatch, "int8")
    before = next(model.vision2d_model.parameters())
    first = VolumeSession(model, volume_for(model)).encode()
    assert next(model.vision2d_model.parameters()) is not before
    second = VolumeSession(model, volume_for(model)).encode()
    assert torch.equal(first.tokens_2d, second.tokens_2d)
    assert torch.equal(first.tokens_3d, second.tokens_3d)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA card here")
@pytest.mark.parametrize("dtype", ["auto", "int8", "int4"])
def test_a_card_writes_in_every_precision(dtype):
    if dtype != "auto":
        pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    model = load_model(device="cuda", dtype=dtype)
    written = VolumeSession(model, volume_for(model)).generate("Which plane?", max_new_tokens=8)
    assert written.token_ids
