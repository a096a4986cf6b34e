"""The server as its users meet it: a real process, real HTTP, a real model."""

from __future__ import annotations

import io
import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from med2e3.model import load_model
from med2e3.service import answering
from med2e3.volume import Scan
from med2e3.wire import jsonrpc, messages
from server_process import MATRIX, TOKENS, ServerProcess, opened, send, user, voxels_file
from worker_client import small_chest

EVENTS = {"Accept": "text/event-stream"}


def events_of(response: httpx.Response) -> list[tuple[str, dict]]:
    events, name = [], ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            events.append((name, json.loads(line.removeprefix("data: "))))
    return events


@pytest.fixture
def anna(server):
    with user(server) as client:
        yield client


@pytest.fixture
def boris(server):
    with user(server, TOKENS[1]) as client:
        yield client


@pytest.fixture(scope="module")
def local():
    """The same scan with the engine in this process."""
    scan = Scan(small_chest(), np.reshape(MATRIX, (4, 4)), "CT")
    return answering.open_scan(load_model(), scan, "axial", "auto")


def test_it_answers_as_the_engine_itself(anna, local):
    volume = opened(anna, small_chest())
    report = anna.post(f"/v1/volumes/{volume}/report", json={})
    assert report.status_code == 200
    here = answering.generate(local)
    there = jsonrpc.decode(messages.Answered, report.json())
    assert there.answer.text == here.answer.text
    assert there.answer.slice_scores == pytest.approx(here.answer.slice_scores, abs=1e-5)
    assert len(there.sentence_attention) == len(here.sentence_attention)

    turn = {"question": "Which plane?", "answer": "axial"}
    asked = anna.post(
        f"/v1/volumes/{volume}/ask",
        json={"question": "Is there a nodule?", "history": [turn], "max_new_tokens": 8},
    )
    here = answering.generate(
        local, "answer", "Is there a nodule?", 8, history=(messages.Exchange(**turn),)
    )
    assert asked.json()["answer"]["text"] == here.answer.text
    assert asked.json()["answer"]["history_used"] == 1

    scored = anna.get(f"/v1/volumes/{volume}/attention", params={"text": "nodule"})
    here = answering.attend(local, "nodule")
    assert scored.json()["answer"]["slice_scores"] == pytest.approx(
        here.answer.slice_scores, abs=1e-5
    )


def test_a_report_comes_as_it_is_written(anna):
    volume = opened(anna, small_chest())
    with anna.stream("POST", f"/v1/volumes/{volume}/report", json={}, headers=EVENTS) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = events_of(response)
    assert events[-1][0] == "result"
    pieces = [data["text"] for name, data in events if name == "token"]
    assert "".join(pieces) == events[-1][1]["answer"]["text"]
    assert len(pieces) > 3


def test_encoding_is_told_slice_by_slice(anna):
    query = {"ijk_to_ras": list(MATRIX)}
    content = voxels_file(small_chest())
    with anna.stream(
        "POST", "/v1/volumes", params=query, content=content, headers=EVENTS
    ) as response:
        events = events_of(response)
    stages = [(data["done"], data["total"]) for name, data in events if name == "progress"]
    assert stages[-1] == (32, 32)
    assert events[-1][0] == "result"


def test_a_volume_is_its_senders_alone(anna, boris):
    volume = opened(anna, small_chest())
    for response in (
        boris.post(f"/v1/volumes/{volume}/report", json={}),
        boris.post(f"/v1/volumes/{volume}/ask", json={"question": "Which plane?"}),
        boris.get(f"/v1/volumes/{volume}/attention", params={"text": "nodule"}),
        boris.delete(f"/v1/volumes/{volume}"),
    ):
        assert response.status_code == 404
    assert anna.delete(f"/v1/volumes/{volume}").status_code == 204
    assert anna.post(f"/v1/volumes/{volume}/report", json={}).status_code == 404


@pytest.mark.parametrize("token", ["", "wrong-0123456789-0123456789"])
def test_a_stranger_gets_nothing_but_the_sign_of_life(server, token):
    with user(server, token) as client:
        assert client.get("/healthz").json()["status"] == "ok"
        for response in (
            client.get("/v1/models"),
            client.get("/metrics"),
            send(client, small_chest()),
            client.delete("/v1/volumes/x"),
        ):
            assert response.status_code == 401
            assert response.headers["www-authenticate"] == "Bearer"
            assert "ask its keeper" in response.json()["error"]["message"]


