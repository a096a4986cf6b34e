"""Predictions are what the session says of each volume; controls are what they are called."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from med2e3.evaluation import predicting
from med2e3.evaluation.evaluate import evaluate_model
from med2e3.evaluation.predicting import Reader, predict
from med2e3.inference import VolumeSession
from med2e3.model import REPORT_QUESTION


@pytest.fixture(scope="module", autouse=True)
def short_texts():
    """The untrained model never ends a text by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predicting, "REPORT_TOKENS", 12)
        patch.setattr(predicting, "ANSWER_TOKENS", 6)
        yield


@pytest.fixture(scope="module")
def predictions(model, cases, short_texts):
    return list(predict(model, cases, controlled=1))


def test_texts_and_scores_are_those_of_the_session(model, cases, predictions):
    assert [one.truth.identifier for one in predictions] == ["one", "two", "three"]
    for case, prediction in zip(cases, predictions, strict=True):
        session = VolumeSession(model, case.volume)
        report = session.generate(REPORT_QUESTION, max_new_tokens=12)
        assert prediction.report.text == report.text
        np.testing.assert_allclose(prediction.report_scores, report.attention.scores, atol=1e-6)
        for query, answered in zip(case.truth.queries, prediction.answers, strict=True):
            alone = session.generate(query.text, max_new_tokens=6)
            assert answered.query is query
            assert answered.open.text == alone.text
            np.testing.assert_allclose(answered.scores, alone.attention.scores, atol=1e-6)


def test_the_choices_do_not_score(model, cases, predictions):
    answered = predictions[0].answers[1]
    with_choices = VolumeSession(model, cases[0].volume).attend(answered.query.closed_text)
    assert not np.allclose(answered.scores, with_choices.scores, atol=1e-4)


def test_a_paraphrase_is_scored_where_there_is_one(model, cases, predictions):
    plane, place = predictions[0].answers
    assert plane.paraphrase_scores is None
    expected = VolumeSession(model, cases[0].volume).attend(place.query.paraphrase)
    np.testing.assert_allclose(place.paraphrase_scores, expected.scores, atol=1e-6)


def test_controls_are_other_volumes_and_only_for_the_first(model, cases, predictions, monkeypatch):
    first, second, _ = predictions
    assert list(first.answers[0].controls) == list(predicting.CONTROLS)
    assert not second.answers[0].controls
    seen = []
    monkeypatch.setattr(
        Reader, "encode", lambda self, volume: seen.append(volume) or encode(self, volume)
    )
    list(predict(model, cases[:2], controlled=1))
    own, _, blank, shuffled = seen
    assert torch.equal(own, cases[0].volume)
    assert blank.eq(0).all()
    assert not torch.equal(shuffled, own)
    order = [int((own[0] == slice_).flatten(1).all(1).nonzero()) for slice_ in shuffled[0]]
    assert sorted(order) == list(range(own.shape[1]))


encode = Reader.encode


def test_the_text_that_scores_can_be_another(model, cases):
    def other(truth, question):
        return f"{truth.identifier}: liver"

    (prediction,) = predict(model, cases[:1], scoring_text=other)
    expected = VolumeSession(model, cases[0].volume).attend("one: liver")
    for scores in (prediction.report_scores, *(answer.scores for answer in prediction.answers)):
        np.testing.assert_allclose(scores, expected.scores, atol=1e-6)


def test_an_example_tells_the_answer_to_what_was_asked(model, cases):
    case = cases[0]
    only_open = replace(case.truth.queries[1], closed_text="")
    truth = replace(case.truth, queries=(case.truth.queries[0], only_open))
    evaluation = evaluate_model(model, [replace(case, truth=truth)], controlled=0, examined=0)
    closed, opened = evaluation["examples"][0]["questions"]
    assert closed["true"] == truth.queries[0].closed_answer
    assert opened["true"] == only_open.answer
    assert opened["written"]
