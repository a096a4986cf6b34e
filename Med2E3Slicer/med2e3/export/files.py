"""Files that appear whole, and all together or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from med2e3.errors import InputError


@contextmanager
def all_or_none(folder: Path) -> Iterator[Path]:
    """A hidden folder to write files into. At the end they all move to ``folder``; after an
    exception there is none of them. Raises InputError where the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder))
    except OSError as error:
        raise _refused(folder, error) from None
    try:
        yield unfinished
        _move_all(unfinished, folder)
    except OSError as error:
        raise _refused(folder, error) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _move_all(source: Path, folder: Path) -> None:
    moved: list[Path] = []
    try:
        for file in sorted(source.iterdir()):
            os.replace(file, folder / file.name)
            moved.append(folder / file.name)
    except OSError:
        for file in moved:
            file.unlink(missing_ok=True)
        raise


def _refused(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"The folder {folder} cannot be written ({error.strerror or error}); free some space or "
        "choose another one."
    )
