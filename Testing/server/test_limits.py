"""What the server refuses, and with which status: the front door with a stand-in for the model."""

from __future__ import annotations

import asyncio
import gzip
import io
import threading

import numpy as np
import pytest
from starlette.testclient import TestClient

from med2e3.errors import InputError
from med2e3.server.app import FrontDoor, make_app
from med2e3.server.events import Event, Failure, Token
from med2e3.server.settings import Limits, ServerSettings
from med2e3.server.tokens import read_tokens
from med2e3.wire import jsonrpc, messages

SIZE = (32, 128, 128)
MATRIX = [1.0, 0, 0, 0, 0, 1.0, 0, 0, 0, 0, 1.0, 0, 0, 0, 0, 1.0]
MODEL = messages.ModelLoaded("stand-in", "", "nothing", "", "cpu", "float32")
ARRAY = messages.Array((1, 1, 1), "AAAAAA==")
ANSWER = messages.Answered(
    messages.Answer(
        "answer", "?", "yes", (), (), "stop", (), (), "axial", "auto", {},
        messages.ModelName("stand-in", "", "nothing"),
    ),
    (),
    ARRAY,
)  # fmt: skip
OPENED = messages.VolumeOpened("", "axial", "auto", (), (1, 1, 1), tuple(MATRIX))


class Replicas:
    """Answers at once, or as soon as ``may_answer`` is set, or with a ``failure``."""

    def __init__(self) -> None:
        self.kept = []
        self.closed = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.failure: Failure | None = None

    async def describe(self):
        return MODEL

    def keep(self, prepared):
        self.kept.append(prepared)
        return len(self.kept)

    async def close(self, held):
        self.closed.append(held.volume_id)

    async def stop(self, held, key):
        return False

    async def open(self, held, key):
        yield Event("result", OPENED)

    async def generate(self, held, key, params):
        while not self.may_answer.is_set():
            await asyncio.sleep(0.01)
        if self.failure:
            yield Event("error", self.failure)
            return
        yield Event("token", Token(1, "yes"))
        yield Event("result", ANSWER)

    async def attend(self, held, key, text):
        yield Event("result", ANSWER)


@pytest.fixture
def replicas():
    return Replicas()


@pytest.fixture
def start(replicas, tmp_path):
    """Starts a front door with limits of the test's choice."""
    clients = []

    def start(most_at_once: int = 4, **limits) -> TestClient:
        settings = ServerSettings(limits=Limits(**limits))
        door = FrontDoor(settings, replicas, SIZE, tmp_path, most_at_once)
        client = TestClient(make_app(door), raise_server_exceptions=False)
        client.door = door
        clients.append(client.__enter__())
        return client

    yield start
    for client in clients:
        client.__exit__(None, None, None)
    assert not list(tmp_path.iterdir())


def scan(shape=(4, 40, 40)) -> bytes:
    file = io.BytesIO()
    np.save(file, np.random.default_rng(0).normal(40, 60, shape).astype(np.int16))
    return file.getvalue()


def send(client: TestClient, content: bytes | None = None, **headers: str):
    content = scan() if content is None else content
    return client.post(
        "/v1/volumes", params={"ijk_to_ras": MATRIX}, content=content, headers=headers
    )


def opened(client: TestClient) -> str:
    """The id of a volume that was just sent. The stand-in does not know it."""
    assert send(client).status_code == 201
    return list(client.door.volumes._held)[-1]


def test_what_a_replica_gets_is_what_the_model_sees(start, replicas):
    client = start()
    assert send(client, gzip.compress(scan()), **{"content-encoding": "gzip"}).status_code == 201
    (prepared,) = replicas.kept
    assert tuple(prepared.volume.shape) == (1, *SIZE)


def test_more_bytes_than_a_volume_may_have(start):
    client = start(upload_bytes=1000)
    assert send(client).status_code == 413
    packed = gzip.compress(bytes(10**7))
    assert len(packed) < 20_000
    refused = start(upload_bytes=20_000)
    response = send(refused, packed, **{"content-encoding": "gzip"})
    assert response.status_code == 413
    assert "MB that this server takes" in response.json()["error"]["message"]


def test_a_body_that_ends_in_its_midst(start):
    response = send(start(), gzip.compress(scan())[:-20], **{"content-encoding": "gzip"})
    assert response.status_code == 400
    assert "ends before" in response.json()["error"]["message"]


def test_a_volume_that_comes_as_the_queue_is_filled_is_not_kept(start, monkeypatch):
    client = start(most_at_once=1)
    enter, asked = client.door.queue.enter, []

    def full_the_second_time():
        asked.append(1)
        if len(asked) == 2:
            client.door.queue.length = 1
        return enter()

    monkeypatch.setattr(client.door.queue, "enter", full_the_second_time)
    # The fixture looks that no file is left.
    assert send(client).status_code == 503
    assert len(asked) == 2


