"""The heatmap in the slice views' foreground, and the reader's own layers, kept to come back.

What the reader had is kept in each slice view's own node, so that it survives a saved scene, a
module reload and whatever else happens before the heatmap is taken away.
"""

import slicer.util

from .volumes import HEATMAP_ATTRIBUTE

_KEPT = "Med2E3.kept"
_BACKGROUND_ROLE = "Med2E3.keptBackground"
_FOREGROUND_ROLE = "Med2E3.keptForeground"
_OPACITY = "Med2E3.keptForegroundOpacity"


def showHeatmap(scene, volumeNode, heatmapNode, opacity):
    """Lay a heatmap over its scan in all slice views."""
    for compositeNode in _compositeNodes(scene):
        if not compositeNode.GetAttribute(_KEPT):
            _keep(compositeNode)
        with slicer.util.NodeModify(compositeNode):
            compositeNode.SetBackgroundVolumeID(volumeNode.GetID())
            compositeNode.SetForegroundVolumeID(heatmapNode.GetID())
            compositeNode.SetForegroundOpacity(opacity)


def hideHeatmap(scene):
    """Put back the layers that the reader had, in each view that still shows ours."""
    for compositeNode in _compositeNodes(scene):
        if compositeNode.GetAttribute(_KEPT):
            _putBack(scene, compositeNode)


def _keep(compositeNode):
    with slicer.util.NodeModify(compositeNode):
        compositeNode.SetAttribute(_KEPT, "1")
        compositeNode.SetAttribute(_OPACITY, repr(compositeNode.GetForegroundOpacity()))
        compositeNode.SetNodeReferenceID(_BACKGROUND_ROLE, compositeNode.GetBackgroundVolumeID())
        compositeNode.SetNodeReferenceID(_FOREGROUND_ROLE, compositeNode.GetForegroundVolumeID())


def _putBack(scene, compositeNode):
    heatmapNode = scene.GetNodeByID(compositeNode.GetForegroundVolumeID() or "")
    isOurs = heatmapNode is None or heatmapNode.GetAttribute(HEATMAP_ATTRIBUTE)
    with slicer.util.NodeModify(compositeNode):
        # A reader who has chosen another foreground in the meantime keeps it.
        if isOurs:
            compositeNode.SetForegroundVolumeID(compositeNode.GetNodeReferenceID(_FOREGROUND_ROLE))
            compositeNode.SetForegroundOpacity(float(compositeNode.GetAttribute(_OPACITY)))
            compositeNode.SetBackgroundVolumeID(compositeNode.GetNodeReferenceID(_BACKGROUND_ROLE))
        compositeNode.RemoveNodeReferenceIDs(_FOREGROUND_ROLE)
        compositeNode.RemoveNodeReferenceIDs(_BACKGROUND_ROLE)
        compositeNode.RemoveAttribute(_OPACITY)
        compositeNode.RemoveAttribute(_KEPT)


def _compositeNodes(scene):
    return slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode", scene)
