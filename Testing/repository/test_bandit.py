"""bandit finds nothing of medium or high severity in what is shipped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SHIPPED = Path(__file__).parents[2] / "Med2E3Slicer"


def test_bandit_agrees(tried):
    command = [
        sys.executable,
        "-m",
        "bandit",
        "-q",
        "-r",
        str(SHIPPED),
        "--severity-level",
        "medium",
    ]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout
    tried("Supply", "bandit on all that is shipped", 1, "nothing of medium or high severity")
