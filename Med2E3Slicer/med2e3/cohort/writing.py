"""Step three, on any processor: a study's files, all of them or none."""

from __future__ import annotations

from pathlib import Path

from med2e3.cohort.answering import AnsweredStudy
from med2e3.cohort.outcomes import Clock, Outcome, Status, now, sentence_of
from med2e3.cohort.reading import ReadStudy
from med2e3.cohort.results import Results
from med2e3.cohort.settings import Settings
from med2e3.cohort.tries import Tries
from med2e3.errors import InputError
from med2e3.service.answering import report_of
from med2e3.service.result import write_result
from med2e3.volume import PreparedVolume
from med2e3.wire.messages import Answered


def write_study(
    answered: AnsweredStudy, settings: Settings, results: Results, tries: Tries
) -> Outcome:
    """Put all files of a study into the results, or the reason why there are none.

    What is there already stays: Ray repeats work whose process was killed, and this may have been
    done by then.
    """
    read, report = answered.read, answered.report
    if done := results.outcome(read.study):
        return done
    if read.prepared is None or report is None:
        return _failed(answered, answered.error, settings, results)
    clock = Clock(dict(answered.seconds))
    try:
        with tries.trying(read.study.name, "written"), results.unfinished() as folder:
            with clock("write"):
                missing = _write_files(folder, answered, read.prepared, report, settings)
            outcome = _outcome(
                answered,
                settings,
                "partial" if missing else "done",
                missing,
                warnings=report.answer.warnings,
                folder=results.folder_of(read.study),
                seconds=clock.seconds,
            )
            results.keep(read.study, outcome, folder)
    except Exception as error:
        return _failed(answered, sentence_of(error), settings, results)
    return outcome


def _write_files(
    folder: Path,
    answered: AnsweredStudy,
    prepared: PreparedVolume,
    report: Answered,
    settings: Settings,
) -> str:
    """Write all files that were asked for, or say which are missing and why."""
    write_result(folder, prepared, report)
    for name, answer in answered.answers.items():
        place = folder / "questions" / name
        place.mkdir(parents=True)
        write_result(place, prepared, answer)
    return _write_dicom(folder / "dicom", answered.read, prepared, report) if settings.dicom else ""


def _write_dicom(folder: Path, read: ReadStudy, prepared: PreparedVolume, report: Answered) -> str:
    if not read.series:
        return (
            "The report is there, but no DICOM objects: the scan is a file and belongs to no "
            "DICOM study."
        )
    from med2e3.export.dicom import export_dicom
    from med2e3.volume.dicom import series_files

    try:
        files = series_files(Path(read.source), read.series)
        export_dicom(report_of(prepared, report), files, folder)
    except InputError as error:
        return f"The report is there, but no DICOM objects: {error}"
    return ""


def _failed(answered: AnsweredStudy, error: str, settings: Settings, results: Results) -> Outcome:
    outcome = _outcome(
        answered, settings, "failed", error, answered.read.warnings, "", answered.seconds
    )
    results.keep_failure(answered.read.study, outcome)
    return outcome


def _outcome(
    answered: AnsweredStudy,
    settings: Settings,
    status: Status,
    error: str,
    warnings: tuple[str, ...],
    folder: str,
    seconds: dict[str, float],
) -> Outcome:
    read = answered.read
    return Outcome(
        study=read.study.identifier,
        path=read.study.path,
        series=read.series or read.study.series,
        status=status,
        error=error,
        warnings=warnings,
        folder=folder,
        started_at=read.started_at,
        finished_at=now(),
        seconds=seconds,
        model=settings.model_name,
        model_sha256=settings.model_sha256,
        node=answered.node,
    )
