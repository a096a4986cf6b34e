"""What is told of a request while it is answered, and how it travels.

``progress`` and ``token`` events have the fields of the wire's notifications but the request's
number, which a stream of its own needs not. The last event is ``result``, with the message that
the wire has as a result, or ``error``.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from med2e3.wire.jsonrpc import RpcError

MEDIA_TYPE = "text/event-stream"

SECONDS_BETWEEN_SIGNS = 10.0
"""A stream that has nothing to tell says so, for proxies and clients that give up on silence."""


@dataclass(frozen=True)
class Progress:
    """How far a request is. ``stage`` is "prepare", "encode" or "prefill"."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class Token:
    """The next piece of a text."""

    token_id: int
    text: str


@dataclass(frozen=True)
class Failure:
    """Why there is no answer: a code of :mod:`med2e3.wire.jsonrpc`, and a sentence."""

    code: int
    message: str

    @classmethod
    def of(cls, error: RpcError) -> Failure:
        return cls(error.code, error.message)


@dataclass(frozen=True)
class Event:
    name: Literal["progress", "token", "result", "error"]
    data: Any

    @property
    def is_last(self) -> bool:
        return self.name in ("result", "error")

    def as_bytes(self) -> bytes:
        """The event as a stream of server-sent events has it."""
        return f"event: {self.name}\ndata: {as_json(self.data)}\n\n".encode()


def as_json(message: Any) -> str:
    """A message of the wire as JSON. It is ASCII, so that no character is a line's end."""
    return json.dumps(dataclasses.asdict(message), ensure_ascii=True, allow_nan=False)


Events: TypeAlias = AsyncGenerator[Event, None]
"""The events of one request, from its first to its last."""


class EventStream(StreamingResponse):
    """Events as they come. ``place`` is left when the stream has ended, however it did."""

    media_type = MEDIA_TYPE

    def __init__(self, events: Events, place: AbstractContextManager[Any]) -> None:
        super().__init__(_with_signs_of_life(events), headers={"Cache-Control": "no-store"})
        self._events = events
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._place:
            try:
                await super().__call__(scope, receive, send)
            finally:
                await self._events.aclose()


async def _with_signs_of_life(events: Events) -> AsyncIterator[bytes]:
    coming = asyncio.ensure_future(anext(events))
    try:
        while True:
            done, _ = await asyncio.wait({coming}, timeout=SECONDS_BETWEEN_SIGNS)
            if not done:
                yield b": still here\n\n"
                continue
            try:
                event = coming.result()
            except StopAsyncIteration:
                return
            yield event.as_bytes()
            coming = asyncio.ensure_future(anext(events))
    finally:
        coming.cancel()
        with suppress(asyncio.CancelledError, StopAsyncIteration):
            await coming
