"""What a model is examined with: prepared volumes, each with its true report and questions.

They are drawn anew from seeds, or read from a data set's split. Either way nobody trained on them:
seeds of training and validation are refused, and questions are worded as none in training.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from med2e3.errors import InputError
from med2e3.model.prompt import IMAGE
from med2e3.phantoms.cover import SEEN, cover_of
from med2e3.phantoms.dataset import FIRST_SEEDS, PLANE_SHARES, SEEDS_OF_SPLIT
from med2e3.phantoms.making import make_phantom
from med2e3.phantoms.phantom import DRAFT_GRID, Phantom
from med2e3.phantoms.questions import QUESTION_TYPES, Question, ask_questions, report_question
from med2e3.phantoms.report import write_report
from med2e3.phantoms.slices import slices_of, slices_touching
from med2e3.phantoms.wording import reworded
from med2e3.volume import Scan, prepare
from med2e3.volume.geometry import SliceGeometry

Claim = tuple[str, str, str]
"""A finding as it counts in F1: (kind, organ, side)."""

_WORDING = "test"


@dataclass(frozen=True)
class Query:
    """A question with its truth.

    ``text`` is the bare question, which scores the slices. Asked open, the true answer is
    ``answer``; asked closed, ``closed_text`` has the choices behind the question. Either is empty
    where it is not asked that way. ``choices`` are their texts by letter, ``letter`` the right one.
    ``slices`` are the model slices (0 to 31) that the findings asked about lie in, empty where the
    question is about no finding. ``paraphrase`` is the same question in other words, or empty.
    ``patches`` [slices, rows, columns] is true on the patches of 16 by 16 pixels that show these
    findings, None where there are none or nobody knows.
    """

    kind: str
    text: str
    closed_text: str
    choices: dict[str, str]
    letter: str
    answer: str
    slices: tuple[int, ...] = ()
    paraphrase: str = ""
    patches: NDArray[np.bool_] | None = field(default=None, compare=False)

    @property
    def closed_answer(self) -> str:
        return f"{self.letter}. {self.choices[self.letter]}"


@dataclass(frozen=True)
class Truth:
    """What there is to know about a volume. ``slices`` are those that any finding lies in."""

    identifier: str
    region: str
    report_question: str
    report: str
    claims: frozenset[Claim]
    slices: tuple[int, ...]
    queries: tuple[Query, ...]


@dataclass(frozen=True, eq=False)
class Case:
    """A volume [1, slices, rows, columns] in [0, 1] and its truth."""

    truth: Truth
    volume: torch.Tensor


def check_seeds(first_seed: int, count: int) -> None:
    """Raise InputError if any of ``count`` seeds from ``first_seed`` on belongs to training."""
    for split in ("train", "validation"):
        begin = FIRST_SEEDS[split]
        if first_seed < begin + SEEDS_OF_SPLIT and first_seed + count > begin:
            raise InputError(
                f"Seeds {first_seed} to {first_seed + count - 1} touch those of {split} "
                f"({begin} to {begin + SEEDS_OF_SPLIT - 1}), which models have learned from; "
                f"choose others with --seed, such as {FIRST_SEEDS['test']}."
            )


def drawn_cases(first_seed: int, count: int, size: tuple[int, int, int]) -> Iterator[Case]:
    """Fresh phantoms, one for each seed, every question asked open and closed.

    ``size`` is what the network takes (slices, rows, columns). Bodies, planes and the share of the
    questions on the plane are as in the data sets. Raises InputError for seeds of training.
    """
    check_seeds(first_seed, count)
    for seed in range(first_seed, first_seed + count):
        yield _drawn(seed, size)


def _drawn(seed: int, size: tuple[int, int, int]) -> Case:
    phantom = make_phantom(seed, grid=DRAFT_GRID)
    # Not the phantom's own stream, which draws the body.
    random = np.random.default_rng([seed, 1])
    plane = str(random.choice(list(PLANE_SHARES), p=list(PLANE_SHARES.values())))
    prepared = prepare(Scan(phantom.voxels, phantom.ijk_to_ras, "CT"), plane=plane, size=size)
    queries = [
        _query(question, phantom, prepared.geometry)
        for question in ask_questions(phantom, plane, random, _WORDING)
        # As in the data sets, or the commonest plane could be guessed.
        if question.kind != "plane"
        or random.random() < min(PLANE_SHARES.values()) / PLANE_SHARES[plane]
    ]
    truth = Truth(
        identifier=str(seed),
        region=phantom.region,
        report_question=report_question(random, _WORDING),
        report=write_report(phantom, random),
        claims=frozenset((found.kind, found.organ, found.side) for found in phantom.findings),
        slices=_slices_of_all(phantom, prepared.geometry),
        queries=tuple(queries),
    )
    return Case(truth, prepared.volume)


def _query(question: Question, phantom: Phantom, geometry: SliceGeometry) -> Query:
    return Query(
        kind=question.kind,
        text=question.question,
        closed_text=question.closed_question(),
        choices=question.choices,
        letter=question.letter,
        answer=question.answer,
        slices=tuple(slices_of(question, phantom, geometry)) if question.findings else (),
        paraphrase=reworded(question.question),
        patches=_patches(
            cover_of([phantom.findings[number].mask for number in question.findings], geometry)
        ),
    )


def _patches(cover: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    """Where any of some findings is seen."""
    shown: NDArray[np.bool_] = np.logical_or.reduce(cover >= SEEN, axis=0)
    return shown if shown.any() else None


def _slices_of_all(phantom: Phantom, geometry: SliceGeometry) -> tuple[int, ...]:
    touched = {
        slice_ for found in phantom.findings for slice_ in slices_touching(found.mask, geometry)
    }
    return tuple(sorted(touched))


def stored_cases(
    folder: Path, split: str, size: tuple[int, int, int], *, count: int | None = None
) -> Iterator[Case]:
    """The volumes of a data set's split, at most ``count``, with the questions of its records.

    A question is asked open, closed or both as the records ask it. Raises InputError for files
    that are missing or are not what ``med2e3 phantom dataset`` writes, and for the split "train".
    """
    if split == "train":
        raise InputError("Models learn from the split train; evaluate on test or validation.")
    path = folder / f"{split}.json"
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
        by_volume: dict[str, list[dict[str, Any]]] = {}
        for record in records:
            by_volume.setdefault(record["vision3d"], []).append(record)
        chosen = list(by_volume.items())[:count]
        truths = {volume: _truth(folder, volume, found) for volume, found in chosen}
    except FileNotFoundError:
        raise InputError(
            f"There is no {path}; make a data set with `med2e3 phantom dataset`."
        ) from None
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise InputError(
            f"{path} is not what `med2e3 phantom dataset` writes ({error!r}); make it again."
        ) from error
    for volume, truth in truths.items():
        yield Case(truth, load_prepared(folder / volume, size))


def _truth(folder: Path, volume: str, records: Sequence[dict[str, Any]]) -> Truth:
    report = next(record for record in records if record["question_type"] == 0)
    known = report["phantom"]
    asked: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        if record is not report:
            asked.setdefault(record["question"], []).append(record)
    return Truth(
        identifier=Path(volume).stem,
        region=known["region"],
        report_question=_asked(report),
        report=_told(report),
        claims=frozenset((one["kind"], one["organ"], one["side"]) for one in known["findings"]),
        slices=tuple(sorted({slice_ for one in known["findings"] for slice_ in one["slices"]})),
        queries=tuple(_stored_query(folder, found) for found in asked.values()),
    )


def _stored_query(folder: Path, records: Sequence[dict[str, Any]]) -> Query:
    ways = {record["phantom"]["asked"]: record for record in records}
    any_way = records[0]
    known = any_way["phantom"]
    return Query(
        kind=QUESTION_TYPES[any_way["question_type"] - 1],
        text=any_way["question"],
        closed_text=_asked(ways["closed"]) if "closed" in ways else "",
        choices=known["choices"],
        letter=known["letter"],
        answer=_told(ways["open"]) if "open" in ways else "",
        slices=tuple(known["slices"]) if known["depends_on"] else (),
        paraphrase=reworded(any_way["question"]),
        patches=_stored_patches(folder, known),
    )


def _stored_patches(folder: Path, known: Mapping[str, Any]) -> NDArray[np.bool_] | None:
    if not known["depends_on"] or "cover" not in known:
        return None
    path = folder / known["cover"]
    try:
        return _patches(np.load(path, "r", allow_pickle=False)[known["depends_on"]])
    except (OSError, ValueError, EOFError, IndexError):
        raise InputError(
            f"The file {path} is missing or broken; make the data set again."
        ) from None


def _asked(record: dict[str, Any]) -> str:
    text: str = record["conversations"][0]["value"]
    return text.removeprefix(IMAGE).strip()


def _told(record: dict[str, Any]) -> str:
    text: str = record["conversations"][1]["value"]
    return text


def load_prepared(path: Path, size: tuple[int, int, int]) -> torch.Tensor:
    """A volume file of a data set, [1, slices, rows, columns] in [0, 1]. Raises InputError if it is
    not there, cut short, or of another size than the network takes."""
    try:
        voxels = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"The volume {path} is missing; make the data set again.") from None
    except (OSError, ValueError, EOFError):
        raise InputError(f"The volume {path} is cut short; make the data set again.") from None
    if voxels.shape != (1, *size):
        raise InputError(
            f"The volume {path} has the shape {voxels.shape} and the model takes {(1, *size)}; "
            "make a data set of that --size."
        )
    return torch.from_numpy(np.ascontiguousarray(voxels, np.float32))
