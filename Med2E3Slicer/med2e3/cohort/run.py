"""The whole story of a cohort: what is left to do, the pipeline, the table, the summary."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from med2e3.cluster import Place
from med2e3.cohort.outcomes import Outcome, now, write_table
from med2e3.cohort.pipeline import Work, answer_all
from med2e3.cohort.results import Results
from med2e3.cohort.settings import Settings
from med2e3.cohort.studies import Study
from med2e3.model import EMBEDDED, read_configuration

_SECONDS_BETWEEN_TABLES = 60.0


@dataclass(frozen=True)
class Summary:
    """How a run ended: how many studies there are, and how many of them have each status.

    ``before`` counts those that were done when it began, ``seconds`` how long it took; ``table``
    is the file where all is written down.
    """

    studies: int
    done: int
    partial: int
    failed: int
    before: int
    seconds: float
    table: str


class Progress(Protocol):
    """Told (done, total, failed): the studies that are through, all of them, and those that failed
    among the former."""

    def __call__(self, done: int, total: int, failed: int) -> None: ...


def run_cohort(
    studies: Sequence[Study], settings: Settings, place: Place, out: Path, progress: Progress
) -> Summary:
    """Answer all studies whose results are not in ``out`` yet, and write the table of all.

    Studies that failed in an earlier run are tried again. However a run ends, what is done is
    kept, and the same call goes on from there. Raises :class:`~med2e3.errors.InputError` for a
    folder or a cluster that cannot be used, :class:`~med2e3.errors.Med2E3Error` where the model
    cannot be loaded or Ray fails.
    """
    started = time.monotonic()
    results = Results(out.absolute())
    with results.claimed(settings):
        names = {study.name for study in studies}
        done = results.done() & names
        left = [study for study in studies if study.name not in done]
        outcomes = {study.name: _waiting(study) for study in studies} | results.outcomes()
        try:
            if left:
                _answer(left, settings, place, results, outcomes, progress)
        finally:
            # A run that is stopped has written more than it has heard of.
            outcomes |= results.outcomes()
            write_table(results.table, outcomes.values())
    statuses = Counter(outcomes[name].status for name in names)
    return Summary(
        studies=len(studies),
        done=statuses["done"],
        partial=statuses["partial"],
        failed=statuses["failed"],
        before=len(done),
        seconds=time.monotonic() - started,
        table=str(results.table),
    )


def _answer(
    left: Sequence[Study],
    settings: Settings,
    place: Place,
    results: Results,
    outcomes: dict[str, Outcome],
    progress: Progress,
) -> None:
    """Answer what is left, and put each outcome among the others as it comes."""
    size = read_configuration(place.model_folder or EMBEDDED).vision3d.volume_size
    work = Work(place.model_folder, size, place.device, settings, results)
    expected = {study.identifier: study for study in left}
    through, failed = len(outcomes) - len(left), 0
    table_at = time.monotonic()
    with place.ray() as shares:
        progress(through, len(outcomes), failed)
        for outcome in answer_all(left, work, shares):
            outcomes[expected.pop(outcome.study).name] = outcome
            through, failed = through + 1, failed + (outcome.status != "done")
            progress(through, len(outcomes), failed)
            if time.monotonic() - table_at > _SECONDS_BETWEEN_TABLES:
                write_table(results.table, outcomes.values())
                table_at = time.monotonic()
    for study in expected.values():
        outcomes[study.name] = _lost(study)
        results.keep_failure(study, outcomes[study.name])


def _waiting(study: Study) -> Outcome:
    return Outcome(study.identifier, study.path, study.series, "waiting")


def _lost(study: Study) -> Outcome:
    return Outcome(
        study.identifier,
        study.path,
        study.series,
        "failed",
        "Ray lost the study on its way to the model; run the same command again.",
        finished_at=now(),
    )
