"""What all studies of a run have in common: the model, how it sees, and what it is asked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from med2e3.errors import InputError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")


@dataclass(frozen=True)
class Settings:
    """What decides the results of a study. A folder of results has one of it.

    ``model_sha256`` tells the model to the last bit; ``questions`` maps a name to a question that
    is asked after the report; ``dicom`` whether DICOM objects are written.
    """

    model_name: str
    model_sha256: str
    plane: str
    window: str
    dtype: str
    max_new_tokens: int | None
    dicom: bool
    questions: dict[str, str] = field(default_factory=dict)


def read_questions(path: Path) -> dict[str, str]:
    """The questions of a YAML file, each under its name: ``effusion: Is there an effusion?``.

    Raises :class:`~med2e3.errors.InputError` for anything else.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"The questions in {path} cannot be read ({error.strerror}); check the path."
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        told = " ".join(str(error).split())
        raise InputError(f"{path} is no YAML file ({told}).") from None
    if not isinstance(found, dict) or not found:
        raise InputError(
            f"{path} holds no questions; write one a line with a name, such as "
            "`effusion: Is there a pleural effusion?`"
        )
    for name, question in found.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InputError(
                f"{path} calls a question {name!r}, and its answer goes into a folder of that "
                "name; use letters, digits, - and _."
            )
        if not isinstance(question, str) or not question.strip():
            raise InputError(f"{path} has no question under {name}; write it as a text.")
    if len({name.casefold() for name in found}) < len(found):
        raise InputError(f"Two questions of {path} have one name; capitals make no difference.")
    return found
