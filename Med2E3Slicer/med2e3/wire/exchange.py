"""The files through which voxels travel between a client and its worker.

A client makes one private folder for itself and puts each volume there as a ``.npy`` file that
the worker maps into memory. Who made a file removes it. If the client died, the worker removes
the folder of each file that it was shown, and the next start removes what nobody could.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

_PREFIX = "med2e3-exchange-"
_NAME = re.compile(re.escape(_PREFIX) + r"(\d+)-.+")


def create_exchange_folder(parent: str | None = None) -> Path:
    """A new folder that only this user can enter, in the system's temporary folder.

    Its name carries this process's id, so that :func:`remove_stale_exchange_folders` can tell
    whose it was.
    """
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))


def create_private_file(folder: Path, name: str) -> Path:
    """A new empty file in ``folder`` that only this user can read. FileExistsError if it exists."""
    path = folder / name
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    return path


def is_exchange_file(path: Path) -> bool:
    """Whether a path lies directly in a folder that :func:`create_exchange_folder` made."""
    return _NAME.fullmatch(path.parent.name) is not None


def remove_exchange_folder(folder: Path) -> None:
    """Remove a folder that :func:`create_exchange_folder` made, and no other."""
    if _NAME.fullmatch(folder.name):
        shutil.rmtree(folder, ignore_errors=True)


def remove_stale_exchange_folders(parent: str | None = None) -> None:
    """Remove what processes of this user left behind that are not running any more."""
    for folder in Path(parent or tempfile.gettempdir()).glob(_PREFIX + "*"):
        match = _NAME.fullmatch(folder.name)
        if match and not _process_is_running(int(match.group(1))):
            remove_exchange_folder(folder)


def _process_is_running(process_id: int) -> bool:
    if sys.platform == "win32":
        import ctypes

        # os.kill would end the process there, whatever the signal.
        handle = ctypes.windll.kernel32.OpenProcess(0x1000, False, process_id)
        if handle:
            ctypes.windll.kernel32.CloseHandle(handle)
        return bool(handle)
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return not _is_zombie(process_id)


def _is_zombie(process_id: int) -> bool:
    """Whether a process has ended and its parent has not asked how. Linux alone tells it here."""
    try:
        status = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    # The program's name stands in brackets, and may have brackets and blanks in it.
    return status.rpartition(")")[2].split()[:1] == ["Z"]
