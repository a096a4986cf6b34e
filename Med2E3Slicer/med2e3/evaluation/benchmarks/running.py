"""Asking a model everything of a benchmark, in a run that can be stopped and goes on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

import torch

from med2e3.errors import InputError, Med2E3Error
from med2e3.evaluation.benchmarks.items import REPORT, Item
from med2e3.evaluation.cases import load_prepared
from med2e3.evaluation.predicting import ANSWER_TOKENS, REPORT_TOKENS, Reader, controls_of
from med2e3.inference.batch import Asked, write_together
from med2e3.model import EncodedVolume, LoadedModel
from med2e3.volume import prepare, read_scan

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Row:
    """What a model made of an item. ``text`` is empty and ``fault`` a sentence where the volume
    could not be read. ``controls`` are the answers by the name of the control; ``ended`` is false
    where a length limit cut the text."""

    identifier: str
    text: str = ""
    ended: bool = True
    scores: tuple[float, ...] = ()
    controls: dict[str, str] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True)
class Job:
    """What is asked about one volume. With ``other``, another patient's volume, the closed
    questions are asked under the controls too; ``seed`` shuffles the slices there."""

    volume: str
    items: tuple[Item, ...]
    other: str | None
    seed: int


Answerer = Callable[[Sequence[Job]], Iterator[list[Row]]]
"""Answers jobs and tells the rows of each as they are done, in any order."""


def in_this_process(model: LoadedModel) -> Answerer:
    """Answers one job after the other."""
    reader = Reader(model)
    return lambda jobs: (answer_job(reader, job) for job in jobs)


def ask_all(
    answer: Answerer,
    sha256: str,
    items: Sequence[Item],
    path: Path,
    *,
    controlled: int = 0,
    progress: Progress = lambda done, total: None,
) -> dict[str, Row]:
    """The rows of all items by identifier, as the model with this ``sha256`` answers them. They are
    added to the file ``path`` volume by volume, and those that are in it already are not asked
    again.

    The closed questions of the first ``controlled`` volumes are asked under each control too (see
    :data:`~med2e3.evaluation.predicting.CONTROLS`). A volume that cannot be read is noted and the
    rest goes on. Raises InputError if the file belongs to another model or other items.
    """
    with _rows_of(path, _head(sha256, items, controlled)) as (rows, file):
        done = len(rows)
        progress(done, len(items))
        jobs = _jobs([item for item in items if item.identifier not in rows], items, controlled)
        for found in answer(jobs):
            for row in found:
                rows[row.identifier] = row
                file.write(json.dumps(asdict(row)) + "\n")
            file.flush()
            os.fsync(file.fileno())
            done += len(found)
            progress(done, len(items))
    return rows


def _jobs(unasked: Sequence[Item], items: Sequence[Item], controlled: int) -> list[Job]:
    volumes = sorted({_by_volume(item) for item in items})
    asked_of: dict[str, list[Item]] = {}
    for item in unasked:
        asked_of.setdefault(_by_volume(item), []).append(item)
    jobs = []
    for place, volume in enumerate(volumes):
        if volume in asked_of:
            # The first volume is swapped with the second, every other with the one before it.
            other = volumes[place - 1 if place else min(1, len(volumes) - 1)]
            asked = tuple(asked_of[volume])
            jobs.append(Job(volume, asked, other if place < controlled else None, place))
    return jobs


def _by_volume(item: Item) -> str:
    return str(item.volume)


def answer_job(reader: Reader, job: Job) -> list[Row]:
    """The rows of a volume's items."""
    volume, items, other = job.volume, job.items, job.other
    size = reader.model.configuration.vision3d.volume_size
    try:
        voxels = _voxels(Path(volume), size)
    except Med2E3Error as error:
        return [Row(item.identifier, fault=str(error)) for item in items]
    encoded = reader.encode(voxels)
    under: dict[str, EncodedVolume] = {}
    if other is not None and any(item.choices for item in items):
        under = controls_of(reader, voxels, _other(reader, volume, other, size), job.seed)
    asked, owners = [], []
    for item in items:
        tokens = REPORT_TOKENS if item.kind == REPORT else ANSWER_TOKENS
        for name, seen in {"": encoded, **(under if item.choices else {})}.items():
            asked.append(Asked(reader.score(seen, item.question), item.asked, tokens))
            owners.append((item.identifier, name))
    written = dict(zip(owners, write_together(reader.model, asked), strict=True))
    scores = {
        owner: tuple(round(float(score), 6) for score in one.scored.scores)
        for owner, one in zip(owners, asked, strict=True)
    }
    return [
        Row(
            identifier=item.identifier,
            text=written[item.identifier, ""].text,
            ended=written[item.identifier, ""].ended,
            scores=scores[item.identifier, ""],
            controls={
                name: text.text
                for (identifier, name), text in written.items()
                if name and identifier == item.identifier
            },
        )
        for item in items
    ]


def _other(
    reader: Reader, volume: str, other: str, size: tuple[int, int, int]
) -> EncodedVolume | None:
    """Another patient's volume, unless there is none that can be read."""
    if other == volume:
        return None
    try:
        return reader.encode(_voxels(Path(other), size))
    except Med2E3Error:
        return None


def _voxels(path: Path, size: tuple[int, int, int]) -> torch.Tensor:
    """[1, slices, rows, columns] in [0, 1]: M3D's arrays as they are, a scan prepared."""
    if path.suffix == ".npy":
        return load_prepared(path, size)
    return prepare(read_scan(path), size=size).volume


def _head(sha256: str, items: Sequence[Item], controlled: int) -> dict[str, Any]:
    """What the rows of a file hang on."""
    told = json.dumps([asdict(item) | {"volume": item.volume.name} for item in items])
    return {
        "model": sha256,
        "items": hashlib.sha256(told.encode()).hexdigest(),
        "controlled": controlled,
    }


@contextmanager
def _rows_of(path: Path, head: dict[str, Any]) -> Iterator[tuple[dict[str, Row], TextIO]]:
    """The rows that are in a file, and the file to add more to. A last line that was cut short goes
    away."""
    rows: dict[str, Row] = {}
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    whole = [line for line in lines if line.endswith("\n")]
    if whole:
        if json.loads(whole[0]) != head:
            raise InputError(
                f"{path} was begun with another model, other data or another --controlled; choose "
                "another folder with --out."
            )
        for line in whole[1:]:
            told = json.loads(line)
            rows[told["identifier"]] = Row(**told | {"scores": tuple(told["scores"])})
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w" if len(whole) != len(lines) or not whole else "a", encoding="utf-8") as file:
        if file.tell() == 0:
            file.writelines(whole or [json.dumps(head) + "\n"])
        yield rows, file
