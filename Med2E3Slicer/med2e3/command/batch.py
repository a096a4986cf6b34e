"""``med2e3 batch``: a cohort overnight. Run again, it goes on where it was."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from tqdm import tqdm

from med2e3.command.options import (
    AsJson,
    Device,
    DeviceOption,
    Dtype,
    DtypeOption,
    MaxNewTokens,
    ModelFolder,
    Plane,
    PlaneOption,
    WindowOption,
)
from med2e3.command.told import Debug, told

if TYPE_CHECKING:
    from med2e3.cohort.run import Summary

SOME_FAILED = 3
"""The status of a run that came to its end, with studies in it that have no results, or not all."""


@told
def batch(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="MANIFEST_OR_FOLDER",
            help="CSV, JSON or Parquet with the columns path, study and series; or a folder in "
            "which each scan file and each folder is a study.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            show_default=False,
            help="Where the results and manifest.parquet go, and from where a run goes on.",
        ),
    ],
    model: ModelFolder = None,
    questions: Annotated[
        Path | None,
        typer.Option(
            "--questions",
            metavar="FILE",
            show_default=False,
            help="YAML with a question a line, `name: question`, to ask after each report.",
        ),
    ] = None,
    dicom: Annotated[
        bool,
        typer.Option("--dicom", help="Write DICOM objects, too, for studies that are DICOM."),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            min=1,
            show_default=False,
            help="Models that are loaded side by side; else one for each graphics card, or one a "
            "machine.",
        ),
    ] = None,
    ray_address: Annotated[
        str | None,
        typer.Option(
            "--ray-address",
            metavar="HOST:PORT",
            show_default=False,
            help="Work on this Ray cluster; else on this machine alone.",
        ),
    ] = None,
    plane: PlaneOption = Plane.axial,
    window: WindowOption = "auto",
    device: DeviceOption = Device.auto,
    dtype: DtypeOption = Dtype.auto,
    max_new_tokens: MaxNewTokens = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write draft reports of many studies. Run the same command again to go on.

    Status 0: every study has all of its results. Status 3: the run is over, and some failed; the
    table says why.
    """
    # What is cheap and may be wrong comes first.
    from med2e3.cohort import check_packages

    check_packages()
    from med2e3.cohort.settings import Settings, read_questions
    from med2e3.cohort.studies import read_studies

    studies = read_studies(source)
    asked = read_questions(questions) if questions else {}

    from med2e3.volume import check_window

    check_window(window)

    from med2e3.cluster import Place
    from med2e3.cohort.run import run_cohort
    from med2e3.model import model_identity

    identity = model_identity(model)
    settings = Settings(
        model_name=identity.name,
        model_sha256=identity.sha256,
        plane=plane.value,
        window=window,
        dtype=dtype.value,
        max_new_tokens=max_new_tokens,
        dicom=dicom,
        questions=asked,
    )
    place = Place(model and model.absolute(), device.value, workers, ray_address)
    with _Bar() as progress:
        summary = run_cohort(studies, settings, place, out, progress)
    print(json.dumps(dataclasses.asdict(summary)) if as_json else _line(summary))
    if summary.partial or summary.failed:
        raise typer.Exit(SOME_FAILED)


class _Bar:
    """A progress bar on stderr that also counts the studies that failed."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, done: int, total: int, failed: int) -> None:
        if self._bar is None:
            # What was there before says nothing of how fast this run is.
            self._bar = tqdm(
                initial=done,
                total=total,
                desc="studies",
                file=sys.stderr,
                leave=False,
                unit="study",
            )
        if failed:
            self._bar.set_postfix_str(f"{failed} failed", refresh=False)
        self._bar.update(done - self._bar.n)


def _line(summary: Summary) -> str:
    counts = [f"{summary.done} of {summary.studies} studies done"]
    if summary.partial:
        counts.append(f"{summary.partial} without DICOM objects")
    if summary.failed:
        counts.append(f"{summary.failed} failed")
    if summary.before:
        counts.append(f"{summary.before} were there before")
    return f"{', '.join(counts)}; {summary.seconds:.0f} s; {summary.table}"
