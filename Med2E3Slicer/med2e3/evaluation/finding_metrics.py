"""Which findings a report claims, held against those that there are."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeVar

Claim = TypeVar("Claim", bound=Hashable)
"""What makes two findings the same one: here (kind, organ, side)."""


@dataclass(frozen=True)
class FindingScores:
    """Over all volumes together (micro average).

    ``precision`` is the share of the claimed findings that are there, ``recall`` the share of those
    that are there which were claimed, ``f1`` their harmonic mean; ``false_finding_rate`` the share
    of the volumes without a finding that were given one. None where nothing counts for it.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    false_finding_rate: float | None


def score_findings(pairs: Iterable[tuple[AbstractSet[Claim], AbstractSet[Claim]]]) -> FindingScores:
    """Scores of (claimed, true) findings, one pair a volume."""
    counts = [finding_counts(claimed, true) for claimed, true in pairs]
    return scores_of([sum(column) for column in zip(*counts, strict=True)] or [0] * 5)


def finding_counts(
    claimed: AbstractSet[Claim], true: AbstractSet[Claim]
) -> tuple[int, int, int, int, int]:
    """What a volume adds: right claims, claims, true findings, negative volumes, those with one."""
    return (
        len(claimed & true),
        len(claimed),
        len(true),
        int(not true),
        int(not true and bool(claimed)),
    )


def scores_of(counts: Sequence[float]) -> FindingScores:
    """Scores of the sums of :func:`finding_counts` over volumes."""
    right, claims, truths, negatives, false_positives = counts
    return FindingScores(
        precision=_share(right, claims),
        recall=_share(right, truths),
        f1=_share(2 * right, claims + truths),
        false_finding_rate=_share(false_positives, negatives),
    )


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
