"""From picked examples to the tensors of a batch, one class for each objective.

All that is random in a batch hangs on the seed, the epoch and the number of the example (or of its
volume), never on what was drawn before: a run that goes on after a kill sees the same batches.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from med2e3.errors import InputError
from med2e3.training.augmentation import PLAIN, View, random_view
from med2e3.training.batches import Pick
from med2e3.training.captions import Caption, caption_of, slice_captions, volume_text
from med2e3.training.features import Features
from med2e3.training.objectives import IGNORED
from med2e3.training.records import Record, open_volume
from med2e3.training.texts import Texts, labels_of, padded, padded_texts

Batch = dict[str, torch.Tensor]


class Volumes:
    """The volumes of a data set, each seen as seed and epoch say if they are augmented."""

    def __init__(self, images: Path, seed: int, augment: bool) -> None:
        self._images = images
        self._seed = seed
        self._augment = augment

    def view(self, volume: str, epoch: int) -> View:
        if not self._augment:
            return PLAIN
        # The same for all questions about a volume in an epoch: they share one encoding.
        return random_view(np.random.default_rng((self._seed, epoch, zlib.crc32(volume.encode()))))

    def load(self, volume: str, view: View) -> NDArray[np.float32]:
        """[1, slices, rows, columns], float32."""
        try:
            found = np.asarray(open_volume(self._images / volume), dtype=np.float32)
        except (OSError, ValueError) as error:
            raise InputError(
                f"The volume {self._images / volume} cannot be read any more ({error}); put it "
                "back and run the same command again to go on."
            ) from error
        return found if view is PLAIN else view.of_volume(found)


class AnswerBatches:
    """Batches for :class:`~med2e3.training.objectives.AnswerObjective`."""

    def __init__(
        self,
        records: Sequence[Record],
        texts: Texts,
        volumes: Volumes,
        features_2d: Features | None = None,
        features_3d: Features | None = None,
    ) -> None:
        self._records = records
        self._texts = texts
        self._volumes = volumes
        self._features_2d = features_2d
        self._features_3d = features_3d
        self.cut_answers: set[str] = set()
        """Identifiers of the records whose answer did not fit."""

    @property
    def volume_names(self) -> list[str]:
        return [record.volume for record in self._records]

    @property
    def lengths(self) -> list[int]:
        return [len(record.asked) + len(record.answer) for record in self._records]

    def __call__(self, picks: Sequence[Pick]) -> Batch:
        records = [self._records[number] for _, number in picks]
        epoch = picks[0][0]
        # Volumes once, in the order in which they first come.
        numbers = {volume: i for i, volume in enumerate(dict.fromkeys(r.volume for r in records))}
        views = {volume: self._volumes.view(volume, epoch) for volume in numbers}
        dialogues = []
        for record in records:
            view = views[record.volume]
            dialogue = self._texts.dialogue(view.of_text(record.asked), view.of_text(record.answer))
            if dialogue.answer_cut:
                self.cut_answers.add(record.identifier)
            dialogues.append(dialogue)
        text_ids, text_mask = padded_texts(
            [self._texts.scoring(views[r.volume].of_text(r.question)) for r in records]
        )
        batch = {
            "volume_of": torch.tensor([numbers[record.volume] for record in records]),
            "text_ids": text_ids,
            "text_mask": text_mask,
            "before": torch.from_numpy(dialogues[0].before),
            "after": padded([dialogue.after for dialogue in dialogues]),
            "labels": padded(
                [labels_of(dialogue.after, dialogue.answer_start) for dialogue in dialogues],
                IGNORED,
            ),
        }
        if self._features_2d is None or self._features_3d is None:
            batch["volumes"] = _stacked(
                [self._volumes.load(volume, view) for volume, view in views.items()]
            )
        if self._features_2d is not None:
            batch["features_2d"] = self._features_2d.of(list(numbers))
        if self._features_3d is not None:
            batch["features_3d"] = self._features_3d.of(list(numbers))
        return batch


_EXERCISES = 0.3
"""How often a record with choices is read as an exercise in finding the letter of a choice."""


def choice_exercise(choices: Mapping[str, str], random: np.random.Generator) -> tuple[str, str]:
    """A question that only asks for the letter of one of its choices, and its answer."""
    letter = sorted(choices)[random.integers(len(choices))]
    listed = " ".join(f"{name}. {text}" for name, text in sorted(choices.items()))
    return f"Which is {choices[letter]}? Choices: {listed}", f"{letter}. {choices[letter]}"


class LanguageBatches:
    """Batches for :class:`~med2e3.training.objectives.LanguageObjective`: the prompt of inference
    with the written description of a synthetic volume in place of the image."""

    def __init__(self, records: Sequence[Record], texts: Texts, seed: int) -> None:
        self._seed = seed
        self._records = [record for record in records if (record.phantom or {}).get("description")]
        if not self._records:
            raise InputError(
                "The language stage needs records that describe what the volume holds "
                "(phantom.description), and there are none; make the data with `med2e3 phantom "
                "dataset`, or begin from a language model that is trained."
            )
        self._texts = texts
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
        tokens, labels = [], []
        for epoch, number in picks:
            record = self._records[number]
            random = np.random.default_rng((self._seed, epoch, number))
            description = self._texts.plain((record.phantom or {})["description"])
            asked, answer = record.asked, record.answer
            choices = (record.phantom or {}).get("choices")
            if choices and random.random() < _EXERCISES:
                description = description[:0]
                asked, answer = choice_exercise(choices, random)
            dialogue = self._texts.dialogue(asked, answer)
            if dialogue.answer_cut:
                self.cut_answers.add(record.identifier)
            # All is learned, as language models learn, not the answer alone. Without the questions
            # the letter of a choice stays a guess: measured, a network of this size finds it out in
            # 300 steps with them, and not in 800 without.
            learned = np.concatenate([description, dialogue.after])
            tokens.append(np.concatenate([dialogue.before, learned]))
            labels.append(np.concatenate([np.full(len(dialogue.before), IGNORED), learned]))
        return {"token_ids": padded(tokens), "labels": padded(labels, IGNORED)}


class ContrastBatches:
    """Batches for :class:`~med2e3.training.objectives.ContrastObjective`; an example is a volume
    with all that is said of it."""

    def __init__(
        self,
        records: Sequence[Record],
        texts: Texts,
        volumes: Volumes,
        *,
        seed: int,
        slices_per_volume: int,
        with_volumes: bool,
        with_slices: bool,
    ) -> None:
        self._records: dict[str, list[Record]] = {}
        for record in records:
            self._records.setdefault(record.volume, []).append(record)
        self.volume_names = list(self._records)
        self._captions = [slice_captions(said) for said in self._records.values()]
        self._texts = texts
        self._volumes = volumes
        self._seed = seed
        self._slices_per_volume = slices_per_volume
        self._with_volumes = with_volumes
        self._with_slices = with_slices
        self.cut_answers: set[str] = set()

    @property
    def lengths(self) -> list[int]:
        return [1] * len(self.volume_names)

    def __call__(self, picks: Sequence[Pick]) -> Batch:
        loaded, said, slices = [], [], _Slices()
        for epoch, number in picks:
            name = self.volume_names[number]
            random = np.random.default_rng((self._seed, epoch, number))
            view = self._volumes.view(name, epoch)
            volume = self._volumes.load(name, view)
            records = self._records[name]
            record = records[random.integers(len(records))]
            said.append(view.of_text(volume_text(record, random)))
            if self._with_volumes:
                loaded.append(volume)
            if self._with_slices:
                for chosen in self._choose(number, volume.shape[1], random):
                    slices.add(volume, chosen, number, self._captions[number], view, random)
        batch: Batch = {}
        if self._with_volumes:
            batch["volumes"] = _stacked(loaded)
            batch["text_ids"], batch["text_mask"] = padded_texts(
                [self._texts.scoring(text) for text in said]
            )
        if self._with_slices:
            batch["slices"] = torch.from_numpy(np.stack(slices.pictures))
            batch["slice_text_ids"], batch["slice_text_mask"] = padded_texts(
                [self._texts.scoring(text) for text in slices.texts]
            )
            batch["matches"] = slices.matches()
        return batch

    def _choose(self, number: int, depth: int, random: np.random.Generator) -> list[int]:
        """Slices of a volume, half of them where its shorter captions are true: most findings are
        on few slices, and would be seen too rarely otherwise."""
        told = Counter(
            slice_number
            for caption in self._captions[number]
            if caption.slices and len(caption.slices) < depth / 2
            for slice_number in caption.slices
        )
        count = min(self._slices_per_volume, depth)
        near = random.permutation(sorted(told))[: count // 2].tolist()
        others = [i for i in random.permutation(depth).tolist() if i not in near]
        return sorted(near + others[: count - len(near)])


class _Slices:
    """The slices of a batch, each with a text, and which texts are true of which."""

    def __init__(self) -> None:
        self.pictures: list[NDArray[np.float32]] = []
        self.texts: list[str] = []
        self._places: list[tuple[int, int]] = []
        self._true_of: list[Caption] = []

    def add(
        self,
        volume: NDArray[np.float32],
        number: int,
        volume_number: int,
        captions: Sequence[Caption],
        view: View,
        random: np.random.Generator,
    ) -> None:
        caption = caption_of(captions, number, random)
        if caption is None:
            return
        shown = volume.shape[1] - 1 - number if view.mirrored[0] else number
        self.pictures.append(volume[0, shown])
        self.texts.append(view.of_text(caption.text))
        self._places.append((volume_number, number))
        self._true_of.append(caption)

    def matches(self) -> torch.Tensor:
        """[slices, texts], true where a text is of the slice's volume and holds for the slice, or
        says the same as the slice's own."""
        volumes = np.array([volume for volume, _ in self._places])
        found: Any = np.array(self.texts)[:, None] == np.array(self.texts)[None]
        for column, caption in enumerate(self._true_of):
            same = volumes == volumes[column]
            holds = np.array(
                [caption.slices is None or number in caption.slices for _, number in self._places]
            )
            found[:, column] |= same & holds
        return torch.from_numpy(found)


def _stacked(volumes: Sequence[NDArray[np.float32]]) -> torch.Tensor:
    return torch.from_numpy(np.stack(volumes))
