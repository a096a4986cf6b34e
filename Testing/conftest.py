"""What both suites share."""

from __future__ import annotations

import pytest

from reliability import record


@pytest.fixture
def tried():
    """:func:`reliability.record.tried`: tell what was tried, after the last assertion."""
    return record.tried
