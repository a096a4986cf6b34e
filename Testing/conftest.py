"""What both suites share."""

from __future__ import annotations

from pathlib import Path

import pytest

from reliability import record


@pytest.fixture(scope="session")
def untrained(tmp_path_factory) -> Path:
    """A checkpoint of random weights, whose texts do not end by themselves."""
    from untrained_checkpoint import write_checkpoint

    folder = tmp_path_factory.mktemp("untrained") / "model"
    card = {"name": "med2e3-untrained", "trained_on": "nothing", "description": "Random weights."}
    write_checkpoint(folder, card=card)
    return folder


@pytest.fixture
def tried():
    """:func:`reliability.record.tried`: tell what was tried, after the last assertion."""
    return record.tried
