"""Answers to questions about volumes: the two stages of the released recipe."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch

from med2e3.model import Med2E3
from med2e3.training.objectives.next_tokens import JudgedChoices, answer_loss
from med2e3.training.objectives.objective import Outcome
from med2e3.training.objectives.scored import ScoredObjective


class AnswerObjective(ScoredObjective):
    """The answer's next token, given volume, question and the answer so far (stages 1 and 2).

    ``evidence`` is how much it counts beside that the scores lie on the slices that the answer
    depends on, where that is known, and ``choices`` that the choices of closed questions are
    judged; both 0 as released.
    """

    def __init__(
        self,
        network: Med2E3,
        trained: Collection[str],
        evidence: float = 0.0,
        patch_evidence: float = 0.0,
        choices: float = 0.0,
        words: float = 0.0,
    ) -> None:
        super().__init__(network, trained, patch_evidence, words)
        self._evidence_counts = evidence
        self.choices = JudgedChoices(network, choices) if choices else None

    def forward(
        self,
        volume_of: torch.Tensor,
        text_ids: torch.Tensor,
        text_mask: torch.Tensor,
        before: torch.Tensor,
        after: torch.Tensor,
        labels: torch.Tensor,
        weights: torch.Tensor | None = None,
        evidence: torch.Tensor | None = None,
        patch_evidence: torch.Tensor | None = None,
        choice_ends: torch.Tensor | None = None,
        right_choice: torch.Tensor | None = None,
        words: Mapping[str, torch.Tensor] | None = None,
        volumes: torch.Tensor | None = None,
        features_2d: torch.Tensor | None = None,
        features_3d: torch.Tensor | None = None,
    ) -> Outcome:
        """``volume_of`` [n] has the number of each example's volume in the batch; ``text_ids`` and
        ``text_mask`` [n, text length] the scoring texts, padded; ``before`` [length] the tokens
        before the image, the same for all; ``after`` [n, length] those after it with the answer,
        padded on the right; ``labels`` like ``after``, :data:`IGNORED` but for the answer, and
        ``weights`` how much each of them counts, if not all alike; ``evidence`` and
        ``patch_evidence`` as of :class:`EvidenceObjective`, and ``choice_ends`` (places in
        ``after``) and ``right_choice`` as of :class:`~med2e3.training.choices.ChoiceJudge`, if they
        count; ``words`` has ``ids`` and ``of_findings`` [words], and ``2d`` and ``3d`` [volumes,
        tokens, words] as of :class:`~med2e3.training.words.PatchWords`, if they do.

        ``volumes`` [volumes, 1, slices, rows, columns] may be absent where the encoders' features
        before the connectors are given: ``features_2d`` [volumes, slices, patches, hidden] and
        ``features_3d`` [volumes, tokens, hidden].
        """
        network = self.network
        encoded = self._encode(volumes, features_2d, features_3d)
        scored = self._score(encoded, volume_of, text_ids, text_mask)
        image = torch.stack([one.tokens for one in scored])
        outcome = answer_loss(
            network, image, before, after, labels, weights, self.choices, choice_ends, right_choice
        )
        outcome = self._read_words(outcome, encoded, words)
        if evidence is None:
            return outcome
        found = self._evidence(scored, evidence, patch_evidence)
        return outcome | found | {"loss": outcome["loss"] + self._evidence_counts * found["loss"]}
