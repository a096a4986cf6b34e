"""Whether a closed question was answered right: by the released rule, and by a stricter one."""

from __future__ import annotations

import re
from collections.abc import Mapping


def correct_as_released(output: str, letter: str) -> bool:
    """The rule of M3D and Med-2E3: the letter with a full stop, anywhere in the output.

    It is generous: "A. B. C. D." is right whatever the question.
    """
    return f"{letter}." in output.strip()


def correct_strictly(output: str, letter: str, choices: Mapping[str, str]) -> bool:
    """Whether an output chooses the right choice and no other.

    ``choices`` are the texts by letter. An output chooses by the letter that it begins with ("B",
    "B. liver", "(b)"), unless it marks another one later; or it is a choice's text and nothing
    else ("Liver.").
    """
    return chosen(output, choices) == letter


def chosen(output: str, choices: Mapping[str, str]) -> str | None:
    """The one letter that an output chooses, or None; see :func:`correct_strictly`."""
    named = [letter for letter, text in choices.items() if _bare(text) == _bare(output)]
    if len(named) == 1:
        return named[0]
    letters = re.escape("".join(choices))
    begin = re.match(rf"\s*(?:\(([{letters}])\)|([{letters}])(?=[.):,]|\s*$))", output, re.I)
    if begin is None:
        return None
    letter = (begin[1] or begin[2]).upper()
    marks = re.findall(
        rf"(?<!\w)(?:\(([{letters}])\)|([{letters}])[.)])(?=\s|$)", output[begin.end() :], re.I
    )
    others = {(first or second).upper() for first, second in marks} - {letter}
    return None if others else letter


def _bare(text: str) -> str:
    return text.strip().rstrip(".").casefold()
