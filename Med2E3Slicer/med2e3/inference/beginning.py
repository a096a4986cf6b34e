"""The beginning of a prompt, read once for all questions about a volume.

Up to and including the 3D tokens a prompt is the same whatever is asked: the language model's keys
and values for it can be kept. With room for a whole prompt and its answer they take 600 MB in
float32 at the released size, so one volume of each model has them at a time.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from med2e3.inference.cache import RoomyCache
from med2e3.model import LoadedModel

if TYPE_CHECKING:
    from med2e3.inference.session import VolumeSession


@dataclass(eq=False)
class Beginning:
    """What the language model has read: ``embedded`` [length, width], and its keys and values, with
    whatever was written behind them last."""

    embedded: torch.Tensor
    cache: RoomyCache

    @property
    def length(self) -> int:
        """Tokens that are read."""
        return len(self.embedded)

    def is_of(self, embedded: torch.Tensor) -> bool:
        return torch.equal(self.embedded, embedded)

    def again(self) -> RoomyCache:
        """The keys and values, to be written on behind."""
        self.cache.rewind(self.length)
        return self.cache


_holders: weakref.WeakKeyDictionary[LoadedModel, weakref.ref[VolumeSession]] = (
    weakref.WeakKeyDictionary()
)


def take_over(session: VolumeSession) -> None:
    """Note that a session keeps its beginning from now on; the one that did drops its own."""
    holder = _holders.get(session.model)
    former = holder() if holder else None
    if former is not None and former is not session:
        former.beginning = None
    _holders[session.model] = weakref.ref(session)
