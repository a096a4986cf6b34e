"""A volume of the scene as the model wants it: voxels, place in the patient, modality."""

import numpy as np
import slicer
import slicer.util
import vtk
from slicer.i18n import tr as _

HEATMAP_ATTRIBUTE = "Med2E3.heatmap"
"""Marks the volumes that we made."""


class VolumeError(Exception):
    """A volume that cannot be used; the message says why and what to do."""


def checkVolume(volumeNode):
    """Raise :class:`VolumeError` for a volume that the model cannot be asked about."""
    if volumeNode is None:
        raise VolumeError(_("Select the volume that the report is about."))
    name = volumeNode.GetName()
    # Colour and diffusion volumes, tensors and label maps are scalar volumes to MRML as well.
    if volumeNode.GetClassName() != "vtkMRMLScalarVolumeNode":
        raise VolumeError(
            _(
                "{name} is not a plain greyscale volume (it is a label map, or has several values "
                "in each voxel). Select the scan itself."
            ).format(name=name)
        )
    if volumeNode.GetAttribute(HEATMAP_ATTRIBUTE):
        raise VolumeError(
            _("{name} is a heatmap that Med2E3 made. Select the scan itself.").format(name=name)
        )
    imageData = volumeNode.GetImageData()
    if imageData is None or imageData.GetNumberOfPoints() == 0:
        raise VolumeError(_("{name} has no voxels. Load the scan again.").format(name=name))
    if imageData.GetNumberOfScalarComponents() != 1:
        raise VolumeError(
            _("{name} has several values in each voxel. Select a greyscale scan.").format(name=name)
        )
    transformNode = volumeNode.GetParentTransformNode()
    if transformNode and not transformNode.IsTransformToWorldLinear():
        raise VolumeError(
            _(
                "{name} is under a transform that is not linear, so its slices are curved in "
                "space. Harden the transform in the Transforms module and try again."
            ).format(name=name)
        )


def firstScan(scene):
    """The first volume of the scene that may be a scan, or None."""
    for volumeNode in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene):
        try:
            checkVolume(volumeNode)
        except VolumeError:
            continue
        return volumeNode
    return None


def voxelsOf(volumeNode):
    """The voxels (k, j, i): a view of the volume's own memory, not a copy."""
    return slicer.util.arrayFromVolume(volumeNode)


def ijkToWorld(volumeNode):
    """(4, 4), maps (i, j, k, 1) to RAS millimetres, a linear parent transform included."""
    ijkToRas = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(ijkToRas)
    transformNode = volumeNode.GetParentTransformNode()
    if transformNode:
        toWorld = vtk.vtkMatrix4x4()
        transformNode.GetMatrixTransformToWorld(toWorld)
        vtk.vtkMatrix4x4.Multiply4x4(toWorld, ijkToRas, ijkToRas)
    return slicer.util.arrayFromVTKMatrix(ijkToRas)


def stateOf(volumeNode):
    """What changes whenever the voxels or their place change."""
    imageData = volumeNode.GetImageData()
    if imageData is None:
        return None
    # An image whose voxels are edited in place stays the same object.
    changed = max(imageData.GetMTime(), imageData.GetPointData().GetScalars().GetMTime())
    return changed, tuple(np.round(ijkToWorld(volumeNode).ravel(), 6))


def modalityOf(volumeNode):
    """The DICOM code of the volume's modality, such as "CT"; empty where nobody says it."""
    subjectHierarchy = volumeNode.GetScene().GetSubjectHierarchyNode()
    item = subjectHierarchy.GetItemByDataNode(volumeNode) if subjectHierarchy else 0
    modality = subjectHierarchy.GetItemAttribute(item, "DICOM.Modality") if item else ""
    if modality:
        return modality
    instanceUids = (volumeNode.GetAttribute("DICOM.instanceUIDs") or "").split()
    # The DICOM module makes the database when Slicer starts; without that module there is none.
    database = getattr(slicer, "dicomDatabase", None)
    if instanceUids and database:
        return database.instanceValue(instanceUids[0], "0008,0060")
    return ""
