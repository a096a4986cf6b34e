"""``med2e3 report``, ``ask`` and ``attend``: one scan, one request, one answer."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from tqdm import tqdm

from med2e3.command.options import (
    AfterFiles,
    AsJson,
    Device,
    DeviceOption,
    DicomOut,
    Dtype,
    DtypeOption,
    MaxNewTokens,
    ModelFolder,
    OutFolder,
    PdfFile,
    Plane,
    PlaneOption,
    SeriesUid,
    VolumePath,
    WindowOption,
)
from med2e3.command.told import Debug, told

if TYPE_CHECKING:
    from med2e3.service.answering import OpenScan
    from med2e3.wire.messages import Answer, Answered

Question = Annotated[str, typer.Argument(metavar="QUESTION", show_default=False)]
Text = Annotated[
    str,
    typer.Argument(metavar="TEXT", help="What the slices are scored for.", show_default=False),
]


@told
def report(
    volume: VolumePath,
    model: ModelFolder = None,
    plane: PlaneOption = Plane.axial,
    window: WindowOption = "auto",
    device: DeviceOption = Device.auto,
    dtype: DtypeOption = Dtype.auto,
    max_new_tokens: MaxNewTokens = None,
    series: SeriesUid = None,
    out: OutFolder = None,
    pdf: PdfFile = None,
    dicom: DicomOut = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write a draft report of a scan."""
    from med2e3.command.exports import Exports
    from med2e3.service.answering import generate

    exports = Exports(volume, series, pdf, dicom)

    def request(opened: OpenScan, on_token: Callable[[str, int], None]) -> Answered:
        return generate(opened, "report", "", max_new_tokens, on_token=on_token)

    _run(request, volume, model, plane, window, device, dtype, series, out, as_json, exports.write)


@told
def ask(
    volume: VolumePath,
    question: Question,
    model: ModelFolder = None,
    plane: PlaneOption = Plane.axial,
    window: WindowOption = "auto",
    device: DeviceOption = Device.auto,
    dtype: DtypeOption = Dtype.auto,
    max_new_tokens: MaxNewTokens = None,
    after: AfterFiles = None,
    series: SeriesUid = None,
    out: OutFolder = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Answer a question about a scan."""
    from med2e3.command.history import read_history
    from med2e3.errors import InputError
    from med2e3.service.answering import generate

    if not question.strip():
        raise InputError("The question is empty; write what you want to know about the scan.")
    history = read_history(after or [])

    def request(opened: OpenScan, on_token: Callable[[str, int], None]) -> Answered:
        return generate(
            opened, "answer", question, max_new_tokens, history=history, on_token=on_token
        )

    _run(request, volume, model, plane, window, device, dtype, series, out, as_json)


@told
def attend(
    volume: VolumePath,
    text: Text,
    model: ModelFolder = None,
    plane: PlaneOption = Plane.axial,
    window: WindowOption = "auto",
    device: DeviceOption = Device.auto,
    dtype: DtypeOption = Dtype.auto,
    series: SeriesUid = None,
    out: OutFolder = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Score the slices of a scan for a text, and write nothing."""
    from med2e3.errors import InputError
    from med2e3.service.answering import attend as attend_to

    if not text.strip():
        raise InputError("The text to score the slices for is empty.")

    def request(opened: OpenScan, on_token: Callable[[str, int], None]) -> Answered:
        return attend_to(opened, text)

    _run(request, volume, model, plane, window, device, dtype, series, out, as_json)


def _run(
    request: Callable[[OpenScan, Callable[[str, int], None]], Answered],
    volume: Path,
    model: Path | None,
    plane: Plane,
    window: str,
    device: Device,
    dtype: Dtype,
    series: str | None,
    out: Path | None,
    as_json: bool,
    finish: Callable[[OpenScan, Answered], None] = lambda opened, answered: None,
) -> None:
    # What is cheap and may be wrong comes first: nobody waits for torch to hear of a typing slip.
    from med2e3.command.output import OutputFolder, as_one_json
    from med2e3.volume import choose_window, read_scan

    with OutputFolder(out) as folder, _Stages() as stages:
        started = time.perf_counter()
        scan = read_scan(volume, series, lambda done, total: stages("read", done, total))
        read_seconds = time.perf_counter() - started
        choose_window(window, scan)

        from med2e3.model import load_model
        from med2e3.service.answering import open_scan

        network = load_model(
            model,
            device=device.value,
            dtype=dtype.value,
            progress=lambda done, total: stages("load", done, total),
        )
        opened = open_scan(network, scan, plane.value, window, progress=stages)
        stages.end()
        answered = request(opened, stages.count_token if as_json else _print_piece)
        stages.end()
        timings = {"read": read_seconds, **answered.answer.timings}
        answered = replace(answered, answer=replace(answered.answer, timings=timings))
        if as_json:
            print(as_one_json(answered.answer))
        else:
            _print_for_people(answered)
        folder.write(opened, answered)
        finish(opened, answered)


def _print_for_people(answered: Answered) -> None:
    answer = answered.answer
    if answer.text:
        print("\n")
    if answer.finish_reason == "length":
        print("(cut: the text reached the length limit)\n")
    if answer.slice_scores:
        _print_slices(answer)
    else:
        print(f"{answer.model.name} reads a scan as a whole and scores no slices.")
    print(f"\n{answer.model.draft_mark}")
    for warning in answer.warnings:
        print(f"Warning: {warning}", file=sys.stderr)


def _print_slices(answer: Answer) -> None:
    from med2e3.attention import effective_slices, has_preference, ranked

    number = effective_slices(answer.slice_scores)
    if has_preference(answer.slice_scores):
        print(f"Slices looked at most ({answer.plane}, attention worth {number:.1f} slices):")
    else:
        print(f"No clear preference among the slices ({answer.plane}); the highest scores:")
    for place in ranked(answer.slice_scores)[:5]:
        slice_ = answer.slices[place]
        right, anterior, superior = slice_.ras
        print(
            f"  slice {slice_.index:6.1f}   score {slice_.score:.3f}   "
            f"R {right:.1f}  A {anterior:.1f}  S {superior:.1f} mm"
        )


def _print_piece(text: str, token_id: int) -> None:
    print(text, end="", flush=True)


class _Stages:
    """A progress bar on stderr for each stage that takes longer than two seconds."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage = ""
        self._tokens = 0

    def __enter__(self) -> _Stages:
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        if stage != self._stage:
            self.end()
            self._stage = stage
            self._bar = tqdm(total=total, desc=stage, delay=2, file=sys.stderr, leave=False)
        self._bar.update(done - self._bar.n)

    def count_token(self, text: str, token_id: int) -> None:
        """Counts a text that is not printed as it comes. Nobody knows how long it will be."""
        self._tokens += 1
        self("write", self._tokens, None)

    def end(self) -> None:
        """Take the bar of the last stage away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
