"""Tokens to text as they come: exact for any tokens, and in linear time."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from med2e3.inference.generation import GrowingText
from med2e3.model import load_model
from med2e3.model.prompt import PromptTokenizer
from reference import REFERENCE, needs_reference


@cache
def tokenizers() -> list[PromptTokenizer]:
    """The embedded model's fast tokenizer, and the released model's slow one where it is there."""
    found = [load_model().prompt_tokenizer]
    if REFERENCE.is_dir():
        found.append(PromptTokenizer(REFERENCE, fast=False))
    return found


def grown(tokenizer: PromptTokenizer, token_ids: list[int]) -> tuple[GrowingText, list[str]]:
    growing = GrowingText(tokenizer)
    return growing, [*(growing.add(token) for token in token_ids), growing.rest()]


@needs_reference
def test_a_blank_before_an_added_token_is_kept():
    tokenizer = PromptTokenizer(REFERENCE, fast=False)
    # A null byte, the mark of a space, <|assistant|>.
    growing, pieces = grown(tokenizer, [3, 431, 481])
    assert "".join(pieces) == growing.text == "\0  <|assistant|>"


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_pieces_of_any_tokens_join_to_what_all_of_them_decode_to(data):
    tokenizer = data.draw(st.sampled_from(tokenizers()))
    token_ids = data.draw(st.lists(st.integers(0, len(tokenizer) - 1), max_size=40))
    growing, pieces = grown(tokenizer, token_ids)
    assert "".join(pieces) == growing.text == tokenizer.decode(token_ids)


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_every_token_has_its_characters_and_every_character_a_token(data):
    tokenizer = data.draw(st.sampled_from(tokenizers()))
    token_ids = data.draw(st.lists(st.integers(0, len(tokenizer) - 1), max_size=40))
    growing, _ = grown(tokenizer, token_ids)
    assert len(growing.spans) == len(token_ids)
    covered = {place for start, end in growing.spans for place in range(start, end)}
    assert covered == set(range(len(growing.text)))
    assert growing.spans == sorted(growing.spans)


@pytest.mark.parametrize("tokenizer", tokenizers(), ids=lambda tokenizer: f"{len(tokenizer)}")
def test_no_token_decodes_what_was_said_long_before(tokenizer, monkeypatch):
    token_ids = tokenizer.prompt("The lungs are clear. Größe 3,5 mm – 肺. " * 20).after
    lengths = []
    decode = tokenizer.decode

    def counting(ids):
        lengths.append(len(ids))
        return decode(ids)

    monkeypatch.setattr(tokenizer, "decode", counting)
    growing, _ = grown(tokenizer, token_ids)
    assert growing.text == decode(token_ids)
    assert max(lengths) <= 12
