"""Answers from what encoders that see all would tell."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch

from med2e3.model import Med2E3
from med2e3.training.evidence import even_scores
from med2e3.training.objectives.next_tokens import JudgedChoices, answer_loss
from med2e3.training.objectives.objective import Objective, Outcome
from med2e3.training.words import half_heard, ideal_tokens, loudness


class IdealObjective(Objective):
    """The answer's next token, given what encoders that see all would tell of the volume.

    For a language model from nothing. A description has its words one after another; the tokens of
    an image show several things each, and where. To write a report from that is learned here,
    without any encoder, from what is known to be in each patch. It learns from what is half heard,
    for no encoder will ever be sure of all. ``choices`` as of :class:`AnswerObjective`.
    """

    def __init__(self, network: Med2E3, trained: Collection[str], choices: float = 0.0) -> None:
        super().__init__(network, trained)
        self.choices = JudgedChoices(network, choices) if choices else None

    def forward(
        self,
        volume_of: torch.Tensor,
        before: torch.Tensor,
        after: torch.Tensor,
        labels: torch.Tensor,
        evidence: torch.Tensor,
        words: Mapping[str, torch.Tensor],
        weights: torch.Tensor | None = None,
        choice_ends: torch.Tensor | None = None,
        right_choice: torch.Tensor | None = None,
        **_: torch.Tensor,
    ) -> Outcome:
        """As :class:`AnswerObjective`. The scores lie evenly on the things that an answer depends
        on, and on all slices where it depends on none."""
        network = self.network
        scores = even_scores(evidence)
        shown_2d, shown_3d = (loudness(words[kind]) for kind in ("2d", "3d"))
        if self.training:
            shown_2d, shown_3d = half_heard(shown_2d), half_heard(shown_3d)
        slices, count = scores.shape[1], shown_2d.shape[2]
        of_slices = shown_2d.view(len(shown_2d), slices, -1, count)[volume_of]
        shown = torch.cat([shown_3d[volume_of], torch.einsum("ns,nspw->npw", scores, of_slices)], 1)
        embeddings = network.llm.get_input_embeddings()(words["ids"]).detach()
        image = ideal_tokens(shown, embeddings)
        return answer_loss(
            network, image, before, after, labels, weights, self.choices, choice_ends, right_choice
        )
