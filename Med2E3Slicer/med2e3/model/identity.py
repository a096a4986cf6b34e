"""Which model it is: its name, its hash, and whether anyone should believe it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from med2e3.errors import InputError
from med2e3.model.configuration import read_json
from med2e3.wire.messages import MODEL_MARKS, TrainedOn

EMBEDDED = Path(__file__).parents[1] / "embedded"
"""The model inside this package: the same place in a checkout, a wheel and Slicer's folder."""

CARD = "med2e3.json"
"""A file beside ``config.json`` in which this project tells the name of a checkpoint, what it is
and what it was trained on. The released checkpoint has none."""

_LONGEST_LINE = 300

_CHUNK = 4 * 1024 * 1024


@dataclass(frozen=True)
class ModelIdentity:
    """``sha256`` identifies every byte that the network is made of, see :func:`hash_of`;
    ``description`` is a sentence."""

    name: str
    sha256: str
    trained_on: TrainedOn
    description: str
    folder: Path


class Card(NamedTuple):
    """What a model says of itself."""

    name: str
    trained_on: TrainedOn
    description: str


def card_of(folder: Path) -> Card:
    """The card of a checkpoint folder; one without is taken for the released checkpoint."""
    name = folder.resolve().name
    if not (folder / CARD).is_file():
        return Card(name, "scans", f"The checkpoint in the folder {folder.name}.")
    card = read_json(folder / CARD)
    trained_on = card.get("trained_on", "scans")
    if trained_on not in tuple(MODEL_MARKS):
        raise InputError(
            f"{folder / CARD} says that the model was trained on {_line(trained_on)[:60]!r}, and "
            f"this program knows {', '.join(MODEL_MARKS)}; correct the file."
        )
    return Card(_line(card.get("name", name)), trained_on, _line(card.get("description", "")))


def _line(text: object) -> str:
    """What a card says, as a line that can stand in a window, a table and a log."""
    printable = "".join(letter if letter.isprintable() else " " for letter in str(text))
    return " ".join(printable.split())[:_LONGEST_LINE]


def hash_of(
    folder: Path, files: list[Path], progress: Callable[[int], None] = lambda size: None
) -> str:
    """One sha256 over several files of a folder.

    It is the sha256 of the lines that ``sha256sum`` prints for the files (paths relative to the
    folder, with ``/``, sorted), so that anyone can check it by hand. ``progress`` is told the
    number of bytes after each piece.
    """
    listing = hashlib.sha256()
    for path in sorted(files, key=lambda file: file.relative_to(folder).as_posix()):
        content = hashlib.sha256()
        with path.open("rb") as file:
            while piece := file.read(_CHUNK):
                content.update(piece)
                progress(len(piece))
        listing.update(f"{content.hexdigest()}  {path.relative_to(folder).as_posix()}\n".encode())
    return listing.hexdigest()
