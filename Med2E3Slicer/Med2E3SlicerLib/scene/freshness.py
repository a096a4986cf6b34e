"""Whether a scan is still the one that the model saw, also after the scene was saved and loaded."""

import zlib

import numpy as np

from .volumes import ijkToWorld, voxelsOf

_MILLIMETRES = 1e-3
"""How far a matrix may differ that went through a file."""

# The checksum of each volume's voxels, by its id, with the state of the image that it is of.
_known = {}


def identityOf(volumeNode):
    """What tells a scan from an edited one: its grid, its place, and a checksum of its voxels.

    Small, and made of what JSON can hold.
    """
    return {
        "shape": list(voxelsOf(volumeNode).shape),
        "ijkToWorld": ijkToWorld(volumeNode).ravel().tolist(),
        "checksum": _checksumOf(volumeNode),
    }


def isSameScan(volumeNode, identity):
    """Whether a volume has the voxels, and the place in the patient, that it had."""
    if volumeNode.GetImageData() is None:
        return False
    return (
        list(voxelsOf(volumeNode).shape) == identity["shape"]
        and np.allclose(
            ijkToWorld(volumeNode).ravel(), identity["ijkToWorld"], rtol=0, atol=_MILLIMETRES
        )
        and _checksumOf(volumeNode) == identity["checksum"]
    )


def rememberChecksum(volumeNode, checksum):
    """Spare the time for a checksum (CRC-32 of the voxels' bytes) that somebody has made."""
    _known[volumeNode.GetID()] = (_imageState(volumeNode), checksum)


def _checksumOf(volumeNode):
    # About 2 GB a second, and only after the voxels have changed.
    state, checksum = _known.get(volumeNode.GetID(), (None, 0))
    if state != _imageState(volumeNode):
        checksum = zlib.crc32(memoryview(voxelsOf(volumeNode).reshape(-1)).cast("B"))
        rememberChecksum(volumeNode, checksum)
    return checksum


def _imageState(volumeNode):
    # Times of VTK are counted over all objects, so no other image ever has the same ones.
    imageData = volumeNode.GetImageData()
    return imageData.GetMTime(), imageData.GetPointData().GetScalars().GetMTime()
