"""What all prompts about a volume have in common is read once, and changes no word."""

from __future__ import annotations

import gc
import threading
import weakref
from contextlib import contextmanager

import pytest
import torch

from med2e3.errors import Cancelled
from med2e3.inference import VolumeSession
from med2e3.inference.generation import greedy_logits
from med2e3.inference.session import fit_prompt
from med2e3.model import load_model

QUESTIONS = ("Describe the findings of this medical image.", "Is there a nodule?", "Which plane?")


@pytest.fixture(scope="module")
def model():
    return load_model(device="cpu")


@pytest.fixture
def session(model):
    return VolumeSession(model, volume_of(model, 0))


def volume_of(model, seed: int) -> torch.Tensor:
    size = model.configuration.vision3d.volume_size
    return torch.rand(1, *size, generator=torch.Generator().manual_seed(seed))


@contextmanager
def lengths_read(model):
    """How many tokens the language model is given at a time."""
    lengths = []

    def look(module, arguments, keywords):
        given = keywords.get("inputs_embeds")
        lengths.append((given if given is not None else keywords["input_ids"]).shape[1])

    hook = model.llm.register_forward_pre_hook(look, with_kwargs=True)
    yield lengths
    hook.remove()


@torch.inference_mode()
def written_at_once(session, question: str, count: int, history=()) -> list[int]:
    """The same text with the whole prompt read for it."""
    model = session.model
    token_ids, _ = model.scoring_tokenizer(question)
    scored = model.score(session.encode(), model.embed_text(torch.tensor(token_ids)))
    prompt, _ = fit_prompt(model, question, len(scored.tokens), count, history)
    ids = []
    for logits in greedy_logits(model.llm, session.embed(prompt, scored)):
        token = int(logits[: len(model.prompt_tokenizer)].argmax())
        if token == model.prompt_tokenizer.end_token or len(ids) == count:
            return ids
        ids.append(token)
    return ids


def test_the_same_tokens_come_out(session):
    history = [("Which plane?", "axial")]
    for question in QUESTIONS:
        for turns in ((), history):
            written = session.generate(question, history=turns, max_new_tokens=24)
            assert written.token_ids == written_at_once(session, question, 24, turns)


def test_a_further_question_reads_what_is_its_own_alone(session):
    model = session.model
    tokens_3d = len(session.encode().tokens_3d)
    patches = session.encode().tokens_2d.shape[1]
    with lengths_read(model) as first:
        session.generate(QUESTIONS[0], max_new_tokens=2)
    # The first one reads all of its prompt, and at once.
    assert first[0] > tokens_3d + patches
    assert first[1:] == [1]
    with lengths_read(model) as second:
        session.generate(QUESTIONS[0], max_new_tokens=2)
    # Its 2D tokens, which the question has fused, and the question.
    assert patches < second[0] < patches + 40
    assert first[0] - second[0] == session.beginning.length > tokens_3d


def test_what_was_read_ahead_is_not_read_again_and_changes_no_word(model):
    session, other = (VolumeSession(model, volume_of(model, 0)) for _ in range(2))
    with lengths_read(model) as ahead:
        session.read_ahead()
        session.read_ahead()
    with lengths_read(model) as first:
        written = session.generate(QUESTIONS[0], max_new_tokens=24)
    assert len(ahead) == 1
    with lengths_read(model) as whole:
        assert other.generate(QUESTIONS[0], max_new_tokens=24).token_ids == written.token_ids
    assert ahead[0] + first[0] == whole[0]


def test_reading_ahead_can_be_stopped(model):
    session = VolumeSession(model, volume_of(model, 0))
    session.encode()
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        session.read_ahead(stop)
    assert session.beginning is None
    assert session.generate(QUESTIONS[0], max_new_tokens=2).token_ids


def test_one_volume_of_a_model_has_it_at_a_time(model):
    first, second = (VolumeSession(model, volume_of(model, seed)) for seed in (0, 1))
    texts = {}
    for session in (first, second, first, second):
        text = session.generate(QUESTIONS[0], max_new_tokens=16).text
        assert texts.setdefault(session, text) == text
        holders = [one for one in (first, second) if one.beginning is not None]
        assert holders == [session]


def test_it_goes_with_its_session(model):
    session = VolumeSession(model, volume_of(model, 0))
    session.generate(QUESTIONS[0], max_new_tokens=2)
    beginning = weakref.ref(session.beginning)
    del session
    gc.collect()
    assert beginning() is None
