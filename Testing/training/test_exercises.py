"""Exercises can be answered from what they say, and only from it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from med2e3.training.exercises import EXERCISES, FEWEST_TEXTS, draw_exercise

TEXTS = [f"text {number}" for number in range(20)]


def drawn(kind, seed, count):
    return EXERCISES[kind](TEXTS[:count], np.random.default_rng(seed))


def choices_of(asked):
    question, listed = asked.split(" Choices: ")
    return question, dict(re.findall(r"([A-D])\. (text \d+)", listed))


seeds = st.integers(0, 10**6)
counts = st.integers(FEWEST_TEXTS, len(TEXTS))


@given(st.sampled_from(sorted(EXERCISES)), seeds, counts)
def test_the_answer_is_one_of_four_different_choices(kind, seed, count):
    exercise = drawn(kind, seed, count)
    _, choices = choices_of(exercise.asked)
    assert list(choices) == ["A", "B", "C", "D"]
    assert len(set(choices.values())) == 4
    assert exercise.answer in {f"{letter}. {text}" for letter, text in choices.items()}


@given(seeds, counts)
def test_a_letter_is_asked_for_by_its_text(seed, count):
    exercise = drawn("letters", seed, count)
    question, choices = choices_of(exercise.asked)
    assert exercise.described == ""
    assert question == f"Which is {choices[exercise.answer[0]]}?"


@given(seeds, counts)
def test_of_the_choices_only_the_right_one_is_seen(seed, count):
    exercise = drawn("statements", seed, count)
    _, choices = choices_of(exercise.asked)
    listed = re.findall(r"text \d+", exercise.described)
    assert [text for text in choices.values() if text in listed] == [exercise.answer[3:]]


@given(seeds, counts)
def test_what_is_asked_for_stands_beside_what_is_named(seed, count):
    exercise = drawn("pairs", seed, count)
    question, choices = choices_of(exercise.asked)
    pairs = [set(pair) for pair in re.findall(r"(text \d+) in (text \d+)[;.]", exercise.described)]
    named = re.search(r"text \d+", question).group()
    assert [pair for pair in pairs if named in pair] == [{named, exercise.answer[3:]}]
    assert named not in choices.values()


def test_shares_tell_how_often_a_kind_is_drawn():
    random = np.random.default_rng(0)
    found = [draw_exercise({"letters": 0.2, "pairs": 0.5}, TEXTS, random) for _ in range(2000)]
    kinds = ["none" if one is None else one.asked.split()[0] for one in found]
    shares = [kinds.count(kind) / len(kinds) for kind in ("Which", "What", "none")]
    assert shares == pytest.approx([0.2, 0.5, 0.3], abs=0.05)
