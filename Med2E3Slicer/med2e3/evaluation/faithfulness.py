"""Does the answer depend on the slices that the scores name, and the scores on the weights?

Two tests of an explanation. *Deletion and insertion*: slices leave the fused 2D tokens, or come
into them from none, in the order of their scores; if the scores mean something, the chance of the
true answer falls or rises sooner than in a random order (Petsiuk et al., arXiv 1806.07421). The 3D
tokens stay as they are, so an answer that they hold moves little. *Randomised weights*: with the
weights of a part drawn anew, scores that come from what was learned must lose their meaning
(Adebayo et al., arXiv 1810.03292).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from med2e3.attention import ranked
from med2e3.evaluation.attention_metrics import has_answer, measure, rank_correlation
from med2e3.evaluation.cases import Case, Query
from med2e3.evaluation.predicting import Reader
from med2e3.inference.batch import Asked, log_probabilities
from med2e3.model import EncodedVolume, LoadedModel, ScoredVolume
from med2e3.model.interslice import fuse

STEPS = (0, 1, 2, 3, 5, 8, 16, 32)
"""How many of the 32 slices have left or come at each point of a curve."""

Figures = dict[str, Any]


def perturbation_curves(model: LoadedModel, cases: Sequence[Case], *, seed: int = 0) -> Figures:
    """Mean log-probability of the true closed answer as slices leave and as they come.

    Over all questions of the cases whose findings lie in some of the slices. ``by_score`` and
    ``random`` are curves over ``steps``; ``areas`` are their means over the number of slices.
    Deletion should be lower by score than in a random order, insertion higher.
    """
    reader, generator = Reader(model), np.random.default_rng(seed)
    rows = []
    for case in cases:
        encoded = reader.encode(case.volume)
        for query in _answerable(case):
            if not query.closed_text:
                continue
            scored = reader.score(encoded, query.text)
            orders = {
                "by_score": ranked(scored.scores.cpu().numpy()),
                "random": tuple(generator.permutation(len(scored.scores)).tolist()),
            }
            rows.append(_curves(model, encoded, scored, query, orders))
    if not rows:
        return {"questions": 0}
    mean = np.mean(rows, axis=0)  # (deletion or insertion, order, step)
    width = STEPS[-1] - STEPS[0]
    return {
        "questions": len(rows),
        "steps": list(STEPS),
        **{
            kind: {
                name: {"curve": curve.tolist(), "area": float(np.trapezoid(curve, STEPS) / width)}
                for name, curve in zip(("by_score", "random"), curves, strict=True)
            }
            for kind, curves in zip(("deletion", "insertion"), mean, strict=True)
        },
    }


def randomised_weights(model: LoadedModel, cases: Sequence[Case], *, seed: int = 0) -> Figures:
    """Hit@1, AUROC and agreement with the trained scores, as parts that score lose their weights.

    Each weight tensor of a part is shuffled, which keeps its values and takes away what was
    learned. ``rank_correlation`` is Spearman's, with the scores of the untouched model.
    """
    untouched = list(_scores(model, cases))
    found = {"untouched": _evidence(untouched, untouched)}
    parts_by_name: dict[str, list[nn.Module]] = {
        "text_mlp": [model.text_mlp],
        "text": [model.text_mlp, model.text_model],
        "text_and_2d": [model.text_mlp, model.text_model, model.vision2d_model],
    }
    for name, parts in parts_by_name.items():
        with _shuffled(parts, seed):
            found[name] = _evidence(list(_scores(model, cases)), untouched)
    return found


def _answerable(case: Case) -> Iterator[Query]:
    count = case.volume.shape[1]
    for query in case.truth.queries:
        if has_answer(np.isin(np.arange(count), query.slices)):
            yield query


def _curves(
    model: LoadedModel,
    encoded: EncodedVolume,
    scored: ScoredVolume,
    query: Query,
    orders: dict[str, tuple[int, ...]],
) -> NDArray[np.float64]:
    """Log-probabilities (deletion or insertion, order, step)."""
    asked = []
    for begin_with in (True, False):
        for order in orders.values():
            for count in STEPS:
                kept = torch.full((len(order),), begin_with, device=scored.scores.device)
                kept[list(order[:count])] = not begin_with
                asked.append(Asked(with_slices(encoded, scored, kept), query.closed_text))
    found = log_probabilities(model, asked, [query.closed_answer] * len(asked))
    return np.reshape(found, (2, len(orders), len(STEPS)))


def with_slices(encoded: EncodedVolume, scored: ScoredVolume, kept: torch.Tensor) -> ScoredVolume:
    """A scored volume with some slices alone in its fused 2D tokens, their scores' sum 1 again.

    ``kept`` [slices] is true where a slice stays. Without any the fused tokens are zero.
    """
    scores = scored.scores * kept
    scores = scores / scores.sum().clamp(min=torch.finfo(scores.dtype).tiny)
    patches = encoded.tokens_2d.shape[1]
    tokens = torch.cat([scored.tokens[:-patches], fuse(encoded.tokens_2d, scores)])
    return ScoredVolume(scored.logits, scores, scored.patch_shares, tokens)


def _scores(
    model: LoadedModel, cases: Sequence[Case]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    reader = Reader(model)
    for case in cases:
        encoded = reader.encode(case.volume)
        for query in _answerable(case):
            scores = reader.score(encoded, query.text).scores.double().cpu().numpy()
            yield scores, np.isin(np.arange(len(scores)), query.slices)


def _evidence(
    found: Sequence[tuple[NDArray[np.float64], NDArray[np.bool_]]],
    untouched: Sequence[tuple[NDArray[np.float64], NDArray[np.bool_]]],
) -> Figures:
    if not found:
        return {"questions": 0}
    rows = [measure(scores, relevant) for scores, relevant in found]
    agreement = [
        rank_correlation(scores, before)
        for (scores, _), (before, _) in zip(found, untouched, strict=True)
    ]
    return {
        "questions": len(rows),
        "hit1": float(np.mean([row["hit1"] for row in rows])),
        "auroc": float(np.mean([row["auroc"] for row in rows])),
        "rank_correlation": float(np.mean(agreement)),
    }


@contextmanager
def _shuffled(parts: Sequence[nn.Module], seed: int) -> Iterator[None]:
    """The parts with each weight tensor's values in a random order, and as they were afterwards."""
    generator = torch.Generator().manual_seed(seed)
    kept = [(tensor, tensor.detach().clone()) for part in parts for tensor in part.parameters()]
    try:
        with torch.no_grad():
            for tensor, values in kept:
                order = torch.randperm(values.numel(), generator=generator).to(values.device)
                tensor.copy_(values.flatten()[order].view_as(values))
        yield
    finally:
        with torch.no_grad():
            for tensor, values in kept:
                tensor.copy_(values)
