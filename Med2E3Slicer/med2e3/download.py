"""The released checkpoint from the Hugging Face hub: resumed after a break, checked, then shown.

The files arrive in ``<folder>.part`` beside the folder that was asked for. Only when all of them
are there and have the hashes that the hub states does that folder get its own name, so that a
folder of this name is always whole. The hub's client does the transfer; it honours HTTPS_PROXY,
HF_ENDPOINT (a mirror), and REQUESTS_CA_BUNDLE (certificates of one's own network).
"""

from __future__ import annotations

import errno
import fnmatch
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from med2e3.errors import InputError

RELEASED_MODEL = "shiym2000/Med-2E3-M3D"
QUESTION_TOKENIZER = "GoodBaiBai88/M3D-CLIP"
"""The checkpoint lacks the vocabulary of its question encoder, which comes from here."""

RELEASED_GIGABYTES = 8.7
RELEASED_MEMORY_GIGABYTES = {"float32": 18, "bfloat16": 9}

RECORD = "downloaded.json"
"""Beside ``config.json``: where each file came from and its hash. Only a folder with this record
was made by the downloader, and only such a folder does it remove."""

Progress = Callable[[str, int, int], None]
"""Told (stage, done, total) in bytes; the stage is "download" or "verify"."""

_WANTED = (
    (
        RELEASED_MODEL,
        "",
        ("*.json", "*.txt", "tokenizer.model", "*/pytorch_model*.bin", "*/*.safetensors"),
    ),
    (
        QUESTION_TOKENIZER,
        "vision3d_model",
        ("vocab.txt", "tokenizer_config.json", "special_tokens_map.json"),
    ),
)
_TRIES = 3
_SECONDS_BETWEEN_TRIES = 1.0
_SECONDS_BETWEEN_LOOKS = 0.5
_CHUNK = 4 * 1024 * 1024


@dataclass(frozen=True)
class HubFile:
    """A file as the hub states it. Large files have a ``sha256``; the hub keeps small ones in git,
    which names them by ``git_sha1`` (of a header and the content)."""

    repository: str
    revision: str
    name: str
    path: str
    size: int
    sha256: str = ""
    git_sha1: str = ""


def download_released(folder: Path, progress: Progress = lambda stage, done, total: None) -> None:
    """Download the released checkpoint into a folder that is not there yet, or is empty.

    Call it again after a break: what has arrived is kept and the rest is fetched. Raises
    :class:`~med2e3.errors.InputError` that tells what to do about the network, the disk or a file
    that is not what the hub states.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"{folder} is there already; choose a folder that is not, or is empty."
            if not (folder / RECORD).is_file()
            else f"{folder} holds the downloaded model already."
        )
    with _sentences(folder):
        files = _stated()
        part = part_folder(folder)
        part.mkdir(parents=True, exist_ok=True)
        _check_space(part, files)
        with _watched(part, sum(file.size for file in files), progress):
            for file in files:
                _fetch(file, part)
        _verify(files, part, progress)
        _finish(files, part, folder)


def remove_downloaded(folder: Path) -> int:
    """Remove a checkpoint that was downloaded, also half of one; returns the bytes set free.

    Raises :class:`~med2e3.errors.InputError` for a folder that the downloader did not make: a
    checkpoint that someone put there is theirs.
    """
    made = [path for path in (folder, part_folder(folder)) if _was_downloaded(path)]
    if not made:
        raise InputError(
            f"{folder} was not downloaded by this program; remove it in your file manager."
        )
    freed = sum(_bytes_in(path) for path in made)
    for path in made:
        shutil.rmtree(path)
    return freed


def part_folder(folder: Path) -> Path:
    """Where the files of an unfinished download are."""
    return folder.with_name(folder.name + ".part")


def _was_downloaded(folder: Path) -> bool:
    # An unfinished one has the hub client's own notes instead of the record.
    return (folder / RECORD).is_file() or (
        folder.suffix == ".part" and (folder / ".cache" / "huggingface").is_dir()
    )


# -- the hub ---------------------------------------------------------------------------------------


def _stated() -> list[HubFile]:
    """What the hub has of the wanted files, with sizes and hashes."""
    from huggingface_hub import HfApi

    files = []
    for repository, subfolder, patterns in _WANTED:
        about = HfApi().model_info(repository, files_metadata=True)
        for sibling in about.siblings or []:
            name = sibling.rfilename
            if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns):
                continue
            if os.path.isabs(name) or ".." in Path(name).parts:
                raise InputError(
                    f"The hub names a file outside of the model's folder ({name!r}); this is not "
                    "the hub that you think it is: look at HF_ENDPOINT."
                )
            files.append(
                HubFile(
                    repository,
                    about.sha or "main",
                    name,
                    f"{subfolder}/{name}" if subfolder else name,
                    sibling.size or 0,
                    sibling.lfs.sha256 if sibling.lfs else "",
                    "" if sibling.lfs else sibling.blob_id or "",
                )
            )
    if not any(file.name == "config.json" for file in files):
        raise InputError(
            f"The hub has no {RELEASED_MODEL} with a config.json; if HF_ENDPOINT names a mirror, "
            "choose one that has this model."
        )
    return files


def _fetch(file: HubFile, part: Path) -> None:
    """Fetch a file, from where it broke if the connection breaks, as long as something arrives."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    tries = _TRIES
    while True:
        arrived = _bytes_in(part)
        try:
            hf_hub_download(
                file.repository,
                file.name,
                revision=file.revision,
                local_dir=part / Path(file.path[: -len(file.name)]),
            )
            return
        except HfHubHTTPError:
            raise
        except OSError as error:
            tries = _TRIES if _bytes_in(part) > arrived else tries - 1
            if tries == 0 or _disk_reason(error):
                raise
            time.sleep(_SECONDS_BETWEEN_TRIES)


