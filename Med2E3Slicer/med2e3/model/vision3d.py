"""The 3D encoder: M3D-CLIP's vision transformer over patches of 4 x 16 x 16 voxels.

Written from the description of M3D-CLIP (arXiv 2404.00578) and the names of its stored tensors,
which are those of MONAI's transformer blocks; a test holds it against the original's output.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as functional
from torch import nn

from med2e3.model.configuration import Vision3DConfiguration


class VolumeEncoder(nn.Module):
    """A volume to patch tokens, the last block's output before the final layer norm."""

    def __init__(self, configuration: Vision3DConfiguration) -> None:
        super().__init__()
        self.patch_embedding = PatchEmbedding(configuration)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, configuration.hidden_size))
        self.blocks = nn.ModuleList(Block(configuration) for _ in range(configuration.layers))

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        """[n, 1, slices, rows, columns] to [n, patches, hidden], depth slowest.

        The class token takes part in the attention and is then dropped.
        """
        return self.all_tokens(volume)[:, 1:]

    def all_tokens(self, volume: torch.Tensor) -> torch.Tensor:
        """As :meth:`forward`, with the class token in front: [n, 1 + patches, hidden]."""
        patches = self.patch_embedding(volume)
        tokens = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        return tokens


class PatchEmbedding(nn.Module):
    """Each patch flattened and projected; positions are added to the patches alone."""

    def __init__(self, configuration: Vision3DConfiguration) -> None:
        super().__init__()
        self.patch_size = configuration.patch_size
        depth, height, width = configuration.grid
        voxels = math.prod(self.patch_size)
        # Numbered 1 as in the stored tensors, where 0 is the rearrangement below.
        self.patch_embeddings = nn.ModuleDict({"1": nn.Linear(voxels, configuration.hidden_size)})
        self.position_embeddings = nn.Parameter(
            torch.zeros(1, depth * height * width, configuration.hidden_size)
        )

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        depth, height, width = self.patch_size
        patches = volume.unfold(2, depth, depth).unfold(3, height, height).unfold(4, width, width)
        # [n, channel, grid…, depth, height, width] → one row a patch, channel last.
        rows = patches.permute(0, 2, 3, 4, 5, 6, 7, 1).flatten(4).flatten(1, 3)
        embedded: torch.Tensor = self.patch_embeddings["1"](rows) + self.position_embeddings
        return embedded


class Block(nn.Module):
    """A transformer block with its layer norms in front."""

    def __init__(self, configuration: Vision3DConfiguration) -> None:
        super().__init__()
        width = configuration.hidden_size
        self.norm1 = nn.LayerNorm(width)
        self.attn = SelfAttention(width, configuration.heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = FeedForward(width, configuration.mlp_size)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.attn(self.norm1(tokens))
        tokens = tokens + self.mlp(self.norm2(tokens))
        return tokens


class SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out_proj = nn.Linear(width, width)
        self.attend: Callable[..., torch.Tensor] = functional.scaled_dot_product_attention

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        count, length, width = tokens.shape
        query, key, value = (
            self.qkv(tokens).view(count, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        )
        attended = self.attend(query, key, value)
        joined = attended.transpose(1, 2).reshape(count, length, width)
        projected: torch.Tensor = self.out_proj(joined)
        return projected


class FeedForward(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        forwarded: torch.Tensor = self.linear2(functional.gelu(self.linear1(tokens)))
        return forwarded
