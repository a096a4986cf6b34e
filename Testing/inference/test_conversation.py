"""Earlier turns in the prompt, and how likely each token was."""

from __future__ import annotations

import pytest
import torch

from med2e3.inference import VolumeSession
from med2e3.inference.generation import greedy_logits
from med2e3.model import load_model

PAST = [("Which plane is it?", "Axial."), ("Is there a mass?", "Yes, in the liver.")]


@pytest.fixture(scope="module")
def model(untrained):
    return load_model(untrained)


@pytest.fixture(scope="module")
def session(model) -> VolumeSession:
    volume = torch.rand(1, 32, 256, 256, generator=torch.Generator().manual_seed(3))
    return VolumeSession(model, volume)


def test_the_prompt_is_the_released_templates_conversation(model):
    tokenizer = model.prompt_tokenizer
    prompt = tokenizer.prompt("Where?", history=PAST)
    end = tokenizer.end_token
    text = (
        "\nWhich plane is it? ASSISTANT: Axial.<end>USER: Is there a mass? ASSISTANT: Yes, in the "
        "liver.<end>USER: Where? ASSISTANT:"
    )
    parts, ids = [], list(prompt.after)
    while end in ids:
        parts.append(tokenizer.decode(ids[: ids.index(end)]))
        ids = ids[ids.index(end) + 1 :]
    parts.append(tokenizer.decode(ids))
    assert [part.strip() for part in parts] == [part.strip() for part in text.split("<end>")]
    assert prompt.before == tokenizer.prompt("Where?").before
    assert prompt.history_used == 2


def test_without_a_history_the_prompt_is_the_same(model):
    tokenizer = model.prompt_tokenizer
    assert tokenizer.prompt("Where?", 200, []) == tokenizer.prompt("Where?", 200)


def test_the_oldest_turns_go_where_there_is_no_room(model):
    tokenizer = model.prompt_tokenizer
    last = tokenizer.prompt("Where?", history=PAST[1:])
    room = len(last.before) + len(last.after)
    assert tokenizer.prompt("Where?", room, PAST) == last
    assert tokenizer.prompt("Where?", room - 1, PAST) == tokenizer.prompt("Where?")
    cut = tokenizer.prompt("Where is it? " * 50, 150, PAST)
    assert (cut.history_used, len(cut.before) + len(cut.after)) == (0, 150)


def test_what_was_said_before_changes_the_answer_but_not_the_scores(session):
    alone = session.generate("Where?", max_new_tokens=8)
    after = session.generate("Where?", history=PAST, max_new_tokens=8)
    assert after.history_used == 2
    assert after.token_probabilities != alone.token_probabilities
    assert (after.attention.scores == alone.attention.scores).all()
    assert not after.warnings


def test_turns_that_do_not_fit_are_told_and_leave_room_for_the_answer(session):
    long = [("Describe it.", "The lungs are clear and the heart is normal. " * 30), PAST[1]]
    generation = session.generate("Where?", history=long)
    assert generation.history_used == 1
    assert any("last 1 of the 2 earlier turns" in warning for warning in generation.warnings)
    assert len(generation.token_ids) >= 64 or generation.finish_reason == "stop"
    none = session.generate("Where?", history=long[:1], max_new_tokens=2)
    assert none.history_used == 0
    assert any("no earlier turn" in warning for warning in none.warnings)


@torch.inference_mode()
def test_probabilities_are_the_softmax_of_what_was_taken(session):
    generation = session.generate("Where?", max_new_tokens=6)
    model = session.model
    prompt = model.prompt_tokenizer.prompt("Where?")
    text_ids, _ = model.scoring_tokenizer("Where?")
    scored = model.score(session.encode(), model.embed_text(torch.tensor(text_ids)))
    words = len(model.prompt_tokenizer)
    steps = greedy_logits(model.llm, session.embed(prompt, scored))
    expected = [
        float(next(steps)[:words].softmax(-1)[token_id]) for token_id in generation.token_ids
    ]
    assert generation.token_probabilities == pytest.approx(expected, abs=1e-6)
    assert all(1 / words <= probability <= 1 for probability in expected)
