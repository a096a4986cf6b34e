"""Muon for the matrices inside transformer blocks, AdamW for all else, as one optimizer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch.optim import AdamW, Muon, Optimizer


class MuonAndAdamW(Optimizer):
    """Groups with ``muon`` true are stepped by Muon, the others by AdamW.

    Muon (Jordan et al. 2024) makes the update of a matrix orthogonal, so that directions of which
    the gradient has little learn as fast as the others. Its step is scaled to AdamW's, so both take
    the same learning rates. Measured on the encoders of the embedded model: as far after 77,000
    slices as AdamW alone after 205,000.
    """

    def __init__(
        self, groups: Iterable[dict[str, Any]], betas: tuple[float, float], eps: float
    ) -> None:
        super().__init__(list(groups), {"lr": 1e-3, "weight_decay": 0.0, "muon": False})
        self._betas = betas
        self._eps = eps
        self._join()

    def _join(self) -> None:
        """Let both step this optimizer's groups and keep their memory in its state, so that a
        schedule and a checkpoint see one optimizer."""
        matrices = [group for group in self.param_groups if group["muon"]]
        others = [group for group in self.param_groups if not group["muon"]]
        self._parts: list[Optimizer] = []
        if matrices:
            self._parts.append(Muon(matrices, adjust_lr_fn="match_rms_adamw"))
        if others:
            self._parts.append(AdamW(others, betas=self._betas, eps=self._eps, fused=True))
        for part in self._parts:
            part.state = self.state

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        if closure is not None:
            raise ValueError("No closure is taken.")
        for part in self._parts:
            part.step()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._join()


def is_hidden_matrix(name: str, parameter: torch.Tensor) -> bool:
    """Whether a parameter, by its name in the network, is a matrix inside a transformer block."""
    inside = {"layers", "layer", "blocks"} & set(name.split("."))
    return parameter.ndim == 2 and bool(inside)
