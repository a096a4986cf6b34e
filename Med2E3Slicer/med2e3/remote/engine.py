"""The wire's requests that need a model, sent to a server.

A request that is cancelled while its text is being written is ended by the server, which then
answers with what there is, as the worker with a model of its own does; in every other phase the
connection is closed.
"""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from med2e3.errors import InputError, Med2E3Error
from med2e3.remote.server import Event, Server, as_soon_as, quoted, refused
from med2e3.service.engine import Call
from med2e3.wire import PROTOCOL_VERSION, jsonrpc, messages
from med2e3.wire.jsonrpc import RpcError

_PIECE_BYTES = 2**20

Message = TypeVar("Message")


class RemoteEngine:
    """The model of a server, and the volumes that this client has open there."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def load_model(self, params: messages.LoadModel, call: Call) -> messages.ModelLoaded:
        """Which model the server has; what the client would choose itself is not asked."""
        call.progress("load", 0, 1)
        health = self._server.get("/healthz", call.stop)
        version = health.get("protocol_version") if isinstance(health, dict) else None
        if version != PROTOCOL_VERSION:
            raise Med2E3Error(
                f"The server {self._server.url} speaks protocol version {version} and this module "
                f"version {PROTOCOL_VERSION}; install the same release of both."
            )
        found = self._server.get("/v1/models", call.stop)
        call.progress("load", 1, 1)
        try:
            return jsonrpc.decode(messages.ModelLoaded, found["models"][0])
        except (ValueError, KeyError, IndexError, TypeError):
            raise Med2E3Error(
                f"The server {self._server.url} does not say which model it has; install the same "
                "release of both."
            ) from None

    def open_volume(self, params: messages.OpenVolume, call: Call) -> messages.VolumeOpened:
        query = [
            *(("ijk_to_ras", repr(number)) for number in params.ijk_to_ras),
            ("modality", params.modality),
            ("plane", params.plane),
            ("window", params.window),
        ]
        path = Path(params.voxels)
        if not path.is_file():
            raise InputError(
                "The voxels could not be read from the exchange file; select the volume again."
            )
        events = self._server.events(
            "POST",
            "/v1/volumes",
            query=query,
            body=_packed(path, call),
            headers={"Content-Type": "application/octet-stream", "Content-Encoding": "gzip"},
            stop=call.stop,
        )
        return _result(messages.VolumeOpened, events, call)

    def generate(self, params: messages.Generate, call: Call) -> messages.Answered:
        key = secrets.token_hex(8)
        body: dict[str, Any] = {
            "max_new_tokens": params.max_new_tokens,
            "history": [
                {"question": turn.question, "answer": turn.answer} for turn in params.history
            ],
        }
        if params.kind != messages.REPORT:
            body["question"] = params.question
        route = "report" if params.kind == messages.REPORT else "ask"
        events = self._server.events(
            "POST",
            f"/v1/volumes/{quoted(params.volume_id)}/{route}",
            body=body,
            headers={"Med2E3-Request": key},
        )
        with as_soon_as(call.stop, lambda: self._stop(key)):
            return _result(messages.Answered, events, call)

    def attend(self, params: messages.Attend, call: Call) -> messages.Answered:
        events = self._server.events(
            "GET",
            f"/v1/volumes/{quoted(params.volume_id)}/attention",
            query=[("text", params.text)],
            stop=call.stop,
        )
        return _result(messages.Answered, events, call)

    def close_volume(self, params: messages.CloseVolume, call: Call) -> messages.Done:
        self._server.delete(f"/v1/volumes/{quoted(params.volume_id)}")
        return messages.Done()

    def free_memory(self) -> None:
        """It is the server's memory, and the server's to free."""

    def _stop(self, key: str) -> bool:
        """Let the server end a request with what it has. False where it does not know of it: it has
        not begun there, or has ended."""
        try:
            self._server.delete(f"/v1/requests/{key}")
        except (Med2E3Error, RpcError):
            return False
        return True


def _result(kind: type[Message], events: Iterator[Event], call: Call) -> Message:
    """The result at the end of a stream of events; what comes before is told to the caller."""
    for event in events:
        try:
            if event.name == "token":
                call.token(event.data["text"], event.data["token_id"])
            elif event.name == "progress":
                call.progress(event.data["stage"], event.data["done"], event.data["total"])
            elif event.name == "error":
                raise refused(event.data["code"], event.data["message"])
            elif event.name == "result":
                return jsonrpc.decode(kind, event.data)
        except (ValueError, KeyError, TypeError):
            raise Med2E3Error(
                "The server said what this module does not understand; install the same release "
                "of both."
            ) from None
    raise Med2E3Error("The server did not answer to the end; ask again.")


def _packed(path: Path, call: Call) -> Iterator[bytes]:
    """A file as gzip, piece by piece. Level 1: a CT then takes half the way, and hardly longer."""
    total = path.stat().st_size
    done = 0
    packer = zlib.compressobj(1, wbits=31)
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            done += len(piece)
            packed = packer.compress(piece)
            if packed:
                yield packed
            call.progress("send", done, total)
    yield packer.flush()