def test_too_many_requests_of_one_user(start):
    client = start(requests_a_minute=3)
    for _ in range(3):
        assert client.get("/v1/models").status_code == 200
    refused = client.get("/v1/models")
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 60
    # A sign of life is nobody's request.
    assert client.get("/healthz").status_code == 200


def test_more_requests_than_may_wait(start, replicas):
    client = start(most_at_once=2)
    volume = opened(client)
    replicas.may_answer.clear()
    answers = []

    def ask():
        body = {"question": "?"}
        answers.append(client.post(f"/v1/volumes/{volume}/ask", json=body).status_code)

    asking = [threading.Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
    while client.door.queue.length < 2:
        pass
    refused = client.post(f"/v1/volumes/{volume}/ask", json={"question": "?"})
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert "try again" in refused.json()["error"]["message"]
    streamed = client.post(
        f"/v1/volumes/{volume}/ask",
        json={"question": "?"},
        headers={"accept": "text/event-stream"},
    )
    assert streamed.status_code == 503
    assert send(client).status_code == 503
    replicas.may_answer.set()
    for thread in asking:
        thread.join()
    assert answers == [200, 200]
    assert client.door.queue.length == 0


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (jsonrpc.INPUT_ERROR, 400),
        (jsonrpc.CANCELLED, 409),
        (jsonrpc.INTERNAL_ERROR, 500),
        (jsonrpc.BUSY, 503),
        (jsonrpc.OUT_OF_MEMORY, 507),
    ],
)
def test_what_fails_in_a_replica_has_its_status(start, replicas, code, status):
    client = start()
    volume = opened(client)
    replicas.failure = Failure(code, "A sentence.")
    response = client.post(f"/v1/volumes/{volume}/ask", json={"question": "?"})
    assert response.status_code == status
    assert response.json()["error"] == {"code": code, "message": "A sentence."}
    if status == 503:
        assert response.headers["retry-after"]


def test_a_user_holds_so_many_volumes_and_the_oldest_goes(start, replicas):
    client = start(volumes=2)
    first, second, third = opened(client), opened(client), opened(client)
    assert replicas.closed == [first]
    assert client.post(f"/v1/volumes/{first}/report", json={}).status_code == 404
    for volume in (second, third):
        assert client.post(f"/v1/volumes/{volume}/report", json={}).status_code == 200


def test_volumes_expire(start, replicas):
    client = start(minutes=0)
    volume = opened(client)
    assert [held.volume_id for held in client.door.volumes.expired()] == [volume]
    assert client.post(f"/v1/volumes/{volume}/report", json={}).status_code == 404


def test_a_volume_does_not_expire_while_it_is_asked_about(start):
    client = start(minutes=0)
    volume = opened(client)
    client.door.volumes.find(volume, "anybody").in_use = 1
    assert not client.door.volumes.expired()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "ct.example.org", "::"])  # noqa: S104
def test_nothing_but_loopback_without_tokens(host):
    with pytest.raises(InputError, match="can be reached by others"):
        ServerSettings(host=host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1", "[::1]"])
def test_loopback_needs_no_token(host):
    assert not ServerSettings(host=host).is_in_the_clear


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("", 0o600, "no token"),
        ("# nothing\n\n", 0o600, "no token"),
        ("token-but-short\n", 0o600, "Token 1 in .* must have 24"),
        ("a token with a blank in its midst\n", 0o600, "Token 1 in .* must have 24"),
        ("token-0123456789-0123456789\n", 0o644, "Others may read"),
    ],
)
def test_a_token_file_that_will_not_do(tmp_path, text, mode, said):
    file = tmp_path / "tokens"
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    with pytest.raises(InputError, match=said) as caught:
        read_tokens(file)
    for word in ("0123456789", "but-short", "blank in"):
        assert word not in str(caught.value)


def test_tokens_in_a_file_and_in_the_environment(tmp_path, monkeypatch):
    first, second = "anna-0123456789-0123456789", "boris-0123456789-0123456789"
    file = tmp_path / "tokens"
    file.write_text(f"# ward 3\n{first}\n\n{second}\n", encoding="utf-8")
    file.chmod(0o600)
    monkeypatch.setenv("MED2E3_SERVER_TOKENS", f"{second} {first}")
    for tokens in (read_tokens(file), read_tokens(None)):
        assert tokens.owner(first) != tokens.owner(second)
        assert tokens.owner(first) is not None
        assert tokens.owner("another") is None
        assert tokens.owner(None) is None
        assert first not in repr(tokens)
