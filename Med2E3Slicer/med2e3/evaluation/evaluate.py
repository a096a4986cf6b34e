"""The story of an evaluation: cases → predictions → figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from med2e3.evaluation.attention_metrics import has_answer
from med2e3.evaluation.cases import Case
from med2e3.evaluation.faithfulness import perturbation_curves, randomised_weights
from med2e3.evaluation.measuring import Figures, measure_predictions
from med2e3.evaluation.predicting import Answered, Prediction, ScoringText, own_text, predict
from med2e3.model import LoadedModel

CONTROLLED = 100
"""Volumes whose closed questions are asked under each control too."""

EXAMINED = 24
"""Volumes with findings for the tests that ask the model again and again."""

_EXAMPLES = 3


def evaluate_model(
    model: LoadedModel,
    cases: Iterable[Case],
    *,
    controlled: int = CONTROLLED,
    examined: int = EXAMINED,
    scoring_text: ScoringText = own_text,
    seed: int = 0,
) -> Figures:
    """Everything that is known about a model after these cases, as one object for JSON.

    ``scoring_text`` tells which text the slices are scored for, where it is not the question.
    ``seed`` draws the orders of slices in controls and curves.
    """
    kept: list[Case] = []
    predictions = list(
        predict(
            model,
            _keeping(cases, kept, examined),
            controlled=controlled,
            scoring_text=scoring_text,
            seed=seed,
        )
    )
    identity = model.identity
    return {
        "model": {
            "name": identity.name,
            "sha256": identity.sha256,
            "trained_on": identity.trained_on,
        },
        **measure_predictions(predictions),
        "faithfulness": perturbation_curves(model, kept, seed=seed),
        "randomised_weights": randomised_weights(model, kept, seed=seed),
        "examples": _examples(predictions),
    }


def _keeping(cases: Iterable[Case], kept: list[Case], count: int) -> Iterator[Case]:
    """The cases as they come, and the first ones with findings aside. The rest need no memory."""
    for case in cases:
        if len(kept) < count and case.truth.claims:
            kept.append(case)
        yield case


def _examples(predictions: Sequence[Prediction]) -> list[Figures]:
    """Texts and score curves of the first volumes that have a finding, to look at."""
    found = []
    for prediction in predictions:
        slices = len(prediction.report_scores)
        if not has_answer([number in prediction.truth.slices for number in range(slices)]):
            continue
        found.append(
            {
                "id": prediction.truth.identifier,
                "report": {"written": prediction.report.text, "true": prediction.truth.report},
                "questions": [
                    {
                        "type": answered.query.kind,
                        "question": answered.query.text,
                        **_told(answered),
                        "slices": list(answered.query.slices),
                        "scores": [round(float(score), 5) for score in answered.scores],
                    }
                    for answered in prediction.answers
                ],
            }
        )
        if len(found) == _EXAMPLES:
            break
    return found


def _told(answered: Answered) -> Figures:
    """What was written and what is true: of the closed question where it was asked, else of the
    open one."""
    if answered.closed:
        return {"written": answered.closed.text, "true": answered.query.closed_answer}
    written = answered.open.text if answered.open else ""
    return {"written": written, "true": answered.query.answer}
