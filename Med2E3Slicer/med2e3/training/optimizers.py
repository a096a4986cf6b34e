"""Muon for the matrices inside transformer blocks, AdamW for all else, as one optimizer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch.optim import AdamW, Optimizer

_MOMENTUM = 0.95

_ITERATIONS = 5
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the Newton-Schulz iteration: Jordan's, whose slope at 0 is steep. They take all singular
values to somewhere between 0.7 and 1.2, which does as well as 1."""

_ADAMW_SIZE = 0.2
"""Root mean square of what AdamW changes in a step, as a share of the learning rate."""


class MuonAndAdamW(Optimizer):
    """Groups with ``muon`` true are stepped by Muon, the others by AdamW.

    Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon) makes the update of a
    matrix orthogonal, so that directions of which the gradient has little learn as fast as the
    others. Its step is scaled to AdamW's (Liu et al. 2025, arXiv 2502.16982), so both take the same
    learning rates. Measured on the encoders of the embedded model: as far after 77,000 slices as
    AdamW alone after 205,000.

    Not torch's own, which computes in bfloat16: on CPUs without units for it that was a third of a
    step of the embedded model's language model (docs/decisions/0010).
    """

    def __init__(
        self, groups: Iterable[dict[str, Any]], betas: tuple[float, float], eps: float
    ) -> None:
        super().__init__(list(groups), {"lr": 1e-3, "weight_decay": 0.0, "muon": False})
        self._betas = betas
        self._eps = eps
        self._join()

    def _join(self) -> None:
        """Let AdamW step this optimizer's groups and keep its memory in this one's state, so that a
        schedule and a checkpoint see one optimizer."""
        others = [group for group in self.param_groups if not group["muon"]]
        self._adamw: Optimizer | None = None
        if others:
            self._adamw = AdamW(others, betas=self._betas, eps=self._eps, fused=True)
            self._adamw.state = self.state

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        if closure is not None:
            raise ValueError("No closure is taken.")
        for group in self.param_groups:
            if group["muon"]:
                self._step_matrices(group)
        if self._adamw:
            self._adamw.step()

    def _step_matrices(self, group: dict[str, Any]) -> None:
        alike: dict[torch.Size, list[torch.Tensor]] = {}
        for matrix in group["params"]:
            if matrix.grad is not None:
                alike.setdefault(matrix.shape, []).append(matrix)
        for shape, matrices in alike.items():
            updates = orthogonal(torch.stack([self._update(matrix) for matrix in matrices]))
            rate = group["lr"] * _ADAMW_SIZE * max(shape) ** 0.5
            for matrix, update in zip(matrices, updates, strict=True):
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.sub_(update.to(matrix.dtype), alpha=rate)

    def _update(self, matrix: torch.Tensor) -> torch.Tensor:
        """The gradient with Nesterov's momentum."""
        gradient: Any = matrix.grad
        state = self.state[matrix]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        momentum: torch.Tensor = state["momentum_buffer"]
        momentum.lerp_(gradient, 1 - _MOMENTUM)
        return torch.lerp(gradient, momentum, _MOMENTUM).float()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._join()


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """Matrices [n, rows, columns] with the same singular vectors, and singular values near 1."""
    wide = matrices.shape[1] <= matrices.shape[2]
    turned: torch.Tensor = matrices if wide else matrices.mT
    # Its largest singular value is below its norm, and the iteration needs it below 1.
    turned = turned / turned.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    first, third, fifth = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        gram = turned @ turned.mT
        turned = first * turned + (third * gram + fifth * gram @ gram) @ turned
    return turned if wide else turned.mT


def is_hidden_matrix(name: str, parameter: torch.Tensor) -> bool:
    """Whether a parameter, by its name in the network, is a matrix inside a transformer block."""
    inside = {"layers", "layer", "blocks"} & set(name.split("."))
    return parameter.ndim == 2 and bool(inside)
