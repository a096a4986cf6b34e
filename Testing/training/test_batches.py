"""Which examples share a batch."""

from __future__ import annotations

from collections import Counter

import pytest

from med2e3.training.batches import GroupedBatches

VOLUMES = [f"v{number // 5}" for number in range(50)]
LENGTHS = [200 if number % 5 == 0 else 10 for number in range(50)]


def batches(epoch: int = 0, **changes):
    found = GroupedBatches(VOLUMES, LENGTHS, **{"size": 8, "per_volume": 2, "seed": 3, **changes})
    found.set_epoch(epoch)
    return found


def test_every_example_comes_once_an_epoch():
    for epoch in range(3):
        seen = Counter(pick for batch in batches(epoch) for pick in batch)
        assert seen == Counter((epoch, number) for number in range(50))


def test_questions_about_a_volume_come_together():
    for batch in batches():
        assert len({VOLUMES[number] for _, number in batch}) <= 4
    assert len(list(batches())) == len(batches()) == 8


def test_the_order_hangs_on_seed_and_epoch_alone():
    assert list(batches(1)) == list(batches(1))
    assert list(batches(1)) != list(batches(2))
    assert list(batches(1)) != list(batches(1, seed=4))


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_the_batches_and_take_as_many_steps(processes):
    shares = [list(batches(rank=rank, processes=processes)) for rank in range(processes)]
    assert len({len(share) for share in shares}) == 1
    seen = {pick for share in shares for batch in share for pick in batch}
    assert len(seen) == 50
