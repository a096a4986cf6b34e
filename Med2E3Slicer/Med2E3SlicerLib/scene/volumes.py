"""A volume of the scene as the model wants it: voxels, place in the patient, modality."""

import numpy as np
import slicer
import slicer.util
import vtk
from slicer.i18n import tr as _

HEATMAP_ATTRIBUTE = "Med2E3.heatmap"
"""Marks the volumes that we made."""


# Between air and everything else, and below every soft tissue but fat.
_AIR_HU = -200
_TISSUE_HU = -100

_FEW_SLICES = 16
_SMALLEST_MM = 50
_LARGEST_MM = 2200


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


def warningsAbout(volumeNode):
    """Sentences about what makes a volume doubtful for a model that reads CT scans of people.

    Empty for an ordinary CT, and for a volume that :func:`checkVolume` refuses anyway.
    """
    try:
        checkVolume(volumeNode)
    except VolumeError:
        return []
    return [
        sentence.format(name=volumeNode.GetName(), **figures)
        for sentence, figures in (
            *_modalityDoubts(volumeNode),
            *_sizeDoubts(volumeNode),
            *_sequenceDoubts(volumeNode),
        )
    ]


def _modalityDoubts(volumeNode):
    modality = modalityOf(volumeNode)
    lowest, highest = volumeNode.GetImageData().GetScalarRange()
    if modality not in ("", "CT"):
        yield (
            _(
                "{name} is {modality}, and the model was trained on CT alone: what it writes about "
                "another kind of scan means nothing."
            ),
            {"modality": modality},
        )
    elif lowest > _AIR_HU or highest < _TISSUE_HU:
        yield (
            _(
                "{name} does not look like CT: its values go from {lowest} to {highest}, and in "
                "Hounsfield units air is −1000 and soft tissue about 40. The window will be wrong."
            ),
            {"lowest": f"{lowest:g}", "highest": f"{highest:g}"},
        )


def _sizeDoubts(volumeNode):
    dimensions = volumeNode.GetImageData().GetDimensions()
    extents = [
        count * spacing for count, spacing in zip(dimensions, volumeNode.GetSpacing(), strict=True)
    ]
    if min(dimensions) < _FEW_SLICES:
        yield (
            _(
                "{name} has {count} slices; the model looks at 32 and will see the same ones "
                "several times."
            ),
            {"count": min(dimensions)},
        )
    if max(extents) < _SMALLEST_MM or max(extents) > _LARGEST_MM:
        yield (
            _(
                "{name} is {extent} mm long, which is no person's size; its spacing may be wrong "
                "(see the Volumes module)."
            ),
            {"extent": f"{max(extents):.0f}"},
        )


def _sequenceDoubts(volumeNode):
    for browser in slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode", volumeNode.GetScene()):
        if browser.IsProxyNodeID(volumeNode.GetID()):
            yield (
                _(
                    "{name} shows frame {frame} of the {count} of a sequence. The model will see "
                    "this frame alone; for another one, choose it in the sequence first."
                ),
                {
                    "frame": browser.GetSelectedItemNumber() + 1,
                    "count": browser.GetNumberOfItems(),
                },
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
