"""The choices of closed questions in a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from med2e3.training.choices import right_choice
from med2e3.training.examples.tensors import Batch
from med2e3.training.exercises import LETTERS
from med2e3.training.texts import Dialogue


def judged_choices(dialogues: Sequence[Dialogue], answers: Sequence[str]) -> Batch:
    """Which choices are right, and where they end in what comes after the image."""
    ends = np.zeros((len(dialogues), len(LETTERS)), dtype=np.int64)
    right = np.full(len(dialogues), -1)
    for row, (dialogue, answer) in enumerate(zip(dialogues, answers, strict=True)):
        chosen = right_choice(answer)
        if dialogue.choice_ends and chosen is not None:
            ends[row], right[row] = dialogue.choice_ends, chosen
    return {"choice_ends": torch.from_numpy(ends), "right_choice": torch.from_numpy(right)}
