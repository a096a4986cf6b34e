"""The files of a run: written whole or not at all, linked where they are the same.

A run's folder holds ``config.yaml``, ``data.json`` (fingerprints, and what was left out),
``run.json`` (revision and versions), ``initial/`` (the model before training), ``stages/NAME/``
(``model/``, a complete checkpoint; ``metrics/``, for TensorBoard; ``stage.json``), ``features/``
(of frozen encoders) and in the end ``model/``, the trained model with its card.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from med2e3.model.checkpoint import PARTS

FOLDER_OF = {
    "llm": "llm",
    "vision2d_model": "vision2d_model",
    "vision2d_connector": "vision2d_connector",
    "vision3d_model": "vision3d_model",
    "text_model": "vision3d_model",
    "vision3d_connector": "vision3d_connector",
    "text_mlp": "vision3d_connector",
}
"""The folder of a checkpoint that holds each module of the network."""


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file whole or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two stages may be trained at once in one folder.
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def read_json_or_nothing(path: Path) -> dict[str, Any]:
    """The table in a JSON file; empty if there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def link_checkpoint(folder: Path, root: Path, parts: dict[str, Path]) -> None:
    """Make a checkpoint of others' files without copying them where the disk can link.

    ``root`` is the checkpoint that gives configuration and tokenizers, ``parts`` the checkpoint
    that gives each part's folder. A part that is not there is left out.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in root.iterdir():
        if path.is_file():
            link(path, folder / path.name)
    for part in PARTS:
        (folder / part).mkdir()
        sources = {path.name: path for path in (root / part).iterdir() if _is_no_weights(path)}
        if part in parts:
            sources |= {path.name: path for path in (parts[part] / part).iterdir()}
        for name, path in sources.items():
            link(path, folder / part / name)


def link(source: Path, target: Path) -> None:
    """The same file under another name, or a copy where the disk cannot do that."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def put_in_place(made: Path, place: Path) -> None:
    """Give a finished folder its name, unless another process has put the same there meanwhile."""
    try:
        made.rename(place)
    except OSError:
        if not place.is_dir():
            raise
        shutil.rmtree(made)


def sha256_of(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(2**22):
            found.update(piece)
    return found.hexdigest()


def _is_no_weights(path: Path) -> bool:
    return path.suffix not in (".safetensors", ".bin") and not path.name.endswith(".index.json")
