"""What a stage asks about volumes and how often: some kinds of records may come more often than the
data has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from med2e3.errors import InputError
from med2e3.phantoms.questions import QUESTION_TYPES
from med2e3.training.records import Record

ASKED = ("report", *(f"{way} {kind}" for way in ("closed", "open") for kind in QUESTION_TYPES))
"""The kinds of what records of phantoms ask: reports, and questions with and without choices."""


def kind_of(record: Record) -> str | None:
    """One of :data:`ASKED`; None for a record that is not of a phantom, or a report's sentence."""
    asked = (record.phantom or {}).get("asked")
    if asked in ("closed", "open") and record.question_type:
        return f"{asked} {QUESTION_TYPES[record.question_type - 1]}"
    return "report" if asked == "report" else None


def more_often(records: Sequence[Record], shares: Mapping[str, float]) -> list[Record]:
    """The records, those of each kind in ``shares`` so often that they are about that share of all,
    and never less often than they are there.

    Raises InputError where there are none of a kind that is wanted."""
    kinds: dict[str, list[Record]] = {kind: [] for kind, share in shares.items() if share}
    others = 0
    for record in records:
        found = kinds.get(kind_of(record) or "")
        if found is None:
            others += 1
        else:
            found.append(record)
    every = others / (1 - sum(shares.values()))
    again = []
    for kind, found in kinds.items():
        if not found:
            raise InputError(f"No record asks for a {kind}; take it out of the stage's `asked`.")
        again += found * max(0, round(shares[kind] * every / len(found)) - 1)
    return [*records, *again]
