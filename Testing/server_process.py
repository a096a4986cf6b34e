"""``med2e3 serve`` in a process of its own, and its users."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import numpy as np
import psutil

from med2e3.wire import jsonrpc, messages

TOKENS = tuple(f"{name}-0123456789-0123456789" for name in ("anna", "boris", "chen"))


MATRIX = tuple(np.diag([-1.0, -1.0, 3.0, 1.0]).ravel())


class ServerProcess:
    """A server on a free port. Its temporary files lie in a folder below /tmp, as Ray's must."""

    def __init__(self, folder: Path, *options: object, tokens: tuple[str, ...] = ()) -> None:
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONUTF8": "1",
            "RAY_worker_niceness": "0",
            "TMPDIR": str(folder),
            "MED2E3_SERVER_TOKENS": " ".join(tokens),
        }
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "med2e3", "serve", "--port", "0", "--json", *map(str, options)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._complaints: list[str] = []
        self._reader = threading.Thread(
            target=lambda: self._complaints.extend(self.process.stderr), daemon=True
        )
        self._reader.start()
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            raise RuntimeError(self.complaints())
        self.ready = json.loads(line)
        self.url = self.ready["url"]

    def complaints(self) -> str:
        """What the server said on stderr; all of it, once it has ended."""
        if self.process.poll() is not None:
            self._reader.join()
        return "".join(self._complaints)

    def replicas(self) -> list[psutil.Process]:
        """The processes with a model."""
        return [
            child
            for child in psutil.Process(self.process.pid).children(recursive=True)
            if "ServeReplica" in " ".join(child.cmdline())
        ]

    def end(self, how: int = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(60)
        finally:
            self.process.kill()
            self.process.stdout.close()


def user(server: ServerProcess, token: str = TOKENS[0]) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(base_url=server.url, headers=headers, timeout=120)


def voxels_file(voxels: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, voxels)
    return file.getvalue()


def send(client: httpx.Client, voxels: np.ndarray, **options) -> httpx.Response:
    query = {"ijk_to_ras": list(MATRIX), "modality": "CT", **options}
    return client.post("/v1/volumes", params=query, content=voxels_file(voxels))


def opened(client: httpx.Client, voxels: np.ndarray) -> str:
    response = send(client, voxels)
    assert response.status_code == 201, response.text
    return jsonrpc.decode(messages.VolumeOpened, response.json()).volume_id
