"""Right and wrong pairs of what is seen (pictures, patches) and texts: SigLIP's loss, one in which
rare texts are worth as much as common ones, and how many of the right ones are found."""

from __future__ import annotations

import torch
import torch.nn.functional as functional


def pair_loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Both [pictures, texts]: the logarithm of the sigmoid of a right pair's logit and of a wrong
    one's negative, summed over the texts of a picture. ``truth`` is 1, -1, or 0 where nobody
    knows."""
    signs = truth.to(logits.dtype)
    return (functional.softplus(-signs * logits) * signs.abs()).sum() / len(logits)


def rare_pair_loss(logits: torch.Tensor, truth: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Logits and truth [patches, texts]: the cross-entropy of each text as a share of what one
    constant for all patches would lose, the mean over the texts (0 where there are none). An
    effusion covers a hundred times as many patches as a nodule, and would be learned a hundred
    times as fast. ``truth`` is above 0, below 0, or 0 where nobody knows; ``shares`` [texts] tells
    of how many patches each text is right as a rule, above 0 and below 1."""
    signs = truth.sign().to(logits.dtype)
    lost = (functional.softplus(-signs * logits) * signs.abs()).sum(dim=0)
    known = (truth != 0).sum(dim=0).clamp(min=1)
    constant = functional.binary_cross_entropy(shares, shares, reduction="none") * known
    return (lost / constant).sum() / max(1, len(lost))


def recall(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Both [pictures, texts]: the share of right texts that are among the likeliest of their
    picture, as many as are right."""
    likeliest = logits.masked_fill(truth == 0, -torch.inf).sort(dim=1, descending=True).values
    right = truth > 0
    count = right.sum(dim=1, keepdim=True)
    least = likeliest.gather(1, (count - 1).clamp(min=0))
    return ((logits >= least) & right).sum() / count.sum().clamp(min=1)
