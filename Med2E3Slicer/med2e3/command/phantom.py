"""``med2e3 phantom``: a synthetic scan to try everything with, and to show faults with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from med2e3.command.told import Debug, told

app = typer.Typer()

Seed = Annotated[
    int, typer.Option("--seed", metavar="N", min=0, help="Another number, another phantom.")
]
OutFolder = Annotated[
    Path,
    typer.Option(
        "--out", metavar="DIR", help="Write phantom.nrrd and truth.json into DIR.",
        show_default=False,
    ),
]  # fmt: skip


@app.callback(invoke_without_command=True)
@told
def phantom(out: OutFolder, seed: Seed = 0, debug: Debug = False) -> None:
    """Write a synthetic chest CT with a nodule at a known place. No patient is in it."""
    from med2e3.errors import InputError
    from med2e3.phantoms import chest_phantom, write_phantom

    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; --out takes a folder.")
    made = chest_phantom(seed)
    try:
        scan = write_phantom(made, out)
    except OSError as error:
        raise InputError(
            f"The folder {out} cannot be written ({error.strerror or error}); choose another with "
            "--out."
        ) from error
    right, front, up = made.nodule.center_ras
    print(
        f"{scan}: a nodule of {2 * made.nodule.radius:.0f} mm at "
        f"R {right:.1f}  A {front:.1f}  S {up:.1f} mm"
    )
