"""What a reader changed in the model's text, and which of its sentences still stand as written."""

import difflib
import re
from dataclasses import dataclass

_PIECE = re.compile(r"\w+|\s+|[^\w\s]")
_SENTENCE_ENDS = ".!?:;…。！？؟।\n"


@dataclass(frozen=True)
class Edits:
    """``own`` are the places (start, end) of the reader's words in the present text. ``sentences``
    has the place of each of the model's sentences there, None for one that was changed."""

    own: tuple
    sentences: tuple


def compare(modelText, presentText, sentences):
    """The :class:`Edits` that lead from the model's text, with its sentences, to the present one.

    Places count characters as Python does, from start to before end.
    """
    if presentText == modelText:
        return Edits((), tuple((sentence.start, sentence.end) for sentence in sentences))
    same = _sameParts(modelText, presentText)
    return Edits(
        own=_between(same, len(presentText)),
        sentences=tuple(_placeOf(sentence, same, modelText, presentText) for sentence in sentences),
    )


def _sameParts(modelText, presentText):
    """(start in the model's text, start in the present text, length) of what is in both."""
    before, after = _PIECE.findall(modelText), _PIECE.findall(presentText)
    beforeStarts, afterStarts = _starts(before), _starts(after)
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    return [
        (
            beforeStarts[match.a],
            afterStarts[match.b],
            beforeStarts[match.a + match.size] - beforeStarts[match.a],
        )
        for match in matcher.get_matching_blocks()
        if match.size
    ]


def _starts(pieces):
    starts = [0]
    for piece in pieces:
        starts.append(starts[-1] + len(piece))
    return starts


def _between(same, length):
    """What lies between the parts that are the same."""
    own = []
    end = 0
    for _before, start, size in [*same, (0, length, 0)]:
        if start > end:
            own.append((end, start))
        end = start + size
    return tuple(own)


def _placeOf(sentence, same, modelText, presentText):
    for before, after, size in same:
        if before <= sentence.start and sentence.end <= before + size:
            start = sentence.start - before + after
            end = start + sentence.end - sentence.start
            isWhole = _endsSentence(presentText[:start]) and (
                _endsSentence(presentText[start:end]) or _endsSentence(presentText[end:][:1])
            )
            isAsBefore = (
                presentText[:start].rstrip()[-1:] == modelText[: sentence.start].rstrip()[-1:]
                and presentText[end:].lstrip()[:1] == modelText[sentence.end :].lstrip()[:1]
            )
            # "No sign that" before a sentence leaves its words and turns its meaning.
            return (start, end) if isWhole or isAsBefore else None
    return None


def _endsSentence(text):
    return not text.strip() or text.rstrip(" \t")[-1] in _SENTENCE_ENDS
