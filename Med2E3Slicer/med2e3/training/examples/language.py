"""Descriptions with questions and answers, and exercises: texts alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch

from med2e3.errors import InputError
from med2e3.training.asked import more_often
from med2e3.training.batches import Pick
from med2e3.training.choices import right_choice
from med2e3.training.examples.choices import judged_choices
from med2e3.training.examples.tensors import Batch
from med2e3.training.exercises import FEWEST_TEXTS, draw_exercise
from med2e3.training.objectives import IGNORED
from med2e3.training.records import Record
from med2e3.training.texts import Texts, labels_of, padded

_TOLD = 0.1
"""What description and question count together, against 1 of the answer."""

_LETTER = 0.5
"""What the letter counts of an answer that begins with one."""


class LanguageBatches:
    """Batches for :class:`~med2e3.training.objectives.LanguageObjective`: the prompt of inference
    with the written description of a synthetic volume in place of the image.

    ``exercises`` tells how often an exercise of each kind is read in the place of a record, see
    :data:`~med2e3.training.exercises.EXERCISES`; ``choices`` as of :class:`AnswerBatches`;
    ``asked`` is as of :func:`~med2e3.training.asked.more_often`.
    """

    def __init__(
        self,
        records: Sequence[Record],
        texts: Texts,
        seed: int,
        exercises: Mapping[str, float],
        choices: bool = False,
        asked: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self._seed = seed
        self._tells_choices = choices
        self._exercises = exercises
        self._records = [record for record in records if (record.phantom or {}).get("description")]
        if not self._records:
            raise InputError(
                "The language stage needs records that describe what the volume holds "
                "(phantom.description), and there are none; make the data with `med2e3 phantom "
                "dataset`, or begin from a language model that is trained."
            )
        self._records = more_often(self._records, asked)
        self._texts = texts
        self._choices = sorted(
            {
                text
                for record in self._records
                for text in (record.phantom or {}).get("choices", {}).values()
            }
        )
        if exercises and len(self._choices) < FEWEST_TEXTS:
            raise InputError(
                f"Exercises need records with at least {FEWEST_TEXTS} different choices "
                f"(phantom.choices), and there are {len(self._choices)}; take exercises out."
            )
        self.cut_answers: set[str] = set()

    @property
    def volume_names(self) -> list[str]:
        return [record.volume for record in self._records]

    @property
    def lengths(self) -> list[int]:
        return [
            len(record.asked) + len(record.answer) + len((record.phantom or {})["description"])
            for record in self._records
        ]

    def __call__(self, picks: Sequence[Pick]) -> Batch:
        tokens, labels, weights, dialogues, answers, starts = [], [], [], [], [], []
        for epoch, number in picks:
            record = self._records[number]
            random = np.random.default_rng((self._seed, epoch, number))
            description = self._texts.plain((record.phantom or {})["description"])
            asked, answer = record.asked, record.answer
            exercise = draw_exercise(self._exercises, self._choices, random)
            if exercise:
                description = self._texts.plain(exercise.described)
                asked, answer = exercise.asked, exercise.answer
            dialogue = self._texts.dialogue(asked, answer)
            if dialogue.answer_cut:
                self.cut_answers.add(record.identifier)
            # All is learned, as language models learn, but the answers count most, one as much as
            # another: counted by the token, a letter is lost among what cannot be known.
            told = np.concatenate([description, dialogue.after[: dialogue.answer_start]])
            answered = dialogue.after[dialogue.answer_start :]
            tokens.append(np.concatenate([dialogue.before, told, answered]))
            dialogues.append(dialogue)
            answers.append(answer)
            starts.append(len(dialogue.before) + len(description))
            labels.append(labels_of(tokens[-1], len(dialogue.before)))
            letter = 1 / len(answered) if right_choice(answer) is None else _LETTER
            shares = [0.0, _TOLD / len(told), letter, (1 - letter) / max(1, len(answered) - 1)]
            counts = [len(dialogue.before), len(told), 1, len(answered) - 1]
            weights.append(np.repeat(np.array(shares, np.float32), counts))
        batch = {
            "token_ids": padded(tokens),
            "labels": padded(labels, IGNORED),
            "weights": padded(weights),
        }
        if self._tells_choices:
            judged = judged_choices(dialogues, answers)
            judged["choice_ends"] += torch.tensor(starts)[:, None]
            batch |= judged
        return batch
