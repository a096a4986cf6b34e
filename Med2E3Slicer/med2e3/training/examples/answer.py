"""Questions about volumes with their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch

from med2e3.phantoms.cover import Cover
from med2e3.training.asked import more_often
from med2e3.training.augmentation import View
from med2e3.training.batches import Pick
from med2e3.training.choices import right_choice
from med2e3.training.evidence import evidence_of, patch_evidence_of, told_findings
from med2e3.training.examples.choices import judged_choices
from med2e3.training.examples.tensors import Batch, filled_up, stacked
from med2e3.training.examples.volumes import Grid, Volumes
from med2e3.training.features import Features
from med2e3.training.objectives import IGNORED
from med2e3.training.records import Record
from med2e3.training.texts import Texts, labels_of, padded, padded_texts
from med2e3.training.words import PatchWords


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
        volumes nor features are wanted; ``asked`` is as of
        :func:`~med2e3.training.asked.more_often`."""
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
            batch |= judged_choices(dialogues, [record.answer for record in records])
        about = {record.volume: record for record in records}
        covers: dict[str, Cover | None] = {}
        if self._words or (self._evidence_slices and self._evidence_grid):
            covers = {name: self._volumes.cover(about[name], view) for name, view in views.items()}
        if self._evidence_slices:
            batch |= self._evidence(records, views, covers, self._evidence_slices)
        if self._words and self._word_grids:
            batch["words"] = self._shown_words(self._words, self._word_grids, about, views, covers)
        if self._images and (self._features_2d is None or self._features_3d is None):
            batch["volumes"] = stacked(
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
        batch = {"evidence": filled_up(shown)}
        if self._evidence_grid:
            grid = (slices, *self._evidence_grid)
            batch["patch_evidence"] = filled_up(
                [patch_evidence_of(record, covers[record.volume], grid) for record in records]
            )
        return batch
