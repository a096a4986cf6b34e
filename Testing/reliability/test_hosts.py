"""Slicer itself is killed, or runs twice: its workers end with it and leave nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from reliability.record import tried

SESSION = Path(__file__).with_name("host_session.py")
SECONDS_TO_END = 5


class Session:
    """A Slicer of its own that writes a report."""

    def __init__(self, temporary_folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SESSION)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={
                **os.environ,
                "TMPDIR": str(temporary_folder),
                "MED2E3_PYTHON": sys.executable,
                # Settings of its own, as another user's Slicer has.
                "HOME": str(temporary_folder),
            },
        )

    def wait_for(self, state: str) -> dict:
        """What the session tells when it comes to a state."""
        for line in self.process.stdout:
            # What VTK prints is no JSON.
            if line.startswith(b"{"):
                told = json.loads(line)
                if told["state"] == state:
                    return told
        pytest.fail(f"the session ended before the state {state!r}")

    def close(self) -> int:
        self.process.stdin.close()
        return self.process.wait(timeout=60)


@pytest.fixture
def new_session(tmp_path):
    sessions = []

    def start() -> Session:
        sessions.append(Session(tmp_path))
        return sessions[-1]

    yield start
    for session in sessions:
        session.process.kill()
        session.process.wait()
        session.process.stdout.close()
        session.process.stdin.close()


def left_behind(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("med2e3-*")]


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
@pytest.mark.parametrize(
    "state",
    [
        pytest.param("loading", marks=pytest.mark.soak),
        "sending",
        pytest.param("encoding", marks=pytest.mark.soak),
        pytest.param("text", marks=pytest.mark.soak),
    ],
)
def test_a_slicer_that_is_killed_takes_its_worker_and_its_files_along(new_session, tmp_path, state):
    session = new_session()
    worker = psutil.Process(session.wait_for(state)["worker"])
    killed = time.monotonic()
    session.process.kill()
    while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() - killed < SECONDS_TO_END
        time.sleep(0.02)
    assert left_behind(tmp_path) == []
    tried(
        "Processes",
        "kill -9 of Slicer while its worker loads, gets the scan, encodes, writes",
        1,
        f"the worker is gone within {SECONDS_TO_END} s, and the voxels' files with it",
    )


def test_two_slicers_at_the_same_time(new_session, tmp_path):
    first, second = new_session(), new_session()
    told = [session.wait_for("done") for session in (first, second)]
    assert told[0]["report"] == told[1]["report"] != ""
    assert told[0]["worker"] != told[1]["worker"]
    workers = [psutil.Process(each["worker"]) for each in told]
    assert first.close() == 0
    # The end of one is none of the other's business.
    assert workers[1].is_running()
    assert second.close() == 0
    assert not any(worker.is_running() for worker in workers)
    assert left_behind(tmp_path) == []
    tried("Processes", "two Slicers at the same time", 1, "the same report in both; nothing left")
