"""Does the attention mean anything? Slice scores held against the slices that hold the answer.

``scores`` are a model's slice scores (32,), not negative, with the sum 1. ``relevant`` (32,) tells
which slices the answer depends on. Where none or all are relevant nothing can be asked, and the
functions raise ValueError; :func:`has_answer` tells beforehand.

Equal scores count as drawn by lot: uniform scores get exactly the value of chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from med2e3.attention import effective_slices


def has_answer(relevant: ArrayLike) -> bool:
    """Whether some slices are relevant and some are not."""
    marks = np.asarray(relevant, dtype=bool)
    return bool(marks.any() and not marks.all())


def hit_at(scores: ArrayLike, relevant: ArrayLike, count: int) -> float:
    """Chance that one of the ``count`` best slices is relevant, ties drawn by lot: 0 to 1."""
    values, marks = _checked(scores, relevant)
    if not 1 <= count <= values.size:
        raise ValueError(f"The count must lie between 1 and {values.size}, not {count}.")
    threshold = np.sort(values)[-count]
    above, tied = values > threshold, values == threshold
    if marks[above].any():
        return 1.0
    places, ties = count - int(above.sum()), int(tied.sum())
    misses = ties - int((tied & marks).sum())
    return 1.0 - math.comb(misses, places) / math.comb(ties, places)


def mass_ratio(scores: ArrayLike, relevant: ArrayLike) -> float:
    """The relevant slices' share of the score over their share of the slices; 1 is chance."""
    values, marks = _checked(scores, relevant)
    return float(values[marks].sum() / values.sum() / marks.mean())


def auroc(scores: ArrayLike, relevant: ArrayLike) -> float:
    """Chance that a relevant slice scores higher than another one, ties half; 0.5 is chance."""
    values, marks = _checked(scores, relevant)
    positives, negatives = int(marks.sum()), int((~marks).sum())
    rank_sum = float(_ranks(values)[marks].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def rank_correlation(first: ArrayLike, second: ArrayLike) -> float:
    """Spearman's rho of two score curves, -1 to 1; 0 where one of them is flat."""
    left = _ranks(np.asarray(first, dtype=np.float64))
    right = _ranks(np.asarray(second, dtype=np.float64))
    if left.shape != right.shape:
        raise ValueError("The two score curves must have the same length.")
    left, right = left - left.mean(), right - right.mean()
    scale = math.sqrt(float(left @ left) * float(right @ right))
    return float(left @ right) / scale if scale else 0.0


EVIDENCE_METRICS: dict[str, Callable[[ArrayLike, ArrayLike], float]] = {
    "hit1": lambda scores, relevant: hit_at(scores, relevant, 1),
    "hit3": lambda scores, relevant: hit_at(scores, relevant, 3),
    "auroc": auroc,
    "mass_ratio": mass_ratio,
}
"""What needs relevant slices; effective_slices needs none."""

FIGURES = (*EVIDENCE_METRICS, "effective_slices")
"""The names of what :func:`measure` tells."""


def measure(scores: ArrayLike, relevant: ArrayLike) -> dict[str, float | None]:
    """All figures of one question's attention, by name; None for those that need an answer."""
    asked = has_answer(relevant)
    evidence = {
        name: metric(scores, relevant) if asked else None
        for name, metric in EVIDENCE_METRICS.items()
    }
    return {**evidence, "effective_slices": effective_slices(scores)}


def uniform_scores(slices: int) -> NDArray[np.float64]:
    """Baseline: every slice the same."""
    return np.full(slices, 1 / slices)


def gaussian_scores(slices: int) -> NDArray[np.float64]:
    """Baseline: a bell on the middle, as wide as the released ablation's (sigma = slices / 6)."""
    offsets = np.arange(slices) - (slices - 1) / 2
    weights = np.exp(-0.5 * (offsets / (slices / 6)) ** 2)
    bell: NDArray[np.float64] = weights / weights.sum()
    return bell


def random_scores(slices: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Baseline: the softmax of normal random numbers, as in the released ablation."""
    weights = np.exp(generator.standard_normal(slices))
    scores: NDArray[np.float64] = weights / weights.sum()
    return scores


def _checked(
    scores: ArrayLike, relevant: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values = np.asarray(scores, dtype=np.float64)
    marks = np.asarray(relevant, dtype=bool)
    if values.shape != marks.shape or values.ndim != 1:
        raise ValueError("Scores and relevant slices must be two vectors of the same length.")
    if not has_answer(marks):
        raise ValueError("Some slices must be relevant, and some not.")
    return values, marks


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1, equal values sharing the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    shared: NDArray[np.float64] = (last - (counts - 1) / 2)[place]
    return shared
