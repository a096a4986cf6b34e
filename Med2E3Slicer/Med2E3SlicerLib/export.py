"""A report as a file: plain text, Markdown, or JSON for other programs."""

import json
import os
import re
import tempfile
from pathlib import Path

from slicer.i18n import tr as _

from med2e3.wire import messages

_NAMED_SLICES = 5
# What is markup anywhere, and what is only where a line begins.
_MARKDOWN_MARKS = re.compile(r"([\\`*_\[\]<>|~&])")
_MARKDOWN_BEGINNINGS = re.compile(r"^(\s*)([#+\-=]|\d+(?=[.)]))", re.MULTILINE)


def plainText(turn, scanName):
    """The report with its mark, its slices and how it came about."""
    lines = [
        _("Report on {scan}").format(scan=scanName),
        markOf(turn),
        "",
        turn.presentText,
        "",
        _("Slices looked at most: {slices}").format(slices="; ".join(_slices(turn)))
        if turn.isScored
        else _noScores(),
        *_remarks(turn),
    ]
    return "\n".join(lines) + "\n"


def markdown(turn, scanName):
    """As :func:`plainText`, with headings and a table. The text itself is no markup."""
    rows = [
        f"| {slice_.index:.1f} | {slice_.score:.3f} |"
        for slice_ in turn.rankedSlices[:_NAMED_SLICES]
    ]
    paragraphs = [_escaped(line) for line in turn.presentText.splitlines() if line.strip()]
    parts = [
        "# " + _escaped(_("Report on {scan}").format(scan=scanName)),
        f"**{_escaped(markOf(turn))}**",
        *paragraphs,
        "## " + _("Slices looked at most"),
        "\n".join([_("| slice | score |"), "|---:|---:|", *rows]) if turn.isScored else _noScores(),
        "\n".join(f"- {_escaped(remark)}" for remark in _remarks(turn)),
    ]
    return "\n\n".join(parts) + "\n"


def jsonText(turn, scanName):
    """All that is known about the report, for programs: scores of all slices and sentences too."""
    return json.dumps(
        {
            "mark": markOf(turn),
            "state": turn.state,
            "reviewer": turn.reviewer,
            "reviewed_at": turn.reviewedAt,
            "scan": scanName,
            "scan_has_changed": turn.isStale,
            "text": turn.presentText,
            "model_text": turn.text,
            "is_edited": turn.isEdited,
            "written_at": turn.writtenAt,
            "finish_reason": turn.finishReason,
            "plane": turn.plane,
            "window": turn.window,
            "model": {
                "name": turn.modelName,
                "sha256": turn.modelSha256,
                "trained_on": turn.modelTrainedOn,
            },
            "warnings": turn.warnings,
            "effective_slices": turn.effectiveSlices,
            "slices": _scores(turn),
            "sentences": [
                {
                    "text": turn.sentenceText(number),
                    "confidence": sentence.confidence,
                    "slices": _scores(sentence.attention) if sentence.attention else [],
                }
                for number, sentence in enumerate(turn.sentences)
            ],
        },
        indent=2,
        ensure_ascii=False,
    )


def markOf(turn):
    """What stands with a text wherever it goes, until and after somebody reviewed it."""
    mark = messages.DRAFT_MARK
    if turn.reviewedAt:
        mark = _("Written by a model, reviewed by {name} at {time}. Research use only.").format(
            name=turn.reviewer, time=turn.reviewedAt
        )
    return " ".join(part for part in (mark, messages.MODEL_MARKS[turn.modelTrainedOn]) if part)


def writeFile(path, text):
    """Write a text file as UTF-8, whole or not at all. Raises OSError."""
    path = Path(path)
    handle, draft = tempfile.mkstemp(prefix=".med2e3-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(draft, path)
    except OSError:
        os.unlink(draft)
        raise


def _noScores():
    return _("This model scores no slices.")


def _slices(turn):
    return [
        _("{number} (score {score})").format(
            number=f"{slice_.index:.1f}", score=f"{slice_.score:.3f}"
        )
        for slice_ in turn.rankedSlices[:_NAMED_SLICES]
    ]


def _remarks(turn):
    remarks = [
        _("Model {name}, SHA-256 {sha256}").format(name=turn.modelName, sha256=turn.modelSha256),
        _("Written at {time}; plane {plane}, window {window}").format(
            time=turn.writtenAt, plane=turn.plane, window=turn.window
        ),
    ]
    if turn.isEdited:
        remarks.append(_("Edited by a reader; the model's own text is in the JSON export."))
    if turn.isStale:
        remarks.append(_("The scan has been changed since the model saw it."))
    return [*remarks, *turn.warnings]


def _scores(attention):
    return [
        {"slice": slice_.index, "ijk": slice_.ijk, "score": slice_.score}
        for slice_ in attention.slices
    ]


def _escaped(text):
    return _MARKDOWN_BEGINNINGS.sub(_escapedBeginning, _MARKDOWN_MARKS.sub(r"\\\1", text))


def _escapedBeginning(found):
    space, mark = found.groups()
    # A number is no markup, only together with the full stop after it.
    return f"{space}{mark}\\" if mark.isdigit() else f"{space}\\{mark}"
