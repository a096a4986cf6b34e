"""One HTTP request to a med2e3 server and its answer, and each way in which that can fail."""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from med2e3.errors import Cancelled, InputError, Med2E3Error
from med2e3.wire.jsonrpc import OUT_OF_MEMORY, RpcError

ENVIRONMENT_VARIABLE = "MED2E3_SERVER_TOKEN"

_SECONDS_TO_CONNECT = 15
_SECONDS_OF_SILENCE = 60
"""A server that is at work sends a sign of life every ten seconds."""

_SECONDS_BETWEEN_LOOKS = 0.05
_SECONDS_BETWEEN_TRIES = 0.5

_MOST_LINE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Event:
    """What the server tells while it answers: "progress", "token", "result" or "error"."""

    name: str
    data: dict[str, Any]


class Server:
    """A server by its address, such as https://ct.example.org:8484.

    Raises :class:`~med2e3.errors.InputError` for an address that is none, or that would send scans
    through a network as anyone there can read them.
    """

    def __init__(self, url: str, token: str = "") -> None:
        parts = urlsplit(url.strip())
        try:
            port = parts.port
        except ValueError:
            port = -1
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or port == -1
            or parts.query
            or parts.fragment
            or parts.username
        ):
            raise InputError(
                f"{url.strip()!r} is no address of a server; it looks like "
                "https://ct.example.org:8484."
            )
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise InputError(
                f"With http, anyone in the network could read the scans on their way to "
                f"{parts.hostname}; use the server's https address."
            )
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._host = parts.hostname
        self._port = port
        self._path = parts.path.rstrip("/")
        self._is_encrypted = parts.scheme == "https"
        self._token = token

    def get(self, path: str, stop: threading.Event | None = None) -> Any:
        """The JSON that a path answers with."""
        with self._request("GET", path, stop=stop) as response:
            return self._json(response)

    def delete(self, path: str) -> None:
        with self._request("DELETE", path):
            pass

    def events(
        self,
        method: str,
        path: str,
        *,
        query: Iterable[tuple[str, str]] = (),
        body: Any = None,
        headers: dict[str, str] | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[Event]:
        """The events of a request as they come, to the last. ``body`` is bytes, an iterable of
        bytes, or what can be JSON. ``stop`` closes the connection."""
        sent = {"Accept": "text/event-stream", **(headers or {})}
        asked = f"{path}?{urlencode(list(query))}" if query else path
        with self._request(method, asked, body, sent, stop) as response:
            yield from _events(response)

    @contextmanager
    def _request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        sent = dict(headers or {})
        if self._token:
            sent["Authorization"] = f"Bearer {self._token}"
        if isinstance(body, dict):
            body = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        connection = self._connection()
        try:
            with _closed_on(stop, connection):
                connection.connect()
                if connection.sock:
                    connection.sock.settimeout(_SECONDS_OF_SILENCE)
                response = self._sent(connection, method, path, body, sent)
                if response.status >= 300:
                    raise self._refusal(response)
                yield response
        except (OSError, http.client.HTTPException) as error:
            if stop is not None and stop.is_set():
                raise Cancelled("The request was cancelled.") from None
            raise Med2E3Error(self._why(error)) from error
        finally:
            connection.close()

    def _sent(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: Any,
        headers: dict[str, str],
    ) -> http.client.HTTPResponse:
        try:
            connection.request(
                method,
                self._path + path,
                body,
                headers,
                encode_chunked=not isinstance(body, (bytes, type(None))),
            )
        except (BrokenPipeError, ConnectionResetError):
            # A server that refuses a volume says so and does not wait for the rest of it.
            try:
                return connection.getresponse()
            except (OSError, http.client.HTTPException):
                pass
            raise
        return connection.getresponse()

    def _connection(self) -> http.client.HTTPConnection:
        if self._is_encrypted:
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=_SECONDS_TO_CONNECT, context=_trust()
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=_SECONDS_TO_CONNECT)

    def _json(self, response: http.client.HTTPResponse) -> Any:
        try:
            return json.loads(response.read(_MOST_LINE_BYTES))
        except ValueError:
            raise Med2E3Error(self._no_med2e3()) from None

    def _refusal(self, response: http.client.HTTPResponse) -> Exception:
        """What a status that is no success means."""
        try:
            error = json.loads(response.read(2**20))["error"]
            return refused(int(error["code"]), str(error["message"]))
        except (ValueError, KeyError, TypeError):
            if response.status in (502, 503, 504):
                return Med2E3Error(
                    f"What stands before the server {self.url} cannot reach it (status "
                    f"{response.status}); tell its keeper."
                )
            return Med2E3Error(self._no_med2e3())

    def _no_med2e3(self) -> str:
        return (
            f"At {self.url} answers something, but no Med2E3 server; look at the address and its "
            "port."
        )

    def _why(self, error: Exception) -> str:
        """The sentence for a connection that could not be made, or broke."""
        if isinstance(error, socket.gaierror):
            return f"There is no machine called {self._host} in this network; look at the address."
        if isinstance(error, ssl.SSLCertVerificationError):
            return (
                f"{self.url} does not prove who it is ({error.verify_message}); nothing was sent. "
                "Ask its keeper, or let this computer trust the authority that signed its "
                "certificate (SSL_CERT_FILE)."
            )
        if isinstance(error, ssl.SSLError):
            return f"At {self.url} nothing speaks https; look at the address and its port."
        if isinstance(error, ConnectionRefusedError):
            return f"At {self.url} no server listens; start it, or look at the port."
        if isinstance(error, TimeoutError):
            return f"{self.url} does not answer; is it running, and is a firewall in the way?"
        if isinstance(error, http.client.BadStatusLine | http.client.LineTooLong):
            return self._no_med2e3()
        return (
            f"The connection to {self.url} broke "
            f"({getattr(error, 'strerror', None) or type(error).__name__}); ask again."
        )