@contextmanager
def writing(server: ServerProcess, token_came: threading.Event):
    """Holds the replicas within a text: some of it is written, and the rest cannot be.

    A report of the embedded model may be done before its first token is read here, so the replicas
    run for moments alone until that token comes.
    """
    replicas = server.replicas()
    try:
        while not token_came.is_set():
            for replica in replicas:
                replica.resume()
            time.sleep(0.02)
            for replica in replicas:
                replica.suspend()
            token_came.wait(0.2)
        yield
    finally:
        for replica in replicas:
            replica.resume()


def test_what_is_said_to_stop_ends_with_what_there_is(anna, server):
    volume = opened(anna, small_chest())
    headers = {**EVENTS, "Med2E3-Request": "a-name-of-mine"}

    def report(token_came: threading.Event) -> dict:
        body = {"json": {}, "headers": headers}
        with anna.stream("POST", f"/v1/volumes/{volume}/report", **body) as response:
            for line in response.iter_lines():
                if "event: token" in line:
                    token_came.set()
                elif line.startswith("data: "):
                    last = line
        return json.loads(last.removeprefix("data: "))["answer"]

    def stopped_report() -> tuple[int, dict]:
        token_came = threading.Event()
        with ThreadPoolExecutor() as pool:
            written = pool.submit(report, token_came)
            written.add_done_callback(lambda _: token_came.set())
            with writing(server, token_came):
                stopping = pool.submit(
                    httpx.delete, f"{server.url}/v1/requests/a-name-of-mine", headers=anna.headers
                )
                time.sleep(0.5)
            return stopping.result().status_code, written.result()

    whole = anna.post(f"/v1/volumes/{volume}/report", json={}).json()["answer"]
    # With much else to do, a report may be at its end before its beginning is read here: then
    # nothing is left to stop, and the next one is tried.
    for _ in range(20):
        status, answer = stopped_report()
        if answer["finish_reason"] == "cancelled":
            break
        assert answer["text"] == whole["text"]
    assert answer["finish_reason"] == "cancelled"
    assert status == 204
    assert answer["text"]
    assert whole["text"].startswith(answer["text"])
    assert anna.delete("/v1/requests/a-name-of-mine").status_code == 404


def test_requests_of_the_same_name_are_not_mixed(server):
    """Users choose the names, and do not know of each other's."""

    def ask(token: str) -> str:
        with user(server, token) as client:
            volume = opened(client, small_chest())
            answer = client.post(
                f"/v1/volumes/{volume}/report", json={}, headers={"Med2E3-Request": "mine"}
            )
            assert answer.status_code == 200, answer.text
            return answer.json()["answer"]["text"]

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(ask, TOKENS * 2))) == 1


def test_who_hangs_up_leaves_the_model_free(anna):
    volume = opened(anna, small_chest())
    for _ in range(3):
        with anna.stream("POST", f"/v1/volumes/{volume}/report", json={}, headers=EVENTS) as gone:
            next(gone.iter_lines())
    assert anna.post(f"/v1/volumes/{volume}/report", json={}).status_code == 200
    assert "med2e3_queue 0.0" in anna.get("/metrics").text


def test_nothing_is_mixed_between_users(server):
    """Each of three users asks about scans of their own, all at once."""

    def scan(number: int) -> np.ndarray:
        voxels = small_chest()
        voxels[:, 10 : 12 + 2 * number, 10:30] = 300
        return voxels

    def ask(job: tuple[str, int]) -> tuple[str, list[float]]:
        token, number = job
        with user(server, token) as client:
            volume = opened(client, scan(number))
            answer = client.post(f"/v1/volumes/{volume}/report", json={}).json()["answer"]
            again = client.post(f"/v1/volumes/{volume}/report", json={}).json()["answer"]
            assert again["text"] == answer["text"]
            return answer["text"], answer["slice_scores"]

    jobs = [(token, number) for number in range(3) for token in TOKENS]
    alone = {number: ask((TOKENS[0], number)) for number in range(3)}
    with ThreadPoolExecutor(len(jobs)) as pool:
        together = list(pool.map(ask, jobs))
    for (_, number), (text, scores) in zip(jobs, together, strict=True):
        assert text == alone[number][0]
        assert scores == pytest.approx(alone[number][1], abs=1e-5)


