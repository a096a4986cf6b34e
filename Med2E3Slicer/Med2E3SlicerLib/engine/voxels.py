"""Voxels on their way to the worker: into a private file, a little per turn of the event loop."""

import time
import zlib

import qt
from numpy.lib import format as npy

from med2e3.wire import exchange

from ..signal import Signal

CHUNK_BYTES = 2 * 1024 * 1024
SECONDS_PER_TURN = 0.015
"""How long one turn may write: far below what a person can feel, and still about 1 GB/s."""

_FILE_NAME = "voxels.npy"


class VoxelWriter:
    """Writes an array as a ``.npy`` file into a private folder, without holding the main thread.

    ``progress(done, total)`` in bytes, then either ``finished(path)`` or ``failed(OSError)``.
    ``checksum`` is the CRC-32 of what has been written of the array's own bytes.
    The folder belongs to whoever made the writer, who calls :meth:`remove` when it has served. It
    is a new one each time, since a worker that ends removes the folders that it was shown.
    """

    def __init__(self, array):
        self.progress = Signal()
        self.finished = Signal()
        self.failed = Signal()
        # The array of a volume lies in one piece in memory, so this is a view of it.
        self._bytes = memoryview(array.reshape(-1)).cast("B")
        self._header = npy.header_data_from_array_1_0(array)
        self.checksum = 0
        self._written = 0
        self._file = None
        self._folder = None
        self._timer = qt.QTimer()
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._writeMore)

    def start(self):
        try:
            self._folder = exchange.create_exchange_folder()
            self._file = open(exchange.create_private_file(self._folder, _FILE_NAME), "wb", 0)  # noqa: SIM115
            npy.write_array_header_1_0(self._file, self._header)
        except OSError as error:
            self._fail(error)
            return
        self._timer.start()

    def remove(self):
        """Stop writing, if that still goes on, and remove the file with its folder."""
        self._close()
        if self._folder:
            exchange.remove_exchange_folder(self._folder)

    def _writeMore(self):
        deadline = time.monotonic() + SECONDS_PER_TURN
        try:
            while self._written < len(self._bytes) and time.monotonic() < deadline:
                chunk = self._bytes[self._written : self._written + CHUNK_BYTES]
                written = self._file.write(chunk)
                self.checksum = zlib.crc32(chunk[:written], self.checksum)
                self._written += written
        except OSError as error:
            self._fail(error)
            return
        total = len(self._bytes)
        self.progress.emit(self._written, total)
        if self._written == total and self._file:
            self._close()
            self.finished.emit(self._folder / _FILE_NAME)

    def _fail(self, error):
        self.remove()
        self.failed.emit(error)

    def _close(self):
        self._timer.stop()
        if self._file:
            self._file.close()
            self._file = None
