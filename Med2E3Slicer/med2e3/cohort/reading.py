"""Step one, on any processor: from a study's files to what the model sees of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from med2e3.cohort.outcomes import Clock, now, sentence_of
from med2e3.cohort.studies import Study, is_scan_name
from med2e3.cohort.tries import Tries
from med2e3.errors import InputError
from med2e3.volume import PreparedVolume, Series, list_series, prepare, read_scan


# Ray writes into its logs what no column takes; nothing of a study may stand there.
@dataclass(frozen=True, eq=False, repr=False)
class ReadStudy:
    """A study on its way to the model: prepared, or with the sentence why it cannot be.

    ``source`` is the file or folder and ``series`` the UID that were read in the end ("" for a
    file), ``seconds`` count by step.
    """

    study: Study
    started_at: str
    source: str = ""
    series: str = ""
    prepared: PreparedVolume | None = None
    warnings: tuple[str, ...] = ()
    error: str = ""
    seconds: dict[str, float] = field(default_factory=dict)


def read_study(
    study: Study, plane: str, window: str, size: tuple[int, int, int], tries: Tries
) -> ReadStudy:
    """Read and prepare a study. Whatever is wrong with it comes back as its ``error``.

    ``plane``, ``window`` and ``size`` are those of :func:`med2e3.volume.prepare`.
    """
    started_at, clock = now(), Clock()
    try:
        with tries.trying(study.name, "read"):
            with clock("read"):
                source, series, warnings = _what_to_read(study)
                scan = read_scan(source, series or None)
            with clock("preprocess"):
                prepared = prepare(scan, plane=plane, window=window, size=size)
    except Exception as error:
        return ReadStudy(study, started_at, error=sentence_of(error), seconds=clock.seconds)
    warnings = (*warnings, *scan.warnings, *prepared.warnings)
    return ReadStudy(
        study, started_at, str(source), series, prepared, warnings, seconds=clock.seconds
    )


def _what_to_read(study: Study) -> tuple[Path, str, tuple[str, ...]]:
    """The file or folder of a study's scan, the UID of its series, and what to tell of the choice.

    A folder with one scan file in it, however deep, stands for the file. Of several DICOM series
    the one with the most images is read.
    """
    path = Path(study.path)
    if not path.is_dir():
        return path, study.series, ()
    scans = [] if study.series else _scan_files(path)
    if len(scans) > 1:
        raise InputError(
            f"{path} holds {len(scans)} scans ({scans[0].name}, {scans[1].name}…); name the one to "
            "read in a manifest."
        )
    if scans:
        return scans[0], "", ()
    if study.series:
        return path, study.series, ()
    series = list_series(path)
    chosen = _largest(series)
    if len(series) == 1:
        return path, chosen.uid, ()
    return (
        path,
        chosen.uid,
        (
            f"The folder holds {len(series)} series, and the one with the most images was read "
            f"({chosen}); name another in the column series of a manifest.",
        ),
    )


def _scan_files(folder: Path) -> list[Path]:
    return sorted(
        Path(place, name)
        for place, _, names in os.walk(folder)
        for name in names
        if is_scan_name(name) and not name.startswith(".")
    )


def _largest(series: tuple[Series, ...]) -> Series:
    """The series with the most images; localizers come last, and of two alike the lower number
    comes first."""

    def order(one: Series) -> tuple[bool, int, int, str]:
        return one.is_localizer, -one.slices, int(one.number or 0), one.uid

    return min(series, key=order)
