"""The slices that answers depend on, and the loss that holds the scores against them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from med2e3.errors import InputError
from med2e3.training.evidence import (
    even_scores,
    evidence_loss,
    evidence_of,
    patch_evidence_of,
    told_sentences,
)
from med2e3.training.records import Record

SLICES = 8
FINDINGS = [{"slices": [1, 2]}, {"slices": [5]}]
ABOUT = Record("1", "1.npy", "What?", "What?", "This.", 4)


def asked(**truth):
    return replace(ABOUT, phantom={"findings": FINDINGS, **truth})


def numbers(masks):
    return [mask.nonzero()[0].tolist() for mask in masks]


@pytest.mark.parametrize(
    ("truth", "things"),
    [
        ({"asked": "report", "slices": list(range(SLICES))}, [[1, 2], [5]]),
        ({"asked": "closed", "slices": [5], "depends_on": [1]}, [[5]]),
        ({"asked": "open", "slices": [1, 2, 5], "depends_on": [0, 1]}, [[1, 2], [5]]),
        ({"asked": "closed", "slices": [2, 3], "depends_on": []}, [[2, 3]]),
        ({"asked": "closed", "slices": list(range(SLICES)), "depends_on": []}, []),
        ({"asked": "report", "findings": [], "slices": list(range(SLICES))}, []),
    ],
)
def test_each_finding_is_a_thing_of_its_own_and_a_whole_volume_is_none(truth, things):
    assert numbers(evidence_of(asked(**truth), SLICES)) == things


def test_scores_are_shared_out_evenly_among_things_and_then_among_their_slices():
    masks = torch.zeros(3, 2, SLICES, dtype=torch.bool)
    masks[0, 0, 1:3] = masks[0, 1, 5] = masks[1, 0, 4] = True
    scores = even_scores(masks)
    assert scores[0].tolist() == [0, 0.25, 0.25, 0, 0, 0.5, 0, 0]
    assert scores[1].tolist() == [0, 0, 0, 0, 1, 0, 0, 0]
    assert scores[2].tolist() == [1 / SLICES] * SLICES
    assert even_scores(masks[:, :0]).tolist() == [[1 / SLICES] * SLICES] * 3


def test_of_other_data_nothing_is_known():
    assert evidence_of(ABOUT, SLICES).shape == (0, SLICES)
    assert patch_evidence_of(ABOUT, None, (SLICES, 2, 2)).shape == (0, SLICES * 4)


def test_patches_that_show_a_finding_are_told_in_the_encoders_grid():
    cover = np.zeros((3, SLICES, 4, 4), np.uint8)
    cover[0, 1, 0, 0] = 255
    cover[0, 2, 3, 1] = 20
    cover[0, 3, 3, 3] = 5  # hardly seen
    cover[2] = 255  # an organ
    told = patch_evidence_of(asked(asked="report"), cover, (SLICES, 2, 2))
    # The second finding covers nothing, so no patch can be held against it.
    assert [np.argwhere(mask.reshape(SLICES, 2, 2)).tolist() for mask in told] == [
        [[1, 0, 0], [2, 1, 0]]
    ]
    about_an_organ = asked(asked="open", slices=[5], depends_on=[])
    assert patch_evidence_of(about_an_organ, cover, (SLICES, 2, 2)).shape == (0, SLICES * 4)


def test_patches_that_do_not_fit_the_encoders_are_refused():
    with pytest.raises(InputError, match=r"covers .* patches"):
        patch_evidence_of(
            asked(asked="report"), np.zeros((2, SLICES, 4, 4), np.uint8), (SLICES, 3, 3)
        )


def test_a_sentence_of_a_report_is_about_the_findings_that_it_tells():
    findings = [
        {"kind": "nodule", "organ": "lung", "side": "left", "slices": [1, 2]},
        {"kind": "mass", "organ": "lung", "side": "right", "slices": [5]},
    ]
    report = replace(
        asked(asked="report", findings=findings, region="chest"),
        answer="CT of the chest. There is a nodule in the left lung. No effusion. "
        "The right lung has a mass.",
    )
    told = told_sentences(report)
    assert [one.question for one in told] == [
        "There is a nodule in the left lung.", "The right lung has a mass.",
    ]  # fmt: skip
    assert [numbers(evidence_of(one, SLICES)) for one in told] == [[[1, 2]], [[5]]]
    assert told_sentences(asked(asked="open", region="chest")) == []


def masks(*things):
    found = torch.zeros(1, len(things), SLICES, dtype=torch.bool)
    for row, slices in enumerate(things):
        found[0, row, list(slices)] = True
    return found


@given(st.sets(st.integers(0, SLICES - 1), min_size=1, max_size=SLICES - 1))
def test_even_scores_lose_the_logarithm_of_the_share_of_the_slices(slices):
    loss, _ = evidence_loss(torch.zeros(1, SLICES), masks(slices))
    assert loss.item() == pytest.approx(math.log(SLICES / len(slices)), rel=1e-5)


def test_one_slice_of_a_finding_is_enough_and_two_findings_share_the_score():
    on_one = torch.full((1, SLICES), -30.0)
    on_one[0, 2] = 30
    assert evidence_loss(on_one, masks([1, 2]))[0].item() == pytest.approx(0, abs=1e-5)
    on_both = on_one.clone()
    on_both[0, 5] = 30
    loss, hits = evidence_loss(on_both, masks([1, 2], [5]))
    assert loss.item() == pytest.approx(math.log(2), rel=1e-5)
    assert hits.item() == 1
    assert evidence_loss(on_one, masks([1, 2], [5]))[0].item() > 10


def test_answers_without_evidence_do_not_count_and_give_no_gradient():
    logits = torch.randn(2, SLICES, requires_grad=True)
    known = torch.cat([masks([3], []), masks([], [])])
    loss, _ = evidence_loss(logits, known)
    loss.backward()
    assert loss.item() == pytest.approx(evidence_loss(logits[:1], known[:1])[0].item())
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[1].abs().sum() == 0
    nothing, hits = evidence_loss(logits, torch.zeros(2, 1, SLICES, dtype=torch.bool))
    assert nothing.item() == 0
    assert hits.isnan()
