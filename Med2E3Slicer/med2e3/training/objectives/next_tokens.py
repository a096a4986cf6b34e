"""The loss of a language model on the tokens of answers, and on the choices that it judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as functional
from torch import nn

from med2e3.model import Med2E3
from med2e3.training.choices import ChoiceJudge
from med2e3.training.objectives.objective import Outcome

IGNORED = -100
"""The label of a token that is read and not learned."""


class JudgedChoices(nn.Module):
    """Beside an outcome, how well the choices of closed questions are judged half-way through the
    language model; ``counts`` is how much."""

    def __init__(self, network: Med2E3, counts: float) -> None:
        super().__init__()
        self._counts = counts
        self.judge = ChoiceJudge(network.configuration.width)

    def forward(
        self, outcome: Outcome, hidden: HiddenStates, ends: torch.Tensor, right: torch.Tensor
    ) -> Outcome:
        """``outcome`` with what :class:`~med2e3.training.choices.ChoiceJudge` adds to it."""
        lost, found = self.judge(hidden.middle, ends, right)
        loss = outcome["loss"] + self._counts * lost
        return outcome | {"loss": loss, "choice_accuracy": found}


@dataclass(frozen=True)
class HiddenStates:
    """What the language model holds of each token, both [n, length, width]: after all its layers,
    and after the first half of them (one layer less than half of an odd number)."""

    last: torch.Tensor
    middle: torch.Tensor


def hidden_states(llm: Any, **inputs: torch.Tensor) -> HiddenStates:
    """Run the language model without its head."""
    found = llm.get_decoder()(**inputs, use_cache=False, output_hidden_states=True)
    # The first of these is before any layer.
    return HiddenStates(found.last_hidden_state, found.hidden_states[len(found.hidden_states) // 2])


def answer_loss(
    network: Med2E3,
    image: torch.Tensor,
    before: torch.Tensor,
    after: torch.Tensor,
    labels: torch.Tensor,
    weights: torch.Tensor | None,
    choices: JudgedChoices | None,
    choice_ends: torch.Tensor | None,
    right_choice: torch.Tensor | None,
) -> Outcome:
    """How well the answers in ``after`` [n, length] are told from the tokens ``image``
    [n, tokens, width], and their choices judged if there is a judge; the rest as of
    :class:`AnswerObjective`."""
    prompt = network.embed_prompt(before.expand(len(after), -1), image, after)
    # Padding is on the right and attention looks to the left, so no mask is needed.
    hidden = hidden_states(network.llm, inputs_embeds=prompt)
    start = prompt.shape[1] - after.shape[1]
    outcome = next_token_loss(network.llm, hidden.last[:, start - 1 : -1], labels, weights)
    if choices and choice_ends is not None:
        outcome = choices(outcome, hidden, choice_ends + start, right_choice)
    return outcome


def next_token_loss(
    llm: Any, hidden: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None = None
) -> Outcome:
    """The mean loss over all labelled tokens, and the share of them that was the likeliest.

    ``hidden`` [n, length, width] is what stood before each label; ``weights`` [n, length] tell how
    much each counts in both, where they do not count alike. The vocabulary's logits are made for
    labelled tokens alone, a small part of all.
    """
    learned = labels != IGNORED
    logits = llm.get_output_embeddings()(hidden[learned]).float()
    wanted = labels[learned]
    shares = torch.ones_like(wanted, dtype=torch.float32) if weights is None else weights[learned]
    shares = shares / shares.sum()
    right = (logits.argmax(dim=-1) == wanted).float()
    return {
        "loss": functional.cross_entropy(logits, wanted, reduction="none") @ shares,
        "token_accuracy": (right @ shares).detach(),
    }
