"""Finding F1 and bootstrap intervals on cases that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from med2e3.evaluation.bootstrap import interval, ratio
from med2e3.evaluation.finding_metrics import FindingScores, score_findings

NODULE = ("nodule", "lung", "left")
OTHER_SIDE = ("nodule", "lung", "right")
CYST = ("cyst", "liver", "")


def test_findings_are_counted_over_all_volumes():
    scores = score_findings(
        [
            ({NODULE, CYST}, {NODULE, CYST}),
            ({OTHER_SIDE}, {NODULE}),  # the wrong side is a false one and a missed one
            (set(), {CYST}),
            ({CYST}, set()),
            (set(), set()),
        ]
    )
    assert scores.precision == pytest.approx(2 / 4)
    assert scores.recall == pytest.approx(2 / 4)
    assert scores.f1 == pytest.approx(2 / 4)
    assert scores.false_finding_rate == pytest.approx(1 / 2)


def test_what_nothing_counts_for_has_no_figure():
    assert score_findings([]) == FindingScores(None, None, None, None)
    assert score_findings([(set(), set())]) == FindingScores(None, None, None, 0.0)
    assert score_findings([(set(), {CYST})]).precision is None
    assert score_findings([(set(), {CYST})]).f1 == 0


def test_an_interval_holds_the_mean_and_narrows_with_more_volumes():
    generator = np.random.default_rng(4)
    few, many = ([(float(x), 1.0) for x in generator.random(n) < 0.8] for n in (40, 4000))
    for rows in (few, many):
        low, high = interval(rows, ratio)
        assert low < np.mean([row[0] for row in rows]) < high
    width = [high - low for low, high in (interval(few, ratio), interval(many, ratio))]
    # The spread of a mean falls with the root of the number: here to a tenth.
    assert width[0] / width[1] == pytest.approx(10, rel=0.4)


def test_questions_of_one_volume_do_not_count_as_independent():
    right = [1.0] * 20 + [0.0] * 20
    alone = interval([(x, 1.0) for x in right], ratio)
    grouped = interval([(8 * x, 8.0) for x in right], ratio)
    assert grouped == pytest.approx(alone)


def test_the_same_seed_gives_the_same_interval():
    rows = [(float(n % 3 == 0), 1.0) for n in range(50)]
    assert interval(rows, ratio, seed=5) == interval(rows, ratio, seed=5)
    assert interval([], ratio) is None
    assert interval([(0.0, 0.0)], ratio) is None
