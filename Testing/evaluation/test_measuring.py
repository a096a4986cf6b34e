"""Figures of predictions that were written by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from med2e3.evaluation.cases import Truth
from med2e3.evaluation.measuring import measure_predictions
from med2e3.evaluation.predicting import Answered, Prediction
from med2e3.inference.batch import Written

from .conftest import query

NODULE = ("nodule", "lung", "left")
SLICES = 8


def peak(place: int) -> np.ndarray:
    scores = np.full(SLICES, 0.1 / (SLICES - 1))
    scores[place] = 0.9
    return scores


def said(text: str) -> Written:
    return Written([1], True, text)


def prediction(identifier, claims, report, answers, report_scores=None):
    slices = (2, 3) if claims else ()
    truth = Truth(
        identifier, "chest", "Describe it.", "The lungs are clear.", frozenset(claims), slices,
        tuple(answered.query for answered in answers),
    )  # fmt: skip
    scores = peak(0) if report_scores is None else report_scores
    return Prediction(truth, said(report), scores, tuple(answers))


@pytest.fixture(scope="module")
def figures():
    where = query("location", "Where is the nodule?", "B", (2, 3), "In which place is it?")
    plane = query("plane", "Which plane?", "A")
    right = Answered(where, peak(2), peak(3), said("Liver."), said("B. liver"), {
        "blank": said("A. left lung"), "shuffled": said("B. liver"), "swapped": said("C. spleen"),
    })  # fmt: skip
    wrong = Answered(where, peak(6), None, said("spleen"), said("C. spleen"))
    shown = np.zeros((SLICES, 2, 2), dtype=bool)
    shown[2, 0, 1] = shown[3, 0, 1] = True
    shares = np.where(shown, 0.5, 0.1).astype(np.float32)
    elsewhere = shares.copy()
    elsewhere[6, 1, 1] = 0.7
    right, wrong = (
        replace(answered, query=replace(where, patches=shown), patch_shares=seen)
        for answered, seen in ((right, shares), (wrong, elsewhere))
    )
    open_only = Answered(plane, peak(1), None, said(""), None)
    both_ways = Answered(plane, peak(1), None, said("Left lung"), said("The answer is A. left"))
    return measure_predictions(
        [
            prediction("1", {NODULE}, "There is a nodule in the left lung.", [right], peak(2)),
            prediction("2", set(), "There is a nodule in the right lung.", [wrong, open_only]),
            prediction("3", set(), "The lungs are clear.", [both_ways]),
        ]
    )


def test_it_is_one_object_for_json(figures):
    assert json.loads(json.dumps(figures, allow_nan=False)) == json.loads(json.dumps(figures))
    assert (figures["volumes"], figures["questions"], figures["negative_volumes"]) == (3, 4, 2)
    assert figures["cut_texts"] == 0


def test_closed_accuracy_is_over_questions_that_were_asked_closed(figures):
    accuracy = figures["closed_accuracy"]
    assert accuracy["location"] == 0.5
    assert accuracy["plane"] == 1.0
    assert accuracy["phase"] is None
    assert accuracy["mean"] == 0.75
    assert figures["closed_accuracy_strict"]["plane"] == 0.0
    low, high = figures["intervals"]["closed_accuracy"]["location"]
    assert (low, high) == (0.0, 1.0)


def test_open_scores_are_over_questions_that_were_asked_open(figures):
    scores = figures["open_scores"]
    # "Liver." and "spleen" against "liver": all of it, and nothing.
    assert scores["location"]["rouge1"] == 0.5
    # Nothing at all, and "Left lung" against "left lung".
    assert scores["plane"]["rouge1"] == 0.5
    assert scores["phase"]["bleu1"] is None


def test_findings(figures):
    # One right claim, one false, none missed.
    assert figures["finding_precision"] == 0.5
    assert figures["finding_recall"] == 1.0
    assert figures["finding_f1"] == pytest.approx(2 / 3)
    assert figures["false_finding_rate"] == 0.5
    # Two reports share "the" with the true one, 1 of 8 words and 1 of 4; the third is true.
    assert figures["report_scores"]["rouge1"] == pytest.approx((1 / 6 + 1 / 6 + 1) / 3)


def test_attention_is_over_questions_about_findings(figures):
    place = figures["attention"]["location"]
    assert place["questions"] == 2
    assert place["hit1"] == 0.5
    assert place["mass_ratio"] == pytest.approx((0.9 + 0.1 / 7 + 2 * 0.1 / 7) / 2 / (2 / SLICES))
    assert place["uniform"]["hit1"] == 2 / SLICES
    assert place["uniform"]["effective_slices"] == pytest.approx(SLICES)
    assert place["gaussian"]["effective_slices"] < SLICES - 1
    plane = figures["attention"]["plane"]
    assert (plane["questions"], plane["hit1"]) == (0, None)
    assert 1 < plane["effective_slices"] < 3
    assert figures["attention"]["report"]["questions"] == 1
    assert figures["attention"]["report"]["hit1"] == 1
    # Two curves flat but for one peak, in different places: -1 / (slices - 1).
    assert place["paraphrase_correlation"] == pytest.approx(-1 / (SLICES - 1))


def test_patches_are_held_against_those_that_show_the_finding(figures):
    place = figures["attention"]["location"]
    assert place["patch_hit1"] == 0.5
    assert place["patch_chance"] == pytest.approx(2 / (SLICES * 4))
    assert figures["attention"]["plane"]["patch_hit1"] is None


def test_controls_are_held_against_the_same_volumes(figures):
    controls = figures["controls"]
    assert controls["volumes"] == 1
    found = {name: controls[name]["location"] for name in ("untouched", "blank", "shuffled")}
    assert found == {"untouched": 1.0, "blank": 0.0, "shuffled": 1.0}
    assert controls["swapped"]["location"] == 0.0
    assert controls["blank"]["plane"] is None


def test_the_commonest_answer_does_not_count_itself():
    """Three questions, "A" right twice: one who counts the others takes "A" for all three."""
    answers = [
        Answered(query("plane", "Which plane?", letter), peak(1), None, None, said("A. left lung"))
        for letter in "AAB"
    ]
    found = measure_predictions([prediction("1", set(), "", answers)])
    assert found["commonest_answer"]["plane"] == pytest.approx(2 / 3)
