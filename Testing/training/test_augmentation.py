"""Views of a volume: the text stays true."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from med2e3.training.augmentation import View, random_view, swap_sides


def handedness(turns: int, mirrored: tuple[bool, bool, bool]) -> int:
    """1 if a view only turns a body, -1 if it mirrors it: from where three voxels go."""
    marks = np.zeros((3, 1, 5, 5, 5))
    for axis in range(3):
        place = [2, 2, 2]
        place[axis] = 4
        marks[(axis, 0, *place)] = 1
    view = View(turns, mirrored, 1.0, 0.0)
    axes = [np.argwhere(view.of_volume(mark)[0])[0] - 2 for mark in marks]
    return round(np.linalg.det(np.array(axes) / 2))


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", list(itertools.product((False, True), repeat=3)))
def test_sides_are_swapped_just_when_the_body_is_mirrored(turns, mirrored):
    view = View(turns, mirrored, 1.0, 0.0)
    assert view.swaps_sides == (handedness(turns, mirrored) == -1)


def test_every_side_is_swapped_in_the_case_in_which_it_was_written():
    text = "Left-sided nodule, RIGHT lung clear; bright upright leftover. Choices: A. right B. left"
    assert swap_sides(text) == (
        "Right-sided nodule, LEFT lung clear; bright upright leftover. Choices: A. left B. right"
    )


def test_views_come_as_often_as_in_the_released_recipe():
    views = [random_view(np.random.default_rng(seed)) for seed in range(4000)]
    assert np.mean([view.quarter_turns > 0 for view in views]) == pytest.approx(0.5, abs=0.03)
    assert np.mean([view.mirrored for view in views], axis=0) == pytest.approx(0.1, abs=0.02)
    assert np.mean([view.swaps_sides for view in views]) == pytest.approx(0.244, abs=0.03)
    assert all(0.9 <= view.scale <= 1.1 and -0.1 <= view.shift <= 0.1 for view in views)
