"""Prompts and scoring texts as token ids."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from med2e3.inference.generation import GrowingText
from med2e3.model import load_model
from med2e3.model.prompt import PromptTokenizer
from untrained_checkpoint import write_checkpoint


@pytest.fixture(scope="module")
def model(untrained):
    return load_model(untrained)


def test_the_prompt_keeps_its_end_when_the_question_is_cut(model):
    tokenizer = model.prompt_tokenizer
    whole = tokenizer.prompt("Is there a nodule in the lungs? " * 40)
    cut = tokenizer.prompt("Is there a nodule in the lungs? " * 40, room=200)
    assert whole.question_tokens_cut == 0
    assert cut.question_tokens_cut > 0
    assert len(cut.before) + len(cut.after) == 200
    assert tokenizer.decode(cut.after).endswith("ASSISTANT:")
    assert cut.before == whole.before


def test_a_question_that_fits_is_not_cut(model):
    whole = model.prompt_tokenizer.prompt("Is there a nodule?")
    length = len(whole.before) + len(whole.after)
    assert model.prompt_tokenizer.prompt("Is there a nodule?", room=length) == whole


def test_bos_stands_in_front_once_if_the_tokenizer_adds_it(tmp_path):
    for add_bos in (False, True):
        folder = tmp_path / str(add_bos)
        write_checkpoint(folder, add_bos=add_bos)
        prompt = PromptTokenizer(folder, fast=False).prompt("Is there a nodule?")
        assert (prompt.before[0] == 1) == add_bos
        assert 1 not in prompt.before[1:] + prompt.after


def test_the_scoring_text_is_cut_at_the_encoders_length(model):
    ids, cut = model.scoring_tokenizer("nodule " * 600)
    assert len(ids) == 512
    assert cut == 90
    assert ids[0] != ids[-1]
    assert ids[-1] == model.scoring_tokenizer("a")[0][-1]


@torch.inference_mode()
def test_padding_the_scoring_text_would_change_nothing(model):
    ids, _ = model.scoring_tokenizer("Is there a nodule in the left lung?")
    padded = torch.zeros(1, 512, dtype=torch.long)
    padded[0, : len(ids)] = torch.tensor(ids)
    mask = (torch.arange(512) < len(ids)).long()[None]
    expected = model.text_model(padded, attention_mask=mask).pooler_output[0]
    torch.testing.assert_close(model.embed_text(torch.tensor(ids)), expected, rtol=0, atol=1e-5)


@settings(deadline=None)
@given(text=st.text(max_size=40))
def test_pieces_of_any_text_join_to_it(text):
    tokenizer = load_once().prompt_tokenizer
    ids = tokenizer.prompt(text).after
    growing = GrowingText(tokenizer)
    joined = "".join([*(growing.add(token) for token in ids), growing.rest()])
    assert joined == growing.text == tokenizer.decode(ids)


def load_once():
    if not hasattr(load_once, "model"):
        load_once.model = load_model()
    return load_once.model
