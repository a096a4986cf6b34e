"""How much is too much: requests a minute from one user, and requests at once from all."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from contextlib import ExitStack

from med2e3.wire import jsonrpc
from med2e3.wire.jsonrpc import RpcError

_MINUTE = 60.0


class BusyError(RpcError):
    """A request that came too soon; ``seconds`` is when to try again."""

    def __init__(self, sentence: str, seconds: int, is_one_users: bool = False) -> None:
        super().__init__(jsonrpc.BUSY, sentence)
        self.seconds = seconds
        self.is_one_users = is_one_users


class RequestRate:
    """Lets each user begin so many requests in any minute."""

    def __init__(self, a_minute: int) -> None:
        self._a_minute = a_minute
        self._begun: defaultdict[str, deque[float]] = defaultdict(deque)

    def count(self, owner: str) -> None:
        """Note a request. Raises :class:`BusyError` if it is one too many."""
        now = time.monotonic()
        begun = self._begun[owner]
        while begun and now - begun[0] >= _MINUTE:
            begun.popleft()
        if len(begun) >= self._a_minute:
            seconds = int(_MINUTE - (now - begun[0])) + 1
            raise BusyError(
                f"More than {self._a_minute} requests came in a minute; try again in {seconds} s.",
                seconds,
                is_one_users=True,
            )
        begun.append(now)


class Queue:
    """Counts the requests that the model has or that wait for it, and refuses one too many."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self.length = 0

    def enter(self) -> ExitStack:
        """A place in the queue, until what is returned is closed. Raises :class:`BusyError`."""
        if self.length >= self._longest:
            raise BusyError(
                f"The server has {self.length} requests to answer and takes no more; try again in "
                "a moment.",
                5,
            )
        self.length += 1
        place = ExitStack()
        place.callback(self._leave)
        return place

    def _leave(self) -> None:
        self.length -= 1
