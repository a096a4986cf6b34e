"""``med2e3 model``: look at a checkpoint, hold it against known figures, export its encoders,
download the released one."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from med2e3.command.options import AsJson
from med2e3.command.told import Debug, told
from med2e3.download import (
    QUESTION_TOKENIZER,
    RELEASED_GIGABYTES,
    RELEASED_MODEL,
    download_released,
    remove_downloaded,
)
from med2e3.errors import InputError

app = typer.Typer(help="Look at, check or download a model.", no_args_is_help=True)

Folder = Annotated[
    Path | None,
    typer.Argument(
        metavar="[DIR]",
        help="Checkpoint folder; without it, the embedded model.",
        show_default=False,
    ),
]

_SECONDS_BETWEEN_LINES = 0.5


@app.command("info")
@told
def info(folder: Folder = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """Tell a checkpoint's name, hash, what it was trained on, and its parts."""
    from med2e3.model import load_model

    model = load_model(folder, device="cpu")
    identity = model.identity
    parameters = {
        name: sum(tensor.numel() for tensor in part.parameters())
        for name, part in model.named_children()
    }
    found = {
        "name": identity.name,
        "sha256": identity.sha256,
        "trained_on": identity.trained_on,
        "description": identity.description,
        "folder": str(identity.folder),
        "parameters": parameters,
    }
    if as_json:
        print(json.dumps(found))
        return
    print(f"{identity.name}: {identity.description}")
    print(f"folder   {identity.folder}")
    print(f"sha256   {identity.sha256}")
    for name, count in parameters.items():
        print(f"  {name:20} {count:>14,} parameters")
    print(f"  {'all':20} {sum(parameters.values()):>14,} parameters")


@app.command("check")
@told
def check(
    folder: Folder = None,
    cases: Annotated[
        Path | None,
        typer.Option(
            "--cases",
            metavar="FILE",
            show_default=False,
            help="cases.safetensors with cases.json beside it; without it, the files are checked.",
        ),
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Load a checkpoint, and hold every step against known figures. Status 1 if one differs."""
    from med2e3.model import load_model

    model = load_model(folder, device="cpu", dtype="float32")
    from med2e3.inference.parity import compare

    damaged = [name for name, one in model.named_parameters() if not one.isfinite().all()]
    if damaged:
        raise InputError(
            f"{len(damaged)} weights of {model.identity.folder} are not numbers (the first: "
            f"{damaged[0]}); download or copy the model again."
        )
    rows = compare(model, cases) if cases else []
    if as_json:
        found = {
            "name": model.identity.name,
            "sha256": model.identity.sha256,
            "agrees": all(row.agrees for row in rows) if cases else None,
            "steps": [dataclasses.asdict(row) for row in rows],
        }
        print(json.dumps(found))
    elif not cases:
        # One that is not would have been refused as it was loaded.
        print(f"{model.identity.name}: every file is complete and fits.")
    else:
        print(f"{'step':28} {'case':8} {'largest difference':>20} {'allowed':>10}")
        for row in rows:
            print(
                f"{row.step:28} {row.case:8} {row.difference:>20.2e} {row.tolerance:>10.0e}"
                f"  {'' if row.agrees else 'DIFFERS'}"
            )
    if not all(row.agrees for row in rows):
        raise typer.Exit(1)


@app.command("onnx")
@told
def onnx(
    folder: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)],
    debug: Debug = False,
) -> None:
    """Write both image encoders of a checkpoint as ONNX models into DIR/onnx, in float32.

    Whoever loads the checkpoint then takes them where ONNX Runtime is faster than torch.
    """
    from med2e3.model import load_model
    from med2e3.model.onnx_encoders import export_encoders

    model = load_model(folder, device="cpu", dtype="float32")
    written = export_encoders(model, folder, lambda name: print(name, file=sys.stderr, flush=True))
    print(f"The encoders are in {written}.")


@app.command("download")
@told
def download(
    folder: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Accept the terms without asking.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print how far it is, as one JSON object a line.")
    ] = False,
    stop_with_stdin: Annotated[
        bool,
        typer.Option(
            "--stop-with-stdin", help="Stop when stdin closes, as it does when Slicer ends."
        ),
    ] = False,
    debug: Debug = False,
) -> None:
    """Download the released Med-2E3 (8.7 GB) from the Hugging Face hub into DIR.

    Run it again after a break to go on. HTTPS_PROXY names a proxy, HF_ENDPOINT a mirror,
    REQUESTS_CA_BUNDLE a file with the certificates of your own network.
    """
    print(terms(), file=sys.stderr)
    if not yes and not typer.confirm("Go on?", err=True):
        raise InputError("Nothing was downloaded.")
    if stop_with_stdin:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    # The one command whose purpose is the network; the others stay offline (see main).
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        os.environ.pop(name, None)
    # Plain HTTP can be resumed byte by byte, and goes through proxies and mirrors.
    os.environ.update(HF_HUB_DISABLE_XET="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
    tell = _JsonLines() if as_json else _Bar()
    download_released(folder, tell)
    tell.close()
    if as_json:
        print(json.dumps({"folder": str(folder)}), flush=True)
    else:
        print(f"The model is in {folder}; use it with --model {folder}")


@app.command("remove")
@told
def remove(
    folder: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Remove it without asking.")] = False,
    debug: Debug = False,
) -> None:
    """Remove a model that was downloaded into DIR, or what has arrived of it."""
    if not yes and not typer.confirm(f"Remove the model in {folder}?", err=True):
        raise InputError("Nothing was removed.")
    freed = remove_downloaded(folder)
    print(f"Removed; {freed / 1e9:.1f} GB are free again.")


def terms() -> str:
    """What someone should know before they download the released model."""
    return (
        f"This downloads {RELEASED_MODEL} ({RELEASED_GIGABYTES} GB) and the question "
        f"tokenizer of {QUESTION_TOKENIZER} from the Hugging Face hub.\nThe code of Med-2E3 is "
        "under the Apache 2.0 licence. The weights were trained on M3D-Data, whose images may be "
        "used for non-commercial purposes only. They are for research, not for care."
    )


def _end_with_stdin() -> None:
    # Not sys.stdin: an ordinary end would wait for the lock that its buffer holds.
    while os.read(0, 4096):
        pass
    os._exit(130)


class _JsonLines:
    """How far a download is, for another program."""

    def __init__(self) -> None:
        self._last = ("", 0.0)

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self._last[0] or now - self._last[1] >= _SECONDS_BETWEEN_LINES or done == total:
            self._last = (stage, now)
            print(json.dumps({"stage": stage, "done": done, "total": total}), flush=True)

    def close(self) -> None:
        """Every line was written at once."""


class _Bar:
    """How far a download is, for a person at a terminal."""

    def __init__(self) -> None:
        self._stage = ""
        self._bar: Any = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        from tqdm import tqdm

        if stage != self._stage:
            self.close()
            self._stage = stage
            self._bar = tqdm(total=total, unit="B", unit_scale=True, desc=stage, leave=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
