"""Volumes and slices with all that is said of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from med2e3.phantoms.cover import SEEN, Cover, most_covered
from med2e3.training.augmentation import PLAIN, View
from med2e3.training.batches import Pick
from med2e3.training.captions import Caption, captions_of, some_captions, volume_text
from med2e3.training.examples.tensors import Batch, concatenated, stacked
from med2e3.training.examples.volumes import Volumes
from med2e3.training.records import Record
from med2e3.training.texts import Texts, padded_texts


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
            self._volumes.cover(self._records[self.volume_names[number]][0], view)
            for (_, number), view in zip(picks, views, strict=True)
        ]
        names = self._names
        if names:
            batch |= self._read("name", names)
        if self._patches_3d:
            batch |= self._read("report", reports)
            batch["volumes"] = stacked(loaded)
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
            batch["slices"] = concatenated(
                volume[0, places] for volume, places in zip(loaded, shown, strict=True)
            )
            if names:
                batch["slice_patch_shares"] = self._shares["slice"]
            batch["slice_truth"] = concatenated(
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
            batch["slice_patch_truth"] = concatenated(
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
            cover = self._volumes.cover(self._records[name][0], PLAIN)
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