def token_from(file: Path | None) -> str:
    """The token in a file, or in ``MED2E3_SERVER_TOKEN``; "" where there is none.

    Raises :class:`~med2e3.errors.InputError`, which never quotes it.
    """
    if file is None:
        return os.environ.get(ENVIRONMENT_VARIABLE, "").strip()
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"The token in {file} cannot be read ({reason}).") from error
    if not token or not token.isascii() or len(token.split()) != 1:
        raise InputError(f"{file} must hold one token, and nothing else.")
    return token


def refused(code: int, message: str) -> Med2E3Error | RpcError:
    """What the server's refusal means here. Its lack of memory is no reason to choose another
    setting on this machine."""
    if code == OUT_OF_MEMORY:
        return Med2E3Error("The server has not enough memory for this; tell its keeper.")
    return RpcError(code, message)


def quoted(part: str) -> str:
    """A part of a path."""
    return quote(part, safe="")


def _events(response: http.client.HTTPResponse) -> Iterator[Event]:
    """The events of a stream, to the last. Raises where it breaks off before."""
    name, data = "", ""
    while line := response.readline(_MOST_LINE_BYTES):
        text = line.decode("utf-8").rstrip("\r\n")
        if text.startswith("event:"):
            name = text[len("event:") :].strip()
        elif text.startswith("data:"):
            data = text[len("data:") :].strip()
        elif not text and name:
            yield Event(name, json.loads(data))
            if name in ("result", "error"):
                return
            name, data = "", ""
    raise http.client.IncompleteRead(b"")


@contextmanager
def _closed_on(
    stop: threading.Event | None, connection: http.client.HTTPConnection
) -> Iterator[None]:
    """Close a connection as soon as ``stop`` is set, whatever it waits for."""

    def close() -> bool:
        # There is none yet while it is being connected.
        if connection.sock is None:
            return False
        with suppress(OSError):
            # Whoever reads from it wakes up.
            connection.sock.shutdown(socket.SHUT_RDWR)
        return True

    with as_soon_as(stop, close):
        yield


@contextmanager
def as_soon_as(stop: threading.Event | None, act: Callable[[], bool]) -> Iterator[None]:
    """Call ``act`` from another thread once ``stop`` is set, and again until it returns true, for
    as long as the body goes on."""
    if stop is None:
        yield
        return
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(_SECONDS_BETWEEN_LOOKS):
            if stop.is_set():
                if act():
                    return
                is_over.wait(_SECONDS_BETWEEN_TRIES)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()


def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
