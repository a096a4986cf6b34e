"""Records to token ids: the prompt and the scoring text exactly as inference makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from med2e3.inference.session import ROOM_FOR_ANSWER
from med2e3.model import LoadedModel
from med2e3.training.choices import choice_ends
from med2e3.training.objectives import IGNORED

TokenIds = NDArray[np.int64]

_REMEMBERED = 200_000
"""Texts whose tokens are kept, for they come again each epoch."""


@dataclass(frozen=True)
class Dialogue:
    """Tokens of one question and its answer. ``after`` holds both, ``answer_start`` is where the
    answer begins in it, ``answer_cut`` how many of its tokens did not fit; ``choice_ends`` are the
    places in ``after`` of the last token of each choice, none where the question has no choices.
    """

    before: TokenIds
    after: TokenIds
    answer_start: int
    answer_cut: int
    choice_ends: tuple[int, ...] = ()


class Texts:
    """The tokenizers of a model, with the length limit that prompt, image and answer share."""

    def __init__(self, model: LoadedModel) -> None:
        self._prompts = model.prompt_tokenizer
        self._scoring = model.scoring_tokenizer
        depth, height, width = model.configuration.vision3d.grid
        patches = (
            model.configuration.vision2d["image_size"] // model.configuration.vision2d["patch_size"]
        ) ** 2
        self.image_tokens = depth * height * width // 8 + patches
        self._limit = model.configuration.max_length
        self.dialogue = lru_cache(_REMEMBERED)(self._dialogue)
        self.scoring = lru_cache(_REMEMBERED)(self._scoring_ids)
        self.plain = lru_cache(_REMEMBERED)(self._plain_ids)
        self.answer_length = lru_cache(_REMEMBERED)(self._answer_length)

    def _dialogue(self, question: str, answer: str) -> Dialogue:
        """A question and its answer within the length limit.

        The released code cuts the whole at its end, so that a long question leaves no answer to
        learn from. Here a long question is cut as at inference; an answer that is too long loses
        its end (and the end token, so that the model does not learn to stop there), and the
        caller is told by how much.
        """
        room = self._limit - self.image_tokens
        prompt = self._prompts.prompt(question, room - ROOM_FOR_ANSWER)
        answered = self._prompts.answer(question, answer)
        kept = answered[: room - len(prompt.before) - len(prompt.after)]
        return Dialogue(
            np.array(prompt.before),
            np.array([*prompt.after, *kept]),
            len(prompt.after),
            len(answered) - len(kept),
            self._choice_ends(question, prompt.after),
        )

    def _choice_ends(self, question: str, after: list[int]) -> tuple[int, ...]:
        """Where in ``after`` the choices of a question end, nowhere if it was cut."""
        ends = []
        for end in choice_ends(question):
            told = self._prompts.ids(f"\n{question[:end]}")
            if after[: len(told)] != told:
                return ()
            ends.append(len(told) - 1)
        return tuple(ends)

    def _answer_length(self, question: str, begun: str) -> int:
        """How many tokens the beginning of an answer has, up to the end of a word."""
        return len(self._prompts.answer(question, begun)) - 1 if begun else 0

    def _scoring_ids(self, text: str) -> TokenIds:
        return np.array(self._scoring(text)[0])

    def _plain_ids(self, text: str) -> TokenIds:
        # Of an empty text numpy would not know the type.
        return np.array(self._prompts.ids(text), dtype=np.int64)


def padded(rows: Sequence[NDArray[Any]], padding: int = 0) -> torch.Tensor:
    """Rows of different lengths as one tensor [n, longest], padded on the right."""
    filled = np.full((len(rows), max(map(len, rows))), padding, dtype=rows[0].dtype)
    for place, row in zip(filled, rows, strict=True):
        place[: len(row)] = row
    return torch.from_numpy(filled)


def padded_texts(rows: Sequence[TokenIds]) -> tuple[torch.Tensor, torch.Tensor]:
    """Scoring texts with their attention mask, both [n, longest]."""
    return padded(rows), padded([np.ones_like(row) for row in rows])


def labels_of(tokens: TokenIds, learned_from: int) -> TokenIds:
    """The tokens from ``learned_from`` on as labels, those before it ignored."""
    labels: TokenIds = tokens.copy()
    labels[:learned_from] = IGNORED
    return labels
