"""Many texts at a time are the texts one by one."""

from __future__ import annotations

import math

import pytest
import torch

from med2e3.inference import VolumeSession, batch
from med2e3.inference.batch import Asked, log_probabilities, write_together
from med2e3.model import REPORT_QUESTION, load_model

QUESTIONS = (
    "Where is the nodule?",
    "Is there an effusion? Choices: A. yes B. no C. perhaps D. not seen",
    REPORT_QUESTION,
    "Why?",
)


@pytest.fixture(scope="module")
def model(untrained):
    return load_model(untrained, device="cpu")


@pytest.fixture(scope="module")
def sessions(model) -> list[VolumeSession]:
    generator = torch.Generator().manual_seed(3)
    size = (1, *model.configuration.vision3d.volume_size)
    return [VolumeSession(model, torch.rand(size, generator=generator)) for _ in range(2)]


def scored(session: VolumeSession, text: str):
    ids, _ = session.model.scoring_tokenizer(text)
    with torch.inference_mode():
        return session.model.score(session.encode(), session.model.embed_text(torch.tensor(ids)))


def test_texts_written_together_are_those_written_alone(model, sessions):
    limits = (5, 12, 20, 1)
    asked, alone = [], []
    for session in sessions:
        for question, limit in zip(QUESTIONS, limits, strict=True):
            asked.append(Asked(scored(session, question), question, limit))
            alone.append(session.generate(question, max_new_tokens=limit))
    together = write_together(model, asked)
    assert [text.token_ids for text in together] == [text.token_ids for text in alone]
    assert [text.text for text in together] == [text.text for text in alone]
    assert [text.ended for text in together] == [text.finish_reason == "stop" for text in alone]


def test_a_row_leaves_the_batch_with_its_end_token(model, sessions, monkeypatch):
    session = sessions[0]
    whole = [session.generate(question, max_new_tokens=12) for question in QUESTIONS]
    end = whole[0].token_ids[3]
    monkeypatch.setitem(model.configuration.llm, "eos_token_id", end)
    asked = [Asked(scored(session, question), question, 12) for question in QUESTIONS]
    together = write_together(model, asked)
    for text, before in zip(together, whole, strict=True):
        ids = before.token_ids
        assert text.ended == (end in ids)
        assert text.token_ids == (ids[: ids.index(end)] if text.ended else ids)


def test_no_questions_make_no_texts(model):
    assert write_together(model, []) == []


def test_the_chance_of_an_answer_is_the_product_of_its_tokens(model, sessions):
    session, other = sessions
    asked, answers, expected = [], [], []
    for question, reader in zip(QUESTIONS, (session, other, session, other), strict=True):
        written = reader.generate(question, max_new_tokens=6)
        answer = written.text.strip()
        # The model's own tokens, unless the same words are cut into others.
        ids = model.prompt_tokenizer.answer(question, answer)
        if ids[:-1] == written.token_ids:
            asked.append(Asked(scored(reader, question), question))
            answers.append(answer)
            expected.append(sum(math.log(chance) for chance in written.token_probabilities))
    assert len(asked) > 1
    # Nothing but the end token stands between the two.
    found = log_probabilities(model, asked, answers)
    ends = [after - before for after, before in zip(found, expected, strict=True)]
    assert all(chance < 0 for chance in ends)
    alone = [
        log_probabilities(model, [one], [answer])[0]
        for one, answer in zip(asked, answers, strict=True)
    ]
    assert found == pytest.approx(alone, abs=1e-4)


def test_what_memory_cannot_hold_at_once_is_written_in_turns(model, sessions, monkeypatch):
    asked = [Asked(scored(sessions[0], question), question, 4) for question in QUESTIONS]
    at_once = write_together(model, asked)
    monkeypatch.setattr(batch, "CACHE_BYTES", 1)
    in_turns = write_together(model, asked)
    assert [text.token_ids for text in in_turns] == [text.token_ids for text in at_once]
