"""``med2e3 ask --after``: earlier answers, from the files that they were written to."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from med2e3.errors import InputError
from med2e3.wire.messages import Exchange


def read_history(files: Iterable[Path]) -> tuple[Exchange, ...]:
    """The turns in files of answers as JSON, in the order of the files."""
    return tuple(map(_turn, files))


def _turn(file: Path) -> Exchange:
    try:
        answer = json.loads(file.read_text(encoding="utf-8"))
        question, text = answer["question"], answer["text"]
    except OSError as error:
        raise InputError(
            f"{file} cannot be read ({error.strerror}); --after takes the result.json of an "
            "earlier answer."
        ) from None
    except (ValueError, KeyError, TypeError):
        question = text = None
    if not isinstance(question, str) or not isinstance(text, str):
        raise InputError(
            f"{file} holds no answer; --after takes the result.json of an earlier answer, or what "
            "--json printed."
        )
    return Exchange(question, text)