def _verify(files: list[HubFile], part: Path, progress: Progress) -> None:
    total, done = sum(file.size for file in files), 0
    for file in files:
        path = part / file.path
        sha256 = hashlib.sha256()
        header = f"blob {path.stat().st_size}\0".encode()
        # git's own name of a file, for want of a better hash of the small ones.
        git_sha1 = hashlib.sha1(header, usedforsecurity=False)
        with path.open("rb") as content:
            while piece := content.read(_CHUNK):
                sha256.update(piece)
                git_sha1.update(piece)
                done += len(piece)
                progress("verify", done, total)
        agrees = (
            sha256.hexdigest() == file.sha256
            if file.sha256
            else git_sha1.hexdigest() == file.git_sha1
        )
        if not agrees:
            path.unlink()
            raise InputError(
                f"{file.path} did not arrive as the hub states it (its hash is another) and was "
                "removed; run the download again. If it happens again, a proxy or mirror on the "
                "way changes files: ask who runs it."
            )


def _finish(files: list[HubFile], part: Path, folder: Path) -> None:
    """Write the record and give the folder its name, which is the last step."""
    for path in [part, *part.iterdir()]:
        shutil.rmtree(path / ".cache", ignore_errors=True)
    record = {
        "verified": "against the hashes that the hub stated",
        "files": list(map(asdict, files)),
    }
    (part / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
    if folder.exists():
        folder.rmdir()
    part.rename(folder)


# -- the disk and the network ----------------------------------------------------------------------


def _check_space(part: Path, files: list[HubFile]) -> None:
    needed = sum(file.size for file in files) - _bytes_in(part)
    free = shutil.disk_usage(part).free
    if free < needed:
        raise InputError(
            f"The disk of {part.parent} has {free / 1e9:.1f} GB free and {needed / 1e9:.1f} GB are "
            "still to come; free some space or choose a folder on another disk."
        )


@contextmanager
def _watched(part: Path, total: int, progress: Progress) -> Iterator[None]:
    """Tell how many bytes have arrived, by looking at the files as they grow."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(_SECONDS_BETWEEN_LOOKS):
            progress("download", min(_bytes_in(part), total), total)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _bytes_in(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        try:
            size += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            # Renamed in this moment from its unfinished name.
            continue
    return size


@contextmanager
def _sentences(folder: Path) -> Iterator[None]:
    from huggingface_hub.errors import HfHubHTTPError

    kept = f"What has arrived is kept in {part_folder(folder)}; run the download again to go on."
    try:
        yield
    except InputError:
        raise
    except (HfHubHTTPError, OSError) as error:
        names = {type(cause).__name__ for cause in _causes(error)}
        if _disk_reason(error):
            sentence = (
                f"The disk of {folder.parent} could not take the file ({_disk_reason(error)}); "
                "free some space, or choose a folder on another disk."
            )
        elif "SSLError" in names:
            sentence = (
                "The hub's certificate was not accepted; where a network inspects connections, set "
                "REQUESTS_CA_BUNDLE to the file with its certificates."
            )
        elif "ProxyError" in names:
            sentence = "The proxy refused the connection; look at HTTPS_PROXY."
        elif isinstance(error, HfHubHTTPError) and error.response is not None:
            sentence = (
                f"The hub answered with status {error.response.status_code}; if HF_ENDPOINT names "
                "a mirror, see whether it has the model."
            )
        else:
            sentence = (
                "The hub could not be reached, or the connection broke; look at the network. "
                "Behind a proxy set HTTPS_PROXY, for a mirror HF_ENDPOINT."
            )
        raise InputError(f"{sentence} {kept}") from error


_DISK_ERRORS = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES")
    if hasattr(errno, name)
}


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _disk_reason(error: BaseException) -> str:
    """What the system said if the disk is at fault, else nothing."""
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in _DISK_ERRORS:
            return str(cause.strerror)
    return ""
