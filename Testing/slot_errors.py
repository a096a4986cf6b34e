"""What the suites that run in the host share: a slot that raises fails the test that made it."""

from __future__ import annotations

import pytest

import SlicerHost


@pytest.fixture(autouse=True)
def no_slot_errors():
    """Qt prints the error and goes on. A test that expects one empties `SlicerHost.slotErrors`."""
    SlicerHost.slotErrors.clear()
    yield
    errors = list(SlicerHost.slotErrors)
    SlicerHost.slotErrors.clear()
    assert not errors
