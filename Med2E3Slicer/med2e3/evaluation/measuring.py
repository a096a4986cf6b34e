"""From predictions to figures: one object that JSON can hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from med2e3.evaluation.attention_metrics import (
    FIGURES,
    gaussian_scores,
    has_answer,
    hit_at,
    measure,
    random_scores,
    rank_correlation,
    uniform_scores,
)
from med2e3.evaluation.bootstrap import interval, ratio
from med2e3.evaluation.closed import correct_as_released, correct_strictly
from med2e3.evaluation.finding_metrics import finding_counts, scores_of
from med2e3.evaluation.predicting import CONTROLS, Answered, Prediction
from med2e3.evaluation.text_metrics import compare, text_metrics
from med2e3.inference.batch import Written
from med2e3.phantoms.claims import findings_in
from med2e3.phantoms.questions import QUESTION_TYPES

Figures = dict[str, Any]

Curve = tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64] | None]
"""(scores, relevant slices, scores for the paraphrase) of a question."""

MEAN = "mean"
"""The name of the mean over question types, each counting the same (the released scripts' too)."""

REPORT = "report"
"""The name of the report's own attention among the question types."""


def measure_predictions(predictions: Sequence[Prediction]) -> Figures:
    """Every figure of the predictions; None where nothing counts for one.

    Accuracies, shares and text scores lie between 0 and 1. ``intervals`` hold 95 % bootstrap
    intervals over volumes for the main figures.
    """
    claims = [
        finding_counts(findings_in(one.report.text, one.truth.region), one.truth.claims)
        for one in predictions
    ]
    findings = scores_of(np.sum(claims, axis=0).tolist())
    return {
        "volumes": len(predictions),
        "questions": sum(len(one.answers) for one in predictions),
        "negative_volumes": sum(not one.truth.claims for one in predictions),
        "cut_texts": sum(not text.ended for one in predictions for text in _texts(one)),
        "closed_accuracy": _by_type(predictions, _released),
        "closed_accuracy_strict": _by_type(predictions, _strict),
        "commonest_answer": _commonest_answer(predictions),
        "open_scores": _open_scores(predictions),
        "report_scores": _report_scores(predictions),
        "finding_f1": findings.f1,
        "finding_precision": findings.precision,
        "finding_recall": findings.recall,
        "false_finding_rate": findings.false_finding_rate,
        "attention": _attention(predictions),
        "controls": _controls(predictions),
        "intervals": {
            "closed_accuracy": _accuracy_intervals(predictions),
            "finding_f1": interval(claims, lambda sums: scores_of(sums).f1),
            "false_finding_rate": interval(claims, lambda sums: scores_of(sums).false_finding_rate),
        },
    }


def _released(answered: Answered) -> float | None:
    if answered.closed is None:
        return None
    return float(correct_as_released(answered.closed.text, answered.query.letter))


def _strict(answered: Answered) -> float | None:
    if answered.closed is None:
        return None
    query = answered.query
    return float(correct_strictly(answered.closed.text, query.letter, query.choices))


def _texts(prediction: Prediction) -> Iterable[Written]:
    yield prediction.report
    for answered in prediction.answers:
        yield from (text for text in (answered.open, answered.closed) if text is not None)


def _by_type(
    predictions: Iterable[Prediction], figure: Callable[[Answered], float | None]
) -> dict[str, float | None]:
    """The mean of a figure over the questions of each type that have it, and over the types."""
    found: dict[str, list[float]] = {kind: [] for kind in QUESTION_TYPES}
    for prediction in predictions:
        for answered in prediction.answers:
            value = figure(answered)
            if value is not None:
                found[answered.query.kind].append(value)
    means = {kind: _mean(values) for kind, values in found.items()}
    return {**means, MEAN: _mean([value for value in means.values() if value is not None])}


def _commonest_answer(predictions: Sequence[Prediction]) -> dict[str, float | None]:
    """The accuracy of who sees nothing, but knows how often each answer is right.

    Of the choices of a question it takes the one that is right most often among all questions of
    the same wording and type. That is what a control falls to where answers are not even.
    """
    right = Counter(
        (answered.query.kind, answered.query.choices[answered.query.letter])
        for one in predictions
        for answered in one.answers
    )

    def guessed(answered: Answered) -> float | None:
        if answered.closed is None:
            return None
        query = answered.query

        def elsewhere(letter: str) -> int:
            return right[query.kind, query.choices[letter]] - (letter == query.letter)

        return float(max(query.choices, key=elsewhere) == query.letter)

    return _by_type(predictions, guessed)


def _accuracy_intervals(predictions: Sequence[Prediction]) -> dict[str, Any]:
    rows = []
    for prediction in predictions:
        row = {kind: [0.0, 0.0] for kind in QUESTION_TYPES}
        for answered in prediction.answers:
            right = _released(answered)
            if right is not None:
                row[answered.query.kind][0] += right
                row[answered.query.kind][1] += 1
        rows.append(row)
    by_type = {kind: interval([row[kind] for row in rows], ratio) for kind in QUESTION_TYPES}
    together = [[number for pair in row.values() for number in pair] for row in rows]
    return {**by_type, MEAN: interval(together, _mean_of_ratios)}


def _mean_of_ratios(sums: Sequence[float]) -> float | None:
    pairs = zip(sums[::2], sums[1::2], strict=True)
    return _mean([right / asked for right, asked in pairs if asked])


def _open_scores(predictions: Sequence[Prediction]) -> Figures:
    metrics = text_metrics()
    scored = {
        id(answered): compare(answered.open.text, answered.query.answer, metrics)
        for one in predictions
        for answered in one.answers
        if answered.open is not None
    }

    def column(name: str) -> dict[str, float | None]:
        return _by_type(predictions, lambda answered: scored.get(id(answered), {}).get(name))

    columns = {name: column(name) for name in metrics}
    return {
        kind: {name: values[kind] for name, values in columns.items()}
        for kind in (*QUESTION_TYPES, MEAN)
    }


def _report_scores(predictions: Sequence[Prediction]) -> dict[str, float | None]:
    metrics = text_metrics()
    scored = [compare(one.report.text, one.truth.report, metrics) for one in predictions]
    return {name: _mean([scores[name] for scores in scored]) for name in metrics}


def _attention(predictions: Sequence[Prediction]) -> Figures:
    """Per type: the model's figures, those of three baselines, and agreement of paraphrases."""
    generator = np.random.default_rng(0)
    return {
        kind: {
            **_attention_to(list(_curves(predictions, kind)), generator),
            **_patch_attention(predictions, kind),
        }
        for kind in (*QUESTION_TYPES, REPORT)
    }


def _patch_attention(predictions: Iterable[Prediction], kind: str) -> Figures:
    """Of the questions of a type about findings: how often the patch that gives most to the scores
    shows one, and how often a patch drawn by lot would."""
    seen = [
        (answered.patch_shares.ravel(), answered.query.patches.ravel())
        for prediction in predictions
        for answered in prediction.answers
        if answered.query.kind == kind
        and answered.patch_shares is not None
        and answered.query.patches is not None
        and answered.patch_shares.shape == answered.query.patches.shape
    ]
    return {
        "patch_hit1": _mean([hit_at(shares, patches, 1) for shares, patches in seen]),
        "patch_chance": _mean([patches.mean() for _, patches in seen]),
    }


def _attention_to(curves: Sequence[Curve], generator: np.random.Generator) -> Figures:
    """Hits, AUROC and mass ratio are over the questions whose findings lie in some of the slices,
    ``questions`` in number; ``effective_slices`` over all."""
    baselines: dict[str, Callable[[int], NDArray[np.float64]]] = {
        "uniform": uniform_scores,
        "gaussian": gaussian_scores,
        "random": lambda slices: random_scores(slices, generator),
    }
    return {
        "questions": sum(has_answer(relevant) for _, relevant, _ in curves),
        **_mean_figures(measure(scores, relevant) for scores, relevant, _ in curves),
        "paraphrase_correlation": _mean(
            [rank_correlation(scores, other) for scores, _, other in curves if other is not None]
        ),
        **{
            name: _mean_figures(
                measure(drawn(len(relevant)), relevant) for _, relevant, _ in curves
            )
            for name, drawn in baselines.items()
        },
    }


def _curves(predictions: Iterable[Prediction], kind: str) -> Iterable[Curve]:
    """What was looked at for every question of a type."""
    for prediction in predictions:
        if kind == REPORT:
            scores = prediction.report_scores
            yield scores, _marks(prediction.truth.slices, len(scores)), None
            continue
        for answered in prediction.answers:
            if answered.query.kind == kind:
                relevant = _marks(answered.query.slices, len(answered.scores))
                yield answered.scores, relevant, answered.paraphrase_scores


def _controls(predictions: Sequence[Prediction]) -> Figures:
    """Closed accuracy under each control, and untouched on the same volumes."""
    under = [one for one in predictions if any(answered.controls for answered in one.answers)]

    def accuracy(name: str) -> dict[str, float | None]:
        def correct(answered: Answered) -> float | None:
            text = answered.controls.get(name)
            return (
                None
                if text is None
                else float(correct_as_released(text.text, answered.query.letter))
            )

        return _by_type(under, correct)

    return {
        "volumes": len(under),
        "untouched": _by_type(under, _released),
        **{name: accuracy(name) for name in CONTROLS},
    }


def _mean_figures(rows: Iterable[dict[str, float | None]]) -> dict[str, float | None]:
    listed = list(rows)
    return {name: _mean([row[name] for row in listed if row[name] is not None]) for name in FIGURES}


def _marks(slices: Sequence[int], count: int) -> NDArray[np.bool_]:
    marks = np.zeros(count, dtype=np.bool_)
    marks[list(slices)] = True
    return marks


def _mean(values: Sequence[Any]) -> float | None:
    return float(np.mean(values)) if len(values) else None
