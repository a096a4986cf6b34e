"""``med2e3 model``: look at a checkpoint, hold it against known figures, download the released."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from med2e3.command.options import AsJson
from med2e3.command.told import Debug, told
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

RELEASED_MODEL = "shiym2000/Med-2E3-M3D"
QUESTION_TOKENIZER = "GoodBaiBai88/M3D-CLIP"
RELEASED_GIGABYTES = 8.7


@app.command("info")
@told
def info(folder: Folder = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """Tell a checkpoint's name, hash, whether it is trained, and its parts."""
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
        "trained": identity.trained,
        "description": identity.description,
        "folder": str(identity.folder),
        "parameters": parameters,
    }
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
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

    rows = compare(model, cases) if cases else []
    if as_json:
        found = {
            "name": model.identity.name,
            "sha256": model.identity.sha256,
            "agrees": all(row.agrees for row in rows) if cases else None,
            "steps": [dataclasses.asdict(row) for row in rows],
        }
        print(json.dumps(found, ensure_ascii=False))
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


@app.command("download")
@told
def download(
    folder: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Accept the terms without asking.")] = False,
    debug: Debug = False,
) -> None:
    """Download the released Med-2E3 (8.7 GB) from the Hugging Face hub into DIR."""
    print(
        f"This downloads {RELEASED_MODEL} ({RELEASED_GIGABYTES} GB) and the question tokenizer of "
        f"{QUESTION_TOKENIZER} from the Hugging Face hub.\nThe weights were trained on M3D-Data, "
        "whose images may be used for non-commercial purposes only. They are for research, not "
        "for care.",
        file=sys.stderr,
    )
    if not yes and not typer.confirm("Go on?", err=True):
        raise InputError("Nothing was downloaded.")
    free = shutil.disk_usage(_existing_parent(folder)).free / 1e9
    if free < RELEASED_GIGABYTES * 1.1:
        raise InputError(
            f"{folder} has {free:.1f} GB free and the model needs {RELEASED_GIGABYTES} GB; "
            "choose a folder on another disk."
        )
    _fetch(folder)
    print(f"The model is in {folder}; use it with --model {folder}")


def _fetch(folder: Path) -> None:
    import os

    # The one command whose purpose is the network; the others stay offline (see main).
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        os.environ.pop(name, None)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    weights = ["*.json", "*.txt", "tokenizer.model", "*/pytorch_model*.bin", "*/*.safetensors"]
    question_tokenizer = ["vocab.txt", "tokenizer_config.json", "special_tokens_map.json"]
    try:
        snapshot_download(RELEASED_MODEL, local_dir=folder, allow_patterns=weights)
        snapshot_download(
            QUESTION_TOKENIZER,
            local_dir=folder / "vision3d_model",
            allow_patterns=question_tokenizer,
        )
    except (HfHubHTTPError, OSError) as error:
        raise InputError(
            f"The download ended early ({type(error).__name__}); what has arrived is kept in "
            f"{folder}, so run the same command again to go on. Behind a proxy, set HTTPS_PROXY."
        ) from error


def _existing_parent(folder: Path) -> Path:
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
