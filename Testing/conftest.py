"""What both suites share."""

from __future__ import annotations

import io
import subprocess
import sys
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


@pytest.fixture
def med2e3(capfd, monkeypatch):
    """The command in this process, where torch is loaded once for all tests: takes arguments and
    what is typed, and tells exit status and all that was printed."""
    from med2e3.command.main import main

    def run(*arguments: object, typed: str = "") -> subprocess.CompletedProcess:
        monkeypatch.setattr(sys, "argv", ["med2e3", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        monkeypatch.delenv("MED2E3_DEBUG", raising=False)
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capfd.readouterr()
        return subprocess.CompletedProcess(
            arguments, ended.value.code or 0, printed.out, printed.err
        )

    return run
