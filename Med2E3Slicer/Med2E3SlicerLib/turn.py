"""A turn of the conversation about a scan: the report, or a question with its answer."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np

from med2e3.wire import messages

REPORT = messages.REPORT
ANSWER = messages.ANSWER

STOPPED = "cancelled"
CUT = "length"


@dataclass(frozen=True)
class ScoredSlice:
    """A slice as the model saw it, with its share of the attention (0 to 1).

    ``number`` counts the model's slices from 0. ``index`` is the centre in slices of the scan,
    counted from 0 as Slicer's Data Probe does, ``ijk`` the centre in the scan's voxels.
    """

    number: int
    index: float
    ijk: tuple[float, float, float]
    score: float


@dataclass(frozen=True, eq=False)
class Turn:
    """What was asked, what the model wrote, and where it looked.

    ``patchShares`` (slices, rows, columns) is what each patch added to its slice's logit, on the
    grid that ``heatmapToIjk`` (4, 4) maps from (column, row, slice, 1) to the scan's voxels.
    ``finishReason`` is "stop", "length" or "cancelled".
    """

    kind: str
    question: str
    text: str
    finishReason: str
    slices: tuple[ScoredSlice, ...]
    patchShares: np.ndarray
    heatmapToIjk: np.ndarray
    plane: str
    window: str
    modelName: str
    modelSha256: str
    modelIsTrained: bool
    warnings: tuple[str, ...] = ()

    @property
    def rankedSlices(self):
        """The slices, best first; equal scores keep the order of the slices."""
        return sorted(self.slices, key=lambda slice_: -slice_.score)

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


def turnOf(answered, opened, model):
    """The turn that three messages of the worker tell: Answered, VolumeOpened and ModelLoaded."""
    answer = answered.answer
    shares = np.frombuffer(base64.b64decode(answered.patch_shares.data), "<f4")
    return Turn(
        kind=answer.kind,
        question=answer.question if answer.kind == ANSWER else "",
        text=answer.text,
        finishReason=answer.finish_reason,
        slices=tuple(
            ScoredSlice(number, place.index, place.ijk, score)
            for number, (place, score) in enumerate(
                zip(opened.slices, answer.slice_scores, strict=True)
            )
        ),
        patchShares=shares.reshape(answered.patch_shares.shape),
        heatmapToIjk=np.array(opened.heatmap_to_ijk).reshape(4, 4),
        plane=answer.plane,
        window=answer.window,
        modelName=answer.model.name,
        modelSha256=answer.model.sha256,
        modelIsTrained=model.trained,
        warnings=answer.warnings,
    )
