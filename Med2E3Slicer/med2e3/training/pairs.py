"""Right and wrong pairs of what is seen (pictures, patches) and texts: SigLIP's loss, and how many
of the right ones are found."""

from __future__ import annotations

import torch
import torch.nn.functional as functional


def pair_loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Both [pictures, texts]: the logarithm of the sigmoid of a right pair's logit and of a wrong
    one's negative, summed over the texts of a picture. ``truth`` is 1, -1, or 0 where nobody
    knows."""
    signs = truth.to(logits.dtype)
    return (functional.softplus(-signs * logits) * signs.abs()).sum() / len(logits)


def recall(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Both [pictures, texts]: the share of right texts that are among the likeliest of their
    picture, as many as are right."""
    likeliest = logits.masked_fill(truth == 0, -torch.inf).sort(dim=1, descending=True).values
    right = truth > 0
    count = right.sum(dim=1, keepdim=True)
    least = likeliest.gather(1, (count - 1).clamp(min=0))
    return ((logits >= least) & right).sum() / count.sum().clamp(min=1)
