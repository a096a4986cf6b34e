"""Some kinds of records come more often than the data has them."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from med2e3.errors import InputError
from med2e3.phantoms.questions import QUESTION_TYPES
from med2e3.training.asked import ASKED, kind_of, more_often
from med2e3.training.records import Record


def record(kind: str, number: int = 0) -> Record:
    way, _, asked = kind.partition(" ")
    question_type = 1 + QUESTION_TYPES.index(asked) if asked else 0
    return Record(
        f"{kind} {number}", "volume.npy", "?", "?", "!", question_type, phantom={"asked": way}
    )


@pytest.mark.parametrize("kind", ASKED)
def test_a_record_is_of_one_kind(kind):
    assert kind_of(record(kind)) == kind


def test_other_records_are_of_none():
    assert kind_of(Record("1", "volume.npy", "?", "?", "!", 3)) is None


@given(
    counts=st.lists(st.integers(20, 60), min_size=len(ASKED), max_size=len(ASKED)),
    shares=st.dictionaries(st.sampled_from(ASKED), st.floats(0, 0.3), max_size=3),
)
def test_kinds_come_as_often_as_their_shares_say_and_all_records_do(counts, shares):
    records = [
        record(kind, number)
        for kind, count in zip(ASKED, counts, strict=True)
        for number in range(count)
    ]
    mixed = more_often(records, shares)
    assert mixed[: len(records)] == records
    times = Counter(one.identifier for one in mixed)
    found = Counter(kind_of(one) for one in mixed)
    for kind, count in zip(ASKED, counts, strict=True):
        # All records of a kind come equally often, so its share is near what is asked for.
        each = {times[one.identifier] for one in records if kind_of(one) == kind}
        assert len(each) == 1
        if not shares.get(kind):
            assert each == {1}
        elif each != {1}:
            others = sum(found[other] for other in ASKED if not shares.get(other))
            wanted = shares[kind] * others / (1 - sum(shares.values()))
            assert abs(found[kind] - wanted) <= count / 2 + 1e-6


def test_a_kind_that_is_not_there_is_named():
    with pytest.raises(InputError, match="No record asks for a closed organ"):
        more_often([record("report")], {"closed organ": 0.2})
