"""``med2e3 train``: train a model, stage by stage; a run that was killed goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from med2e3.command.told import Debug, told


@told
def train(
    config: Annotated[
        Path,
        typer.Option(
            "--config", metavar="FILE", show_default=False, help="The recipe: configs/*.yaml."
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(
            "--data", metavar="DIR", show_default=False, help="The folder with the record files."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="DIR", show_default=False, help="Where the run and its model go."
        ),
    ],
    stage: Annotated[
        list[str] | None,
        typer.Option(
            "--stage",
            metavar="NAME",
            show_default=False,
            help="Train this stage alone (may be given several times); without it, all.",
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads", metavar="N", min=1, show_default=False, help="CPU threads to use."
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            show_default=False,
            help="Change a setting of the recipe, such as stages.tune.trainer.num_train_epochs=1.",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Train a model. Run the same command again to go on after an interruption."""
    from med2e3.training import read_plan
    from med2e3.training import train as run

    folder = run(read_plan(config, setting or []), data, out, stages=stage or [], threads=threads)
    if folder.is_dir():
        print(folder)
