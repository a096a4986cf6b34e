"""Features of frozen encoders, kept on disk: each volume is encoded once for a whole run.

One file for each encoder, float16, a row for each volume; its name is a fingerprint of the
encoder's weights and of the volumes (names, sizes, times). When one of them changes, the file is
made anew and the old one removed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from med2e3.training.records import Progress, open_volume

_SAVE_EVERY = 256
"""Volumes after which what is done is noted, so that a run that was killed goes on from there."""

Encode = Callable[[torch.Tensor], torch.Tensor]
"""One volume [1, 1, slices, rows, columns] to its features."""


class Features:
    """Features by volume, mapped into memory."""

    def __init__(self, rows: NDArray[np.float16], volumes: Sequence[str]) -> None:
        self._rows = rows
        self._row_of = {volume: row for row, volume in enumerate(volumes)}

    def of(self, volumes: Sequence[str]) -> torch.Tensor:
        """[volumes, …], float32."""
        rows = self._rows[[self._row_of[volume] for volume in volumes]]
        return torch.from_numpy(rows.astype(np.float32))


def cached_features(
    folder: Path,
    name: str,
    encoder: nn.Module,
    encode: Encode,
    images: Path,
    volumes: Sequence[str],
    *,
    progress: Progress = lambda done, total: None,
) -> Features:
    """The features of ``volumes`` (paths relative to ``images``), from disk or made now."""
    volumes = sorted(volumes)
    fingerprint = _fingerprint(encoder, images, volumes)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{fingerprint}.npy"
    for old in folder.glob(f"{name}-*"):
        if not old.name.startswith(path.stem):
            old.unlink()
    if not path.is_file():
        _write(path, encode, images, volumes, progress)
    return Features(np.load(path, mmap_mode="r", allow_pickle=False), volumes)


@torch.inference_mode()
def _write(
    path: Path, encode: Encode, images: Path, volumes: Sequence[str], progress: Progress
) -> None:
    partial, note = path.with_suffix(".partial"), path.with_suffix(".json")
    done = _done(note) if partial.is_file() else 0
    rows: Any = np.load(partial, mmap_mode="r+", allow_pickle=False) if done else None
    for number in range(done, len(volumes)):
        # The files may be of another precision than the encoder, and are read once.
        volume = torch.from_numpy(np.array(open_volume(images / volumes[number]), np.float32))
        features = encode(volume[None])[0].to(torch.float16).cpu().numpy()
        if rows is None:
            shape = (len(volumes), *features.shape)
            rows = np.lib.format.open_memmap(partial, "w+", np.float16, shape)
        rows[number] = features
        progress(number + 1, len(volumes))
        if (number + 1) % _SAVE_EVERY == 0:
            rows.flush()
            note.write_text(json.dumps({"done": number + 1}), encoding="utf-8")
    rows.flush()
    partial.rename(path)
    note.unlink(missing_ok=True)


def _done(note: Path) -> int:
    try:
        return int(json.loads(note.read_text(encoding="utf-8"))["done"])
    except (OSError, ValueError, KeyError):
        return 0


def _fingerprint(encoder: nn.Module, images: Path, volumes: Sequence[str]) -> str:
    found = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        found.update(name.encode())
        found.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    for volume in volumes:
        status = (images / volume).stat()
        found.update(f"{volume} {status.st_size} {status.st_mtime_ns}\n".encode())
    return found.hexdigest()[:16]
