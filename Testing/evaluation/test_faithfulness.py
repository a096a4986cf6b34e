"""Perturbation curves and randomised weights on a network of known behaviour."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from med2e3.evaluation.faithfulness import (
    STEPS,
    perturbation_curves,
    randomised_weights,
    with_slices,
)
from med2e3.evaluation.predicting import Reader


@pytest.fixture(scope="module")
def curves(model, cases):
    return perturbation_curves(model, cases[:1])


def test_curves_begin_and_end_at_the_same_points_in_every_order(curves):
    assert curves["questions"] == 1
    ends = {
        kind: [curves[kind][name]["curve"] for name in ("by_score", "random")]
        for kind in ("deletion", "insertion")
    }
    for kind, (by_score, random) in ends.items():
        assert len(by_score) == len(STEPS)
        assert by_score[0] == pytest.approx(random[0], abs=1e-4), kind
        assert by_score[-1] == pytest.approx(random[-1], abs=1e-4), kind
    # All slices and none, whichever way there.
    deletion, insertion = ends["deletion"][0], ends["insertion"][0]
    assert deletion[0] == pytest.approx(insertion[-1], abs=1e-4)
    assert deletion[-1] == pytest.approx(insertion[0], abs=1e-4)
    assert all(value < 0 for value in deletion)


def test_slices_that_stay_share_the_whole_score(model, cases):
    reader = Reader(model)
    encoded = reader.encode(cases[0].volume)
    scored = reader.score(encoded, "Where is the nodule?")
    patches = encoded.tokens_2d.shape[1]
    kept = torch.zeros(32, dtype=torch.bool)
    kept[[3, 9]] = True
    some = with_slices(encoded, scored, kept)
    assert some.scores.sum() == pytest.approx(1)
    assert some.scores[3] / some.scores[9] == pytest.approx(
        float(scored.scores[3] / scored.scores[9]), rel=1e-4
    )
    torch.testing.assert_close(some.tokens[:-patches], scored.tokens[:-patches])
    all_of_them = with_slices(encoded, scored, torch.ones(32, dtype=torch.bool))
    torch.testing.assert_close(all_of_them.tokens, scored.tokens)
    none = with_slices(encoded, scored, torch.zeros(32, dtype=torch.bool))
    assert none.tokens[-patches:].eq(0).all()


def test_volumes_without_a_question_about_some_slices_make_no_curve(model, cases):
    assert perturbation_curves(model, cases[1:]) == {"questions": 0}
    assert randomised_weights(model, cases[1:])["untouched"] == {"questions": 0}


def test_randomised_weights_lose_the_scores_and_come_back(model, cases):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = randomised_weights(model, cases[:1])
    assert found["untouched"]["rank_correlation"] == pytest.approx(1)
    for name in ("text_mlp", "text", "text_and_2d"):
        assert abs(found[name]["rank_correlation"]) < 0.8
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert np.isfinite([figures["auroc"] for figures in found.values()]).all()