@pytest.mark.parametrize(
    ("content", "headers", "said"),
    [
        (b"no array", {}, "could not be read"),
        (b"no gzip", {"Content-Encoding": "gzip"}, "no gzip"),
        (voxels_file(np.zeros((4, 5, 6), np.int16)), {}, "empty"),
        (voxels_file(np.ones((5, 6), np.int16)), {}, "2D image"),
    ],
)
def test_what_is_no_scan_is_refused_with_a_sentence(anna, content, headers, said):
    response = anna.post(
        "/v1/volumes", params={"ijk_to_ras": list(MATRIX)}, content=content, headers=headers
    )
    assert response.status_code == 400
    assert said in response.json()["error"]["message"]


def test_pickled_voxels_are_never_unpickled(anna, tmp_path):
    class Hostile:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "run"),))

    file = io.BytesIO()
    np.save(file, np.array([[[Hostile()] * 2] * 2] * 2, dtype=object), allow_pickle=True)
    response = anna.post(
        "/v1/volumes", params={"ijk_to_ras": list(MATRIX)}, content=file.getvalue()
    )
    assert response.status_code == 400
    assert not (tmp_path / "run").exists()


def test_a_request_that_is_wrong_is_told_without_being_quoted(anna):
    volume = opened(anna, small_chest())
    response = anna.post(f"/v1/volumes/{volume}/ask", json={"question": {"name": "MARKED^NAME"}})
    assert response.status_code == 422
    assert "question" in response.json()["error"]["message"]
    assert "MARKED" not in response.text


def test_a_replica_that_is_killed_costs_no_volume(anna, server):
    volume = opened(anna, small_chest())
    text = anna.post(f"/v1/volumes/{volume}/report", json={}).json()["answer"]["text"]
    for replica in server.replicas():
        replica.kill()
    end = time.monotonic() + 120
    while time.monotonic() < end:
        again = anna.post(f"/v1/volumes/{volume}/report", json={})
        if again.status_code == 200:
            break
        assert again.status_code == 503
        assert int(again.headers["retry-after"]) > 0
        time.sleep(1)
    assert again.json()["answer"]["text"] == text


def test_nothing_of_a_scan_is_in_logs_files_or_figures(anna, server):
    volume = opened(anna, small_chest())
    anna.post(f"/v1/volumes/{volume}/ask", json={"question": "Is MARKEDNAME ill?"})
    anna.post(f"/v1/volumes/{volume}/ask", json={"question": ["MARKEDNAME"]})
    assert volume not in anna.get("/metrics").text
    marks = [b"MARKEDNAME", volume.encode(), TOKENS[0].encode()]
    folders = [server.folder, *Path("/tmp").glob(f"med2e3-ray-{server.process.pid}-*")]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert any("serve" in str(path) for path in files)
    for path in files:
        data = path.read_bytes()
        assert not [mark for mark in marks if mark in data], path
    assert not list(server.folder.rglob("*.npy"))
    # Ray itself notes which volumes a replica holds, in memory alone.
    assert not server.complaints()


def test_the_page_of_the_routes_asks_no_other_machine(anna):
    page = anna.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text.replace("https://fastapi.tiangolo.com", "")
    script = anna.get("/static-offline-docs/swagger-ui-bundle.js")
    assert script.status_code == 200


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_it_ends(how, tmp_path):
    server = ServerProcess(tmp_path)
    with user(server, "") as client:
        volume = opened(client, small_chest())
        assert client.post(f"/v1/volumes/{volume}/report", json={}).status_code == 200
    processes = psutil.Process(server.process.pid).children(recursive=True)
    assert processes
    status = server.end(how)
    assert status == (0 if how != signal.SIGKILL else -9)
    # What Ray keeps beside the models looks for its parent now and then.
    _, alive = psutil.wait_procs(processes, timeout=150)
    assert not alive
    if how != signal.SIGKILL:
        assert not list(tmp_path.glob("med2e3-*"))
        assert not list(Path("/tmp").glob(f"med2e3-ray-{server.process.pid}-*"))
