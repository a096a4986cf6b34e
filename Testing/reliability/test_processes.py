"""The worker's process: stopped in every phase, given too much at once, left by its client."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from med2e3.wire import exchange, jsonrpc, messages
from reliability.record import tried
from worker_client import make_ready, short_question, small_chest

SECONDS_TO_STOP = 0.5
SECONDS_TO_END = 5
ROUNDS = 3
"""The machine may be busy with something else once, but not each time."""

MATRIX = tuple(np.diag([-1.0, -1.0, 3.0, 1.0]).ravel())


def request_of(client, phase: str):
    """The request that goes through a phase."""
    if phase == "load":
        return "load_model", messages.LoadModel()
    if phase == "encode":
        path = client.write_voxels(small_chest())
        return "open_volume", messages.OpenVolume(str(path), MATRIX, "CT")
    return "generate", messages.Generate(client.volume.volume_id)


def wait_for(client, phase: str) -> None:
    """Read replies until a phase has come."""
    tokens = 0
    while True:
        reply = client.next_reply()
        assert isinstance(reply, jsonrpc.Notification), f"the phase {phase} never came"
        tokens += reply.method == "token"
        if tokens == {"first token": 1, "late token": 20}.get(phase, -1):
            return
        if reply.method == "progress" and reply.params.stage == phase:
            return


def seconds_to_cancel(client, phase: str) -> float:
    request = client.send(*request_of(client, phase))
    wait_for(client, phase)
    asked = time.monotonic()
    cancel = client.send("cancel", messages.Cancel(request))
    responses: dict[int, jsonrpc.Response] = {}
    while len(responses) < 2:
        reply = client.next_reply()
        if isinstance(reply, jsonrpc.Response):
            responses[reply.id] = reply
    seconds = time.monotonic() - asked
    assert responses[cancel].result == {"found": True}
    response = responses[request]
    # The prompt of a small model may be read, and a token written, before the cancel arrives.
    if "token" in phase or (phase == "prefill" and response.error is None):
        assert response.result["answer"]["finish_reason"] == "cancelled"
    else:
        assert response.error.code == jsonrpc.CANCELLED
    return seconds


@pytest.mark.parametrize("phase", ["load", "encode", "prefill", "first token", "late token"])
def test_cancel_ends_a_phase_at_once_and_the_next_question_works(worker, phase):
    seconds = []
    for _ in range(ROUNDS):
        seconds.append(seconds_to_cancel(worker, phase))
        if phase == "load":
            make_ready(worker, small_chest())
        assert worker.ask(*short_question(worker)).answer.finish_reason in ("stop", "length")
    assert statistics.median(seconds) < SECONDS_TO_STOP, seconds
    tried(
        "Processes",
        "cancel in each phase: load, encode, prompt, first token, late token",
        ROUNDS,
        f"over within {SECONDS_TO_STOP} s, and the next question is answered",
    )


def test_a_hundred_questions_queued_and_cancelled(worker):
    running = worker.send("generate", messages.Generate(worker.volume.volume_id))
    waiting = [worker.send(*short_question(worker, f"Question {i}?")) for i in range(100)]
    # Those that wait are answered before the one that runs has come to an end.
    order = []
    for request in [*reversed(waiting), running]:
        worker.send("cancel", messages.Cancel(request))
    answers: dict[int, jsonrpc.Response] = {}
    while len(answers) < 2 * 101:
        reply = worker.next_reply()
        if isinstance(reply, jsonrpc.Response):
            assert reply.id not in answers
            answers[reply.id] = reply
            order.append(reply.id)
    cancelled = [answers[request].error for request in waiting]
    assert [error.code for error in cancelled if error] == [jsonrpc.CANCELLED] * len(cancelled)
    assert order.index(running) > max(map(order.index, waiting))
    assert worker.ask(*short_question(worker)).answer.token_ids
    tried(
        "Processes",
        "100 questions sent at once and cancelled",
        100,
        "each is answered as cancelled, once, and the next question works",
    )


def test_a_ping_is_answered_while_the_model_works(worker):
    request = worker.send("generate", messages.Generate(worker.volume.volume_id))
    wait_for(worker, "first token")
    ping = worker.send("ping", messages.Ping())
    answered = []
    while request not in answered:
        reply = worker.next_reply()
        if isinstance(reply, jsonrpc.Response):
            answered.append(reply.id)
    assert answered == [ping, request]


@pytest.mark.parametrize(
    "phase",
    [
        pytest.param("load", marks=pytest.mark.soak),
        "encode",
        pytest.param("prefill", marks=pytest.mark.soak),
        "late token",
    ],
)
def test_the_worker_ends_with_its_client_in_every_phase(new_worker, phase):
    client = new_worker()
    client.send(*request_of(client, phase))
    wait_for(client, phase)
    closed = time.monotonic()
    client.process.stdin.close()
    client.process.wait(timeout=60)
    assert time.monotonic() - closed < SECONDS_TO_END
    assert list(client.temporary_folder.glob("med2e3-*")) == []
    tried(
        "Processes",
        "the client gone in each phase: load, encode, prompt, late token",
        1,
        f"the worker ends within {SECONDS_TO_END} s and leaves no file",
    )


def test_what_a_client_had_no_time_to_name_is_removed_too(new_worker):
    """A client that is killed while it writes voxels leaves a folder that no request has named."""
    client = new_worker(ready=False)
    died = subprocess.Popen([sys.executable, "-c", "pass"])
    died.wait()
    left = client.temporary_folder / f"med2e3-exchange-{died.pid}-abc"
    left.mkdir()
    (left / "voxels.npy").write_bytes(b"half of a scan")
    others = exchange.create_exchange_folder(str(client.temporary_folder))
    client.process.stdin.close()
    client.process.wait(timeout=60)
    assert not left.exists()
    # This process is still there, as another Slicer might be.
    assert others.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="tells a zombie by /proc")
def test_a_client_that_nobody_has_waited_for_counts_as_gone(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "pass"]) as died:
        while psutil.Process(died.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        left = tmp_path / f"med2e3-exchange-{died.pid}-abc"
        left.mkdir()
        exchange.remove_stale_exchange_folders(str(tmp_path))
        assert not left.exists()
