"""The choices of a closed question, and a head that judges them where they stand.

To tell the letter of the right choice a language model has to find which of four texts further up
is true, and to go back to the letter before it. From the letter alone a small network learns that
late, for neither half is any use without the other. Here each half is taught by itself: at its last
token, in the middle of the network, a choice shall tell whether it is the right one and which
letter it has. What is left for the layers above is to look there (docs/decisions/0017 has what was
measured). The released recipe has none of this: its language model could do it before.
"""

from __future__ import annotations

import re
from typing import Any

import torch
import torch.nn.functional as functional
from torch import nn

from med2e3.training.exercises import LETTERS

_CHOICES = re.compile(r" Choices: A\. (.+?) B\. (.+?) C\. (.+?) D\. (.+)$", re.DOTALL)
_LETTERED = re.compile(rf"[{LETTERS}]\. ")


def choice_ends(question: str) -> list[int]:
    """Where in a question, in characters, each of its four choices ends; nothing without them."""
    found = _CHOICES.search(question)
    return [found.end(1 + number) for number in range(len(LETTERS))] if found else []


def right_choice(answer: str) -> int | None:
    """The number of the choice whose letter an answer begins with."""
    return LETTERS.index(answer[0]) if _LETTERED.match(answer) else None


class ChoiceJudge(nn.Module):
    """What a language model of ``width`` knows of each choice at its last token. It is dropped
    after the stage."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self._norm = nn.RMSNorm(width, elementwise_affine=False)
        self._right = nn.Linear(width, 1)
        self._letter = nn.Linear(width, len(LETTERS))

    def forward(
        self, hidden: torch.Tensor, ends: torch.Tensor, right: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss over ``hidden`` [n, length, width], and the share of right choices that were
        found. ``ends`` [n, 4] are the places of the choices' last tokens, ``right`` [n] the numbers
        of the right ones, -1 for a text without choices. Where none has any, 0 and no number."""
        rows = torch.arange(len(ends), device=ends.device)[:, None]
        of_choices = self._norm(hidden[rows, ends].float())
        judged = self._right(of_choices)[:, :, 0]
        letters = self._letter(of_choices)
        own = torch.arange(len(LETTERS), device=ends.device).expand(len(ends), -1)
        lost = functional.cross_entropy(judged, right.clamp(min=0), reduction="none")
        lost = lost + _mean_loss(letters, own)
        known = right >= 0
        found = (judged.argmax(dim=1) == right) & known
        return (lost * known).sum() / known.sum().clamp(min=1), found.sum() / known.sum()


def _mean_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Of [n, choices, letters] and [n, choices] for each of the n."""
    lost: Any = functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none")
    mean: torch.Tensor = lost.mean(dim=1)
    return mean
