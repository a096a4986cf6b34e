"""The volumes that a server holds: whose they are, and when they expire.

What is held is what the model sees, prepared (8 MB at the released size); the voxels that came are
gone by then. It is kept so that a replica that was ended, or that gave up a volume for others, can
encode it again without asking the client for it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from med2e3.wire import jsonrpc
from med2e3.wire.jsonrpc import RpcError


@dataclass(eq=False)
class HeldVolume:
    """A volume of somebody's. ``prepared`` refers to the
    :class:`~med2e3.volume.PreparedVolume` in Ray's store; ``seconds`` is how long that took."""

    volume_id: str
    owner: str
    prepared: Any
    warnings: tuple[str, ...]
    seconds: float
    used_at: float = field(default_factory=time.monotonic)
    in_use: int = 0


class Volumes:
    """All volumes, the last used ones last. Each is its owner's, and there is none for others."""

    def __init__(self, of_each: int, minutes: float) -> None:
        self._of_each = of_each
        self._seconds = minutes * 60
        self._held: dict[str, HeldVolume] = {}

    def __len__(self) -> int:
        return len(self._held)

    def hold(
        self, owner: str, prepared: Any, warnings: tuple[str, ...], seconds: float
    ) -> tuple[HeldVolume, list[HeldVolume]]:
        """A new volume, and those of the same owner that have to go for it."""
        # Nobody can guess it, so that on a server without tokens a volume has an owner as well.
        volume = HeldVolume(secrets.token_urlsafe(18), owner, prepared, warnings, seconds)
        own = [held for held in self._held.values() if held.owner == owner]
        gone = own[: max(0, len(own) + 1 - self._of_each)]
        self._held[volume.volume_id] = volume
        return volume, self._let_go(gone)

    def find(self, volume_id: str, owner: str) -> HeldVolume:
        """A volume that is asked about. Raises RpcError where this owner has none of this id."""
        held = self._held.get(volume_id)
        if held is None or held.owner != owner:
            raise RpcError(
                jsonrpc.NOT_READY,
                "You have no such volume on this server (they expire); send it again.",
            )
        held.used_at = time.monotonic()
        # The last in the order of use.
        self._held[volume_id] = self._held.pop(volume_id)
        return held

    def close(self, held: HeldVolume) -> None:
        self._held.pop(held.volume_id, None)

    def expired(self) -> list[HeldVolume]:
        """Those that nobody has asked about for too long; they are gone now."""
        latest = time.monotonic() - self._seconds
        return self._let_go(
            [held for held in self._held.values() if held.used_at < latest and not held.in_use]
        )

    def _let_go(self, gone: Iterable[HeldVolume]) -> list[HeldVolume]:
        gone = list(gone)
        for held in gone:
            self.close(held)
        return gone
