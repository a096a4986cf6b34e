"""What ends a run, or a process of it, and what is lost by that: nothing that was done."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cohort.conftest import command, environment, med2e3, rows, write_scan, write_slow_scan

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(sys.platform != "linux", reason="it looks into Linux's processes"),
]

TOPIC = "Processes"
TOKENS = ["--max-new-tokens", "4"]
KILLS = 5


@pytest.fixture
def source(tmp_path) -> Path:
    return tmp_path / "studies"


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the command as the first of its own process group; none of them outlives the test."""
    processes = []

    def begin(*arguments: object) -> subprocess.Popen[str]:
        processes.append(
            subprocess.Popen(
                command("batch", *arguments, *TOKENS),
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
        return processes[-1]

    yield begin
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def finished(out: Path) -> dict[str, bytes]:
    """The outcome of each study whose results are there."""
    return {
        file.parent.name: file.read_bytes()
        for file in out.glob("studies/*/outcome.json")
        if not file.parent.name.startswith(".")
    }


def wait_for_a_result(out: Path, process: subprocess.Popen[str], seconds: float = 1800) -> None:
    """Wait until one more study is done."""
    over, before = time.monotonic() + seconds, len(finished(out))
    while len(finished(out)) == before:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < over
        time.sleep(0.02)


def kill_holders(out: Path, prefix: str, process: subprocess.Popen[str]) -> Iterator[int]:
    """Kill -9 each process that holds a try whose name begins so, and tell its id."""
    killed = set()
    while process.poll() is None:
        for file in (out / ".tries").glob(f"{prefix}*"):
            try:
                held_by = int(file.read_text(encoding="ascii") or "0")
            except (OSError, ValueError):
                continue
            if held_by and held_by not in killed:
                os.kill(held_by, signal.SIGKILL)
                killed.add(held_by)
                yield held_by
        time.sleep(0.002)


def test_a_run_that_is_killed_five_times_does_everything_once(start, source, out, tried):
    studies = [f"study{number:02}" for number in range(40)]
    for number, study in enumerate(studies):
        write_scan(source / study / "ct.nii.gz", number)
    write_scan(source / "cut.nii", 0).write_bytes(bytes(10))
    seen: dict[str, bytes] = {}
    chance = random.Random(7)
    for _ in range(KILLS):
        process = start(source, "--out", out)
        wait_for_a_result(out, process)
        time.sleep(chance.uniform(0, 0.5))
        below = psutil.Process(process.pid).children(recursive=True)
        assert below
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        # Nobody is left to go on in secret.
        _, alive = psutil.wait_procs(below, timeout=300)
        assert alive == []
        for name, outcome in finished(out).items():
            assert seen.setdefault(name, outcome) == outcome
    assert set(seen) < set(studies), "nothing was left for the last run; add studies"
    ended = med2e3("batch", source, "--out", out, "--json", *TOKENS)
    assert ended.returncode == 3, ended.stderr
    summary = json.loads(ended.stdout)
    assert summary["done"] == len(studies)
    assert summary["before"] == len(seen)
    assert summary["failed"] == 1
    now = finished(out)
    assert set(now) == set(studies)
    # The outcome holds the times at which a model was asked: those of done studies are the first.
    assert {name: now[name] for name in seen} == seen
    found = rows(out)
    assert set(found) == {*studies, "cut.nii"}
    for study in studies:
        assert found[study]["status"] == "done"
        assert {path.name for path in (out / "studies" / study).iterdir()} == {
            "report.txt", "result.json", "attention.nii.gz", "attention.png", "outcome.json",
        }  # fmt: skip
    assert sorted(path.name for path in (out / "studies").iterdir()) == studies
    left = list(Path("/tmp").glob("med2e3-ray-*"))
    assert [
        folder for folder in left if not psutil.pid_exists(int(folder.name.split("-")[2]))
    ] == []
    tried(TOPIC, "a run killed with all of its processes (SIGKILL)", KILLS, "every study once")


def test_a_model_that_is_killed_once_costs_nothing(start, source, out, tried):
    for number in range(4):
        write_scan(source / f"study{number}.nii.gz", number)
    process = start(source, "--out", out)
    victims = kill_holders(out, "answered-study1", process)
    next(victims)
    _, told = process.communicate(timeout=1800)
    assert process.returncode == 0, told
    found = rows(out)
    assert {row["status"] for row in found.values()} == {"done"}
    assert len(found) == 4
    tried(TOPIC, "the process of a model killed as it writes", 1, "its study is done by another")


def test_a_study_that_ends_its_process_each_time_fails_alone(start, source, out, tried):
    for number in range(2):
        write_scan(source / f"study{number}.nii.gz", number)
    write_slow_scan(source / "poison.nii.gz")
    process = start(source, "--out", out)
    killed = len(list(kill_holders(out, "read-poison", process)))
    _, told = process.communicate(timeout=1800)
    assert killed == 2
    assert process.returncode == 3, told
    found = rows(out)
    assert {study: row["status"] for study, row in found.items()} == {
        "study0.nii.gz": "done",
        "study1.nii.gz": "done",
        "poison.nii.gz": "failed",
    }
    assert "ended the process 2 times as the study was read" in found["poison.nii.gz"]["error"]
    # Without whoever killed it, it is done.
    again = med2e3("batch", source, "--out", out, "--json", *TOKENS)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["before"] == 2
    assert not list((out / "failed").iterdir())
    tried(TOPIC, "a study that ends the process reading it", 2, "fails with a sentence, alone")


def test_a_cluster_of_two_nodes_shares_the_studies(source, out, monkeypatch, tried):
    for number in range(8):
        write_scan(source / f"study{number}.nii.gz", number)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 2, "object_store_memory": 2**28}
    # pytest's own folders have names that are too long for Ray's sockets.
    folder = tempfile.mkdtemp(dir="/tmp")
    cluster = Cluster(
        initialize_head=True,
        head_node_args={**node, "include_dashboard": False, "temp_dir": folder},
    )
    try:
        cluster.add_node(**node)
        ended = med2e3(
            "batch", source, "--out", out, "--workers", 2, "--ray-address", cluster.address, *TOKENS
        )
        too_many = med2e3(
            "batch", source, "--out", out.with_name("other"), "--workers", 4, "--ray-address",
            cluster.address, *TOKENS,
        )  # fmt: skip
    finally:
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
    assert ended.returncode == 0, ended.stderr
    found = rows(out)
    assert len(found) == 8
    assert {row["status"] for row in found.values()} == {"done"}
    assert len({row["node"] for row in found.values()}) == 2
    assert too_many.returncode == 2
    assert "4 processors" in too_many.stderr
    tried(TOPIC, "a cluster of two nodes", 1, "both answer studies")


def test_ctrl_c_keeps_what_is_done(start, source, out):
    for number in range(6):
        write_scan(source / f"study{number}.nii.gz", number)
    process = start(source, "--out", out)
    wait_for_a_result(out, process)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=600)
    assert process.returncode == 130, told
    assert told.rstrip().endswith("Stopped.")
    found = rows(out)
    assert len(found) == 6
    done = {study for study, row in found.items() if row["status"] == "done"}
    assert done == set(finished(out))
    assert done
    assert {row["status"] for row in found.values()} == {"done", "waiting"}
