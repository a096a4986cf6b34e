"""Texts for the contrast stage: what a volume's records say of it, and of single slices."""

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
    """A text, and the slices that it is true of (None: all of the volume)."""

    text: str
    slices: frozenset[int] | None


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


def slice_captions(records: Sequence[Record]) -> list[Caption]:
    """Texts about slices, from all records of one volume.

    Synthetic volumes know which slices a finding touches. Of other volumes nobody knows more than
    the texts of the whole, which every slice then shares, as in the 2D stages of other 3D models.
    """
    captions = [Caption(*found) for record in records for found in _of_phantom(record)]
    if not captions:
        captions = [
            Caption(
                record.answer
                if record.question_type in (_REPORT, None)
                else f"{record.question} {record.answer}",
                None,
            )
            for record in records
        ]
    return list(dict.fromkeys(captions))


def caption_of(
    captions: Sequence[Caption], number: int, random: np.random.Generator
) -> Caption | None:
    """One caption that is true of the slice ``number``, if there is one. Short lists of slices say
    more of a slice, so they come more often."""
    true = [caption for caption in captions if caption.slices is None or number in caption.slices]
    if not true:
        return None
    weights = np.array([1 / (len(caption.slices) if caption.slices else 100) for caption in true])
    return true[random.choice(len(true), p=weights / weights.sum())]


def _of_phantom(record: Record) -> list[tuple[str, frozenset[int]]]:
    truth: dict[str, Any] = record.phantom or {}
    found = []
    asked = frozenset(truth.get("slices") or ())
    if asked and record.question_type != _REPORT:
        found.append((f"{record.question} {record.answer}", asked))
    for finding in truth.get("findings") or ():
        if not finding.get("slices"):
            continue
        place = " ".join(
            part for part in (finding["side"], finding["level"], finding["organ"]) if part
        )
        slices = frozenset(finding["slices"])
        found.append((f"{finding['kind']} in the {place}", slices))
        found.append((f"{finding['kind']}, {finding['size_mm']:.0f} mm, {place}", slices))
    organs = truth.get("organs") or {}
    kind = f"{truth.get('plane', '')} slice, {truth.get('region', '')}, {truth.get('phase', '')}"
    sets: dict[frozenset[str], set[int]] = {}
    for number in range(max((max(seen) for seen in organs.values() if seen), default=-1) + 1):
        names = frozenset(name for name, seen in organs.items() if number in seen)
        sets.setdefault(names, set()).add(number)
    for names, numbers in sets.items():
        if names:
            found.append((f"{kind}: {', '.join(sorted(names))}", frozenset(numbers)))
    return found
