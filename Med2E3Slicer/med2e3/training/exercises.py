"""Exercises in looking things up, for a language model from nothing.

What a trained language model does unasked, to find the same words further up and to go back to what
stands beside them, a small one learns from nothing but drill (docs/decisions/0017). Texts are drawn
anew for each exercise and have no meaning together, so that there is nothing to learn by heart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LETTERS = "ABCD"

_OTHERS = len(LETTERS) - 1
_MOST_STATEMENTS = 7
_MOST_PAIRS = 4

FEWEST_TEXTS = 2 + _OTHERS
"""How many different texts exercises need at least: a pair, and choices that are wrong."""


@dataclass(frozen=True)
class Exercise:
    """A question with its answer, and the text above it, in the place of a description."""

    described: str
    asked: str
    answer: str


def letter_exercise(texts: Sequence[str], random: np.random.Generator) -> Exercise:
    """The letter of a choice that the question names: one step."""
    chosen = random.choice(texts, len(LETTERS), replace=False)
    return _exercise("", f"Which is {chosen[0]}?", chosen, random)


def statement_exercise(texts: Sequence[str], random: np.random.Generator) -> Exercise:
    """The one choice that stands in a list: nothing in the question tells which."""
    most = min(_MOST_STATEMENTS, len(texts) - _OTHERS)
    count = int(random.integers(1, most + 1))
    drawn = random.choice(texts, count + _OTHERS, replace=False)
    listed = random.permutation(drawn[:count])
    return _exercise(
        f"Organs seen: {', '.join(listed)}.", "Which is seen?", [drawn[0], *drawn[count:]], random
    )


def pair_exercise(texts: Sequence[str], random: np.random.Generator) -> Exercise:
    """What stands beside a text of a list of pairs: two steps, as from an organ to its finding."""
    most = min(_MOST_PAIRS, (len(texts) - _OTHERS) // 2)
    count = int(random.integers(1, most + 1))
    drawn = random.choice(texts, 2 * count + _OTHERS, replace=False)
    pairs = drawn[: 2 * count].reshape(count, 2)
    listed = "; ".join(f"{first} in {second}" for first, second in random.permutation(pairs))
    named, right = pairs[0] if random.random() < 0.5 else pairs[0][::-1]
    # Most wrong choices are in the list too, or to find the one that is would be enough.
    others = [text for text in drawn[2:] if text not in (named, right)]
    wrong = random.choice(others, _OTHERS, replace=False)
    return _exercise(f"Findings: {listed}.", f"What is with {named}?", [right, *wrong], random)


EXERCISES: Mapping[str, Callable[[Sequence[str], np.random.Generator], Exercise]] = {
    "letters": letter_exercise,
    "statements": statement_exercise,
    "pairs": pair_exercise,
}


def draw_exercise(
    shares: Mapping[str, float], texts: Sequence[str], random: np.random.Generator
) -> Exercise | None:
    """An exercise of a kind that is drawn with its share; None for what the shares leave over."""
    drawn = random.random()
    for kind, share in shares.items():
        drawn -= share
        if drawn < 0:
            return EXERCISES[kind](texts, random)
    return None


def _exercise(
    described: str, question: str, choices: Iterable[str], random: np.random.Generator
) -> Exercise:
    """With the first of four ``choices`` as the right one, in any place."""
    texts = list(choices)
    order = random.permutation(len(LETTERS))
    listed = " ".join(f"{letter}. {texts[i]}" for letter, i in zip(LETTERS, order, strict=True))
    letter = LETTERS[int(np.flatnonzero(order == 0)[0])]
    return Exercise(described, f"{question} Choices: {listed}", f"{letter}. {texts[0]}")
