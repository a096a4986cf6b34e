"""Drawing from lists with numpy's generator, which would make arrays of what it draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Drawn = TypeVar("Drawn")


def pick(random: np.random.Generator, items: Sequence[Drawn]) -> Drawn:
    """One of the items, each as likely."""
    return items[int(random.integers(len(items)))]


def pick_weighted(
    random: np.random.Generator, weights: dict[Drawn, float], count: int
) -> list[Drawn]:
    """Different items, as many as wanted or as there are, drawn by their weights one by one."""
    left = dict(weights)
    drawn: list[Drawn] = []
    while left and len(drawn) < count:
        items = list(left)
        shares = np.array([left[item] for item in items])
        drawn.append(items[int(random.choice(len(items), p=shares / shares.sum()))])
        del left[drawn[-1]]
    return drawn


def shuffled(random: np.random.Generator, items: Sequence[Drawn]) -> list[Drawn]:
    return [items[int(place)] for place in random.permutation(len(items))]
