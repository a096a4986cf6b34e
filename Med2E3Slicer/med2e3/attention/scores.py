"""The scores that the model gives its slices for a text, and how to read them.

Where a function takes ``scores``, they are one per model slice, not negative, with the sum 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class Attention:
    """What text-guided inter-slice scoring (TG-IS) found in a volume for one text.

    ``logits`` (32,) are any real numbers, ``scores`` (32,) their softmax: from 0 to 1, sum 1.
    ``patch_shares`` (32, 16, 16), indexed (slice, row, column), is what each patch adds to its
    slice's logit, of either sign: ``patch_shares[j]`` has the sum ``logits[j]``.

    Source: Med-2E3, arXiv 2411.12783. The logit of a slice is the mean of (token · text) / 5 over
    its 320 tokens (256 of the slice, 64 of its group of slices in the 3D features), so it is a
    plain sum over the tokens, and a patch's share of it is exact.
    """

    logits: NDArray[np.floating[Any]]
    scores: NDArray[np.floating[Any]]
    patch_shares: NDArray[np.floating[Any]]


def ranked(scores: ArrayLike) -> tuple[int, ...]:
    """The numbers of all slices, best first; equal scores keep the order of the slices."""
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    return tuple(int(slice_) for slice_ in order)


def effective_slices(scores: ArrayLike) -> float:
    """How many slices the attention is worth: exp of the entropy, from 1 to their number.

    1 where one slice has it all, 4 where four share it evenly, 32 where all 32 are alike.
    """
    shares = np.asarray(scores, dtype=np.float64)
    positive = shares[shares > 0]
    number = np.exp(-(positive * np.log(positive)).sum())
    # Scores come from float32 and add up to 1 only nearly.
    return float(np.clip(number, 1, shares.size))


def has_preference(scores: ArrayLike) -> bool:
    """Whether the model prefers some slices at all, so that a ranking tells something.

    It does if the attention is worth fewer slices than all but one: if it is at least as uneven as
    attention that leaves one slice out and treats the others alike. Among 32 slices that takes one
    slice with about 3 times its even share, or scores that scatter by about a quarter of it.
    """
    return effective_slices(scores) < np.size(scores) - 1
