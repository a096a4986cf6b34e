"""Layers whose weights stay as narrow as the checkpoint has them, and are widened to compute.

A bfloat16 number is a float32 number with half of its bits zero, so nothing changes but the memory
that the weights take, and the time for widening them: some seconds a prompt at the released size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import nn

FEW_ROWS = 8
"""So many rows or fewer are multiplied in the weight's own precision: for them it takes longer to
widen the weight than to multiply."""


class WideningLinear(nn.Linear):
    """A linear layer that computes in ``computes_in``; few rows in its weight's own precision.

    Returns what came in.
    """

    computes_in: torch.dtype = torch.float32
    few_rows_stay_narrow: bool = False

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        is_few = self.few_rows_stay_narrow and rows.shape[:-1].numel() <= FEW_ROWS
        dtype = self.weight.dtype if is_few else self.computes_in
        bias = None if self.bias is None else self.bias.to(dtype)
        return functional.linear(rows.to(dtype), self.weight.to(dtype), bias).to(rows.dtype)


class WideningEmbedding(nn.Embedding):
    """Embeddings that come out in ``computes_in``."""

    computes_in: torch.dtype = torch.float32

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return super().forward(ids).to(self.computes_in)


def widen(module: nn.Module, computes_in: torch.dtype, *, few_rows_stay_narrow: bool) -> None:
    """Let every linear layer and embedding of a module whose parameters have no memory yet keep its
    weights as they are in the checkpoint.

    With ``few_rows_stay_narrow`` single rows are rounded to the precision of the weights, as a
    language model's are that writes in it.
    """
    for one in module.modules():
        if type(one) is nn.Linear:
            one.__class__ = WideningLinear
        elif type(one) is nn.Embedding:
            one.__class__ = WideningEmbedding
        if isinstance(one, WideningLinear | WideningEmbedding):
            one.computes_in = computes_in
        if isinstance(one, WideningLinear):
            one.few_rows_stay_narrow = few_rows_stay_narrow


def stays_narrow(module: nn.Module, name: str) -> bool:
    """Whether the parameter ``name`` of a module is a weight that :func:`widen` spoke of."""
    owner, _, last = name.rpartition(".")
    return last == "weight" and isinstance(
        module.get_submodule(owner), WideningLinear | WideningEmbedding
    )
