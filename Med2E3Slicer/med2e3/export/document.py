"""What every export says of a report: its state, its maker, and the slices behind it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from med2e3 import __version__
from med2e3.attention import Attention, patch_heatmap, ranked
from med2e3.attention.arrays import array_of
from med2e3.errors import InputError
from med2e3.wire.messages import Report

SLICES_SHOWN = 3
RESEARCH_MARK = "Research use only, not a medical device."


@dataclass(frozen=True, eq=False)
class Document:
    """A report that was looked through and can be exported.

    ``heatmap`` (slices, rows, columns) is :func:`~med2e3.attention.patch_heatmap`, on the grid that
    ``heatmap_to_ras`` (4, 4) maps from (column, row, slice, 1) to millimetres.
    """

    report: Report
    attention: Attention
    heatmap: NDArray[np.float32]
    heatmap_to_ras: NDArray[np.float64]

    @property
    def is_reviewed(self) -> bool:
        return bool(self.report.reviewer)

    @property
    def state(self) -> str:
        """The mark that stands with the text, in a few sentences."""
        report = self.report
        if not self.is_reviewed:
            return report.model.draft_mark
        when = readable_time(report.reviewed_at)
        reviewed = f"Reviewed by {report.reviewer} on {when}. {RESEARCH_MARK}"
        return f"{reviewed} {report.model.mark}".rstrip()

    @property
    def origin(self) -> str:
        """Who wrote the text, in one sentence."""
        report = self.report
        by = f"Written by the AI model {report.model.name} on {readable_time(report.written_at)}"
        return f"{by} and edited by a person." if report.is_edited else f"{by}."

    @property
    def maker(self) -> str:
        """The software and the model, to the last bit."""
        report = self.report
        return (
            f"med2e3 {__version__}, model {report.model.name}, sha256 {report.model.sha256}, "
            f"{report.plane} slices, window {report.window}"
        )

    def best_slices(self) -> tuple[int, ...]:
        """The slices with the highest scores, best first."""
        return ranked(self.attention.scores)[:SLICES_SHOWN]

    def strongest_place(self, slice_: int) -> NDArray[np.float64]:
        """(3,): the centre of the patch that speaks most for a slice, in RAS millimetres."""
        row, column = np.unravel_index(self.heatmap[slice_].argmax(), self.heatmap.shape[1:])
        place: NDArray[np.float64] = self.heatmap_to_ras @ (column, row, slice_, 1)
        return place[:3]


def document_of(report: Report) -> Document:
    """Look a report through. Raises InputError for one that cannot be exported."""
    if not report.text.strip():
        raise InputError("The report is empty; write or generate one before it is exported.")
    if bool(report.reviewer.strip()) != bool(report.reviewed_at):
        raise InputError("A reviewed report needs both the reviewer's name and the time.")
    readable_time(report.written_at)
    if report.reviewed_at:
        readable_time(report.reviewed_at)
    if not report.slice_scores:
        raise InputError(
            f"{report.model.name} scores no slices, so there are no key slices and no heatmap to "
            "export; export the report as text, Markdown or JSON."
        )
    scores = np.array(report.slice_scores)
    try:
        shares = array_of(report.patch_shares)
        matrix = np.array(report.heatmap_to_ras).reshape(4, 4)
        if shares.ndim != 3 or len(shares) != len(scores) or not np.isfinite(matrix).all():
            raise ValueError
    except ValueError:
        raise InputError(
            "The report's attention is not complete; generate the report again."
        ) from None
    attention = Attention(shares.sum(axis=(1, 2)), scores, shares)
    return Document(report, attention, patch_heatmap(attention), matrix)


def readable_time(text: str) -> str:
    """A time in ISO 8601 as people read it. Raises InputError for what is none."""
    try:
        # Python 3.10 does not know the Z.
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise InputError(
            f"{text[:40]!r} is no time in ISO 8601 (2026-01-31T12:00:00+00:00)."
        ) from None
    zone = moment.strftime("%z")
    named = f" UTC{zone[:3]}:{zone[3:5]}" if zone else ""
    return moment.strftime("%Y-%m-%d %H:%M") + named.replace("UTC+00:00", "UTC")
