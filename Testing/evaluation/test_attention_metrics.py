"""Attention figures on curves whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from med2e3.evaluation import attention_metrics as metrics

SCORES = np.array([0.1, 0.4, 0.2, 0.2, 0.1])
FIRST_IS_RELEVANT = np.array([True, False, False, False, False])

curves = arrays(np.float64, 8, elements=st.sampled_from([0.05, 0.1, 0.2, 0.4, 0.8]))
marks = arrays(np.bool_, 8, elements=st.booleans()).filter(metrics.has_answer)


def test_hits():
    peak = np.array([False, True, False, False, False])
    assert metrics.hit_at(SCORES, peak, 1) == 1
    assert metrics.hit_at(SCORES, FIRST_IS_RELEVANT, 3) == 0
    # Two slices tie for the fourth place, so the first one gets it every other time.
    assert metrics.hit_at(SCORES, FIRST_IS_RELEVANT, 4) == 0.5
    assert metrics.hit_at(SCORES, FIRST_IS_RELEVANT, 5) == 1


def test_share_of_the_score_over_share_of_the_slices():
    two = np.array([False, True, True, False, False])
    assert metrics.mass_ratio(SCORES, two) == pytest.approx(0.6 / 0.4)


def test_auroc_counts_the_pairs_in_the_right_order():
    two = np.array([False, True, False, True, False])
    # 6 pairs; 0.4 beats all three, 0.2 beats both 0.1 and ties with the other 0.2.
    assert metrics.auroc(SCORES, two) == pytest.approx(5.5 / 6)


def test_rank_correlation():
    assert metrics.rank_correlation([1, 2, 3, 4], [10, 20, 30, 400]) == pytest.approx(1)
    assert metrics.rank_correlation([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    # Spearman's formula without ties: 1 - 6 sum(d^2) / n (n^2 - 1), d = (1, -1, 0, 0).
    assert metrics.rank_correlation([1, 2, 3, 4], [2, 1, 3, 4]) == pytest.approx(1 - 12 / 60)
    assert metrics.rank_correlation([1, 2, 3, 4], [5, 5, 5, 5]) == 0
    with pytest.raises(ValueError, match="length"):
        metrics.rank_correlation([1, 2], [1, 2, 3])


@given(marks)
def test_uniform_scores_get_the_value_of_chance(relevant):
    uniform = metrics.uniform_scores(8)
    count = int(relevant.sum())
    found = metrics.measure(uniform, relevant)
    assert found["hit1"] == pytest.approx(count / 8)
    assert found["auroc"] == pytest.approx(0.5)
    assert found["mass_ratio"] == pytest.approx(1)
    assert found["effective_slices"] == pytest.approx(8)


@given(curves, marks)
def test_figures_do_not_depend_on_the_order_of_the_slices(scores, relevant):
    turned = metrics.measure(scores[::-1] / scores.sum(), relevant[::-1])
    assert metrics.measure(scores / scores.sum(), relevant) == pytest.approx(turned)


@given(curves, marks)
def test_more_places_hit_at_least_as_often(scores, relevant):
    hits = [metrics.hit_at(scores, relevant, count) for count in range(1, 9)]
    assert hits == sorted(hits)
    assert hits[-1] == 1


@pytest.mark.parametrize("relevant", [np.zeros(5, bool), np.ones(5, bool)])
def test_where_nothing_or_all_is_relevant_only_the_spread_is_told(relevant):
    found = metrics.measure(SCORES, relevant)
    assert found.pop("effective_slices") > 1
    assert set(found.values()) == {None}
    with pytest.raises(ValueError, match="relevant"):
        metrics.auroc(SCORES, relevant)


def test_baselines_are_scores():
    gauss = metrics.gaussian_scores(32)
    np.testing.assert_allclose(gauss, gauss[::-1])
    # One sigma (32 / 6 slices) from the middle the bell is down to exp(-1/2).
    middle, sigma = 15.5, 32 / 6
    place = np.interp(middle + sigma, np.arange(32), gauss) / np.interp(middle, range(32), gauss)
    assert place == pytest.approx(np.exp(-0.5), abs=0.01)
    random = metrics.random_scores(32, np.random.default_rng(1))
    for scores in (gauss, random, metrics.uniform_scores(32)):
        assert scores.sum() == pytest.approx(1)
        assert scores.min() >= 0
