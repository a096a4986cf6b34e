"""The worker whose model is on a server, as its client meets it; each failure is a sentence."""

from __future__ import annotations

import http.server
import json
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from med2e3.errors import InputError, Med2E3Error
from med2e3.remote.engine import RemoteEngine
from med2e3.remote.server import Server, token_from
from med2e3.service.engine import Call
from med2e3.wire import PROTOCOL_VERSION, jsonrpc, messages
from worker_client import WorkerClient, make_ready, small_chest

TOKEN = "anna-0123456789-0123456789"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    pytest.importorskip("fastapi_offline", reason="a server needs the packages of med2e3[server]")
    from server_process import ServerProcess

    process = ServerProcess(tmp_path_factory.mktemp("server"), "--rate", "10000", tokens=(TOKEN,))
    yield process
    process.end()


@pytest.fixture(scope="module")
def token_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("token") / "token"
    path.write_text(TOKEN + "\n", encoding="ascii")
    return path


@pytest.fixture
def client(server, token_file, tmp_path):
    """The worker as Slicer starts it, with the model loaded and a volume open on the server."""
    command = (sys.executable, "-m", "med2e3.remote", server.url, "--token-file", str(token_file))
    client = WorkerClient(tmp_path, command)
    client.ask("initialize", messages.Initialize(PROTOCOL_VERSION, "test"))
    yield make_ready(client, small_chest())
    client.end()


@pytest.fixture
def here(tmp_path):
    """The same with a model of its own."""
    client = WorkerClient(tmp_path)
    client.ask("initialize", messages.Initialize(PROTOCOL_VERSION, "test"))
    yield make_ready(client, small_chest())
    client.end()


def test_it_speaks_the_wire_as_the_worker_with_a_model_does(client, here):
    assert client.model.sha256 == here.model.sha256
    assert client.volume.slices == here.volume.slices
    assert client.volume.heatmap_to_ijk == pytest.approx(here.volume.heatmap_to_ijk)
    notifications = []
    there = client.ask("generate", messages.Generate(client.volume.volume_id), notifications)
    local = here.ask("generate", messages.Generate(here.volume.volume_id))
    assert there.answer.text == local.answer.text
    assert there.answer.slice_scores == pytest.approx(local.answer.slice_scores, abs=1e-5)
    pieces = [one.params.text for one in notifications if one.method == "token"]
    assert "".join(pieces) == there.answer.text
    turn = messages.Exchange("Which plane?", "axial")
    question = ("answer", "Is there a nodule?", 8, (turn,))
    there = client.ask("generate", messages.Generate(client.volume.volume_id, *question))
    local = here.ask("generate", messages.Generate(here.volume.volume_id, *question))
    assert there.answer.text == local.answer.text
    there = client.ask("attend", messages.Attend(client.volume.volume_id, "nodule"))
    local = here.ask("attend", messages.Attend(here.volume.volume_id, "nodule"))
    assert there.slice_logits == pytest.approx(local.slice_logits, abs=1e-4)


def test_sending_and_encoding_are_told(client):
    notifications = []
    path = client.write_voxels(small_chest())
    matrix = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    client.ask("open_volume", messages.OpenVolume(str(path), matrix), notifications)
    stages = [one.params.stage for one in notifications]
    assert stages[0] == "send"
    assert "encode" in stages


def test_a_cancelled_text_keeps_what_was_written(client):
    request = client.send("generate", messages.Generate(client.volume.volume_id))
    while client.next_reply().method != "token":
        pass
    client.send("cancel", messages.Cancel(request))
    while True:
        reply = client.next_reply()
        if isinstance(reply, jsonrpc.Response) and reply.id == request:
            break
    assert reply.result["answer"]["finish_reason"] == "cancelled"
    assert reply.result["answer"]["text"]
    assert client.ask("attend", messages.Attend(client.volume.volume_id, "nodule"))


def test_a_volume_that_was_closed_has_to_be_sent_again(client):
    client.ask("close_volume", messages.CloseVolume(client.volume.volume_id))
    refusal = client.refusal("attend", messages.Attend(client.volume.volume_id, "nodule"))
    assert refusal.code == jsonrpc.NOT_READY


def test_a_scan_that_cannot_be_used_is_told_as_here(client):
    path = client.write_voxels(small_chest()[:1])
    matrix = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    refusal = client.refusal("open_volume", messages.OpenVolume(str(path), matrix))
    assert refusal.code == jsonrpc.INPUT_ERROR
    assert "1 slice" in refusal.message


def test_it_ends_with_its_client(client):
    client.process.stdin.close()
    assert client.process.wait(10) == 0


