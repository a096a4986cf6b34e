"""A small hub on this machine: the endpoints that the downloader asks, and faults of networks."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

MODEL = "shiym2000/Med-2E3-M3D"
TOKENIZER = "GoodBaiBai88/M3D-CLIP"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 1_000_000
"""From this size on, the hub keeps a file outside of git and states its sha256."""


@dataclass
class Hub:
    """``files`` are contents by (repository, name). ``broken_after`` bytes of a large file, the
    connection breaks, once for each entry. ``asked`` collects (method, path, range)."""

    files: dict[tuple[str, str], bytes]
    sent_instead: dict[str, bytes] = field(default_factory=dict)
    broken_after: list[int] = field(default_factory=list)
    held: threading.Event | None = None
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    address: str = ""

    def about(self, repository: str) -> dict[str, object]:
        return {
            "id": repository,
            "modelId": repository,
            "sha": COMMIT,
            "siblings": [
                _stated(name, content)
                for (owner, name), content in self.files.items()
                if owner == repository
            ],
        }


def _stated(name: str, content: bytes) -> dict[str, object]:
    stated: dict[str, object] = {
        "rfilename": name,
        "size": len(content),
        "blobId": _git_sha1(content),
    }
    if len(content) >= LARGE:
        sha256 = hashlib.sha256(content).hexdigest()
        stated["lfs"] = {"size": len(content), "sha256": sha256, "pointerSize": 135}
    return stated


def _git_sha1(content: bytes) -> str:
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()  # noqa: S324


@contextlib.contextmanager
def serving(hub: Hub, certificate: tuple[Path, Path] | None = None):
    """Answer for the hub on a free port of this machine, also as a proxy for any other host.

    ``certificate`` (with its key) makes it speak HTTPS.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            """Silence."""

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, with_body: bool) -> None:
            hub.asked.append((self.command, self.path, self.headers.get("Range", "")))
            # A proxy is asked for whole addresses.
            path = unquote(urlsplit(self.path).path)
            about = re.fullmatch(r"/api/models/([^/]+/[^/]+)(/revision/.+)?", path)
            wanted = re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path)
            if about:
                self._send(200, json.dumps(hub.about(about.group(1))).encode(), {}, with_body)
            elif wanted and (wanted.group(1), wanted.group(2)) in hub.files:
                self._send_file(wanted.group(1), wanted.group(2), with_body)
            else:
                self._send(404, b"", {}, with_body)

        def _send_file(self, repository: str, name: str, with_body: bool) -> None:
            content = hub.files[repository, name]
            large = len(content) >= LARGE
            etag = hashlib.sha256(content).hexdigest() if large else _git_sha1(content)
            headers = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
            content = hub.sent_instead.get(name, content)
            begin = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            if begin and with_body:
                first = int(begin.group(1))
                headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
                self._send(206, content[first:], headers, with_body)
            elif large and with_body and hub.broken_after:
                self._break(content, headers, hub.broken_after.pop(0))
            else:
                self._send(200, content, headers, with_body)

        def _send(self, status: int, body: bytes, headers: dict[str, str], with_body: bool) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def _break(self, content: bytes, headers: dict[str, str], after: int) -> None:
            self._send(200, content, headers, with_body=False)
            self.wfile.write(content[:after])
            self.wfile.flush()
            if hub.held:
                hub.held.wait(60)
            self.close_connection = True
            self.connection.close()

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that went away is what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        hub.address = f"https://localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        if hub.held:
            hub.held.set()
        server.shutdown()
        server.server_close()
