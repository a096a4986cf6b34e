"""Attention written out for training on a CPU.

torch's own attention saves memory, but on a CPU its backward pass is slow: measured for the
embedded model, 11 times slower than the products written out for the 64 patches of a slice, and 2
times for the 300 tokens of a prompt. Written out, the weights of one item must fit the cache, so a
few items go at a time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface

from med2e3.model import Med2E3
from med2e3.model.vision3d import SelfAttention

_NAME = "med2e3_written_out"

_ELEMENTS_AT_A_TIME = 2**20
"""Attention weights that are held at a time, about what a core's cache takes."""


def write_out_attention(network: Med2E3) -> None:
    """Let the transformers of the network attend by :func:`written_out`; same results to rounding,
    faster backwards on a CPU. (BERT's cannot be told so: ``SDPBackend.MATH`` serves it.)"""
    AttentionInterface.register(_NAME, _for_transformers)
    AttentionMaskInterface.register(_NAME, ALL_MASK_ATTENTION_FUNCTIONS["eager"])
    network.llm.set_attn_implementation(_NAME)
    network.vision2d_model.vision_model.config._attn_implementation = _NAME
    for module in network.vision3d_model.modules():
        if isinstance(module, SelfAttention):
            module.attend = written_out


def written_out(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None = None,
    scale: float | None = None,
) -> torch.Tensor:
    """Attention of [n, heads, length, width] tensors; ``mask`` is added to the weights."""
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    weights_of_one = query.shape[1] * query.shape[2] * key.shape[2]
    step = max(1, _ELEMENTS_AT_A_TIME // weights_of_one)
    parts = [torch.split(tensor, step) for tensor in (query, key, value)]
    masks = [mask] * len(parts[0]) if mask is None or len(mask) == 1 else torch.split(mask, step)
    attended = []
    for queries, keys, values, added in zip(*parts, masks, strict=True):
        weights = (queries * scale) @ keys.transpose(-1, -2)
        if added is not None:
            weights = weights + added
        attended.append(weights.softmax(dim=-1) @ values)
    return torch.cat(attended)


def _for_transformers(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """As transformers calls attention; the result is [n, length, heads, width]."""
    if dropout:
        raise ValueError("Attention written out has no dropout.")
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = (each.repeat_interleave(groups, dim=1) for each in (key, value))
    mask = None if attention_mask is None else attention_mask[..., : key.shape[2]]
    return written_out(query, key, value, mask, scaling).transpose(1, 2).contiguous(), None