def test_it_needs_nothing_but_python(tmp_path, monkeypatch):
    """-S: no installed package is found."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "Med2E3Slicer"))
    command = (sys.executable, "-S", "-m", "med2e3.remote", "https://ct.example.org")
    client = WorkerClient(tmp_path, command)
    greeted = client.ask("initialize", messages.Initialize(PROTOCOL_VERSION, "test"))
    client.end()
    assert greeted.protocol_version == PROTOCOL_VERSION


# -- each failure ----------------------------------------------------------------------------------


@contextmanager
def answering(reply):
    """Something on a port that answers each request with ``reply(handler)``."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            reply(self)

        def log_message(self, *arguments):
            """Nothing on the terminal."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def with_json(status, message):
    def reply(handler):
        body = json.dumps(message).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return reply


def failure(url, token=TOKEN):
    with pytest.raises((Med2E3Error, jsonrpc.RpcError)) as caught:
        RemoteEngine(Server(url, token)).load_model(messages.LoadModel(), Call())
    assert TOKEN not in str(caught.value)
    return str(caught.value)


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert "no server listens" in failure(f"http://127.0.0.1:{port}")


def test_no_such_machine():
    assert "no machine called" in failure("https://no-such-machine.invalid:8484")


def test_something_else_answers():
    with answering(with_json(200, ["hello"])) as url:
        assert "install the same release" in failure(url)
    with answering(with_json(404, "not here")) as url:
        assert "no Med2E3 server" in failure(url)
    with answering(lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH\r\n")) as url:
        assert "no Med2E3 server" in failure(url)


def test_a_proxy_whose_server_is_gone():
    with answering(with_json(502, "Bad gateway")) as url:
        assert "stands before the server" in failure(url)


def test_another_release():
    with answering(with_json(200, {"status": "ok", "protocol_version": 3})) as url:
        assert f"version 3 and this module version {PROTOCOL_VERSION}" in failure(url)


def test_https_where_there_is_none():
    with answering(with_json(200, {})) as url:
        assert "nothing speaks https" in failure(url.replace("http:", "https:"))


def test_a_certificate_that_nobody_vouches_for(tmp_path, monkeypatch):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
         certificate, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        capture_output=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listening = context.wrap_socket(
        socket.create_server(("127.0.0.1", 0)), server_side=True, do_handshake_on_connect=False
    )

    def accept():
        while True:
            try:
                connection, _ = listening.accept()
                connection.do_handshake()
                connection.recv(4096)
                body = json.dumps({"protocol_version": 3}).encode()
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
                )
                connection.close()
            except OSError:
                if listening.fileno() < 0:
                    return

    threading.Thread(target=accept, daemon=True).start()
    url = f"https://localhost:{listening.getsockname()[1]}"
    assert "does not prove who it is" in failure(url)
    # Trusted, the same server is heard.
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert "version 3" in failure(url)
    listening.close()


@pytest.mark.parametrize("token", ["", "another-0123456789-0123456789"])
def test_a_token_that_the_server_does_not_know(server, token):
    assert "ask its keeper" in failure(server.url, token)


def test_a_server_that_ends_in_mid_text():
    def reply(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b'event: token\ndata: {"token_id": 1, "text": "The"}\n\n')

    with answering(reply) as url:
        engine = RemoteEngine(Server(url))
        with pytest.raises(Med2E3Error, match="broke"):
            engine.attend(messages.Attend("x", "nodule"), Call())


def test_a_server_that_is_silent_can_be_left():
    stop = threading.Event()

    def reply(handler):
        stop.set()
        threading.Event().wait(20)

    with answering(reply) as url:
        engine = RemoteEngine(Server(url))
        with pytest.raises(Med2E3Error, match="cancelled"):
            engine.load_model(messages.LoadModel(), Call(stop=stop))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "no address"),
        ("ct.example.org", "no address"),
        ("ftp://ct.example.org", "no address"),
        ("https://anna:secret@ct.example.org", "no address"),
        ("https://ct.example.org:port", "no address"),
        ("http://ct.example.org:8484", "anyone in the network could read"),
        ("http://192.168.1.5:8484", "anyone in the network could read"),
    ],
)
def test_an_address_that_will_not_do(url, said):
    with pytest.raises(InputError, match=said):
        Server(url)


def test_an_address_that_will_not_do_ends_the_process_with_a_sentence(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "med2e3.remote", "ct.example.org"], capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert ended.stderr.strip().endswith("https://ct.example.org:8484.")


def test_a_token_file_that_will_not_do(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        token_from(tmp_path / "none")
    file = tmp_path / "token"
    file.write_text("two words\n", encoding="ascii")
    with pytest.raises(InputError, match="one token") as caught:
        token_from(file)
    assert "two words" not in str(caught.value)
