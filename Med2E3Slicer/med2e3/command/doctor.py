"""``med2e3 doctor``: what is installed, what the machine has, and what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from med2e3.command.options import AsJson
from med2e3.command.told import Debug, told
from med2e3.machine import examine


@told
def doctor(
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            metavar="DIR",
            show_default=False,
            help="Look at this checkpoint too; without it, at the embedded model.",
        ),
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Tell versions, devices and memory, and what is missing. Status 2 if something is."""
    found = examine(model)
    if as_json:
        print(json.dumps(found))
    else:
        _print_for_people(found)
    if found["missing"] or found["model"]["problem"]:
        raise typer.Exit(2)


def _print_memory(needed: dict[str, int], devices: list[dict[str, Any]]) -> None:
    """What the model takes in each precision, and where there is room for it."""
    for name, size in needed.items():
        fitting = [one["name"] for one in devices if one["memory_free"] >= size]
        room = f"fits {', '.join(fitting)}" if fitting else "fits nowhere here"
        print(f"  {name:9} {size / 2**30:5.1f} GiB, {room}")


def _print_for_people(found: dict[str, Any]) -> None:
    print(f"med2e3 {found['med2e3']}, Python {found['python']} ({found['interpreter']})")
    print(found["system"])
    for package, version in found["packages"].items():
        print(f"  {package:15} {version or 'missing'}")
    problems = list(found["missing"])
    if found["machine"]:
        print("Devices:")
        for device in found["machine"]["devices"]:
            free, total = (device[name] / 2**30 for name in ("memory_free", "memory_total"))
            print(f"  {device['name']}: {free:.1f} of {total:.1f} GiB free")
    if found["model"] and found["model"]["problem"]:
        problems.append(found["model"]["problem"])
    elif found["model"]:
        print(f"Model: {found['model']['description']}")
        _print_memory(found["model"]["memory"], found["machine"]["devices"])
    if found["cpu_seconds"]:
        print(f"A report on the CPU takes about {found['cpu_seconds'] / 60:.0f} minutes.")
    for sentence in problems:
        print(sentence)
    if not problems:
        print("Nothing is missing.")
