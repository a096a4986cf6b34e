"""``med2e3 bench``: how fast the engine is, beside the machine's limits and the released way."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from med2e3.command.options import AsJson, Device, DeviceOption, ModelFolder
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
        list[str] | None,
        typer.Option("--dtype", metavar="D", help="float32, bfloat16; several may be given."),
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
    device: DeviceOption = Device.auto,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Time every stage of an answer, here and as the released code goes about it."""
    from med2e3.bench.full_size import write_full_size
    from med2e3.bench.measuring import measure
    from med2e3.bench.table import table
    from med2e3.errors import InputError

    def tell(what: str) -> None:
        print(what, file=sys.stderr, flush=True)

    if full_size and model:
        raise InputError("Give either --model or --full-size.")
    folder = write_full_size(full_size, lambda part: tell(f"write {part}")) if full_size else model
    found = [
        measure(
            folder,
            dtype,
            device=device.value,
            tokens=tokens,
            pairs=pairs,
            released_pairs=released_pairs,
            told=tell,
        )
        for dtype in dtypes or ["float32"]
    ]
    print(json.dumps({"precisions": found, "ratios": _ratios(found)}) if as_json else table(found))


def _ratios(found: list[dict[str, Any]]) -> dict[str, float | None]:
    """Across precisions: against the better of the released way's."""
    released = [one["released"]["whole"] for one in found if one["released"]]
    ours = {one["dtype"]: one for one in found}
    default = ours.get("float32", found[0])
    best = min(released) if released else None
    return {
        "first_answer": best / default["ours"]["whole"] if best else None,
        "next_question_first_token": default["ratios"].get("next_question_first_token"),
        # What these would compare is not built yet.
        "first_answer_after_click": None,
        "encoders_onnx": None,
        "decode_int4": None,
        "decode_int4_of_bandwidth": None,
    }
