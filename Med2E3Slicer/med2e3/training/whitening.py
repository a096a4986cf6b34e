"""Patch embeddings that begin by whitening what they embed.

Neighbouring voxels of a scan are alike, so nearly all that a random embedding passes on is how
bright a patch is, and an encoder spends much of a short training on finding the rest. Here the
embedding of an encoder from nothing starts as the principal components of the data's own patches,
each brought to the same variance, as is done for small image classifiers (Jordan, arXiv
2404.00498). The layout of the checkpoint stays as it is, and all of it learns further.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn

from med2e3.model import Med2E3
from med2e3.training.records import open_volume

_VOLUMES = 96
"""Volumes whose patches are looked at; of each every second slice, in 2D."""

_NOISE = 1e-4
"""Variance, of grey values from 0 to 1, below which a component is more noise than body."""

_DEVIATION = 0.5
"""Of each embedded component: what the positions and the first block are scaled for."""


def whiten_patches(
    model: Med2E3, parts: Sequence[str], volumes: Sequence[Path], generator: torch.Generator
) -> None:
    """Set the patch embeddings of ``parts`` ("vision2d", "vision3d") from the patches of
    ``volumes``, files [1, slices, rows, columns] with values from 0 to 1."""
    chosen = torch.randperm(len(volumes), generator=generator)[:_VOLUMES].tolist()
    looked_at = [
        torch.from_numpy(np.array(open_volume(volumes[number])[0], dtype=np.float32))
        for number in chosen
    ]
    if "vision2d" in parts:
        embedding = model.vision2d_model.vision_model.embeddings.patch_embedding
        side = embedding.kernel_size[0]
        weight, bias = _whitening(
            [_patches(volume[::2], (1, side, side)) for volume in looked_at],
            embedding.out_channels,
            generator,
        )
        # A slice stands in all colour channels alike, and each has an even part.
        channels = embedding.in_channels
        weight = weight.view(-1, 1, side, side).expand(-1, channels, -1, -1) / channels
        _set(embedding, weight, bias)
    if "vision3d" in parts:
        patch_embedding = model.vision3d_model.patch_embedding
        linear = cast(nn.Linear, patch_embedding.patch_embeddings["1"])
        patches = [_patches(volume, patch_embedding.patch_size) for volume in looked_at]
        _set(linear, *_whitening(patches, linear.out_features, generator))


def _patches(volume: torch.Tensor, size: tuple[int, int, int]) -> torch.Tensor:
    """A volume [slices, rows, columns] cut into flat patches [n, voxels]."""
    for axis, extent in enumerate(size):
        volume = volume.unfold(axis, extent, extent)
    return volume.flatten(3).flatten(0, 2)


def _whitening(
    patches: Sequence[torch.Tensor], width: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight [width, voxels] and bias [width] that bring the main components of ``patches``, as
    many as there is width for, to the same variance."""
    count = sum(map(len, patches))
    voxels = patches[0].shape[1]
    total, scatter = torch.zeros(voxels), torch.zeros(voxels, voxels)
    for part in patches:
        total += part.sum(dim=0)
    mean = total / count
    for part in patches:
        scatter += (part - mean).T @ (part - mean)
    variances, components = torch.linalg.eigh((scatter / count).double())
    kept = min(width, voxels)
    scales = _DEVIATION / (variances[-kept:].clamp(min=0) + _NOISE).sqrt()
    weight = torch.zeros(width, voxels)
    weight[:kept] = (components[:, -kept:] * scales).T.float()
    # No channel stands for one component alone, as none does further up.
    mixing = torch.linalg.qr(torch.randn(width, width, generator=generator)).Q
    weight = mixing @ weight
    return weight, -(weight @ mean)


@torch.no_grad()
def _set(layer: nn.Conv2d | nn.Linear, weight: torch.Tensor, bias: torch.Tensor) -> None:
    layer.weight.copy_(weight)
    if layer.bias is not None:
        layer.bias.copy_(bias)
