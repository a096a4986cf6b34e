"""``med2e3 phantom``: a synthetic scan to try everything with, and to show faults with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from med2e3.command.told import Debug, told

app = typer.Typer()

Seed = Annotated[
    int, typer.Option("--seed", metavar="N", min=0, help="Another number, another phantom.")
]
OutFolder = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="DIR", help="Write phantom.nrrd and truth.json into DIR.",
        show_default=False,
    ),
]  # fmt: skip
Region = Annotated[
    str | None,
    typer.Option(
        "--region", metavar="R", help="head, chest, abdomen or pelvis; else the seed chooses.",
        show_default=False,
    ),
]  # fmt: skip


@app.callback(invoke_without_command=True)
@told
def phantom(
    context: typer.Context,
    out: OutFolder = None,
    seed: Seed = 0,
    region: Region = None,
    debug: Debug = False,
) -> None:
    """Write a synthetic CT with findings at known places. No patient is in it."""
    if context.invoked_subcommand:
        return
    from med2e3.errors import InputError
    from med2e3.phantoms import REGIONS, make_phantom, write_phantom

    if out is None:
        raise InputError("--out is missing: the folder to write phantom.nrrd and truth.json into.")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; --out takes a folder.")
    if region is not None and region not in REGIONS:
        raise InputError(f"--region {region} is unknown; it takes one of {', '.join(REGIONS)}.")
    made = make_phantom(seed, region=region)
    try:
        scan = write_phantom(made, out)
    except OSError as error:
        raise InputError(
            f"The folder {out} cannot be written ({error.strerror or error}); choose another with "
            "--out."
        ) from error
    print(f"{scan}: {made.region}, {made.phase}, {len(made.findings)} finding(s)")
    for finding in made.findings:
        where = " ".join(part for part in (finding.side, finding.organ, finding.level) if part)
        right, front, up = finding.center_ras
        print(
            f"  {finding.kind} ({where}), {finding.size_mm:.0f} mm, at "
            f"R {right:.1f}  A {front:.1f}  S {up:.1f} mm"
        )


def _volumes(split: str, help_: str) -> Any:
    return typer.Option(f"--{split}", metavar="N", min=0, help=help_)


@app.command()
@told
def dataset(
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Write the data set into DIR, or what is missing of it.",
            show_default=False,
        ),
    ],
    train: Annotated[int, _volumes("train", "Volumes to train with.")] = 0,
    validation: Annotated[int, _volumes("validation", "Volumes to watch training with.")] = 0,
    test: Annotated[int, _volumes("test", "Volumes to test with.")] = 0,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="How far on the seeds begin.")
    ] = 0,
    size: Annotated[
        tuple[int, int, int],
        typer.Option("--size", metavar="S R C", help="Slices, rows and columns of a volume."),
    ] = (32, 256, 256),
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", metavar="N", min=1, help="Processes that share the work; else all cores."
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Write phantoms with reports, questions and answers, as `med2e3 train` reads them."""
    from tqdm import tqdm

    from med2e3.phantoms.dataset import write_dataset

    total = train + validation + test
    with tqdm(total=total, desc="draw phantoms", file=sys.stderr, leave=False) as bar:
        write_dataset(
            out,
            train=train,
            validation=validation,
            test=test,
            seed=seed,
            size=size,
            workers=workers,
            progress=lambda done, _: bar.update(done - bar.n),
        )
    print(f"{out}: {total} volumes of {' x '.join(map(str, size))}")
