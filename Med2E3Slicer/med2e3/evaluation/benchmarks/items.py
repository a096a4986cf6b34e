"""What a benchmark asks: volumes, prompts and true texts, read from its published files."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from med2e3.errors import InputError
from med2e3.evaluation.closed import correct_as_released
from med2e3.model.prompt import REPORT_QUESTION
from med2e3.phantoms.questions import QUESTION_TYPES

REPORT = "report"
"""The kind of an item that asks for a report."""

_CHOICES = "Choices:"
_TASK = re.compile(r"<(long_answer|short_answer|multiple_choice|report_generation)>")
_LETTERED = re.compile(r"\(([a-z])\)\s*(.*?)(?=\s*\([a-z]\)|\s*$)", re.S)
_TASK_KINDS = {
    "long_answer": "long answer",
    "short_answer": "short answer",
    "multiple_choice": "multiple choice",
    "report_generation": REPORT,
}


@dataclass(frozen=True)
class Item:
    """One question about one volume.

    ``question`` scores the slices and ``asked`` is what the language model reads: with the choices
    behind it where there are any. ``kind`` is what figures are told apart by. ``choices`` are the
    texts by letter and ``letter`` the right one, empty where the question is open.
    """

    identifier: str
    volume: Path
    kind: str
    question: str
    asked: str
    reference: str
    choices: Mapping[str, str] = field(default_factory=dict)
    letter: str = ""


@dataclass(frozen=True)
class Benchmark:
    """``read`` makes the items of a data folder and a split; ``marked`` is the published rule of
    whether an output names a letter."""

    name: str
    title: str
    split: str
    read: Callable[[Path, str], list[Item]]
    marked: Callable[[str, str], bool] = correct_as_released


def m3d_cap(folder: Path, split: str) -> list[Item]:
    """Reports of M3D-Cap (huggingface.co/datasets/GoodBaiBai88/M3D-Cap).

    ``M3D_Cap.json`` has a list for each split; an entry names a volume (``image``, .npy) and a text
    file (``text``), both relative to the folder. M3D draws one of many wordings of the request for
    each volume; here it is always the same.
    """
    path = _one_of(folder, "M3D_Cap.json", "M3D_Cap_npy/M3D_Cap.json", "M3D_Cap/M3D_Cap.json")
    told = _json(path)
    if not isinstance(told, dict) or not isinstance(told.get(split), list):
        names = ", ".join(told) if isinstance(told, dict) else "none"
        raise InputError(f"{path} has no split {split}; it has {names}. Choose one with --split.")
    items = []
    for number, entry in enumerate(told[split]):
        image, text = _fields(path, number, entry, "image", "text")
        items.append(
            Item(
                identifier=f"{split}-{number}",
                volume=_beside(folder, path, image),
                kind=REPORT,
                question=REPORT_QUESTION,
                asked=REPORT_QUESTION,
                reference=_text(_beside(folder, path, text)),
            )
        )
    return items


def m3d_vqa_open(folder: Path, split: str) -> list[Item]:
    """Open questions of M3D-VQA; see :func:`m3d_vqa_closed`."""
    return [
        Item(
            identifier=f"{split}-{number}",
            volume=volume,
            kind=kind,
            question=row["Question"],
            asked=row["Question"],
            reference=row["Answer"],
        )
        for number, row, volume, kind in _m3d_vqa(folder, split)
    ]


def m3d_vqa_closed(folder: Path, split: str) -> list[Item]:
    """Closed questions of M3D-VQA (huggingface.co/datasets/GoodBaiBai88/M3D-VQA).

    ``M3D_VQA_<split>.csv`` has a row for each question with the columns Image Path, Question Type
    (1 to 5), Question, Choice A to Choice D, Answer and Answer Choice. The choices stand behind the
    question as in BAAI-DCAI/M3D ``VQADataset``, and do not score the slices.
    """
    items = []
    for number, row, volume, kind in _m3d_vqa(folder, split):
        choices = {letter: row[f"Choice {letter}"] for letter in "ABCD"}
        listed = " ".join(f"{letter}. {text}" for letter, text in choices.items())
        items.append(
            Item(
                identifier=f"{split}-{number}",
                volume=volume,
                kind=kind,
                question=row["Question"],
                asked=f"{row['Question']} {_CHOICES} {listed}",
                reference=row["Answer"],
                choices=choices,
                letter=row["Answer Choice"],
            )
        )
    return items


def ct_rate(folder: Path, split: str) -> list[Item]:
    """Reports and questions of CT-RATE (huggingface.co/datasets/ibrahimhamamci/CT-RATE).

    ``radiology_text_reports/validation_reports.csv`` has the findings (Findings_EN) of each volume
    (VolumeName), and ``vqa/valid_vqa.json`` conversations about it, where it is there: each human
    turn names its task (<long_answer>, <short_answer>, <multiple_choice>), and choices stand in it
    as "(a) …". Volumes lie as ``valid_fixed/valid_1/valid_1_a/valid_1_a_1.nii.gz``.
    """
    root = folder / "dataset" if (folder / "dataset").is_dir() else folder
    long_name = "validation" if split == "valid" else split
    path = _one_of(root, f"radiology_text_reports/{long_name}_reports.csv")
    rows = _csv(path, ("VolumeName", "Findings_EN"))
    items = [
        Item(
            identifier=f"{row['VolumeName']}-report",
            volume=_ct_rate_volume(root, split, row["VolumeName"]),
            kind=REPORT,
            question=REPORT_QUESTION,
            asked=REPORT_QUESTION,
            reference=row["Findings_EN"],
        )
        for row in rows
        if row["Findings_EN"].strip()
    ]
    conversations = root / "vqa" / f"{split}_vqa.json"
    if conversations.is_file():
        items += _ct_rate_questions(root, split, conversations)
    return items


BENCHMARKS = {
    one.name: one
    for one in (
        Benchmark("m3d-cap", "M3D-Cap: reports", "test", m3d_cap),
        Benchmark("m3d-vqa-open", "M3D-VQA: open questions", "test", m3d_vqa_open),
        Benchmark("m3d-vqa-closed", "M3D-VQA: closed questions", "test", m3d_vqa_closed),
        Benchmark(
            "ct-rate",
            "CT-RATE: reports and questions",
            "valid",
            ct_rate,
            lambda output, letter: f"({letter})" in output.strip(),
        ),
    )
}


def _m3d_vqa(folder: Path, split: str) -> Iterator[tuple[int, dict[str, str], Path, str]]:
    name = f"M3D_VQA_{split}.csv"
    path = _one_of(folder, name, f"M3D-VQA/{name}", f"M3D_VQA/{name}")
    needed = (
        "Image Path", "Question Type", "Question", "Answer", "Answer Choice",
        *(f"Choice {letter}" for letter in "ABCD"),
    )  # fmt: skip
    for number, row in enumerate(_csv(path, needed)):
        try:
            kind = QUESTION_TYPES[int(row["Question Type"]) - 1]
        except (ValueError, IndexError):
            raise InputError(
                f"{path}, row {number + 2}: the Question Type {row['Question Type']!r} is none of "
                f"1 to {len(QUESTION_TYPES)}."
            ) from None
        yield number, row, _beside(folder, path, row["Image Path"]), kind


def _ct_rate_questions(root: Path, split: str, path: Path) -> Iterable[Item]:
    told = _json(path)
    if not isinstance(told, list):
        raise InputError(f"{path} is no list of conversations.")
    for number, entry in enumerate(told):
        image, turns = _fields(path, number, entry, "image", "conversations")
        for place in range(0, len(turns) - 1, 2):
            (human,) = _fields(path, number, turns[place], "value")
            (answer,) = _fields(path, number, turns[place + 1], "value")
            task = _TASK.search(human)
            # Reports are asked for by the table of reports.
            if task is None or task[1] == "report_generation":
                continue
            text = _TASK.sub("", human).replace("<image>", "").strip()
            question, choices, letter = text, {}, ""
            if task[1] == "multiple_choice":
                choices = dict(_LETTERED.findall(text))
                marked = _LETTERED.search(answer)
                if marked is None or marked[1] not in choices:
                    # Without a right letter there is nothing to be right about.
                    continue
                question, letter = text.partition("(")[0].strip(), marked[1]
            yield Item(
                identifier=f"{Path(image).name}-{number}-{place}",
                volume=_ct_rate_volume(root, split, Path(image).name),
                kind=_TASK_KINDS[task[1]],
                question=question,
                asked=text,
                reference=answer.strip(),
                choices=choices,
                letter=letter,
            )


def _ct_rate_volume(root: Path, split: str, name: str) -> Path:
    """valid_1_a_1.nii.gz lies in valid_1/valid_1_a."""
    parts = name.removesuffix(".nii.gz").split("_")
    inside = Path("_".join(parts[:2])) / "_".join(parts[:3]) / name
    for tree in (f"{split}_fixed", split):
        if (root / tree).is_dir():
            return root / tree / inside
    return root / f"{split}_fixed" / inside


def _one_of(folder: Path, *names: str) -> Path:
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.")
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{folder} holds no {' and no '.join(names)}; see docs/benchmarks.md.")


def _beside(folder: Path, table: Path, name: str) -> Path:
    """A file that a table names, relative to the data folder or to the table's own."""
    first = folder / name
    return first if first.exists() else table.parent / name


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}).") from error


def _csv(path: Path, needed: Iterable[str]) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            lacking = [name for name in needed if name not in (table.fieldnames or [])]
            if lacking:
                raise InputError(f"{path} lacks the column {lacking[0]}.")
            return [{name: value or "" for name, value in row.items() if name} for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table ({error}).") from error


def _fields(path: Path, number: int, entry: Any, *names: str) -> list[Any]:
    if not isinstance(entry, dict) or any(name not in entry for name in names):
        raise InputError(f"{path}[{number}] lacks {' or '.join(names)}.")
    return [entry[name] for name in names]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The report {path} cannot be read ({error}).") from error
