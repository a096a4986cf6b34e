"""A process with the model, as Ray Serve keeps it: encodes volumes, and answers about them.

Ray Serve routes the requests about a volume to the replica that has it encoded
(`multiplexing <https://docs.ray.io/en/latest/serve/model-multiplexing.html>`_, by volume id), and
starts another replica for one that ended.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import serve

from med2e3.server.events import Event, Events, Failure, Progress, Token
from med2e3.service.answering import OpenScan, attend, generate_for, model_loaded, open_prepared
from med2e3.service.answering import volume_opened as opened_message
from med2e3.service.engine import Call
from med2e3.service.errors import told
from med2e3.wire import messages

MOST_ENCODED = 8
"""Volumes that a replica keeps encoded; one of the released size takes 50 MB in bfloat16."""


@dataclass(frozen=True, eq=False)
class ToOpen:
    """A volume as a replica needs it to encode it. ``prepared`` is a list with the reference to
    it, so that Ray brings it only where it is asked for."""

    volume_id: str
    prepared: list[Any]
    warnings: tuple[str, ...]
    seconds: float


@dataclass(eq=False)
class _Place:
    """Where a replica keeps a volume. Ray Serve decides when it goes."""

    opened: OpenScan | None = None


class Replica:
    """One model. Its requests are answered one after the other; a stop is heard in between."""

    def __init__(self, model_folder: Path | None, device: str, dtype: str, threads: int) -> None:
        import torch

        from med2e3.model import load_model

        torch.set_num_threads(threads)
        self._fault = ""
        try:
            self._model = load_model(model_folder, device=device, dtype=dtype)
        except Exception as error:
            # Told by describe: Ray would try again and again.
            self._fault = told("load_model", error)[1]
        self._turn = asyncio.Lock()
        self._stops: dict[str, threading.Event] = {}

    async def describe(self) -> messages.ModelLoaded | str:
        """The model, or the sentence why there is none."""
        return self._fault or model_loaded(self._model)

    async def open(self, volume: ToOpen, key: str) -> Events:
        """Encode a volume. ``key`` is the request's, for :meth:`stop`."""

        def work(call: Call, opened: OpenScan) -> messages.VolumeOpened:
            return opened_message(opened, volume.volume_id)

        async for event in self._answer("open_volume", volume, key, work):
            yield event

    async def generate(self, volume: ToOpen, key: str, params: messages.Generate) -> Events:
        def work(call: Call, opened: OpenScan) -> messages.Answered:
            return generate_for(opened, params, call)

        async for event in self._answer("generate", volume, key, work):
            yield event

    async def attend(self, volume: ToOpen, key: str, text: str) -> Events:
        def work(call: Call, opened: OpenScan) -> messages.Answered:
            return attend(opened, text, stop=call.stop)

        async for event in self._answer("attend", volume, key, work):
            yield event

    async def stop(self, key: str) -> bool:
        """Let a request end where it is. Whether there was such a request."""
        stop = self._stops.get(key)
        if stop:
            stop.set()
        return stop is not None

    async def close(self, volume_id: str) -> None:
        """Forget a volume at once; its empty place goes when its turn comes."""
        place: _Place = await self._place(volume_id)
        place.opened = None

    @serve.multiplexed(max_num_models_per_replica=MOST_ENCODED)  # type: ignore[untyped-decorator]
    async def _place(self, volume_id: str) -> _Place:
        return _Place()

    async def _answer(
        self,
        method: str,
        volume: ToOpen,
        key: str,
        work: Callable[[Call, OpenScan], Any],
    ) -> Events:
        stop = self._stops[key] = threading.Event()
        try:
            async with self._turn:
                place = await self._place(volume.volume_id)

                def run(call: Call) -> Any:
                    if place.opened is None:
                        place.opened = self._encode(volume, call)
                    return work(call, place.opened)

                async for event in _told_as_it_goes(method, run, stop):
                    yield event
        finally:
            del self._stops[key]

    def _encode(self, volume: ToOpen, call: Call) -> OpenScan:
        import ray

        (reference,) = volume.prepared
        return open_prepared(
            self._model,
            ray.get(reference),
            volume.warnings,
            {"preprocess": volume.seconds},
            progress=call.progress,
            stop=call.stop,
        )


async def _told_as_it_goes(
    method: str, work: Callable[[Call], Any], stop: threading.Event
) -> Events:
    """Do what takes long in a thread, and tell what it tells; what ends this ends the thread."""
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[Event] = asyncio.Queue()

    def tell(event: Event) -> None:
        loop.call_soon_threadsafe(events.put_nowait, event)

    def run() -> None:
        call = Call(
            progress=lambda stage, done, total: tell(
                Event("progress", Progress(stage, done, total))
            ),
            token=lambda text, token_id: tell(Event("token", Token(token_id, text))),
            stop=stop,
        )
        try:
            event = Event("result", work(call))
        except Exception as error:
            event = Event("error", Failure(*told(method, error)))
        tell(event)

    thread = asyncio.create_task(asyncio.to_thread(run))
    try:
        while True:
            event = await events.get()
            yield event
            if event.is_last:
                return
    finally:
        stop.set()
        # The next request may not begin before the model is free.
        await asyncio.shield(thread)
