"""Voxels from the network: into a private file, never more than allowed, and prepared at once.

The file is gone as soon as the model's own, smaller volume is made of it.
"""

from __future__ import annotations

import secrets
import zlib
from collections.abc import AsyncIterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from med2e3.errors import InputError
from med2e3.service.local import scan_of
from med2e3.volume import PreparedVolume, prepare
from med2e3.wire.exchange import create_private_file
from med2e3.wire.messages import OpenVolume


class TooLargeError(InputError):
    """More bytes came than one volume may have."""


async def receive(
    body: AsyncIterator[bytes], folder: Path, most_bytes: int, *, is_packed: bool
) -> Path:
    """Write a request's body to a new file that only this user can read.

    ``is_packed`` tells that it comes as gzip. Raises :class:`TooLargeError`, and InputError where
    it cannot be unpacked or written; no file is left then.
    """
    path = create_private_file(folder, f"{secrets.token_hex(16)}.npy")
    try:
        with _writing(path) as file:
            sink = _Sink(file, most_bytes, zlib.decompressobj(wbits=31) if is_packed else None)
            async for piece in body:
                sink.take(piece)
            sink.end()
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def prepare_received(
    params: OpenVolume, size: tuple[int, int, int]
) -> tuple[PreparedVolume, tuple[str, ...]]:
    """What the model sees of a received file, and sentences for the user. Removes the file."""
    try:
        scan = scan_of(params)
        prepared = prepare(scan, plane=params.plane, window=params.window, size=size)
        return prepared, (*scan.warnings, *prepared.warnings)
    finally:
        Path(params.voxels).unlink(missing_ok=True)


class _Sink:
    """Takes pieces as they come, and counts what they are unpacked: few bytes can hold many."""

    def __init__(self, file: BinaryIO, most_bytes: int, unpacker: Any) -> None:
        self._file = file
        self._most_bytes = most_bytes
        self._unpacker = unpacker
        self._taken = 0

    def take(self, piece: bytes) -> None:
        if self._unpacker is None:
            self._write(piece)
            return
        while piece:
            try:
                self._write(self._unpacker.decompress(piece, 2**20))
            except zlib.error as error:
                raise InputError(
                    "The body is no gzip, as its Content-Encoding says; send it again."
                ) from error
            piece = self._unpacker.unconsumed_tail

    def end(self) -> None:
        if self._unpacker is not None and not self._unpacker.eof:
            raise InputError("The body ends before its gzip does; send it again.")

    def _write(self, data: bytes) -> None:
        self._taken += len(data)
        if self._taken > self._most_bytes:
            raise TooLargeError(
                f"The volume has more than the {self._most_bytes / 2**20:.0f} MB that this server "
                "takes; send it with 16-bit voxels, or cropped."
            )
        self._file.write(data)


@contextmanager
def _writing(path: Path) -> Any:
    try:
        with path.open("wb") as file:
            yield file
    except OSError as error:
        raise InputError(
            f"The server cannot keep the volume while it is read ({error.strerror}); tell its "
            "keeper."
        ) from error
