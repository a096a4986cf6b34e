"""How sure a figure is: percentile intervals from drawing whole volumes again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

RESAMPLES = 1000
CONFIDENCE = 0.95

Statistic = Callable[[Sequence[float]], float | None]


def interval(
    volumes: Sequence[Sequence[float]],
    statistic: Statistic,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> tuple[float, float] | None:
    """The 95 % interval of a figure of the columns' sums over the volumes.

    ``volumes`` has a row a volume, for example (right answers, questions), and ``statistic`` makes
    the figure of the sums of the columns. Volumes are drawn, not questions: those of one volume
    are right or wrong together, and drawing them one by one would make intervals too narrow. None
    where the figure has no value in any draw.
    """
    rows = np.asarray(volumes, dtype=np.float64)
    if not len(rows):
        return None
    draws = np.random.default_rng(seed).multinomial(
        len(rows), np.full(len(rows), 1 / len(rows)), size=resamples
    )
    drawn = (statistic(sums) for sums in (draws @ rows).tolist())
    values = [value for value in drawn if value is not None]
    if not values:
        return None
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def ratio(sums: Sequence[float]) -> float | None:
    """The statistic of a mean: the first column over the second."""
    return sums[0] / sums[1] if sums[1] else None
