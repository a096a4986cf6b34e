"""The ablations' figures as a table: mean and spread over the seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from med2e3.phantoms.questions import QUESTION_TYPES

Figures = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A figure of an evaluation. ``percent``: it is a share from 0 to 1, shown in percent."""

    name: str
    label: str
    read: Callable[[Figures], float | None]
    percent: bool = True


@dataclass(frozen=True)
class Cell:
    """Mean over the seeds, and the standard deviation between them (0 for one seed)."""

    mean: float
    spread: float
    values: tuple[float, ...]

    def show(self, percent: bool) -> str:
        """Such as "81.2 ± 0.9"; the spread of one seed is not known and not shown."""
        scale, digits = (100, 1) if percent else (1, 2)
        mean = f"{scale * self.mean:.{digits}f}"
        return mean if len(self.values) < 2 else f"{mean} ± {scale * self.spread:.{digits}f}"


def _closed(kind: str) -> Callable[[Figures], float | None]:
    return lambda figures: figures["closed_accuracy"][kind]


def _open(name: str) -> Callable[[Figures], float | None]:
    return lambda figures: figures["open_scores"]["mean"][name]


def _attention(kind: str, name: str) -> Callable[[Figures], float | None]:
    return lambda figures: figures["attention"][kind][name]


REPORT_COLUMNS = (
    Column("bleu1", "BLEU-1", lambda figures: figures["report_scores"]["bleu1"]),
    Column("rouge1", "ROUGE-1", lambda figures: figures["report_scores"]["rouge1"]),
    Column("meteor", "METEOR", lambda figures: figures["report_scores"].get("meteor")),
    Column("finding_f1", "finding F1", lambda figures: figures["finding_f1"]),
    Column("false_finding_rate", "false findings", lambda figures: figures["false_finding_rate"]),
)
CLOSED_COLUMNS = tuple(
    Column(f"closed_{kind}", kind, _closed(kind)) for kind in (*QUESTION_TYPES, "mean")
)
OPEN_COLUMNS = (
    Column("open_bleu1", "open BLEU-1", _open("bleu1")),
    Column("open_rouge1", "open ROUGE-1", _open("rouge1")),
)
ATTENTION_COLUMNS = (
    *(
        Column(f"{kind}_{name}", f"{kind} {label}", _attention(kind, name))
        for kind in ("abnormality", "location")
        for name, label in (("hit1", "Hit@1"), ("hit3", "Hit@3"), ("auroc", "AUROC"))
    ),
    Column(
        "effective_slices",
        "effective slices (location)",
        _attention("location", "effective_slices"),
        percent=False,
    ),
)
ALL_COLUMNS = (*REPORT_COLUMNS, *CLOSED_COLUMNS, *OPEN_COLUMNS, *ATTENTION_COLUMNS)


def cell(runs: Sequence[Figures], column: Column) -> Cell | None:
    """A column over the runs of one variant, or None where no run has it."""
    values = [value for value in map(column.read, runs) if value is not None]
    if not values:
        return None
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return Cell(float(np.mean(values)), spread, tuple(values))


def markdown(rows: Sequence[tuple[str, Sequence[Figures]]], columns: Sequence[Column]) -> str:
    """A Markdown table, a row for each (label, runs), the best mean of a column in bold."""
    cells = [[cell(runs, column) for column in columns] for _, runs in rows]
    lines = [
        "| " + " | ".join(["", *(column.label for column in columns)]) + " |",
        "|---|" + "--:|" * len(columns),
    ]
    for (label, _), row in zip(rows, cells, strict=True):
        shown = []
        for number, (found, column) in enumerate(zip(row, columns, strict=True)):
            text = "–" if found is None else found.show(column.percent)
            best = _best([other[number] for other in cells], column)
            shown.append(f"**{text}**" if found is not None and found.mean == best else text)
        lines.append("| " + " | ".join([label, *shown]) + " |")
    return "\n".join(lines) + "\n"


def _best(cells: Sequence[Cell | None], column: Column) -> float | None:
    """The best mean of a column, or None where there is no better and worse."""
    means = [found.mean for found in cells if found is not None]
    if len(set(means)) < 2 or not column.percent:
        return None
    return min(means) if column.name == "false_finding_rate" else max(means)
