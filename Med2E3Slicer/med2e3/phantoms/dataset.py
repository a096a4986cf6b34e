"""Data sets of phantoms in the layout of the released code, to train, validate and test with.

A folder holds ``train.json``, ``validation.json`` and ``test.json``, lists of records; a folder of
volumes for each, float16 ``.npy`` [1, slices, rows, columns] from 0 to 1 as the engine prepares
scans, and beside each what covers its patches (``.cover.npy``: findings, then organs, in the order
in which the records name them); and ``dataset.json``, which tells how all of it was made. A record
is one question about one volume, with its answer. Splits share no seed and no paraphrase of a
question between training and the rest.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import med2e3
from med2e3.errors import InputError, Med2E3Error
from med2e3.phantoms.chance import pick_weighted
from med2e3.phantoms.cover import cover_of
from med2e3.phantoms.making import make_phantom
from med2e3.phantoms.phantom import DRAFT_GRID, Phantom
from med2e3.phantoms.questions import (
    PLANES,
    QUESTION_TYPES,
    Question,
    ask_questions,
    report_question,
)
from med2e3.phantoms.report import describe, write_report
from med2e3.phantoms.slices import slices_of, slices_touching
from med2e3.pool import process_pool
from med2e3.volume import MODEL_SIZE, Scan, prepare
from med2e3.volume.geometry import SliceGeometry

GENERATOR = 2
"""Goes up when the same seed would give another volume or another text."""

FIRST_SEEDS = {"train": 1_000_000, "validation": 2_000_000, "test": 3_000_000}
"""Where the seeds of each split begin. Those below are free for everyone."""
SEEDS_OF_SPLIT = 1_000_000

PLANE_SHARES = {"axial": 0.70, "coronal": 0.15, "sagittal": 0.15}

_BOTH_WAYS = 0.5
"""How often a question on organ, abnormality or location is asked both open and closed."""
_IMAGE = "<image3d>"
"""Where the volume stands in a question, in the released layout."""
_FLOAT16 = 2
_NPY_HEADER = 128

Progress = Callable[[int, int], None]
"""Told how many volumes are there and how many there will be."""


@dataclass(frozen=True)
class _Settings:
    """What makes one data set differ from another."""

    size: tuple[int, int, int]
    planes: dict[str, float]

    def told(self) -> dict[str, Any]:
        return {"generator": GENERATOR, "size": list(self.size), "planes": self.planes}


@dataclass(frozen=True)
class _Volume:
    """One volume of a data set that is to be drawn."""

    folder: Path
    split: str
    seed: int
    settings: _Settings

    @property
    def name(self) -> str:
        return f"{self.split}/{self.seed}.npy"

    @property
    def voxels_path(self) -> Path:
        return self.folder / self.name

    @property
    def cover_name(self) -> str:
        """How much of each patch each finding and organ covers: uint8 [finding or organ, slices,
        patch rows, patch columns], 255 where it fills the patch."""
        return f"{self.split}/{self.seed}.cover.npy"

    @property
    def records_path(self) -> Path:
        """What was asked about it, until all volumes are there and whenever one more is wanted."""
        return self.folder / self.split / f"{self.seed}.json"


def write_dataset(
    folder: Path,
    *,
    train: int = 0,
    validation: int = 0,
    test: int = 0,
    seed: int = 0,
    size: tuple[int, int, int] = MODEL_SIZE,
    planes: dict[str, float] = PLANE_SHARES,
    workers: int | None = None,
    progress: Progress = lambda done, total: None,
) -> None:
    """Write a data set, or what is missing of it.

    ``train``, ``validation`` and ``test`` are numbers of volumes; a split of 0 is left as it is.
    ``seed`` moves all seeds on, for another data set of the same kind. ``size`` is (slices, rows,
    columns), ``planes`` tells how often the volumes are seen along each of
    :data:`~med2e3.phantoms.questions.PLANES`. ``workers`` processes share the work (all cores where
    it is None); what is written does not depend on their number.

    Volumes that are there and whole are kept, so that a call that was stopped can be made again.
    Files appear complete or not at all. Raises :class:`~med2e3.errors.InputError` where the folder
    holds another data set or cannot be written, or the disk is full.
    """
    counts = {"train": train, "validation": validation, "test": test}
    _check(counts, seed, size, planes)
    settings = _Settings(size, planes)
    try:
        earlier = _earlier(folder, settings, seed)
        wanted = {
            split: [
                _Volume(folder, split, FIRST_SEEDS[split] + seed + number, settings)
                for number in range(count)
            ]
            for split, count in counts.items()
            if count
        }
        for split in wanted:
            (folder / split).mkdir(parents=True, exist_ok=True)
        volumes = [volume for split in wanted.values() for volume in split]
        missing = [volume for volume in volumes if not _is_whole(volume)]
        _check_room(folder, len(missing), size)
        done = len(volumes) - len(missing)
        progress(done, len(volumes))
        for _ in _drawn(missing, workers or os.cpu_count() or 1):
            done += 1
            progress(done, len(volumes))
        splits = earlier | {
            split: _join(folder, split, of_split) for split, of_split in wanted.items()
        }
        told = {"engine": med2e3.__version__, "seed": seed, **settings.told(), "splits": splits}
        _write(folder / "dataset.json", _json(told))
    except BrokenProcessPool as error:
        raise Med2E3Error(
            "A process that draws phantoms has ended, perhaps for want of memory; run the command "
            "again with fewer --workers: what is done is kept."
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(
                f"The disk of {folder} is full; make room and run the command again: what is done "
                "is kept."
            ) from error
        raise InputError(
            f"The folder {folder} cannot be written ({error.strerror or error}); choose another."
        ) from error


def _check(
    counts: dict[str, int], seed: int, size: tuple[int, int, int], planes: dict[str, float]
) -> None:
    if not any(counts.values()):
        raise InputError("The data set would be empty; ask for volumes to train or test with.")
    if seed < 0 or seed + max(counts.values()) > SEEDS_OF_SPLIT:
        raise InputError(
            f"Seeds {seed} to {seed + max(counts.values())} are beyond the {SEEDS_OF_SPLIT} of a "
            "split; choose a smaller seed or fewer volumes."
        )
    if len(size) != len(MODEL_SIZE) or min(size) < 1:
        raise InputError("The size must be three numbers above 0: slices, rows and columns.")
    if not planes or planes.keys() - set(PLANES) or min(planes.values()) <= 0:
        raise InputError(f"Planes are {', '.join(PLANES)}, each with a share above 0.")


def _check_room(folder: Path, volumes: int, size: tuple[int, int, int]) -> None:
    needed, free = volumes * _bytes(size), shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"The data set needs {needed / 1e9:.1f} GB more and the disk of {folder} has "
            f"{free / 1e9:.1f} GB; choose another folder, fewer volumes or a smaller size."
        )


def _earlier(folder: Path, settings: _Settings, seed: int) -> dict[str, Any]:
    """The splits that the folder holds, if it is of the same kind."""
    path = folder / "dataset.json"
    if not path.exists():
        return {}
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        splits: dict[str, Any] = told.pop("splits")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is not what `med2e3 phantom dataset` writes; choose another folder."
        ) from error
    if told | {"seed": seed, **settings.told()} != told:
        raise InputError(
            f"{folder} holds a data set of another size, seed or generator; choose another folder."
        )
    return splits


def _is_whole(volume: _Volume) -> bool:
    """Whether it was written to its end, and with these settings."""
    try:
        size = volume.voxels_path.stat().st_size
        told = json.loads(volume.records_path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return size == _bytes(volume.settings.size) and told["made"] == volume.settings.told()


def _bytes(size: tuple[int, int, int]) -> int:
    return _NPY_HEADER + _FLOAT16 * int(np.prod(size))


def _drawn(volumes: Sequence[_Volume], workers: int) -> Iterator[None]:
    """Draw volumes; something comes for each that is done."""
    if min(workers, len(volumes)) <= 1:
        yield from map(_draw, volumes)
        return
    pool = process_pool(workers)
    try:
        yield from pool.map(_draw, volumes, chunksize=4)
    finally:
        pool.shutdown(cancel_futures=True)


def _draw(volume: _Volume) -> None:
    phantom = make_phantom(volume.seed, grid=DRAFT_GRID)
    # Not the phantom's own stream, which draws the body.
    random = np.random.default_rng([volume.seed, GENERATOR])
    [plane] = pick_weighted(random, volume.settings.planes, 1)
    scan = Scan(phantom.voxels, phantom.ijk_to_ras, "CT")
    prepared = prepare(scan, plane=plane, size=volume.settings.size)
    records = _records(volume, phantom, plane, prepared.geometry, random)
    _write_array(volume.voxels_path, prepared.volume.numpy().astype(np.float16))
    masks = [*(finding.mask for finding in phantom.findings), *phantom.organs.values()]
    _write_array(volume.folder / volume.cover_name, cover_of(masks, prepared.geometry))
    # After the voxels: where the records are, the voxels are.
    _write(volume.records_path, _json({"made": volume.settings.told(), "records": records}))


def _records(
    volume: _Volume,
    phantom: Phantom,
    plane: str,
    geometry: SliceGeometry,
    random: np.random.Generator,
) -> list[dict[str, Any]]:
    wording = "train" if volume.split == "train" else "test"
    truth = _truth(phantom, plane, geometry) | {"cover": volume.cover_name}
    every_slice = list(range(geometry.size[0]))
    asked = report_question(random, wording)
    records = [
        _record(volume, 0, asked, asked, write_report(phantom, random))
        | {"phantom": truth | {"asked": "report", "slices": every_slice}}
    ]
    for question in ask_questions(phantom, plane, random, wording):
        if question.kind == "plane" and random.random() >= _plane_question_share(volume, plane):
            continue
        about = truth | {
            "slices": slices_of(question, phantom, geometry),
            "depends_on": list(question.findings),
            "choices": question.choices,
            "letter": question.letter,
        }
        for way in _ways(question, random):
            text = question.closed_question() if way == "closed" else question.question
            answer = question.closed_answer() if way == "closed" else question.answer
            number = 1 + QUESTION_TYPES.index(question.kind)
            records.append(
                _record(volume, number, text, question.question, answer)
                | {"phantom": about | {"asked": way}}
            )
    for number, record in enumerate(records):
        record["id"] = f"{volume.seed}-{number}"
        record["phantom"]["description"] = describe(phantom, plane, random)
    return records


def _record(
    volume: _Volume, question_type: int, asked: str, question: str, answer: str
) -> dict[str, Any]:
    return {
        "id": "",
        "vision3d": volume.name,
        "conversations": [
            {"from": "human", "value": f"{_IMAGE}\n{asked}"},
            {"from": "gpt", "value": answer},
        ],
        "question": question,
        "question_type": question_type,
    }


def _truth(phantom: Phantom, plane: str, geometry: SliceGeometry) -> dict[str, Any]:
    return {
        "seed": phantom.seed,
        "plane": plane,
        "region": phantom.region,
        "phase": phantom.phase,
        "findings": [
            {
                "kind": finding.kind,
                "organ": finding.organ,
                "side": finding.side,
                "level": finding.level,
                "size_mm": finding.size_mm,
                "slices": slices_touching(finding.mask, geometry),
            }
            for finding in phantom.findings
        ],
        "organs": {
            organ: slices_touching(mask, geometry) for organ, mask in phantom.organs.items()
        },
    }


def _plane_question_share(volume: _Volume, plane: str) -> float:
    """Of what is seen along a common plane fewer are asked for it, or the common one could be
    guessed."""
    shares = volume.settings.planes
    return min(shares.values()) / shares[plane]


def _ways(question: Question, random: np.random.Generator) -> list[str]:
    """ "open", "closed" or both."""
    if question.kind in ("organ", "abnormality", "location") and random.random() < _BOTH_WAYS:
        return ["open", "closed"]
    return ["closed" if random.random() < 0.5 else "open"]


def _join(folder: Path, split: str, volumes: Sequence[_Volume]) -> dict[str, Any]:
    """Write the records of all volumes of a split into one file; what it holds is returned."""
    records = [
        record
        for volume in volumes
        for record in json.loads(volume.records_path.read_text(encoding="utf-8"))["records"]
    ]
    written = _json(records)
    _write(folder / f"{split}.json", written)
    return {
        "first_seed": volumes[0].seed,
        "volumes": len(volumes),
        "records": len(records),
        "sha256": hashlib.sha256(written).hexdigest(),
    }


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f".{path.name}.part")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _write_array(path: Path, values: np.ndarray[Any, np.dtype[Any]]) -> None:
    unfinished = path.with_name(f".{path.name}.part")
    try:
        with unfinished.open("wb") as file:
            np.save(file, np.ascontiguousarray(values))
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
