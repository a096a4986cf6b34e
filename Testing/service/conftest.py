"""A client of the worker, as small as can be: it starts the real command and speaks the wire."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from med2e3.wire import PROTOCOL_VERSION, exchange, jsonrpc, messages


class WorkerClient:
    """One worker process, with its replies in the order of their arrival."""

    def __init__(self, temporary_folder: Path) -> None:
        self.temporary_folder = temporary_folder
        environment = {**os.environ, "TMPDIR": str(temporary_folder)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "med2e3", "worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        self.replies: queue.Queue = queue.Queue()
        self._stderr: list[bytes] = []
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._read_stderr, daemon=True).start()
        self._id = 0

    def _read(self) -> None:
        for line in self.process.stdout:
            self.replies.put(jsonrpc.read_reply(line))
        self.replies.put(None)

    def _read_stderr(self) -> None:
        # An unread pipe would fill up and hold the worker.
        self._stderr.extend(self.process.stderr)

    def send_line(self, line: bytes) -> None:
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def send(self, method: str, params: object) -> int:
        self._id += 1
        self.send_line(jsonrpc.request_line(self._id, method, params))
        return self._id

    def next_reply(self, seconds: float = 120):
        return self.replies.get(timeout=seconds)

    def answer_to(self, request_id: int | None, notifications: list | None = None):
        """The response to a request; notifications on the way are collected."""
        while True:
            reply = self.next_reply()
            assert reply is not None, b"".join(self._stderr).decode()
            if isinstance(reply, jsonrpc.Notification):
                if notifications is not None:
                    notifications.append(reply)
                continue
            assert reply.id == request_id
            return reply

    def ask(self, method: str, params: object, notifications: list | None = None):
        """The decoded result of a request; a refusal is raised."""
        response = self.answer_to(self.send(method, params), notifications)
        if response.error:
            raise response.error
        return jsonrpc.decode(messages.METHODS[method][1], response.result)

    def refusal(self, method: str, params: object) -> jsonrpc.RpcError:
        with pytest.raises(jsonrpc.RpcError) as caught:
            self.ask(method, params)
        return caught.value

    def write_voxels(self, voxels: np.ndarray) -> Path:
        folder = exchange.create_exchange_folder(str(self.temporary_folder))
        path = exchange.create_private_file(folder, "voxels.npy")
        np.save(path, voxels)
        return path

    def open_volume(self, voxels: np.ndarray, **options):
        path = self.write_voxels(voxels)
        matrix = tuple(np.diag([-1.0, -1.0, 3.0, 1.0]).ravel())
        params = messages.OpenVolume(str(path), matrix, modality="CT", **options)
        return self.ask("open_volume", params)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(BrokenPipeError):
                stream.close()


@pytest.fixture
def new_client(tmp_path):
    """Starts workers and ends them after the test."""
    clients = []

    def start(greet: bool = True) -> WorkerClient:
        client = WorkerClient(tmp_path)
        clients.append(client)
        if greet:
            client.ask("initialize", messages.Initialize(PROTOCOL_VERSION, "test"))
        return client

    yield start
    for client in clients:
        client.end()


def make_ready(client: WorkerClient, voxels: np.ndarray) -> WorkerClient:
    """Load the embedded model and open one volume."""
    client.model = client.ask("load_model", messages.LoadModel())
    client.volume = client.open_volume(voxels)
    return client


@pytest.fixture(scope="module")
def ready(tmp_path_factory, chest):
    """A worker with the embedded model and an open volume, which the tests of a module share."""
    client = WorkerClient(tmp_path_factory.mktemp("worker"))
    client.ask("initialize", messages.Initialize(PROTOCOL_VERSION, "test"))
    yield make_ready(client, chest)
    client.end()


@pytest.fixture
def ready_to_end(new_client, chest):
    """The same for a test that ends its worker."""
    return make_ready(new_client(), chest)


@pytest.fixture(scope="session")
def chest() -> np.ndarray:
    """A block of tissue in air, in HU: enough of a scan for the worker."""
    voxels = np.full((20, 48, 40), -1000, np.int16)
    voxels[2:18, 6:42, 5:35] = 40
    voxels[8:12, 20:28, 12:20] = 400
    voxels += np.random.default_rng(0).integers(-20, 20, voxels.shape, dtype=np.int16)
    return voxels
