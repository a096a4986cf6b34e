"""The beginning of a prompt, read once for all questions about a volume.

Up to and including the 3D tokens a prompt is the same whatever is asked: the language model's keys
and values for it can be kept. At the released size they take 228 MB in float32 (32 layers of 3072,
290 tokens), so one volume of each model has them at a time.
"""

from __future__ import annotations

import copy
import weakref
from typing import TYPE_CHECKING, Any

import torch
from transformers import DynamicCache

from med2e3.model import LoadedModel

if TYPE_CHECKING:
    from med2e3.inference.session import VolumeSession


class Beginning:
    """What the language model has read: ``embedded`` [length, width], and a ``cache`` that holds
    its keys and values, and maybe more behind them."""

    def __init__(self, embedded: torch.Tensor, cache: Any) -> None:
        self._embedded = embedded.clone()
        self._cache = DynamicCache()
        for layer in range(len(cache)):
            keys, values = (both[..., : len(embedded), :].clone() for both in cache[layer])
            self._cache.update(keys, values, layer)

    @property
    def length(self) -> int:
        """Tokens that are read."""
        return len(self._embedded)

    def is_of(self, embedded: torch.Tensor) -> bool:
        return torch.equal(self._embedded, embedded)

    def cache(self) -> Any:
        """The keys and values, to be written on behind."""
        return copy.deepcopy(self._cache)


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
