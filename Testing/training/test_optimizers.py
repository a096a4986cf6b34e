"""Muon and AdamW as one optimizer."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim import AdamW, Muon

from med2e3.training.optimizers import MuonAndAdamW, orthogonal

SHAPES = [(24, 8), (24, 8), (8, 16), (12, 12)]


def parameters():
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def draw_gradients(matrices, seed):
    generator = torch.Generator().manual_seed(seed)
    for matrix in matrices:
        matrix.grad = torch.randn(matrix.shape, generator=generator)


def ours_of(matrices):
    muon = {"params": matrices[:3], "muon": True, "lr": 0.01, "weight_decay": 0.1}
    return MuonAndAdamW([muon, {"params": matrices[3:], "lr": 0.02}], (0.9, 0.98), 1e-8)


def test_it_steps_as_torch_does_but_for_rounding():
    start, ours, theirs = parameters(), parameters(), parameters()
    optimizer = ours_of(ours)
    others = [
        Muon(theirs[:3], lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
        AdamW(theirs[3:], lr=0.02, betas=(0.9, 0.98), weight_decay=0),
    ]
    for seed in range(5):
        draw_gradients(ours, seed)
        draw_gradients(theirs, seed)
        for one in (optimizer, *others):
            one.step()
    for our, their, was in zip(ours, theirs, start, strict=True):
        # Torch computes the direction in bfloat16, which has three digits.
        assert (our - their).norm() < 0.02 * (their - was).norm()


def test_what_it_remembers_goes_on_from_a_checkpoint():
    whole, halves = parameters(), parameters()
    first, second = ours_of(whole), ours_of(halves)
    for seed in range(4):
        if seed == 2:
            saved = second.state_dict()
            second = ours_of(halves)
            second.load_state_dict(saved)
        for optimizer, matrices in ((first, whole), (second, halves)):
            draw_gradients(matrices, seed)
            optimizer.step()
    for one, other in zip(whole, halves, strict=True):
        assert torch.equal(one, other)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 1000))
def test_directions_of_which_there_is_little_become_as_long_as_the_others(rows, columns, seed):
    generator = torch.Generator().manual_seed(seed)
    left, _ = torch.linalg.qr(torch.randn(rows, rows, generator=generator))
    right, _ = torch.linalg.qr(torch.randn(columns, columns, generator=generator))
    least = min(rows, columns)
    sizes = torch.logspace(0, -1.5, least)
    matrix = left[:, :least] * sizes @ right[:, :least].T
    found = left[:, :least].T @ orthogonal(matrix[None])[0] @ right[:, :least]
    assert found.diagonal().min() > 0.6
    assert found.diagonal().max() < 1.25
    assert (found - found.diagonal().diag()).abs().max() < 1e-3


def test_a_gradient_of_nothing_changes_nothing():
    assert torch.equal(orthogonal(torch.zeros(1, 3, 4)), torch.zeros(1, 3, 4))


def test_it_takes_no_closure():
    with pytest.raises(ValueError, match="closure"):
        ours_of(parameters()).step(lambda: 0.0)
