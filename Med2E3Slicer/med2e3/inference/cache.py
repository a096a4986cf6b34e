"""Keys and values of the language model, in memory that is there from the beginning.

transformers' own cache makes all keys and values of a layer anew for each token. At the released
size that copies 450 MB a token, and leaves holes of all sizes in the memory.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import DynamicCache


class RoomyCache(DynamicCache):
    """A cache with room for a number of tokens, which can go back to an earlier length."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room
        self._both: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._lengths: list[int] = []

    def rewind(self, length: int) -> None:
        """Forget all tokens but the first ``length``."""
        self._lengths = [min(length, one) for one in self._lengths]

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        layer_idx: int,
        *_: Any,
        **__: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Put the keys and values of new tokens [1, heads, tokens, width] behind those of a layer.
        Returns all of the layer's."""
        if layer_idx == len(self._both):
            shape = (*key_states.shape[:2], self._room)
            self._both.append(
                (
                    key_states.new_empty(*shape, key_states.shape[-1]),
                    value_states.new_empty(*shape, value_states.shape[-1]),
                )
            )
            self._lengths.append(0)
        start = self._lengths[layer_idx]
        end = self._lengths[layer_idx] = start + key_states.shape[-2]
        keys, values = self._both[layer_idx]
        keys[..., start:end, :] = key_states
        values[..., start:end, :] = value_states
        return keys[..., :end, :], values[..., :end, :]

    def get_seq_length(self, layer_idx: int = 0, *_: Any) -> int:
        """Tokens that a layer has."""
        return self._lengths[layer_idx] if layer_idx < len(self._lengths) else 0

    def get_mask_sizes(self, cache_position: torch.Tensor, layer_idx: int) -> tuple[int, int]:
        """(tokens that the next ones see, themselves included; where those begin)."""
        return self.get_seq_length(layer_idx) + len(cache_position), 0

    def __len__(self) -> int:
        return len(self._both)
