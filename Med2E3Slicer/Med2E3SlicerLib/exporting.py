"""What the worker is told to write a report as PDF or DICOM."""

import base64

import numpy as np
import slicer
import slicer.util
import vtk
from slicer.i18n import tr as _

from med2e3.wire import messages

from .scene.volumes import VolumeError


def reportMessage(turn, volumeNode):
    """A report as it stands with its reader, as a message. Transforms are not in it: the objects
    that are written are about the scan as it was loaded."""
    ijkToRas = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(ijkToRas)
    heatmapToRas = slicer.util.arrayFromVTKMatrix(ijkToRas) @ turn.heatmapToIjk
    shares = np.ascontiguousarray(turn.patchShares, "<f4")
    return messages.Report(
        text=turn.presentText,
        written_at=turn.writtenAt,
        model=messages.ModelName(turn.modelName, turn.modelSha256, turn.modelTrainedOn),
        plane=turn.plane,
        window=turn.window,
        slice_scores=tuple(slice_.score for slice_ in turn.slices),
        patch_shares=messages.Array(
            shares.shape, base64.b64encode(shares.tobytes()).decode("ascii")
        ),
        heatmap_to_ras=tuple(float(value) for value in heatmapToRas.ravel()),
        is_edited=turn.isEdited,
        reviewer=turn.reviewer,
        reviewed_at=turn.reviewedAt,
    )


def seriesFiles(volumeNode):
    """The DICOM files that a scan was loaded from. Raises :class:`VolumeError` without them."""
    instanceUids = (volumeNode.GetAttribute("DICOM.instanceUIDs") or "").split()
    if not instanceUids:
        raise VolumeError(
            _(
                "{name} was not loaded from DICOM, so there is no study that DICOM objects could "
                "belong to. Load the scan through Slicer's DICOM module, or export a PDF."
            ).format(name=volumeNode.GetName())
        )
    # The DICOM module makes the database when Slicer starts; without that module there is none.
    database = getattr(slicer, "dicomDatabase", None)
    files = [database.fileForInstance(uid) for uid in instanceUids] if database else []
    if not files or not all(files):
        raise VolumeError(
            _(
                "Slicer's DICOM database no longer has all files of {name}. Import its study "
                "again, then export."
            ).format(name=volumeNode.GetName())
        )
    return tuple(files)
