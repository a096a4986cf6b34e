"""Where the reference checkpoint lies, for the tests that hold the engine against it."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"
REFERENCE = SHARED / "reference"

needs_reference = pytest.mark.skipif(
    not REFERENCE.is_dir(),
    reason="the reference checkpoint (../shared/reference) is not beside this repository",
)
