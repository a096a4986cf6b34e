"""The scans that the worker holds, and the voxels of one on their way to it."""

from dataclasses import dataclass

from med2e3.wire import messages

from .engine import VoxelWriter
from .scene.freshness import identityOf, rememberChecksum
from .scene.volumes import ijkToWorld, modalityOf, stateOf, voxelsOf
from .signal import Signal


@dataclass(frozen=True)
class OpenScan:
    """A scan that the worker has encoded: what from, and what tells it from an edited one."""

    source: tuple
    identity: dict
    opened: messages.VolumeOpened


class Scans:
    """Hands scans over to the worker, and knows which ones it has.

    ``progress(done, total)`` in bytes and ``failed(OSError)`` are about the voxels.
    """

    def __init__(self, client):
        self.progress = Signal()
        self.failed = Signal()
        self._client = client
        self._open = {}
        self._writer = None

    def find(self, volumeNode, plane, window):
        """The :class:`OpenScan` of a volume as it is now, or None."""
        known = self._open.get(volumeNode.GetID())
        return known if known and known.source == _sourceOf(volumeNode, plane, window) else None

    def write(self, volumeNode, plane, window, onWritten, onEdited):
        """Write a volume's voxels to a file: ``onWritten(message, source)`` gets the
        ``OpenVolume`` for it; ``onEdited()`` tells that they were edited or moved meanwhile, so
        that what is in the file was never there."""
        source = _sourceOf(volumeNode, plane, window)
        matrix = tuple(float(value) for value in ijkToWorld(volumeNode).ravel())

        def onFinished(path):
            if _sourceOf(volumeNode, plane, window) != source:
                self.removeVoxels()
                onEdited()
                return
            rememberChecksum(volumeNode, writer.checksum)
            onWritten(messages.OpenVolume(str(path), matrix, *source[1:]), source)

        writer = self._writer = VoxelWriter(voxelsOf(volumeNode))
        writer.progress.connect(self.progress.emit)
        writer.failed.connect(self.failed.emit)
        writer.finished.connect(onFinished)

    def startWriting(self):
        """Begin to write; nothing has happened before, so that it could still be given up."""
        if self._writer:
            self._writer.start()

    def removeVoxels(self):
        """Stop writing, and leave no file."""
        if self._writer:
            self._writer.remove()
            self._writer = None

    def remember(self, volumeNode, source, opened):
        """Note that the worker has a scan open. Returns it as an :class:`OpenScan`."""
        scan = OpenScan(source, identityOf(volumeNode), opened)
        self._open[volumeNode.GetID()] = scan
        return scan

    def close(self, volumeId):
        """Let the worker give up a scan."""
        known = self._open.pop(volumeId, None)
        if known:
            self.discard(known.opened)

    def closeAll(self):
        for volumeId in list(self._open):
            self.close(volumeId)

    def discard(self, opened):
        """Let the worker give up what it has just opened."""
        self._client.request(
            "close_volume", messages.CloseVolume(opened.volume_id), _ignore, _ignore
        )

    def forget(self, volumeId=None):
        """The worker no longer has a scan, or any."""
        if volumeId is None:
            self._open.clear()
        else:
            self._open.pop(volumeId, None)


def _sourceOf(volumeNode, plane, window):
    return stateOf(volumeNode), modalityOf(volumeNode), plane, window


def _ignore(reply):
    """For requests whose answer changes nothing."""
