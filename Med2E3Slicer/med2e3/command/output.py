"""What ``--json`` prints and ``--out`` writes."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from med2e3.errors import InputError

if TYPE_CHECKING:
    from med2e3.service.answering import OpenScan
    from med2e3.wire.messages import Answer, Answered


def as_one_json(answer: Answer) -> str:
    """The answer as one line of JSON, in ASCII: whoever reads stdout may not expect UTF-8."""
    return json.dumps(dataclasses.asdict(answer), allow_nan=False)


class OutputFolder:
    """The folder of ``--out``: all of its files appear, or none.

    Entering it tests at once that the folder can be written, before the model works for minutes.
    The files are made in a hidden folder beside their place and moved when all are complete.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._unfinished: Path | None = None

    def __enter__(self) -> OutputFolder:
        if self._path is None:
            return self
        try:
            # A name that is too long for the system shows here.
            if self._path.exists() and not self._path.is_dir():
                raise InputError(f"{self._path} is a file; --out takes a folder.")
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=self._path.parent))
            if self._path.is_dir() and not os.access(self._path, os.W_OK):
                raise PermissionError(13, "Permission denied")
        except OSError as error:
            self._remove_unfinished()
            raise InputError(
                f"The folder {self._path} cannot be written ({error.strerror}); "
                "choose another with --out."
            ) from None
        return self

    def __exit__(self, *error: object) -> None:
        self._remove_unfinished()

    def write(self, opened: OpenScan, answered: Answered) -> None:
        if self._path is None or self._unfinished is None:
            return
        from med2e3.service.result import write_result

        try:
            write_result(self._unfinished, opened.prepared, answered)
            self._path.mkdir(exist_ok=True)
            for file in self._unfinished.iterdir():
                os.replace(file, self._path / file.name)
        except OSError as error:
            raise InputError(
                f"The results could not be written to {self._path} ({error.strerror}); "
                "free some space or choose another folder with --out."
            ) from None

    def _remove_unfinished(self) -> None:
        if self._unfinished is not None:
            shutil.rmtree(self._unfinished, ignore_errors=True)
