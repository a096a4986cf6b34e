"""What the tests tried, told by themselves, for the table in docs/reliability.md.

A test calls :func:`tried` after its last assertion, so a case that fails tells nothing. Rows are
kept in `make soak` alone. This needs the standard library only, for the tests of the module run
inside a real Slicer too.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

TOPICS = (
    "Processes",
    "Resources",
    "Volumes",
    "Paths and locale",
    "Hostile model files",
    "The wire",
    "Privacy",
    "Supply",
)
"""The table's order."""

FILE_VARIABLE = "MED2E3_RECORD"
"""Names the file that the rows are added to, as JSON lines."""


def tried(topic: str, what: str, times: int, outcome: str) -> None:
    """Add a row: ``what`` was tried ``times`` times, and ``outcome`` came of it every time.

    Rows with the same words are added up, so the cases of a parametrized test call it once each.
    Raises ValueError for a topic that the table does not have.
    """
    if topic not in TOPICS:
        raise ValueError(f"There is no topic {topic!r}; choose one of {', '.join(TOPICS)}.")
    file = os.environ.get(FILE_VARIABLE)
    if file:
        row = {"topic": topic, "what": what, "times": times, "outcome": outcome}
        with Path(file).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
