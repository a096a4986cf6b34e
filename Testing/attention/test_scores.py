"""Ranks and figures of slice scores."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from med2e3.attention import effective_slices, has_preference, ranked


def softmax(logits):
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


logits = arrays(np.float64, 32, elements=st.floats(-30, 30, width=32))
few_values = arrays(np.float64, 32, elements=st.sampled_from([0.0, 0.01, 0.02, 0.5]))


@given(few_values)
def test_ranked_puts_every_slice_once_the_best_first_and_ties_in_order(scores):
    order = ranked(scores)
    assert sorted(order) == list(range(32))
    for better, worse in pairwise(order):
        assert scores[better] > scores[worse] or (
            scores[better] == scores[worse] and better < worse
        )


def test_ranked_takes_the_scores_of_a_message():
    assert ranked((0.2, 0.5, 0.3)) == (1, 2, 0)


@given(logits)
def test_effective_slices_lie_between_one_and_all(values):
    scores = softmax(values)
    assert 1 <= effective_slices(scores) <= 32
    assert effective_slices(scores[::-1]) == pytest.approx(effective_slices(scores))
    assert 1 <= effective_slices(scores.astype(np.float32)) <= 32


@pytest.mark.parametrize("count", [1, 2, 7, 32])
def test_attention_shared_evenly_by_some_slices_is_worth_their_number(count):
    scores = np.zeros(32)
    scores[:count] = 1 / count
    assert effective_slices(scores) == pytest.approx(count)


@given(logits)
def test_sharper_scores_are_worth_no_more_slices(values):
    assert effective_slices(softmax(2 * values)) <= effective_slices(softmax(values)) + 1e-9


@pytest.mark.parametrize("scatter", [0, 1e-7, 1e-3, 0.05])
def test_nearly_even_scores_are_no_preference(scatter):
    noise = np.random.default_rng(1).normal(0, scatter, 32)
    assert not has_preference(softmax(noise))


def test_a_preference_begins_where_one_slice_is_left_out():
    one_less, two_less = np.ones(32), np.ones(32)
    one_less[0] = 0.01  # nearly left out
    two_less[:2] = 0
    assert not has_preference(one_less / one_less.sum())
    assert has_preference(two_less / two_less.sum())


def test_one_slice_with_four_times_its_share_is_a_preference():
    scores = np.full(32, 28 / 32 / 31)
    scores[5] = 4 / 32
    assert has_preference(tuple(scores))
