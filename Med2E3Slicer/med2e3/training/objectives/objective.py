"""What all objectives are: the network, and which of its parts learn."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import nn

from med2e3.model import Med2E3

Outcome = dict[str, torch.Tensor]
"""``loss``, and the scalars that are logged beside it."""


class Objective(nn.Module):
    """The network, of whose parts only those in ``trained`` learn."""

    def __init__(self, network: Med2E3, trained: Collection[str]) -> None:
        super().__init__()
        self.network = network
        self._frozen = [name for name, _ in network.named_children() if name not in trained]
        for name, part in network.named_children():
            part.requires_grad_(name in trained)

    def train(self, mode: bool = True) -> Objective:
        super().train(mode)
        for name in self._frozen:
            self.network.get_submodule(name).eval()
        return self

    def gradient_checkpointing_enable(
        self, gradient_checkpointing_kwargs: dict[str, Any] | None = None
    ) -> None:
        """Compute the language model's activations again instead of keeping them."""
        self.network.llm.gradient_checkpointing_enable(
            gradient_checkpointing_kwargs or {"use_reentrant": False}
        )
