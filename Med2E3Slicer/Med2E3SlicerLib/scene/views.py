"""Slice views that go to a place."""

import slicer
import slicer.util

from .volumes import ijkToWorld


def jumpTo(scene, volumeNode, ijk, alignViews=False):
    """Let all slice views show the place ``ijk`` (voxels) of a scan; returns it in RAS mm.

    The views keep their orientation and only move along their normal, unless ``alignViews`` asks
    that they turn to the scan's own axes first.
    """
    place = (ijkToWorld(volumeNode) @ (*ijk, 1.0))[:3]
    if alignViews:
        for sliceNode in slicer.util.getNodesByClass("vtkMRMLSliceNode", scene):
            sliceNode.RotateToVolumePlane(volumeNode)
    slicer.vtkMRMLSliceNode.JumpAllSlices(scene, *place, slicer.vtkMRMLSliceNode.OffsetJumpSlice)
    return tuple(float(value) for value in place)
