"""Measure what a study of a cohort costs, and put the figures into docs/cohort.md.

    python Testing/cohort/measure.py --studies 60 --workers 1 2 --page docs/cohort.md

Phantoms are drawn, and `med2e3 batch` answers them once for each number of workers. Only what
stands between the two marks of the page is replaced.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil
from pyarrow import parquet

sys.path.insert(0, str(Path(__file__).parents[1]))

from measured_page import write_figures
from med2e3.cohort.outcomes import STEPS
from med2e3.phantoms import make_phantom, write_phantom


def measure(studies: Path, workers: int, model: Path | None) -> dict[str, Any]:
    """Seconds of one run: in all, by study, and in each step of a study."""
    with tempfile.TemporaryDirectory() as out:
        line = [
            sys.executable, "-m", "med2e3", "batch", str(studies), "--out", out,
            "--workers", str(workers), "--json", *(["--model", str(model)] if model else []),
        ]  # fmt: skip
        ended = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True)
        rows = parquet.read_table(Path(out, "manifest.parquet")).to_pylist()
    first = min(row["started_at"] for row in rows)
    last = max(row["finished_at"] for row in rows)
    return {
        "workers": workers,
        "run": json.loads(ended.stdout)["seconds"],
        "study": (last - first).total_seconds() / len(rows),
        **{step: sum(row[f"{step}_seconds"] or 0.0 for row in rows) / len(rows) for step in STEPS},
    }


def table(found: list[dict[str, Any]], studies: int, model: str) -> str:
    """The figures in Markdown, with what they were measured on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    steps = [step for step in STEPS if any(one[step] for one in found)]
    head = ["workers", "whole run", "by study", "studies an hour", *steps]
    lines = [
        f"{studies} phantoms of the usual size, {model}, {cores} cores, "
        f"load {psutil.getloadavg()[1]:.1f} by all programs; seconds.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---:|" * len(head),
    ]
    for one in found:
        cells = [
            str(one["workers"]),
            f"{one['run']:.0f}",
            f"{one['study']:.2f}",
            f"{3600 / one['study']:.0f}",
            *(f"{one[step]:.2f}" for step in steps),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=60)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--model", type=Path, help="without it, the embedded model")
    parser.add_argument("--page", type=Path, help="put the figures there; they are printed anyway")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.studies):
            write_phantom(make_phantom(seed), Path(folder, f"phantom{seed:03}"))
        found = [measure(Path(folder), workers, arguments.model) for workers in arguments.workers]
    model = f"model {arguments.model.name}" if arguments.model else "the embedded model"
    figures = table(found, arguments.studies, model)
    print(figures)
    if arguments.page:
        write_figures(arguments.page, "Testing/cohort/measure.py", f"{figures}\n")


if __name__ == "__main__":
    main()
