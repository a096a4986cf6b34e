"""From picked examples to the tensors of a batch, one class for each objective.

All that is random in a batch hangs on the seed, the epoch and the number of the example (or of its
volume), never on what was drawn before: a run that goes on after a kill sees the same batches.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from med2e3.errors import InputError
from med2e3.phantoms.cover import SEEN, Cover, most_covered
from med2e3.training.asked import more_often
from med2e3.training.augmentation import PLAIN, View, random_view
from med2e3.training.batches import Pick
from med2e3.training.captions import Caption, captions_of, some_captions, volume_text
from med2e3.training.choices import right_choice
from med2e3.training.evidence import evidence_of, patch_evidence_of, told_findings
from med2e3.training.exercises import FEWEST_TEXTS, LETTERS, draw_exercise
from med2e3.training.features import Features
from med2e3.training.objectives import IGNORED
from med2e3.training.records import Record, open_volume
from med2e3.training.texts import Dialogue, Texts, labels_of, padded, padded_texts
from med2e3.training.words import PatchWords

Grid = tuple[int, int, int]
"""How many slices, rows and columns of patches, or of tokens, a volume has."""

Batch = dict[str, Any]
"""Tensors by the names of what an objective takes; ``words`` are several, by names of their own."""


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

    def open(self, name: str) -> NDArray[Any]:
        """A file of the data set as it is, mapped into memory."""
        try:
            return open_volume(self._images / name)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self._images / name} cannot be read any more ({error}); put it back and run the "
                "same command again to go on."
            ) from error

    def load(self, volume: str, view: View) -> NDArray[np.float32]:
        """[1, slices, rows, columns], float32."""
        found = np.asarray(self.open(volume), dtype=np.float32)
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
        *,
        letter_weight: int = 1,
        finding_weight: int = 1,
        evidence_slices: int | None = None,
        evidence_grid: tuple[int, int] | None = None,
        word_grids: tuple[Grid, Grid] | None = None,
        choices: bool = False,
        images: bool = True,
        asked: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """``evidence_slices``, how many slices a volume has, is given where batches shall tell on
        which of them the answers depend; ``evidence_grid``, the rows and columns of a slice's
        patches, where they shall tell that of patches too; ``word_grids``, those of a volume's 2D
        and of its 3D tokens, where they shall tell the words of what each shows; ``choices`` is
        true where they shall tell which choices are right, and ``images`` false where neither
        volumes nor features are wanted; ``asked`` is as of :class:`LanguageBatches`."""
        self._images = images
        self._evidence_slices = evidence_slices
        self._evidence_grid = evidence_grid
        self._letter_weight = letter_weight
        self._finding_weight = finding_weight
        self._choices = choices
        self._texts = texts
        self._volumes = volumes
        self._word_grids = word_grids
        self._words = PatchWords(records, texts) if word_grids else None
        self._records = more_often(records, asked)
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
        batch: Batch = {
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
        if max(self._letter_weight, self._finding_weight) > 1:
            weights = torch.ones(batch["labels"].shape)
            for row, (record, dialogue) in enumerate(zip(records, dialogues, strict=True)):
                if right_choice(record.answer) is not None:
                    weights[row, dialogue.answer_start] = self._letter_weight
                for first, last in self._told_tokens(record, views[record.volume]):
                    start = dialogue.answer_start
                    weights[row, start + first : start + last] = self._finding_weight
            batch["weights"] = weights
        if self._choices:
            batch |= _judged(dialogues, [record.answer for record in records])
        about = {record.volume: record for record in records}
        covers: dict[str, Cover | None] = {}
        if self._words or (self._evidence_slices and self._evidence_grid):
            covers = {
                name: _cover_of(about[name], view, self._volumes) for name, view in views.items()
            }
        if self._evidence_slices:
            batch |= self._evidence(records, views, covers, self._evidence_slices)
        if self._words and self._word_grids:
            batch["words"] = self._shown_words(self._words, self._word_grids, about, views, covers)
        if self._images and (self._features_2d is None or self._features_3d is None):
            batch["volumes"] = _stacked(
                [self._volumes.load(volume, view) for volume, view in views.items()]
            )
        if self._features_2d is not None:
            batch["features_2d"] = self._features_2d.of(list(numbers))
        if self._features_3d is not None:
            batch["features_3d"] = self._features_3d.of(list(numbers))
        return batch

    def _told_tokens(self, record: Record, view: View) -> list[tuple[int, int]]:
        """Where in the tokens of a report's answer its findings are told: first, and one behind."""
        asked = view.of_text(record.asked)

        def place(end: int) -> int:
            return self._texts.answer_length(asked, view.of_text(record.answer[:end].rstrip()))

        return [(place(told.start), place(told.end)) for told in told_findings(record)]

    def _shown_words(
        self,
        words: PatchWords,
        grids: tuple[Grid, Grid],
        about: Mapping[str, Record],
        views: Mapping[str, View],
        covers: Mapping[str, Cover | None],
    ) -> dict[str, torch.Tensor]:
        """``about`` has a record of each volume, and ``views`` the order of the volumes."""
        shown = {
            "ids": torch.from_numpy(words.ids),
            "of_findings": torch.from_numpy(words.of_findings),
        }
        for tokens, grid in zip(("2d", "3d"), grids, strict=True):
            truths = [words.truth(about[one], covers[one], grid, views[one]) for one in views]
            shown[tokens] = torch.from_numpy(np.stack(truths))
        return shown

    def _evidence(
        self,
        records: Sequence[Record],
        views: Mapping[str, View],
        covers: Mapping[str, Cover | None],
        slices: int,
    ) -> Batch:
        shown = [views[record.volume].of_slices(evidence_of(record, slices)) for record in records]
        batch = {"evidence": _filled_up(shown)}
        if self._evidence_grid:
            grid = (slices, *self._evidence_grid)
            batch["patch_evidence"] = _filled_up(
                [patch_evidence_of(record, covers[record.volume], grid) for record in records]
            )
        return batch


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
            judged = _judged(dialogues, answers)
            judged["choice_ends"] += torch.tensor(starts)[:, None]
            batch |= judged
        return batch


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
        texts_per_volume: int,
        patches_3d: tuple[int, int, int] | None,
        patches_2d: tuple[int, int] | None,
    ) -> None:
        """``patches_3d`` (depth, height, width) and ``patches_2d`` (rows, columns) are the grids of
        the encoders that learn, None for one that does not."""
        self._records: dict[str, list[Record]] = {}
        for record in records:
            self._records.setdefault(record.volume, []).append(record)
        self.volume_names = list(self._records)
        self._captions = [captions_of(said) for said in self._records.values()]
        self._names = sorted(
            {
                caption.text
                for captions in self._captions
                for caption in captions
                if caption.names_patches
            }
        )
        self._texts = texts
        self._volumes = volumes
        self._seed = seed
        self._slices_per_volume = slices_per_volume
        self._texts_per_volume = texts_per_volume
        self._patches_3d = patches_3d
        self._patches_2d = patches_2d
        self._shares = {
            kind: torch.from_numpy(self._shares_of_names(grid))
            for kind, grid in (("volume", patches_3d), ("slice", patches_2d))
            if grid and self._names
        }
        self.cut_answers: set[str] = set()

    @property
    def lengths(self) -> list[int]:
        return [1] * len(self.volume_names)

    def __call__(self, picks: Sequence[Pick]) -> Batch:
        said = _Said()
        reports, loaded, chosen, views = [], [], [], []
        for epoch, number in picks:
            name = self.volume_names[number]
            random = np.random.default_rng((self._seed, epoch, number))
            view = self._volumes.view(name, epoch)
            views.append(view)
            loaded.append(self._volumes.load(name, view))
            said.add(self._captions[number], self._texts_per_volume, view, random)
            records = self._records[name]
            record = records[random.integers(len(records))]
            reports.append(view.of_text(volume_text(record, random)))
            chosen.append(self._choose(number, loaded[-1].shape[1], random))
        batch = self._read("caption", said.texts)
        covers = [
            _cover_of(self._records[self.volume_names[number]][0], view, self._volumes)
            for (_, number), view in zip(picks, views, strict=True)
        ]
        names = self._names
        if names:
            batch |= self._read("name", names)
        if self._patches_3d:
            batch |= self._read("report", reports)
            batch["volumes"] = _stacked(loaded)
            batch["volume_truth"] = torch.from_numpy(said.truth_of_volumes())
            if names:
                batch["volume_patch_shares"] = self._shares["volume"]
            batch["volume_patch_truth"] = torch.from_numpy(
                np.stack(
                    [
                        said.truth_of_patches(place, names, cover, self._patches_3d)
                        for place, cover in enumerate(covers)
                    ]
                )
            )
        if self._patches_2d:
            depth = loaded[0].shape[1]
            shown = [
                [depth - 1 - i if view.mirrored[0] else i for i in slices]
                for slices, view in zip(chosen, views, strict=True)
            ]
            batch["slices"] = _concatenated(
                volume[0, places] for volume, places in zip(loaded, shown, strict=True)
            )
            if names:
                batch["slice_patch_shares"] = self._shares["slice"]
            batch["slice_truth"] = _concatenated(
                said.truth_of_slices(place, slices) for place, slices in enumerate(chosen)
            )
            truths = [
                said.truth_of_patches(
                    place,
                    names,
                    None if cover is None else cover[:, slices],
                    (len(slices), *self._patches_2d),
                )
                for place, (cover, slices) in enumerate(zip(covers, shown, strict=True))
            ]
            batch["slice_patch_truth"] = _concatenated(
                truth.reshape(len(slices), math.prod(self._patches_2d), len(names))
                for truth, slices in zip(truths, shown, strict=True)
            )
        return batch

    def _read(self, name: str, texts: Sequence[str]) -> Batch:
        ids, mask = padded_texts([self._texts.scoring(text) for text in texts])
        return {f"{name}_ids": ids, f"{name}_mask": mask}

    def _choose(self, number: int, depth: int, random: np.random.Generator) -> list[int]:
        """Slices of a volume, half of them where it has a finding, if it has: most findings are on
        few slices, and would be seen too rarely otherwise."""
        truth = self._records[self.volume_names[number]][0].phantom or {}
        told = {one for finding in truth.get("findings", ()) for one in finding["slices"]}
        count = min(self._slices_per_volume, depth)
        near = random.permutation(sorted(told))[: count // 2].tolist()
        others = [i for i in random.permutation(depth).tolist() if i not in near]
        return sorted(near + others[: count - len(near)])

    def _shares_of_names(self, grid: tuple[int, ...]) -> NDArray[np.float32]:
        """Of what share of all patches, a ``grid`` (slices, rows, columns) of each volume or (rows,
        columns) of each slice, each name is true."""
        right = dict.fromkeys(self._names, 0)
        patches = 0
        for name, captions in zip(self.volume_names, self._captions, strict=True):
            cover = _cover_of(self._records[name][0], PLAIN, self._volumes)
            if cover is None:
                continue
            whole = (*cover.shape[1 : 4 - len(grid)], *grid)
            most = most_covered(cover, whole).reshape(len(cover), -1)
            for caption in captions:
                if caption.names_patches:
                    shown = most[list(caption.seen_as)].max(axis=0) >= SEEN
                    right[caption.text] += int(shown.sum())
            patches += math.prod(whole)
        # A name that is true of none or of all would leave nothing to be learned.
        rarest = 1 / max(2, patches)
        shares = np.array(list(right.values())) * rarest
        return shares.clip(rarest, 1 - rarest).astype(np.float32)


class _Said:
    """The texts of a batch, each once, and what is known of each about every volume."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, bool], int] = {}
        self._volumes: list[dict[tuple[str, bool], Caption]] = []

    def add(
        self, captions: Sequence[Caption], count: int, view: View, random: np.random.Generator
    ) -> None:
        seen = [replace(caption, text=view.of_text(caption.text)) for caption in captions]
        for caption in some_captions(seen, count, random):
            self._numbers.setdefault(_key(caption), len(self._numbers))
        self._volumes.append({_key(caption): caption for caption in seen})

    @property
    def texts(self) -> list[str]:
        return [text for text, _ in self._numbers]

    def truth_of_volumes(self) -> NDArray[np.int8]:
        """[volumes, texts]: 1 where a text is true of a volume, -1 where it is false, 0 where
        nobody knows."""
        return np.stack([self._row(said) for said in self._volumes])

    def truth_of_slices(self, number: int, slices: Sequence[int]) -> NDArray[np.int8]:
        """[slices, texts] for some slices of a volume, as for volumes."""
        return np.stack([self._row(self._volumes[number], one) for one in slices])

    def truth_of_patches(
        self,
        number: int,
        names: Sequence[str],
        cover: Cover | None,
        grid: tuple[int, int, int],
    ) -> NDArray[np.int8]:
        """[patches, names] of a ``grid`` of patches (slices, rows, columns) of a volume.

        ``cover`` [findings and organs, slices, patch rows, patch columns] tells how much of each
        patch they cover, to 255; without it nothing is known.
        """
        if cover is None:
            return np.zeros((math.prod(grid), len(names)), np.int8)
        truth = np.full((math.prod(grid), len(names)), -1, np.int8)
        most = most_covered(cover, grid).reshape(len(cover), -1)
        said = self._volumes[number]
        for column, name in enumerate(names):
            caption = said.get((name, False))
            if caption is not None:
                shown = most[list(caption.seen_as)].max(axis=0)
                truth[:, column] = np.where(shown >= SEEN, 1, np.where(shown == 0, -1, 0))
        return truth

    def _row(
        self, said: Mapping[tuple[str, bool], Caption], number: int | None = None
    ) -> NDArray[np.int8]:
        row = np.zeros(len(self._numbers), np.int8)
        for key, column in self._numbers.items():
            caption = said.get(key)
            if caption is None:
                row[column] = 0 if key[1] else -1
            elif number is None or caption.slices is None or number in caption.slices:
                row[column] = 1
            else:
                row[column] = -1
        return row


def _key(caption: Caption) -> tuple[str, bool]:
    return caption.text, caption.one_of_many


def _judged(dialogues: Sequence[Dialogue], answers: Sequence[str]) -> Batch:
    """Which choices are right, and where they end in what comes after the image."""
    ends = np.zeros((len(dialogues), len(LETTERS)), dtype=np.int64)
    right = np.full(len(dialogues), -1)
    for row, (dialogue, answer) in enumerate(zip(dialogues, answers, strict=True)):
        chosen = right_choice(answer)
        if dialogue.choice_ends and chosen is not None:
            ends[row], right[row] = dialogue.choice_ends, chosen
    return {"choice_ends": torch.from_numpy(ends), "right_choice": torch.from_numpy(right)}


def _cover_of(record: Record, view: View, volumes: Volumes) -> Cover | None:
    """What each patch of a record's volume shows, where that is known."""
    truth = record.phantom or {}
    if "cover" not in truth:
        return None
    return view.of_places(volumes.open(truth["cover"]))


def _filled_up(masks: Sequence[NDArray[np.bool_]]) -> torch.Tensor:
    """Masks [things, places] as one [n, most things, places], false where there are fewer."""
    filled = np.zeros((len(masks), max(map(len, masks)), masks[0].shape[1]), dtype=bool)
    for place, mask in zip(filled, masks, strict=True):
        place[: len(mask)] = mask
    return torch.from_numpy(filled)


def _stacked(volumes: Sequence[NDArray[np.float32]]) -> torch.Tensor:
    return torch.from_numpy(np.stack(volumes))


def _concatenated(parts: Iterable[NDArray[Any]]) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(list(parts)))
