"""Where the model looked for a text: slices with scores, and patches with shares."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class ScoredSlice(NamedTuple):
    """A slice as the model saw it, with its share of the attention (0 to 1).

    ``number`` counts the model's slices from 0. ``index`` is the centre in slices of the scan,
    counted from 0 as Slicer's Data Probe does, ``ijk`` the centre in the scan's voxels. A report
    has one for each slice of each sentence, so it is a named tuple, which is made sooner than a
    dataclass.
    """

    number: int
    index: float
    ijk: tuple[float, float, float]
    score: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Attention:
    """The slices of a scan, scored for one text.

    ``patchShares`` (slices, rows, columns) is what each patch added to its slice's logit, on the
    grid that ``heatmapToIjk`` (4, 4) maps from (column, row, slice, 1) to the scan's voxels.
    ``isStale`` tells that the scan was edited or moved since. A model that reads a scan as a whole
    scores no slices; there are none then.
    """

    slices: tuple[ScoredSlice, ...]
    patchShares: np.ndarray
    heatmapToIjk: np.ndarray
    isStale: bool = False

    @property
    def isScored(self):
        """Whether the model scored any slices."""
        return bool(self.slices)

    @property
    def rankedSlices(self):
        """The slices, best first; equal scores keep the order of the slices."""
        return sorted(self.slices, key=lambda slice_: -slice_.score)

    @property
    def effectiveSlices(self):
        """How many slices the attention is worth: exp of the entropy, from 1 to their number; 0
        where none is scored."""
        if not self.isScored:
            return 0.0
        scores = np.array([slice_.score for slice_ in self.slices])
        positive = scores[scores > 0]
        return float(np.clip(np.exp(-(positive * np.log(positive)).sum()), 1, scores.size))

    @property
    def hasPreference(self):
        """Whether a ranking tells something: whether the attention is at least as uneven as one
        that leaves out a slice and treats the others alike."""
        return self.effectiveSlices < len(self.slices) - 1

    @property
    def sliceHeat(self):
        """(slices, rows, columns): every patch has its slice's score."""
        scores = np.array([slice_.score for slice_ in self.slices], np.float32)
        return np.broadcast_to(scores[:, None, None], self.patchShares.shape).copy()

    @property
    def patchHeat(self):
        """(slices, rows, columns): each patch's share, less what its place has in all slices.

        What all slices have in common raises all logits alike and so leaves the scores as they
        are. Above 0 speaks for the slice, below 0 against it.
        """
        shares = self.patchShares.astype(np.float64)
        return (shares - shares.mean(axis=0)).astype(np.float32)

    def strongestPlace(self, number):
        """The centre, in the scan's voxels, of the patch that speaks most for a slice."""
        heat = self.patchHeat[number]
        row, column = np.unravel_index(np.argmax(heat), heat.shape)
        return tuple(float(value) for value in (self.heatmapToIjk @ (column, row, number, 1))[:3])


def attentionOf(scores, patchShares, opened):
    """The attention that the worker tells: scores, a wire ``Array``, and ``VolumeOpened``."""
    shares = np.frombuffer(base64.b64decode(patchShares.data), "<f4")
    return Attention(
        slices=tuple(
            ScoredSlice(number, place.index, place.ijk, score)
            for number, (place, score) in enumerate(
                zip(opened.slices if scores else (), scores, strict=True)
            )
        ),
        patchShares=shares.reshape(patchShares.shape),
        heatmapToIjk=np.array(opened.heatmap_to_ijk).reshape(4, 4),
    )
