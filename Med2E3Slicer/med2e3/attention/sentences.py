"""A text's sentences: the pieces that each have slices and a confidence of their own.

A home-made splitter of few rules, because the sentences are places in the very text on the screen,
and because radiology's full stops (3.5 mm, e.g., No. 4) need no trained model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

Span = tuple[int, int]
"""Characters from the first number to before the second."""

_END = re.compile(r"[.!?…؟۔।]+[\"'”’»)\]]*(?=\s|$)|[。！？]+[”’」』）]*|\n")

_TITLES = frozenset(("dr", "drs", "prof", "mr", "mrs", "ms"))

_NOT_BLANK = re.compile(r"\S")

_ABBREVIATIONS = _TITLES.union(
    ("st", "vs", "cf", "viz", "approx", "ca", "e.g", "i.e", "et", "al", "resp", "incl", "excl")
)
"""What never ends a sentence."""

_BEFORE_A_NUMBER = frozenset(
    ("no", "nos", "fig", "figs", "im", "img", "ser", "se", "seg", "vol", "p", "pp", "lev")
)
"""What ends none where a number follows."""

_LIST_MARK = re.compile(r"[\s(\[]*(\d{1,3}|[A-Za-z]|[ivxIVX]{1,4})[.]")


def split_sentences(text: str) -> tuple[Span, ...]:
    """The sentences of a text, in order: all of it but the white space between them.

    A line break ends a sentence, unless the next line goes on in lower case. The number or letter
    of a list belongs to the sentence after it. What has neither letter nor digit joins the sentence
    before it.
    """
    spans: list[Span] = []
    for start, end in _trimmed(text, _pieces(text)):
        if spans and not any(character.isalnum() for character in text[start:end]):
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return tuple(spans)


def confidences(
    sentences: Sequence[Span], tokens: Sequence[Span], probabilities: Sequence[float]
) -> tuple[float, ...]:
    """The mean probability (0 to 1) of the tokens that have characters in each sentence.

    ``tokens`` are the characters that each token gave, in order, as many as ``probabilities``.
    """
    found = []
    first = 0
    for start, end in sentences:
        while first < len(tokens) and tokens[first][1] <= start:
            first += 1
        last = first
        while last < len(tokens) and tokens[last][0] < end:
            last += 1
        inside = probabilities[first:last]
        found.append(sum(inside) / len(inside) if inside else 0.0)
    return tuple(found)


def _pieces(text: str) -> Iterator[Span]:
    start = 0
    for found in _END.finditer(text):
        if _ends_sentence(text, start, found):
            yield start, found.end()
            start = found.end()
    yield start, len(text)


def _ends_sentence(text: str, start: int, found: re.Match[str]) -> bool:
    before = text[start : found.start()]
    following = _NOT_BLANK.search(text, found.end())
    after = following.group() if following else ""
    mark = found.group()
    if mark == "\n":
        return not (before.strip() and after.islower())
    if mark != ".":
        return True
    if _LIST_MARK.fullmatch(before + "."):
        return False
    words = before.split()
    word = words[-1].lstrip("([\"'“‘").lower() if words else ""
    if word in _ABBREVIATIONS:
        return False
    if word in _BEFORE_A_NUMBER:
        return not after.isdigit()
    if len(word) == 1 and word.isalpha():
        # Dr. J. Smith, but hepatitis C. The liver …
        is_initial = len(words) > 1 and words[-2].rstrip(".").lower() in _TITLES
        return not (is_initial or after.islower())
    if "." in word and word.replace(".", "").isalpha():
        return not after.islower()
    return True


def _trimmed(text: str, pieces: Iterator[Span]) -> Iterator[Span]:
    for start, end in pieces:
        piece = text[start:end]
        kept = piece.strip()
        if kept:
            first = start + len(piece) - len(piece.lstrip())
            yield first, first + len(kept)
