"""``med2e3``: every command joined into one."""

from __future__ import annotations

import io
import os
import sys

import typer

from med2e3.command import (
    answer,
    batch,
    bench,
    doctor,
    evaluate,
    model,
    phantom,
    serve,
    train,
    worker,
)

app = typer.Typer(
    name="med2e3",
    help=(
        "Draft reports and answers about a 3D scan, with the slices that the model looked at. "
        "Research use only, not a medical device."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("report")(answer.report)
app.command("ask")(answer.ask)
app.command("attend")(answer.attend)
app.command("batch")(batch.batch)
app.add_typer(model.app, name="model")
app.add_typer(phantom.app, name="phantom")
app.command("train")(train.train)
app.add_typer(evaluate.app, name="evaluate")
app.command("serve")(serve.serve)
app.command("worker")(worker.worker)
app.command("doctor")(doctor.doctor)
app.command("bench")(bench.bench)


def main() -> None:
    """Run the command line. Nothing of it asks the network unless the user typed ``download``."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # As stderr always does: what the terminal or the file cannot show is written another way.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    app()
