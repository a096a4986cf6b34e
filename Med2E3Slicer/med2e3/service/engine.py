"""What answers the requests that need a model, as the worker sees it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from med2e3.wire import messages


def _quiet(*told: object) -> None:
    """The listener of those who do not want to be told."""


@dataclass(frozen=True)
class Call:
    """A request while it is answered: who is told of it, and whether it is to stop.

    ``progress(stage, done, total)`` and ``token(text, token_id)`` may be called by any thread.
    """

    progress: Callable[[str, int, int], None] = _quiet
    token: Callable[[str, int], None] = _quiet
    stop: threading.Event = field(default_factory=threading.Event)


class Engine(Protocol):
    """A model and the scans that are open in it, for one client.

    Each method answers the wire's method of its name. It raises
    :class:`~med2e3.errors.Med2E3Error` or :class:`~med2e3.wire.jsonrpc.RpcError`, and
    :class:`~med2e3.errors.Cancelled` once ``call.stop`` is set and there is nothing to show.
    """

    def load_model(self, params: messages.LoadModel, call: Call) -> messages.ModelLoaded: ...

    def open_volume(self, params: messages.OpenVolume, call: Call) -> messages.VolumeOpened: ...

    def generate(self, params: messages.Generate, call: Call) -> messages.Answered: ...

    def attend(self, params: messages.Attend, call: Call) -> messages.Answered: ...

    def close_volume(self, params: messages.CloseVolume, call: Call) -> messages.Done: ...

    def free_memory(self) -> None:
        """Give up what can be made again; the client opens its scans again when it needs them."""
