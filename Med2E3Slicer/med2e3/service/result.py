"""What an answer is on disk: its text, ``result.json``, its heatmap and its picture."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from med2e3.attention import draw_attention, slice_heatmap, write_heatmap
from med2e3.service.answering import attention_of
from med2e3.volume import PreparedVolume
from med2e3.wire.messages import ANSWER, REPORT, Answered

_TEXT_FILES = {REPORT: "report.txt", ANSWER: "answer.txt"}


def write_result(folder: Path, prepared: PreparedVolume, answered: Answered) -> None:
    """Write ``report.txt`` or ``answer.txt``, ``result.json``, ``attention.nii.gz`` and
    ``attention.png`` into a folder that exists. An attention has no text file, and the answer of a
    model that scores no slices neither heatmap nor picture. Raises OSError."""
    answer = answered.answer
    if answer.kind in _TEXT_FILES:
        text = f"{answer.text}\n\n{answer.model.draft_mark}\n"
        (folder / _TEXT_FILES[answer.kind]).write_text(text, encoding="utf-8")
    (folder / "result.json").write_text(
        json.dumps(dataclasses.asdict(answer), ensure_ascii=False, allow_nan=False, indent=2)
        + "\n",
        encoding="utf-8",
    )
    if not answer.slice_scores:
        return
    attention = attention_of(answered)
    write_heatmap(folder / "attention.nii.gz", slice_heatmap(attention), prepared.geometry)
    draw_attention(
        folder / "attention.png",
        prepared,
        attention,
        title="Report" if answer.kind == REPORT else answer.question,
        model_mark=answer.model.mark,
    )
