"""The worker among lines that nobody should send: one answer to each, and then a good session."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from med2e3.wire import PROTOCOL_VERSION, jsonrpc, messages
from reliability.wire_lines import lines
from worker_client import WorkerClient

TESTING = Path(__file__).parents[1]
TOPIC = "The wire"
LINES_AT_ONCE = 20
SECONDS_OF_ATHERIS = 3600

# -- the worker ------------------------------------------------------------------------------------


@pytest.fixture
def client(tmp_path, monkeypatch):
    # What a message names, a file or a folder, lies here.
    monkeypatch.chdir(tmp_path)
    client = WorkerClient(tmp_path)
    yield client
    client.end()


def assert_each_is_answered(client: WorkerClient, sent: list[bytes]) -> int:
    """Send some lines; every one that is not blank has one answer. Returns how many they were."""
    together = b"\n".join(sent)
    count = sum(bool(line.strip()) for line in together.split(b"\n"))
    client.send_line(together + b"\n")
    # A last request, which waits for its turn as all do.
    last = 2**60
    client.send_line(jsonrpc.request_line(last, "close_volume", messages.CloseVolume("none")))
    answers = 0
    while True:
        reply = client.next_reply(seconds=60)
        assert reply is not None, client.complaints()[-2000:]
        if isinstance(reply, jsonrpc.Response):
            if reply.id == last:
                break
            answers += 1
    assert answers == count
    return count


def assert_serves_a_good_session(client: WorkerClient) -> None:
    client.ask("initialize", messages.Initialize(PROTOCOL_VERSION, "test"))
    client.ask("load_model", messages.LoadModel())
    voxels = np.random.default_rng(0).normal(0, 300, (20, 32, 32)).astype(np.int16)
    volume = client.open_volume(voxels)
    answer = client.ask("generate", messages.Generate(volume.volume_id, max_new_tokens=2)).answer
    assert len(answer.slice_scores) == 32


@pytest.mark.parametrize("greeted", [True, False])
@pytest.mark.parametrize(
    "times",
    [
        pytest.param(300, id="short"),
        pytest.param(55_000, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(4 * 3600)]),
    ],
)
def test_each_line_is_answered_and_the_worker_serves_afterwards(client, tried, times, greeted):
    if greeted:
        client.ask("initialize", messages.Initialize(PROTOCOL_VERSION, "test"))
    sent = 0

    @settings(
        max_examples=times // LINES_AT_ONCE,
        deadline=None,
        database=None,
        derandomize=times < 1000,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(lines, min_size=LINES_AT_ONCE, max_size=LINES_AT_ONCE))
    def fuzz(sent_at_once: list[bytes]) -> None:
        nonlocal sent
        sent += assert_each_is_answered(client, sent_at_once)

    fuzz()
    assert sent >= times * 0.9
    assert_serves_a_good_session(client)
    tried(
        TOPIC, "lines that are cut, damaged, deep in brackets, of wrong types, with unknown ids "
        "and methods, out of order (hypothesis)", sent,
        "each answered once; a report is written afterwards",
    )  # fmt: skip


def test_lines_of_any_length_are_answered(client, tried):
    limit = jsonrpc.MAX_LINE_BYTES
    lengths = (limit - 1, limit, limit + 1, limit + 2, limit + 3, 5 * limit)
    for length in lengths:
        assert_each_is_answered(client, [b"7" * length, b'"' + b"x" * (length - 2) + b'"'])
    assert_serves_a_good_session(client)
    tried(
        TOPIC, "lines of 8 to 40 MB", 2 * len(lengths),
        "refused with a sentence; a report is written afterwards",
    )  # fmt: skip


def test_every_other_protocol_version_is_refused(client, tried):
    versions = [-1, 0, *range(1, PROTOCOL_VERSION), PROTOCOL_VERSION + 1, 10**100]
    for version in versions:
        error = client.refusal("initialize", messages.Initialize(version))
        assert error.code == jsonrpc.WRONG_PROTOCOL
        assert client.refusal("load_model", messages.LoadModel()).code == jsonrpc.NOT_READY
    assert_serves_a_good_session(client)
    tried(
        TOPIC, "another protocol version", len(versions),
        "refused naming both; the right one is served afterwards",
    )  # fmt: skip


@pytest.mark.soak
@pytest.mark.timeout(SECONDS_OF_ATHERIS + 600)
@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not made for this Python"
)
def test_coverage_guided_fuzzing_finds_nothing(tried, tmp_path):
    target = Path(__file__).with_name("fuzz_target.py")
    options = [f"-max_total_time={SECONDS_OF_ATHERIS}", "-max_len=4096", "-print_final_stats=1"]
    ended = subprocess.run(
        [sys.executable, str(target), *options, str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTING)},
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    (runs,) = [line for line in ended.stderr.splitlines() if "number_of_executed_units" in line]
    tried(
        TOPIC, "lines guided by the code that they reach (atheris, one hour)",
        int(runs.split()[-1]), "a message, or an error that the other side can read",
    )  # fmt: skip
