"""Tokens that tell the words of what they show."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch

from med2e3.model import Med2E3
from med2e3.training.objectives.objective import Outcome
from med2e3.training.objectives.scored import ScoredObjective


class WordsObjective(ScoredObjective):
    """Tokens that look like the words of what they show, with nothing said of slices or answers:
    what variants of the fusion may share without having learned to fuse."""

    def __init__(self, network: Med2E3, trained: Collection[str]) -> None:
        super().__init__(network, trained, words=1.0)

    def forward(
        self,
        words: Mapping[str, torch.Tensor],
        volumes: torch.Tensor | None = None,
        features_2d: torch.Tensor | None = None,
        features_3d: torch.Tensor | None = None,
        **_: torch.Tensor,
    ) -> Outcome:
        """As :class:`AnswerObjective`."""
        encoded = self._encode(volumes, features_2d, features_3d)
        return self._read_words({"loss": encoded[0].tokens_3d.new_zeros(())}, encoded, words)
