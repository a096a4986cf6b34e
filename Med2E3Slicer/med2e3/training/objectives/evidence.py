"""Which slices a question is about."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from med2e3.training.objectives.objective import Outcome
from med2e3.training.objectives.scored import ScoredObjective


class EvidenceObjective(ScoredObjective):
    """The slices that an answer depends on, given volume and question: TG-IS by itself.

    For a network from nothing, whose scores would otherwise be learned from answers alone, while
    the answers need the scores to be learned at all.
    """

    def forward(
        self,
        volume_of: torch.Tensor,
        text_ids: torch.Tensor,
        text_mask: torch.Tensor,
        evidence: torch.Tensor,
        patch_evidence: torch.Tensor | None = None,
        words: Mapping[str, torch.Tensor] | None = None,
        volumes: torch.Tensor | None = None,
        features_2d: torch.Tensor | None = None,
        features_3d: torch.Tensor | None = None,
        **_: torch.Tensor,
    ) -> Outcome:
        """As :class:`AnswerObjective`; ``evidence`` [n, things, slices] and ``patch_evidence``
        [n, findings, patches] as of :func:`~med2e3.training.evidence.evidence_of` and
        :func:`~med2e3.training.evidence.patch_evidence_of`, false where there are fewer."""
        encoded = self._encode(volumes, features_2d, features_3d)
        scored = self._score(encoded, volume_of, text_ids, text_mask)
        outcome = self._evidence(scored, evidence, patch_evidence)
        return self._read_words(outcome, encoded, words)
