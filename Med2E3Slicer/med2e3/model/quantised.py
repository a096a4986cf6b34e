"""Linear layers whose weights have 8 or 4 bits.

On a processor torch's own kernels multiply them, those that torchao calls too; on a card it is
bitsandbytes. docs/decisions/0014 tells what else was measured, and why these.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as functional
from torch import nn

from med2e3.model.widening import FEW_ROWS

GROUP = 64
"""Weights of 4 bits that share a scale and a zero."""

HEAD_BITS = 8
"""The head chooses the word: it keeps 8 bits where all else has 4."""

_ROWS_AT_ONCE = 1024
_OUTPUTS_OF_A_BLOCK = 64


def quantised(
    weight: torch.Tensor, bias: torch.Tensor | None, bits: int, computes_in: torch.dtype
) -> nn.Module:
    """A linear layer on the processor with ``bits`` bits (4 or 8) a weight [outputs, width].

    A layer whose sizes the kernel for 4 bits does not take has 8.
    """
    outputs, width = weight.shape
    if bits == 4 and width % GROUP == 0 and outputs % _OUTPUTS_OF_A_BLOCK == 0:
        return FourBitLinear(weight, bias)
    return EightBitLinear(weight, bias, computes_in)


class EightBitLinear(nn.Module):
    """Each output's weights are whole numbers from -127 to 127 times a scale of their own.

    Few rows are multiplied with the whole numbers; for many they are widened to ``computes_in``,
    in which large products are fastest. Returns what came in.
    """

    numbers: torch.Tensor
    scales: torch.Tensor

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor | None, computes_in: torch.dtype
    ) -> None:
        super().__init__()
        self.computes_in = computes_in
        largest = weight.abs().amax(dim=1).float().clamp(min=1e-12)
        # Above the nearest bfloat16 number, so that rounding the scale, which the kernel takes in
        # bfloat16, takes nothing from the largest weight.
        scales = (largest * (1 + 2**-7) / 127).bfloat16()
        numbers = torch.empty(weight.shape, dtype=torch.int8)
        for first in range(0, len(weight), _ROWS_AT_ONCE):
            rows = slice(first, first + _ROWS_AT_ONCE)
            numbers[rows] = (weight[rows].float() / scales[rows, None].float()).round_()
        self.register_buffer("numbers", numbers)
        self.register_buffer("scales", scales)
        self.bias = _parameter(bias)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        if rows.shape[:-1].numel() <= FEW_ROWS:
            flat = rows.reshape(-1, rows.shape[-1]).bfloat16()
            multiplied = torch._weight_int8pack_mm(flat, self.numbers, self.scales)
            multiplied = multiplied.view(*rows.shape[:-1], -1)
        else:
            wide = self.computes_in
            multiplied = functional.linear(rows.to(wide), self.numbers.to(wide))
            multiplied *= self.scales.to(wide)
        return _with_bias(multiplied.to(rows.dtype), self.bias)


class FourBitLinear(nn.Module):
    """Each 64 weights in a row are numbers from 0 to 15 times a scale plus a zero of their own.

    The products are in bfloat16. Returns what came in.
    """

    packed: torch.Tensor
    scales_and_zeros: torch.Tensor

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__()
        outputs, width = weight.shape
        groups = width // GROUP
        numbers = torch.empty((outputs, width), dtype=torch.int32)
        scales_and_zeros = torch.empty((groups, outputs, 2), dtype=torch.bfloat16)
        for first in range(0, outputs, _ROWS_AT_ONCE):
            rows = slice(first, first + _ROWS_AT_ONCE)
            grouped = weight[rows].float().view(-1, groups, GROUP)
            lowest, highest = grouped.amin(dim=-1), grouped.amax(dim=-1)
            scales = ((highest - lowest).clamp(min=1e-12) / 15).bfloat16()
            # A number n stands for (n - 8) · scale + zero.
            zeros = (lowest + 8 * scales.float()).bfloat16()
            shifted = (grouped - zeros.float()[..., None]) / scales.float()[..., None] + 8
            numbers[rows] = shifted.round_().clamp_(0, 15).view(-1, width).int()
            scales_and_zeros[:, rows, 0] = scales.T
            scales_and_zeros[:, rows, 1] = zeros.T
        packed = torch._convert_weight_to_int4pack_for_cpu(numbers, 1)
        self.register_buffer("packed", packed)
        self.register_buffer("scales_and_zeros", scales_and_zeros)
        self.bias = _parameter(bias)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        flat = rows.reshape(-1, rows.shape[-1]).bfloat16()
        multiplied = torch._weight_int4pack_mm_for_cpu(
            flat, self.packed, GROUP, self.scales_and_zeros
        )
        return _with_bias(multiplied.view(*rows.shape[:-1], -1).to(rows.dtype), self.bias)


def quantised_on_a_card(weight: torch.Tensor, bias: torch.Tensor | None, bits: int) -> nn.Module:
    """The same by bitsandbytes, which computes in bfloat16 there. It becomes 8 or 4 bits when it is
    moved to the card."""
    import bitsandbytes

    outputs, width = weight.shape
    layer: Any
    if bits == 4:
        layer = bitsandbytes.nn.Linear4bit(
            width,
            outputs,
            bias is not None,
            compute_dtype=torch.bfloat16,
            quant_type="nf4",
            compress_statistics=False,
        )
        layer.weight = bitsandbytes.nn.Params4bit(
            weight.bfloat16(),
            requires_grad=False,
            quant_type="nf4",
            compress_statistics=False,
        )
    else:
        layer = bitsandbytes.nn.Linear8bitLt(
            width, outputs, bias is not None, has_fp16_weights=False
        )
        layer.weight = bitsandbytes.nn.Int8Params(
            weight.half(), requires_grad=False, has_fp16_weights=False
        )
    if bias is not None:
        layer.bias = nn.Parameter(bias.bfloat16(), requires_grad=False)
    made: nn.Module = layer
    return made


def _parameter(bias: torch.Tensor | None) -> nn.Parameter | None:
    return None if bias is None else nn.Parameter(bias.clone(), requires_grad=False)


def _with_bias(multiplied: torch.Tensor, bias: nn.Parameter | None) -> torch.Tensor:
    return multiplied if bias is None else multiplied + bias.to(multiplied.dtype)
