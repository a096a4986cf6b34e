"""The way from the front door to the replica that holds a volume, and what comes back from it."""

from __future__ import annotations

from typing import Any

import ray
from ray.exceptions import RayError
from ray.serve.exceptions import BackPressureError, RayServeException

from med2e3.errors import Med2E3Error
from med2e3.server.events import Event, Events, Failure
from med2e3.server.limits import BusyError
from med2e3.server.replica import ToOpen
from med2e3.server.volumes import HeldVolume
from med2e3.volume import PreparedVolume
from med2e3.wire import jsonrpc, messages

_ENDED = Failure(
    jsonrpc.BUSY,
    "The process with the model ended in the midst of this; another one is started, so ask again "
    "in a moment.",
)
_FULL = Failure(
    jsonrpc.BUSY, "All models of the server are busy, and their queues are full; try again soon."
)


class Replicas:
    """All replicas of the model, behind Ray Serve's handle of them."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def keep(self, prepared: PreparedVolume) -> Any:
        """A reference to a volume, with which every replica finds it."""
        return ray.put(prepared)

    async def describe(self) -> messages.ModelLoaded:
        """The model. Raises :class:`~med2e3.server.limits.BusyError` while there is no replica, and
        :class:`~med2e3.errors.Med2E3Error` if the model cannot be loaded."""
        try:
            found: messages.ModelLoaded | str = await self._handle.describe.remote()
        except (RayError, RayServeException) as error:
            raise BusyError(_ENDED.message, 10) from error
        if isinstance(found, str):
            raise Med2E3Error(found)
        return found

    def open(self, held: HeldVolume, key: str) -> Events:
        return self._events("open", held, key)

    def generate(self, held: HeldVolume, key: str, params: messages.Generate) -> Events:
        return self._events("generate", held, key, params)

    def attend(self, held: HeldVolume, key: str, text: str) -> Events:
        return self._events("attend", held, key, text)

    async def stop(self, held: HeldVolume, key: str) -> bool:
        """Let a request end with what it has. Whether it was found."""
        try:
            found: bool = await self._for(held, stream=False).stop.remote(key)
        except (RayError, RayServeException):
            return False
        return found

    async def close(self, held: HeldVolume) -> None:
        """Let the replica that holds a volume forget it. One that ended has forgotten it."""
        try:
            await self._for(held, stream=False).close.remote(held.volume_id)
        except (RayError, RayServeException):
            return

    async def _events(self, method: str, held: HeldVolume, key: str, *arguments: Any) -> Events:
        volume = ToOpen(held.volume_id, [held.prepared], held.warnings, held.seconds)
        replies = getattr(self._for(held, stream=True), method).remote(volume, key, *arguments)
        held.in_use += 1
        try:
            async for event in replies:
                yield event
        except BackPressureError:
            yield Event("error", _FULL)
        except (RayError, RayServeException):
            yield Event("error", _ENDED)
        finally:
            held.in_use -= 1
            # Heard by the replica if it is still at work: whoever asked is gone.
            replies.cancel()

    def _for(self, held: HeldVolume, *, stream: bool) -> Any:
        return self._handle.options(stream=stream, multiplexed_model_id=held.volume_id)
