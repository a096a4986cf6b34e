"""Attention written out gives what torch's own gives, forwards and backwards."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as functional

from med2e3.training import attention
from med2e3.training.attention import write_out_attention, written_out


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("elements", [2**20, 300])
def test_it_is_attention(monkeypatch, causal, elements):
    monkeypatch.setattr(attention, "_ELEMENTS_AT_A_TIME", elements)
    torch.manual_seed(0)
    query, key, value = (torch.randn(5, 2, 9, 4, requires_grad=True) for _ in range(3))
    mask = torch.full((9, 9), -torch.inf).triu(1)[None, None] if causal else None
    found = written_out(query, key, value, mask)
    wanted = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    torch.testing.assert_close(found, wanted)
    grown = torch.randn_like(found)
    for one, other in zip(
        torch.autograd.grad(found, (query, key, value), grown, retain_graph=True),
        torch.autograd.grad(wanted, (query, key, value), grown),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_the_network_answers_the_same(made_network):
    other = copy.deepcopy(made_network)
    write_out_attention(other)
    torch.manual_seed(0)
    volume = torch.rand(2, 1, 8, 32, 32)
    ids = torch.randint(5, 90, (2, 30))
    with torch.no_grad():
        for ask in (
            lambda model: model.vision3d_model(volume),
            lambda model: model.vision2d_model(volume[0, 0]),
            lambda model: model.llm(input_ids=ids).logits,
        ):
            torch.testing.assert_close(ask(other), ask(made_network), rtol=1e-4, atol=1e-5)
