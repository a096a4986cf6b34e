"""A client of the worker, as small as can be: it speaks the wire, with the real command or another.

It needs neither torch nor Slicer.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from med2e3.wire import exchange, jsonrpc, messages

WORKER = (sys.executable, "-m", "med2e3", "worker")


class WireClient:
    """Sends requests into one stream and reads replies from another, in the order of their arrival.

    ``None`` among the replies tells that the worker has closed its end.
    """

    def __init__(self, requests: BinaryIO, replies: BinaryIO, temporary_folder: Path) -> None:
        self.temporary_folder = temporary_folder
        self.replies: queue.Queue = queue.Queue()
        self._requests = requests
        self._id = 0
        threading.Thread(target=self._read, args=(replies,), daemon=True).start()

    def _read(self, replies: BinaryIO) -> None:
        for line in replies:
            self.replies.put(jsonrpc.read_reply(line))
        self.replies.put(None)

    def complaints(self) -> str:
        """What the worker said on stderr."""
        return ""

    def send_line(self, line: bytes) -> None:
        self._requests.write(line)
        self._requests.flush()

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
            assert reply is not None, self.complaints()
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


class WorkerClient(WireClient):
    """The same with a worker process of its own, as a shell starts it, or another ``command``."""

    def __init__(self, temporary_folder: Path, command: Sequence[str] = WORKER) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(temporary_folder)},
        )
        self._stderr: list[bytes] = []
        threading.Thread(target=self._read_stderr, daemon=True).start()
        super().__init__(self.process.stdin, self.process.stdout, temporary_folder)

    def _read_stderr(self) -> None:
        # An unread pipe would fill up and hold the worker.
        self._stderr.extend(self.process.stderr)

    def complaints(self) -> str:
        return b"".join(self._stderr).decode()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(BrokenPipeError):
                stream.close()


def make_ready(client: WorkerClient, voxels: np.ndarray) -> WorkerClient:
    """Load the embedded model and open one volume."""
    client.model = client.ask("load_model", messages.LoadModel())
    client.volume = client.open_volume(voxels)
    return client


def short_question(
    client: WireClient, text: str = "Is there a nodule?"
) -> tuple[str, messages.Generate]:
    """A request with an answer of a few words about the volume that :func:`make_ready` opened."""
    return "generate", messages.Generate(client.volume.volume_id, "answer", text, 4)


def small_chest() -> np.ndarray:
    """A block of tissue in air, in HU: enough of a scan for the worker."""
    voxels = np.full((20, 48, 40), -1000, np.int16)
    voxels[2:18, 6:42, 5:35] = 40
    voxels[8:12, 20:28, 12:20] = 400
    voxels += np.random.default_rng(0).integers(-20, 20, voxels.shape, dtype=np.int16)
    return voxels
