"""The folder of a cohort's results. What is in it is whole, and is never done again.

::

    settings.json            what the results were made with
    manifest.parquet         the table of all studies, made from the outcomes
    studies/NAME/            one study: its files, and outcome.json
    failed/NAME.json         the outcome of a study that failed last time

A study's folder is made under a hidden name and renamed when all of its files are on the disk, so
it is there with its outcome or not at all, whenever a process or the power is cut. No other file
says what is done: the table can be lost and made again.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from med2e3.cohort.outcomes import Outcome
from med2e3.cohort.settings import Settings
from med2e3.cohort.studies import Study
from med2e3.errors import InputError

TABLE = "manifest.parquet"

_OUTCOME = "outcome.json"
_SETTINGS = "settings.json"
_UNFINISHED = ".unfinished-"


class Results:
    """The results' folder, as each process that works on the cohort sees it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.table = folder / TABLE
        self.tries = folder / ".tries"
        self._studies = folder / "studies"
        self._failed = folder / "failed"

    @contextmanager
    def claimed(self, settings: Settings) -> Iterator[None]:
        """Hold the folder for one run. Raises :class:`~med2e3.errors.InputError` where another run
        holds it, where it has results of other settings, and where it cannot be written."""
        lock = FileLock(self.folder / ".lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            raise InputError(
                f"Another run is writing to {self.folder}; wait for its end, or choose another "
                "folder with --out."
            ) from None
        except OSError as error:
            raise InputError(
                f"The folder {self.folder} cannot be written ({error.strerror or error}); choose "
                "another with --out."
            ) from None
        try:
            self._settle(settings)
            self._clear()
            yield
        finally:
            shutil.rmtree(self.tries, ignore_errors=True)
            lock.release()

    def done(self) -> set[str]:
        """The names of the studies whose results are there."""
        return {entry.name for entry in os.scandir(self._studies) if not entry.name.startswith(".")}

    def outcomes(self) -> dict[str, Outcome]:
        """What became of every study so far, by its name."""
        files = {file.stem: file for file in self._failed.glob("*.json")}
        files |= {name: self._studies / name / _OUTCOME for name in self.done()}
        return {name: self._read(file) for name, file in files.items()}

    def outcome(self, study: Study) -> Outcome | None:
        """What became of a study whose results are there; None if they are not."""
        file = self._studies / study.name / _OUTCOME
        return self._read(file) if file.is_file() else None

    def folder_of(self, study: Study) -> str:
        """Where a study's results are, seen from the results' folder."""
        return f"{self._studies.name}/{study.name}"

    @contextmanager
    def unfinished(self) -> Iterator[Path]:
        """A hidden folder to make a study's files in; it is gone afterwards."""
        folder = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self._studies))
        # Others may read the results: the folder is as open as the one that it lies in.
        folder.chmod(self._studies.stat().st_mode & 0o777)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def keep(self, study: Study, outcome: Outcome, unfinished: Path) -> None:
        """Put a study's files in place, with their outcome, all at once.

        What was there before stays: then another process has finished the study meanwhile.
        """
        (unfinished / _OUTCOME).write_text(outcome.as_json(), encoding="ascii")
        for folder, _, files in os.walk(unfinished):
            for name in files:
                _to_disk(Path(folder, name))
        try:
            os.rename(unfinished, self._studies / study.name)
        except OSError:
            if self.outcome(study) is None:
                raise
        _failed_file(self._failed, study).unlink(missing_ok=True)

    def keep_failure(self, study: Study, outcome: Outcome) -> None:
        """Write down that a study failed, and why."""
        _write_whole(_failed_file(self._failed, study), outcome.as_json())

    def _settle(self, settings: Settings) -> None:
        file = self.folder / _SETTINGS
        wanted = dataclasses.asdict(settings)
        if not file.exists():
            if any(self.folder.glob("studies/*")):
                raise InputError(
                    f"{self.folder} has results, and {file.name} is missing that tells what they "
                    "were made with; choose another folder with --out."
                )
            _write_whole(file, json.dumps(wanted, ensure_ascii=True, indent=2) + "\n")
            return
        found = _read_json(file)
        different = [name for name, value in wanted.items() if found.get(name) != value]
        if different:
            named = ", ".join(name.replace("_", " ") for name in different)
            raise InputError(
                f"{self.folder} has results of other settings ({named}; see {file}); use the same "
                "ones, or choose another folder with --out."
            )

    def _clear(self) -> None:
        """Remove what a run that was killed has left."""
        for folder in (self._studies, self._failed):
            folder.mkdir(exist_ok=True)
        for left in self._studies.glob(_UNFINISHED + "*"):
            shutil.rmtree(left, ignore_errors=True)
        shutil.rmtree(self.tries, ignore_errors=True)
        self.tries.mkdir(exist_ok=True)

    def _read(self, file: Path) -> Outcome:
        try:
            return Outcome.from_json(file.read_text(encoding="ascii"))
        except (OSError, ValueError, TypeError, KeyError):
            raise InputError(
                f"{file} is damaged; remove {file.parent if file.name == _OUTCOME else file} to "
                "have its study done again."
            ) from None


def _failed_file(folder: Path, study: Study) -> Path:
    return folder / f"{study.name}.json"


def _read_json(file: Path) -> dict[str, object]:
    try:
        found = json.loads(file.read_text(encoding="ascii"))
        if isinstance(found, dict):
            return found
    except (OSError, ValueError):
        pass
    raise InputError(f"{file} is damaged; choose another folder with --out.")


def _write_whole(file: Path, text: str) -> None:
    unfinished = file.with_name(f".{file.name}-{os.getpid()}")
    unfinished.write_text(text, encoding="ascii")
    _to_disk(unfinished)
    os.replace(unfinished, file)


def _to_disk(file: Path) -> None:
    # A power cut can keep a name and lose what was written to it.
    with open(file, "rb+") as written:
        os.fsync(written.fileno())
