"""Which studies a cohort has: the rows of a manifest, or what lies in a folder.

A manifest is a table (CSV, JSON or Parquet) with the columns ``path``, ``study`` (an identifier of
the user's own; the path, where it is missing) and ``series`` (a UID, where a DICOM folder has
several). Other columns are left alone. Relative paths begin at the manifest.

In a folder, each thing that lies directly in it is a study: a scan file, or a folder with a DICOM
study or one scan file.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from med2e3.errors import InputError

SCAN_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".npy")
"""How the names of scan files end. What a file really is, its content tells when it is read."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_RESERVED_ON_WINDOWS = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Study:
    """One study to read: an identifier, a file or folder, and the UID of a series ("" for any)."""

    identifier: str
    path: str
    series: str = ""

    @property
    def name(self) -> str:
        """The name of its results' folder: its identifier, where a folder can be called that."""
        if (
            _PLAIN_NAME.fullmatch(self.identifier)
            and not self.identifier.endswith(".")
            and not _RESERVED_ON_WINDOWS.fullmatch(self.identifier)
        ):
            return self.identifier
        legible = re.sub(r"[^A-Za-z0-9._-]+", "-", self.identifier).strip("-.")[:60]
        digest = hashlib.sha256(self.identifier.encode("utf-8", "surrogateescape")).hexdigest()
        return f"{legible or 'study'}-{digest[:12]}"


def is_scan_name(name: str) -> bool:
    """Whether a file is called like a scan."""
    return name.lower().endswith(SCAN_SUFFIXES)


def read_studies(source: Path) -> list[Study]:
    """The studies of a manifest or a folder, in their order there.

    Raises :class:`~med2e3.errors.InputError` where there are none, where a row names no path, and
    where two studies could not be told apart.
    """
    if source.is_dir():
        studies = _in_folder(source)
    else:
        rows = _rows(source)
        studies = [_study_of(row, source, number) for number, row in enumerate(rows, start=1)]
        if not studies:
            raise InputError(f"{source} names no study; give a row with a path for each.")
    _check_unlike(studies)
    return studies


def _in_folder(folder: Path) -> list[Study]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(
            f"The folder {folder} cannot be read ({error.strerror}); check its permissions."
        ) from None
    root = folder.resolve()
    studies = [
        Study(entry.name, str(root / entry.name))
        for entry in entries
        if not entry.name.startswith(".") and (entry.is_dir() or is_scan_name(entry.name))
    ]
    if not studies:
        raise InputError(
            f"There is no study in {folder}: each one is a NIfTI, NRRD or MHA file or a folder "
            "directly in it. For a single DICOM study give the folder that holds its folder."
        )
    return studies


def _rows(manifest: Path) -> Iterable[dict[str, Any]]:
    reader = _READERS.get(manifest.suffix.lower())
    if not manifest.is_file():
        raise InputError(f"There is no manifest or folder {manifest}; check the path.")
    if reader is None:
        raise InputError(
            f"{manifest} is no manifest: its name must end in .csv, .json or .parquet. For a "
            "single scan use `med2e3 report`."
        )
    try:
        return reader(manifest)
    except OSError as error:
        raise InputError(
            f"{manifest} cannot be read ({error.strerror or error}); check its permissions."
        ) from None
    except ValueError as error:
        raise InputError(f"{manifest} is damaged or of another kind ({error}).") from None


def _read_csv(path: Path) -> list[dict[str, Any]]:
    # Excel writes a byte order mark, and a semicolon where the comma is decimal.
    with open(path, encoding="utf-8-sig", newline="") as file:
        head = file.readline()
        file.seek(0)
        delimiter = max(",;\t", key=head.count)
        return list(csv.DictReader(file, delimiter=delimiter))


def _read_json(path: Path) -> list[dict[str, Any]]:
    found = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise ValueError('a list of objects is expected, such as [{"study": "A", "path": "a.nii"}]')
    return found


def _read_parquet(path: Path) -> list[dict[str, Any]]:
    from pyarrow import parquet

    table = parquet.read_table(path)
    wanted = [name for name in ("study", "path", "series") if name in table.column_names]
    rows: list[dict[str, Any]] = table.select(wanted).to_pylist()
    return rows


_READERS = {".csv": _read_csv, ".json": _read_json, ".parquet": _read_parquet}


def _study_of(row: dict[str, Any], manifest: Path, number: int) -> Study:
    def cell(column: str) -> str:
        value = row.get(column)
        return "" if value is None else str(value).strip()

    path = cell("path")
    if not path:
        raise InputError(
            f"Row {number} of {manifest} has no path; give the file or the folder of its scan in "
            "the column path."
        )
    # Not resolved: a file that is not there is that study's fault alone, and told with it.
    return Study(cell("study") or path, os.path.abspath(manifest.parent / path), cell("series"))


def _check_unlike(studies: list[Study]) -> None:
    seen: dict[str, Study] = {}
    for study in studies:
        # Some disks tell no capitals apart.
        other = seen.setdefault(study.name.casefold(), study)
        if other is not study:
            raise InputError(
                f"Two studies are called {study.identifier!r} and {other.identifier!r}; give each "
                "one a name of its own in the column study (capitals alone make no difference)."
            )
