"""``med2e3 bench``: how fast the engine is, beside the machine's limits and the released way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from med2e3.command.options import AsJson, Device, DeviceOption, Dtype, ModelFolder
from med2e3.command.told import Debug, told


@told
def bench(
    model: ModelFolder = None,
    full_size: Annotated[
        Path | None,
        typer.Option(
            "--full-size",
            metavar="DIR",
            show_default=False,
            help="Measure random weights of the released dimensions, which are written into DIR "
            "(8.7 GB) if they are not there.",
        ),
    ] = None,
    dtypes: Annotated[
        list[Dtype] | None,
        typer.Option(
            "--dtype",
            show_default=False,
            help="A precision to measure; several may be given. Without it, all.",
        ),
    ] = None,
    pairs: Annotated[
        int, typer.Option("--pairs", metavar="N", min=1, help="Runs of each way, in turn.")
    ] = 3,
    released_pairs: Annotated[
        int | None,
        typer.Option(
            "--released-pairs",
            metavar="N",
            min=0,
            show_default=False,
            help="Fewer runs of the released way, which takes longer.",
        ),
    ] = None,
    tokens: Annotated[int, typer.Option("--tokens", metavar="N", min=2)] = 64,
    questions: Annotated[
        int,
        typer.Option(
            "--questions",
            metavar="N",
            min=0,
            help="Also ask N questions about one volume, and look whether anything grows.",
        ),
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            show_default=False,
            help="Write bench.json and figures into DIR.",
        ),
    ] = None,
    device: DeviceOption = Device.auto,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Time every stage of an answer, here and as the released code goes about it."""
    from med2e3.bench import around, comparing
    from med2e3.bench.figures import draw_growth, draw_stages
    from med2e3.bench.full_size import write_full_size
    from med2e3.bench.table import table
    from med2e3.errors import InputError

    tell = comparing.tell
    if full_size and model:
        raise InputError("Give either --model or --full-size.")
    folder = write_full_size(full_size, lambda part: tell(f"write {part}")) if full_size else model
    names = [one.value for one in dtypes or (*list(Dtype)[1:], Dtype.auto)]
    found = comparing.measure_each(
        folder,
        names,
        device=device.value,
        tokens=tokens,
        pairs=pairs,
        released_pairs=released_pairs,
    )
    tell("what is beside the model")
    beside = {"cold_start": around.cold_start(pairs), **around.scan_to_model(pairs)}
    beside["encoders"] = around.encoders(folder, tell)
    growth = around.growth(folder, names[0], questions) if questions else None
    result = {
        "precisions": found,
        "around": beside,
        "growth": growth,
        "ratios": comparing.ratios(found, beside["encoders"]),
    }
    if out:
        out.mkdir(parents=True, exist_ok=True)
        (out / "bench.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        draw_stages(out / "bench-stages.png", found)
        if growth:
            draw_growth(out / "bench-growth.png", growth)
    print(json.dumps(result) if as_json else table(result))
