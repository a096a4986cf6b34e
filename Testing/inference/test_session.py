"""A volume session: encode once, ask many, stream, stop."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from med2e3.errors import Cancelled
from med2e3.inference import VolumeSession
from med2e3.model import load_model


@pytest.fixture(scope="module")
def model(untrained):
    return load_model(untrained)


@pytest.fixture(scope="module")
def volume() -> torch.Tensor:
    return torch.rand(1, 32, 256, 256, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def session(model, volume) -> VolumeSession:
    return VolumeSession(model, volume)


class StopAfter:
    """Says stop from the n-th time on that it is asked."""

    def __init__(self, times: int) -> None:
        self.left = times

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_the_volume_is_encoded_once(session, monkeypatch):
    session.encode()
    monkeypatch.setattr(session.model, "encode_slices", None)
    monkeypatch.setattr(session.model, "encode_volume", None)
    first = session.generate("Where is the nodule?", max_new_tokens=3)
    second = session.generate("Is there an effusion?", max_new_tokens=3)
    assert not np.array_equal(first.attention.scores, second.attention.scores)


def test_progress_counts_the_slices(session):
    told = []
    session.encode(progress=lambda done, total: told.append((done, total)))
    assert told[0] == (0, 32)
    assert told[-1] == (32, 32)
    assert told == sorted(told)


def test_pieces_join_to_the_text(session):
    pieces = []
    generation = session.generate("Describe it.", on_token=lambda piece, _: pieces.append(piece))
    assert "".join(pieces) == generation.text
    assert generation.finish_reason == "length"
    assert session.model.prompt_tokenizer.decode(generation.token_ids) == generation.text


def test_the_same_question_gives_the_same_text(model, volume):
    texts = {VolumeSession(model, volume).generate("Describe it.").text for _ in range(2)}
    assert len(texts) == 1


def test_the_text_ends_at_the_number_of_tokens_asked_for(session):
    generation = session.generate("Describe it.", max_new_tokens=5)
    assert len(generation.token_ids) == 5
    assert generation.finish_reason == "length"
    assert generation.warnings == []


def test_the_end_token_ends_the_text(session, monkeypatch):
    generation = session.generate("Describe it.", max_new_tokens=8)
    end = generation.token_ids[3]
    monkeypatch.setitem(session.model.configuration.llm, "eos_token_id", end)
    ended = session.generate("Describe it.")
    assert ended.finish_reason == "stop"
    assert end not in ended.token_ids
    assert ended.token_ids == generation.token_ids[: generation.token_ids.index(end)]


def test_a_stop_during_the_encoding_is_heard_and_the_next_one_works(session):
    with pytest.raises(Cancelled):
        session.encode(stop=StopAfter(5))
    assert session.encode().tokens_2d.shape == (32, 256, 64)


def test_a_stop_during_the_prompt_is_heard(session):
    session.encode()
    with pytest.raises(Cancelled):
        session.generate("Describe it.", stop=StopAfter(2))


def test_a_stop_between_tokens_keeps_what_was_written(session):
    stop = threading.Event()
    pieces = []

    def on_token(piece: str, token_id: int) -> None:
        pieces.append(piece)
        if len(pieces) == 4:
            stop.set()

    generation = session.generate("Describe it.", on_token=on_token, stop=stop)
    assert generation.finish_reason == "cancelled"
    assert generation.text == "".join(pieces)
    assert len(generation.token_ids) == 4


def test_a_question_that_is_too_long_is_cut_and_keeps_room_for_its_answer(session):
    generation = session.generate("Is there a nodule in the lungs? " * 60)
    assert any("cut" in warning and "768" in warning for warning in generation.warnings)
    assert len(generation.token_ids) == 64


def test_a_question_beyond_the_scoring_encoder_is_told(session):
    generation = session.generate("nodule " * 600, max_new_tokens=1)
    assert any("scoring" in warning for warning in generation.warnings)


def test_more_tokens_than_there_is_room_for_are_told(session):
    generation = session.generate("Describe it.", max_new_tokens=5000)
    assert generation.finish_reason == "length"
    assert any("5000" in warning for warning in generation.warnings)


def test_scores_are_those_of_attend(session):
    attended = session.attend("effusion")
    generated = session.generate("effusion", max_new_tokens=1).attention
    np.testing.assert_array_equal(attended.scores, generated.scores)
    assert attended.scores.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(
        attended.patch_shares.sum(axis=(1, 2)), attended.logits, rtol=1e-4, atol=1e-5
    )


def test_bfloat16_gives_nearly_the_same_scores(untrained, volume):
    scores = [
        VolumeSession(load_model(untrained, dtype=dtype), volume).attend("effusion").scores
        for dtype in ("float32", "bfloat16")
    ]
    np.testing.assert_allclose(scores[0], scores[1], atol=0.02)
