"""The data: question and answer records in the released layout, read and checked.

A record is ``{"id", "vision3d", "question", "conversations": [human, gpt]}``: the path of a volume
relative to the image folder, the text that scores the slices, and one turn whose question begins
with ``<image3d>``. ``question_type`` (M3D-VQA's 1 to 5; 0 a report) and ``phantom`` (what a
synthetic volume is known to hold) may be there too. Exports of M3D-Cap and M3D-VQA in this layout
load like the phantoms.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from med2e3.errors import InputError
from med2e3.model.prompt import IMAGE

_NOT_QUITE_ONE = 1e-3
"""By how much a resized volume may leave [0, 1]."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Record:
    """One question about one volume. ``volume`` is relative to the image folder.

    ``asked`` is the question as the language model reads it, ``question`` the text that scores the
    slices: two texts in the released layout, mostly equal.
    """

    identifier: str
    volume: str
    asked: str
    question: str
    answer: str
    question_type: int | None = None
    phantom: dict[str, Any] | None = None


@dataclass(frozen=True)
class BadRecord:
    """A record that is left out, and why."""

    identifier: str
    reason: str


@dataclass(frozen=True)
class Records:
    """What some record files hold: ``good`` is trained on, ``bad`` is told."""

    good: list[Record]
    bad: list[BadRecord]


def read_records(
    files: Sequence[Path],
    images: Path,
    volume_size: tuple[int, int, int],
    *,
    checked: Path | None = None,
    progress: Progress = lambda done, total: None,
) -> Records:
    """Read record files and look at every volume once.

    ``volume_size`` is what the network takes, in slices, rows, columns. The file ``checked``
    remembers which volumes were found whole, so that a second reading costs little. Raises
    InputError if a file or the folder is missing, or no record is good.
    """
    if not images.is_dir():
        raise InputError(f"There is no data folder {images}; give it with --data.")
    good: list[Record] = []
    bad: list[BadRecord] = []
    for path in files:
        for number, entry in enumerate(_entries(path)):
            found = _record(entry, f"{path.name}[{number}]")
            if isinstance(found, Record):
                good.append(found)
            else:
                bad.append(found)
    faults = _faults(sorted({record.volume for record in good}), images, volume_size, checked,
                     progress)  # fmt: skip
    bad += [
        BadRecord(record.identifier, faults[record.volume])
        for record in good
        if record.volume in faults
    ]
    good = [record for record in good if record.volume not in faults]
    if not good:
        first = f" The first: {bad[0].identifier}: {bad[0].reason}." if bad else ""
        raise InputError(f"{', '.join(map(str, files))} holds no record that can be used.{first}")
    return Records(good, bad)


def open_volume(path: Path) -> NDArray[Any]:
    """A volume file [1, slices, rows, columns], mapped into memory."""
    volume: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return volume


def _entries(path: Path) -> list[Any]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"There is no record file {path}; check --data and `data` in the configuration "
            "(`med2e3 phantom dataset` makes a data set)."
        ) from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path} is not JSON, perhaps cut short; make or copy it again.") from None
    if not isinstance(entries, list):
        raise InputError(f"{path} holds no list of records; make or copy it again.")
    return entries


def _record(entry: Any, place: str) -> Record | BadRecord:
    if not isinstance(entry, dict):
        return BadRecord(place, "it is no table")
    identifier = f"{place} {entry.get('id', '')}".strip()
    volume, question = entry.get("vision3d"), entry.get("question")
    if not isinstance(volume, str) or not volume:
        return BadRecord(identifier, "it names no volume (vision3d)")
    if Path(volume).is_absolute() or ".." in Path(volume).parts:
        return BadRecord(identifier, "its volume lies outside the image folder")
    if not isinstance(question, str) or not question.strip():
        return BadRecord(identifier, "it has no question")
    turns = entry.get("conversations")
    if not isinstance(turns, list) or [t.get("from") for t in turns if isinstance(t, dict)] != [
        "human",
        "gpt",
    ]:
        return BadRecord(identifier, "its conversation is not one question and one answer")
    asked, answer = (str(turn.get("value", "")) for turn in turns)
    if not asked.lstrip().startswith(IMAGE) or asked.count(IMAGE) != 1:
        return BadRecord(identifier, f"its question does not begin with one {IMAGE}")
    if not answer.strip():
        return BadRecord(identifier, "its answer is empty")
    kind, phantom = entry.get("question_type"), entry.get("phantom")
    return Record(
        identifier=identifier,
        volume=volume,
        asked=asked.lstrip().removeprefix(IMAGE).strip(),
        question=question.strip(),
        answer=answer.strip(),
        question_type=int(str(kind)) if str(kind).isdigit() else None,
        phantom=phantom if isinstance(phantom, dict) else None,
    )


def _faults(
    volumes: list[str],
    images: Path,
    volume_size: tuple[int, int, int],
    checked: Path | None,
    progress: Progress,
) -> dict[str, str]:
    """Why volumes cannot be used, for those that cannot."""
    known = _remembered(checked)
    stamps = {name: _stamp(images / name, volume_size) for name in volumes}
    unseen = [name for name in volumes if stamps[name] is None or known.get(name) != stamps[name]]
    faults = {}
    with ThreadPoolExecutor(max_workers=4) as threads:
        looks = threads.map(lambda name: _fault(images / name, volume_size), unseen)
        for number, (name, fault) in enumerate(zip(unseen, looks, strict=True)):
            if fault:
                faults[name] = fault
            progress(number + 1, len(unseen))
    if checked is not None and unseen:
        whole = {name: stamps[name] for name in volumes if name not in faults}
        checked.parent.mkdir(parents=True, exist_ok=True)
        checked.write_text(json.dumps({**known, **whole}), encoding="utf-8")
    return faults


def _remembered(checked: Path | None) -> dict[str, Any]:
    if checked is None or not checked.is_file():
        return {}
    try:
        found = json.loads(checked.read_text(encoding="utf-8"))
    except ValueError:
        # Cut short when a run was killed; the volumes are looked at again.
        return {}
    return found if isinstance(found, dict) else {}


def _stamp(path: Path, volume_size: tuple[int, int, int]) -> list[int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns, *volume_size]


def _fault(path: Path, volume_size: tuple[int, int, int]) -> str:
    try:
        volume = open_volume(path)
    except FileNotFoundError:
        return f"its volume {path} is missing"
    except (OSError, ValueError, EOFError):
        return f"its volume {path} is not a whole .npy file"
    if volume.shape != (1, *volume_size):
        return (
            f"its volume {path} has the shape {volume.shape} and the network takes "
            f"{(1, *volume_size)}"
        )
    if volume.dtype.kind != "f":
        return f"its volume {path} holds {volume.dtype}, not floating point numbers"
    lowest, highest = float(volume.min()), float(volume.max())
    if not np.isfinite([lowest, highest]).all():
        return f"its volume {path} has voxels that are no numbers"
    if lowest < -_NOT_QUITE_ONE or highest > 1 + _NOT_QUITE_ONE:
        return f"its volume {path} goes from {lowest:.3g} to {highest:.3g}, not from 0 to 1"
    return ""
