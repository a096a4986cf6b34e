"""Which examples share a batch: questions about one volume together, answers of like length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Dataset, Sampler

Pick = tuple[int, int]
"""(epoch, number of the example): all that the randomness of an example hangs on, so that a run
that goes on sees what it would have seen."""

_LENGTH_STEP = 40
"""Characters within which lengths count as alike."""

_MIXED_BATCHES = 32
"""Batches whose groups are sorted by length among themselves."""


class Numbers(Dataset[Pick]):
    """The examples as numbers; what makes a batch of them knows the rest."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, pick: Pick) -> Pick:
        return pick


class GroupedBatches(Sampler[list[Pick]]):
    """Batches of ``size`` examples, in another order each epoch, a function of seed and epoch.

    ``volumes`` names the volume of each example; up to ``per_volume`` examples of one volume come
    together. ``lengths`` are in characters. With several processes each has its own share of the
    batches, equally many each. The last batch is smaller unless ``drop_last``.
    """

    def __init__(
        self,
        volumes: Sequence[str],
        lengths: Sequence[int],
        *,
        size: int,
        per_volume: int,
        seed: int,
        rank: int = 0,
        processes: int = 1,
        drop_last: bool = False,
    ) -> None:
        members: dict[str, list[int]] = {}
        for number, volume in enumerate(volumes):
            members.setdefault(volume, []).append(number)
        self._members = [np.array(numbers) for numbers in members.values()]
        self._lengths = np.array(lengths)
        self._per_volume = per_volume
        self._groups_in_batch = max(1, size // per_volume)
        self._seed = seed
        self._rank = rank
        self._processes = processes
        self._drop_last = drop_last
        self._epoch = 0
        groups = sum(-(-len(numbers) // per_volume) for numbers in self._members)
        whole, rest = divmod(groups, self._groups_in_batch)
        self._batches = max(1, whole + bool(rest and not drop_last))

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __len__(self) -> int:
        return -(-self._batches // self._processes)

    def __iter__(self) -> Iterator[list[Pick]]:
        batches = self._all_batches()
        # Every process must take as many steps as the others, or they would wait for ever.
        for number in range(self._rank, len(self) * self._processes, self._processes):
            yield [(self._epoch, int(example)) for example in batches[number % len(batches)]]

    def _all_batches(self) -> list[list[int]]:
        random = np.random.default_rng((self._seed, self._epoch))
        groups = [group for numbers in self._members for group in self._groups(numbers, random)]
        longest = np.array([self._lengths[group].max() for group in groups]) // _LENGTH_STEP
        order = random.permutation(len(groups))
        if self._drop_last:
            order = order[: self._batches * self._groups_in_batch]
        window = self._groups_in_batch * _MIXED_BATCHES
        batches = []
        for first in range(0, len(order), window):
            near = order[first : first + window]
            near = near[np.argsort(longest[near], kind="stable")]
            for start in range(0, len(near), self._groups_in_batch):
                chosen = near[start : start + self._groups_in_batch]
                batches.append([example for group in chosen for example in groups[group]])
        return [batches[number] for number in random.permutation(len(batches))]

    def _groups(self, numbers: np.ndarray, random: np.random.Generator) -> list[np.ndarray]:
        mixed = random.permutation(numbers)
        alike = mixed[np.argsort(self._lengths[mixed] // _LENGTH_STEP, kind="stable")]
        return np.array_split(alike, -(-len(numbers) // self._per_volume))
