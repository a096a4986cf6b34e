"""Closed answers under the released rule and the stricter one."""

from __future__ import annotations

import pytest

from med2e3.evaluation.closed import chosen, correct_as_released, correct_strictly

CHOICES = {"A": "left lung", "B": "liver", "C": "no finding", "D": "vitamin D"}


@pytest.mark.parametrize(
    ("output", "released", "strict"),
    [
        ("B. liver", True, True),
        ("B", False, True),
        ("(b) liver", False, True),
        ("The answer is B. liver", True, False),
        ("A. B. C. D.", True, False),
        ("B. liver D. vitamin D", True, False),
        ("A. left lung", False, False),
        ("Liver.", False, True),
        ("the liver is large", False, False),
        ("Because", False, False),
        ("", False, False),
    ],
)
def test_the_two_rules(output, released, strict):
    assert correct_as_released(output, "B") is released
    assert correct_strictly(output, "B", CHOICES) is strict


def test_a_text_that_two_choices_have_chooses_neither():
    assert chosen("liver", {"A": "liver", "B": "Liver"}) is None


def test_a_capital_letter_that_begins_a_word_is_no_choice():
    assert chosen("A left lung is seen", CHOICES) is None
    assert chosen("Aorta", CHOICES) is None
