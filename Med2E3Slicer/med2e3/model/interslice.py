"""TG-IS: text-guided inter-slice scoring, and the fusion of the 2D tokens that it leads to.

From Med-2E3 (arXiv 2411.12783, section 3) and its released code, whose numbers the tests hold.
Everything here is arithmetic on tokens in float32, whatever precision they come in, so that the
scores do not depend on the precision of the rest.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional

TEMPERATURE = 5.0
"""The logits are divided by this; the released code has it as a constant."""

SCORE_DROPOUT = 0.1


def pool_3d_tokens(tokens: torch.Tensor, grid: tuple[int, int, int]) -> torch.Tensor:
    """Average the encoder's tokens over neighbours, 2 x 2 x 2.

    [n, depth·height·width, hidden] on a ``grid`` (depth, height, width), depth slowest, to
    [n, an eighth of it, hidden]. (Written out because no bfloat16 kernel of avg_pool3d exists on
    CPU.)
    """
    depth, height, width = (size // 2 for size in grid)
    blocks = tokens.view(len(tokens), depth, 2, height, 2, width, 2, -1)
    return blocks.float().mean(dim=(2, 4, 6)).flatten(1, 3).to(tokens.dtype)


def slice_keys(tokens_2d: torch.Tensor, tokens_3d: torch.Tensor, groups: int) -> torch.Tensor:
    """The key of each slice: the mean over its own 2D tokens and its depth group's 3D tokens.

    ``tokens_2d`` is [slices, patches, width], ``tokens_3d`` [groups · tokens of a group, width],
    depth slowest; ``groups`` divides both evenly. Returns float32 [slices, width].
    """
    slices, patches, width = tokens_2d.shape
    of_group = tokens_3d.float().view(groups, -1, width)
    of_slice = of_group.sum(dim=1).repeat_interleave(slices // groups, dim=0)
    count = patches + of_group.shape[1]
    keys: torch.Tensor = (tokens_2d.sum(dim=1, dtype=torch.float32) + of_slice) / count
    return keys


def slice_logits(keys: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    """[slices, width] and the text's vector [width] to logits [slices]."""
    return keys @ text.float() / TEMPERATURE


def slice_scores(logits: torch.Tensor, *, training: bool = False) -> torch.Tensor:
    """Logits [slices] to scores [slices] from 0 to 1 whose sum is 1.

    In training a tenth of the scores, at random, become zero and the others grow by as much (the
    released code's dropout *after* the softmax), so that no answer hangs on one slice alone.
    """
    return functional.dropout(logits.softmax(dim=0), SCORE_DROPOUT, training)


def patch_shares(
    tokens_2d: torch.Tensor, tokens_3d: torch.Tensor, groups: int, text: torch.Tensor
) -> torch.Tensor:
    """Each patch's exact share of its slice's logit, [slices, rows, columns].

    A logit is linear in the tokens: it is the mean over 320 tokens (in the released model) of
    (token · text) / 5. A 2D token is one patch of one slice. A 3D token stands for several patches
    of all slices of its depth group, and its part is divided equally among the patches of the
    slice below it. So the shares of a slice add up to its logit.
    """
    slices, patches, width = tokens_2d.shape
    side = int(patches**0.5)
    of_group = tokens_3d.float().view(groups, -1, width)
    side_3d = int(of_group.shape[1] ** 0.5)
    count = patches + of_group.shape[1]
    scale = 1 / (TEMPERATURE * count)
    in_plane = (tokens_2d.float() @ text.float()).view(slices, side, side) * scale
    coarse = (of_group @ text.float()).view(groups, side_3d, side_3d) * scale
    factor = side // side_3d
    spread = coarse.repeat_interleave(factor, dim=1).repeat_interleave(factor, dim=2) / factor**2
    return in_plane + spread.repeat_interleave(slices // groups, dim=0)


def fuse(tokens_2d: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """The 2D tokens summed over the slices with their scores: [patches, width]."""
    return torch.einsum("s,spd->pd", scores.to(tokens_2d.dtype), tokens_2d)
