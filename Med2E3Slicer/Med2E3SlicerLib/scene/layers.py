"""The heatmap in the slice views' foreground, and the reader's own layers, kept to come back.

What the reader had is kept in each slice view's own node, so that it survives a change of the
layout, a saved scene, a module reload and whatever else happens before the heatmap is taken away.
Only what is kept is changed: the label layer, the windows of the volumes and the links between the
views stay as they are.
"""

import slicer
import slicer.util

from .volumes import HEATMAP_ATTRIBUTE

_KEPT = "Med2E3.kept"
_BACKGROUND_ROLE = "Med2E3.keptBackground"
_FOREGROUND_ROLE = "Med2E3.keptForeground"
_OPACITY = "Med2E3.keptForegroundOpacity"
_COMPOSITING = "Med2E3.keptCompositing"


def showHeatmap(scene, volumeNode, heatmapNode, opacity):
    """Lay a heatmap over its scan in all slice views."""
    compositeNodes = _compositeNodes(scene)
    shown = [node for node in compositeNodes if node.GetAttribute(_KEPT)]
    for compositeNode in compositeNodes:
        if compositeNode.GetAttribute(_KEPT):
            pass
        elif shown and not compositeNode.GetBackgroundVolumeID():
            # A layout with a new, empty view came after the heatmap: without it, the view would
            # show what the others show.
            _keepAs(shown[0], compositeNode)
        else:
            _keep(compositeNode)
    # All is kept before anything is changed: the controls of a linked view hand its opacity on to
    # all other views, linked or not.
    for compositeNode in compositeNodes:
        with slicer.util.NodeModify(compositeNode):
            compositeNode.SetBackgroundVolumeID(volumeNode.GetID())
            compositeNode.SetForegroundVolumeID(heatmapNode.GetID())
            compositeNode.SetForegroundOpacity(opacity)
            compositeNode.SetCompositing(slicer.vtkMRMLSliceCompositeNode.Alpha)


def hideHeatmap(scene):
    """Put back the layers that the reader had, in each view that still shows ours."""
    # Linked views first, since they hand their opacity on to the others.
    for compositeNode in sorted(
        _compositeNodes(scene), key=lambda node: not node.GetLinkedControl()
    ):
        if compositeNode.GetAttribute(_KEPT):
            _putBack(scene, compositeNode)


def _keep(compositeNode):
    _write(
        compositeNode,
        compositeNode.GetBackgroundVolumeID(),
        compositeNode.GetForegroundVolumeID() if _showsOther(compositeNode) else None,
        repr(compositeNode.GetForegroundOpacity()),
        str(compositeNode.GetCompositing()),
    )


def _keepAs(other, compositeNode):
    _write(
        compositeNode,
        other.GetNodeReferenceID(_BACKGROUND_ROLE),
        other.GetNodeReferenceID(_FOREGROUND_ROLE),
        other.GetAttribute(_OPACITY),
        other.GetAttribute(_COMPOSITING),
    )


def _write(compositeNode, backgroundId, foregroundId, opacity, compositing):
    with slicer.util.NodeModify(compositeNode):
        compositeNode.SetAttribute(_KEPT, "1")
        compositeNode.SetAttribute(_OPACITY, opacity)
        compositeNode.SetAttribute(_COMPOSITING, compositing)
        compositeNode.SetNodeReferenceID(_BACKGROUND_ROLE, backgroundId)
        compositeNode.SetNodeReferenceID(_FOREGROUND_ROLE, foregroundId)


def _putBack(scene, compositeNode):
    with slicer.util.NodeModify(compositeNode):
        # A reader who has chosen another foreground in the meantime keeps it.
        if not _showsOther(compositeNode):
            compositeNode.SetForegroundVolumeID(compositeNode.GetNodeReferenceID(_FOREGROUND_ROLE))
            compositeNode.SetForegroundOpacity(float(compositeNode.GetAttribute(_OPACITY)))
            compositeNode.SetBackgroundVolumeID(compositeNode.GetNodeReferenceID(_BACKGROUND_ROLE))
            compositeNode.SetCompositing(int(compositeNode.GetAttribute(_COMPOSITING) or 0))
        compositeNode.RemoveNodeReferenceIDs(_FOREGROUND_ROLE)
        compositeNode.RemoveNodeReferenceIDs(_BACKGROUND_ROLE)
        for name in (_OPACITY, _COMPOSITING, _KEPT):
            compositeNode.RemoveAttribute(name)


def _showsOther(compositeNode):
    """Whether the foreground is a volume that is no heatmap of ours."""
    volumeNode = compositeNode.GetScene().GetNodeByID(compositeNode.GetForegroundVolumeID() or "")
    return volumeNode is not None and not volumeNode.GetAttribute(HEATMAP_ATTRIBUTE)


def _compositeNodes(scene):
    return slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode", scene)
