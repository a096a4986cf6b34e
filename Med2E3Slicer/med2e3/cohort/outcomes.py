"""What became of each study, and the table of all: ``manifest.parquet``."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from med2e3.errors import InputError, lacks_memory, plain_sentence

Status = Literal["done", "partial", "failed", "waiting"]
"""``partial``: the report and the answers are there, and the DICOM objects that were asked for are
not. ``waiting``: its turn has not come; only the table has it."""

STEPS = ("read", "preprocess", "encode", "report", "questions", "write")
"""What the seconds of an outcome are counted for."""


@dataclass(frozen=True)
class Outcome:
    """What became of a study: a row of the table, and the file that the row is made from.

    ``series`` is the UID of the DICOM series that was read, ``error`` a sentence ("" if nothing is
    wrong), ``folder`` the place of the results in the results' folder ("" if there are none), times
    are ISO 8601, ``seconds`` by step (see STEPS), ``node`` the machine that answered.
    """

    study: str
    path: str
    series: str
    status: Status
    error: str = ""
    warnings: tuple[str, ...] = ()
    folder: str = ""
    started_at: str = ""
    finished_at: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    model: str = ""
    model_sha256: str = ""
    node: str = ""

    def as_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), ensure_ascii=True, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        found = json.loads(text)
        return cls(**{**found, "warnings": tuple(found["warnings"])})


@dataclass
class Clock:
    """How many seconds each step took, all of its turns together."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            passed = time.perf_counter() - started
            self.seconds[step] = self.seconds.get(step, 0.0) + passed


def now() -> str:
    """The time, as outcomes tell it."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def sentence_of(error: Exception) -> str:
    """Why a study failed, as a sentence."""
    if lacks_memory(error):
        return "There was not enough memory for the study; run again with fewer --workers."
    return plain_sentence(error) or (
        f"The engine failed ({type(error).__name__}: {error}); try the study alone with "
        "`med2e3 report … --debug`."
    )


def write_table(path: Path, outcomes: Iterable[Outcome]) -> None:
    """Write the table whole or not at all, sorted by study. Raises InputError where it cannot be
    written."""
    import pyarrow
    from pyarrow import parquet

    text, number = pyarrow.string(), pyarrow.float64()
    time = pyarrow.timestamp("ms", tz="UTC")
    schema = pyarrow.schema(
        [
            *((name, text) for name in ("study", "path", "series", "status", "error", "folder")),
            ("warnings", pyarrow.list_(text)),
            *((name, time) for name in ("started_at", "finished_at")),
            *((f"{step}_seconds", number) for step in STEPS),
            *((name, text) for name in ("model", "model_sha256", "node")),
        ]
    )
    rows = [_row(outcome) for outcome in sorted(outcomes, key=lambda outcome: outcome.study)]
    unfinished = path.with_name(f".{path.name}-unfinished")
    try:
        parquet.write_table(pyarrow.Table.from_pylist(rows, schema), unfinished)
        os.replace(unfinished, path)
    except OSError as error:
        raise InputError(
            f"The table {path} cannot be written ({error.strerror or error}); free some space and "
            "run the same command again."
        ) from None


def _row(outcome: Outcome) -> dict[str, Any]:
    row = dataclasses.asdict(outcome)
    for name in ("study", "path"):
        # A file's name may hold bytes that are no UTF-8, which no table takes.
        row[name] = row[name].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    for name in ("started_at", "finished_at"):
        row[name] = datetime.fromisoformat(row[name]) if row[name] else None
    seconds = row.pop("seconds")
    return {**row, **{f"{step}_seconds": seconds.get(step) for step in STEPS}}
