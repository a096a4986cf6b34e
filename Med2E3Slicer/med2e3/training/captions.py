"""Texts for the contrast stage: what the records of a volume say of it, and of single slices."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from med2e3.training.records import Record

_REPORT = 0
"""The question_type of a report."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True)
class Caption:
    """A text, and the slices that it is true of (None: all of the volume, as far as one knows).

    A text that is ``one_of_many`` may be true of other volumes that do not say it, as a question
    about a mass is; any other is false where it is not said.
    """

    text: str
    slices: frozenset[int] | None
    one_of_many: bool = False
    seen_as: tuple[int, ...] = ()
    """Numbers of the findings and organs, findings first, whose patches show it."""
    names_patches: bool = False
    """Whether it is what every patch is named by: an organ, or a finding with its organ."""


def volume_text(record: Record, random: np.random.Generator) -> str:
    """A text about a whole volume: a report, one sentence of it, or a question with its answer.

    Single sentences keep the text encoder from leaning on the one sentence that sets most reports
    apart; questions teach it the kind of text that it will score slices for.
    """
    if record.question_type not in (_REPORT, None):
        return f"{record.question} {record.answer}"
    if random.random() < 0.5:
        return record.answer
    sentences = _SENTENCE_END.split(record.answer)
    return sentences[random.integers(len(sentences))]


def captions_of(records: Sequence[Record]) -> list[Caption]:
    """Texts about a volume and its slices, from all its records.

    Of a synthetic volume all is known: each finding, organ, plane and phase is a statement of its
    own with the slices where it is true, so that a slice is held against many statements at once
    and each is right or wrong. (Measured on phantoms: 200 steps teach the 2D encoder what 2000 do
    not with one text a slice.) Of other volumes nobody knows more than the texts of the whole,
    which every slice then shares, as in the 2D stages of other 3D models.
    """
    truths = [record for record in records if (record.phantom or {}).get("organs")]
    if truths:
        captions = [*_statements(truths[0].phantom or {}), *map(_question, truths)]
    else:
        captions = [Caption(_told(record), None) for record in records]
    return list(dict.fromkeys(caption for caption in captions if caption.slices != frozenset()))


def some_captions(
    captions: Sequence[Caption], count: int, random: np.random.Generator
) -> list[Caption]:
    """Up to ``count`` captions. What is true of few slices says more of them, so it comes first
    more often."""
    weights = np.array(
        [1 / (len(caption.slices) if caption.slices else 100) for caption in captions]
    )
    chosen = random.choice(
        len(captions), size=min(count, len(captions)), replace=False, p=weights / weights.sum()
    )
    return [captions[number] for number in sorted(chosen)]


def _told(record: Record) -> str:
    if record.question_type in (_REPORT, None):
        return record.answer
    return f"{record.question} {record.answer}"


def _question(record: Record) -> Caption:
    """A question, true of the slices that its answer depends on: what it will score slices for."""
    truth: dict[str, Any] = record.phantom or {}
    slices = truth.get("slices") or ()
    if record.question_type == _REPORT:
        slices = [number for finding in truth["findings"] for number in finding["slices"]]
    return Caption(record.question, frozenset(slices), one_of_many=True)


def _statements(truth: dict[str, Any]) -> list[Caption]:
    found: dict[str, list[tuple[int, Sequence[int]]]] = {}
    names = set(truth["organs"])
    for number, finding in enumerate(truth["findings"]):
        kind, organ, side, level = (finding[name] for name in ("kind", "organ", "side", "level"))
        place = " ".join(part for part in (side, level, organ) if part)
        names.add(f"{kind} in the {organ}")
        for text in dict.fromkeys(
            (
                "an abnormality",
                kind,
                f"an abnormality of the {organ}",
                f"{kind} in the {organ}",
                f"{kind} in the {side} {organ}" if side else "",
                f"{kind} in the {place}",
            )
        ):
            if text:
                found.setdefault(text, []).append((number, finding["slices"]))
    for number, (organ, slices) in enumerate(truth["organs"].items(), len(truth["findings"])):
        found.setdefault(organ, []).append((number, slices))
    captions = [
        Caption(
            text,
            frozenset(number for _, slices in places for number in slices),
            seen_as=tuple(number for number, _ in places),
            names_patches=text in names,
        )
        for text, places in found.items()
    ]
    captions += [
        Caption(text, None)
        for text in (
            f"{truth['plane']} plane",
            f"{truth['phase']} phase",
            f"CT of the {truth['region']}",
        )
    ]
    return captions
