"""Texts alone."""

from __future__ import annotations

from collections.abc import Collection

import torch

from med2e3.model import Med2E3
from med2e3.training.objectives.next_tokens import (
    JudgedChoices,
    hidden_states,
    next_token_loss,
)
from med2e3.training.objectives.objective import Objective, Outcome


class LanguageObjective(Objective):
    """The next token of a text, for a language model from nothing.

    A written description stands where the image will be. What an ordinary language model brings
    along (words, and how an answer follows from what was told) is learned here, cheaply; the
    stages with images then need to learn to see alone. ``choices`` as of :class:`AnswerObjective`.
    """

    def __init__(self, network: Med2E3, trained: Collection[str], choices: float = 0.0) -> None:
        super().__init__(network, trained)
        self.choices = JudgedChoices(network, choices) if choices else None

    def forward(
        self,
        token_ids: torch.Tensor,
        labels: torch.Tensor,
        weights: torch.Tensor,
        choice_ends: torch.Tensor | None = None,
        right_choice: torch.Tensor | None = None,
    ) -> Outcome:
        """All but the last [n, length], padded on the right; ``labels`` as in
        :class:`AnswerObjective`, ``weights`` how much each of them counts."""
        llm = self.network.llm
        hidden = hidden_states(llm, input_ids=token_ids)
        outcome = next_token_loss(llm, hidden.last[:, :-1], labels[:, 1:], weights[:, 1:])
        if self.choices and choice_ends is not None:
            outcome = self.choices(outcome, hidden, choice_ends, right_choice)
        return outcome
