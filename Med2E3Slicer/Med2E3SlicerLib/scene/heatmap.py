"""The heatmap of a turn as a volume node: one per scan, filled anew for each turn shown."""

import numpy as np
import slicer
import slicer.util
import vtk
from slicer.i18n import tr as _

from .folder import VOLUME_ROLE, putInFolder
from .volumes import HEATMAP_ATTRIBUTE

COLOR_TAG = "Med2E3Heatmap"

_COLORS = 256
# From dark violet over red and orange to light yellow: brightness rises all the way, so that the
# order of the colours is seen by everybody, and no colour is a grey that a CT has.
_COLOR_STOPS = (
    (0.00, (0.13, 0.03, 0.30)),
    (0.30, (0.55, 0.10, 0.42)),
    (0.55, (0.88, 0.27, 0.25)),
    (0.80, (0.99, 0.62, 0.15)),
    (1.00, (1.00, 0.95, 0.60)),
)


def showInHeatmap(scene, volumeNode, turn, inPlane):
    """Fill the scan's heatmap with a turn; returns the volume node, made if there was none."""
    heatmapNode = findHeatmap(scene, volumeNode) or _newHeatmap(scene, volumeNode)
    heat = turn.patchHeat if inPlane else turn.sliceHeat
    with slicer.util.NodeModify(heatmapNode):
        slicer.util.updateVolumeFromArray(heatmapNode, heat)
        placeHeatmap(heatmapNode, volumeNode, turn)
    displayNode = heatmapNode.GetDisplayNode()
    with slicer.util.NodeModify(displayNode):
        displayNode.AutoWindowLevelOff()
        displayNode.SetWindowLevelMinMax(*_shownRange(heat))
    return heatmapNode


def placeHeatmap(heatmapNode, volumeNode, turn):
    """Put the heatmap where the scan is now."""
    ijkToRas = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(ijkToRas)
    heatmapToRas = slicer.util.arrayFromVTKMatrix(ijkToRas) @ turn.heatmapToIjk
    with slicer.util.NodeModify(heatmapNode):
        heatmapNode.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(heatmapToRas))
        heatmapNode.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())


def setThreshold(heatmapNode, share):
    """Hide what is colder than ``share`` (0 to 1) of the way from the coldest to the hottest."""
    displayNode = heatmapNode.GetDisplayNode()
    low, high = displayNode.GetWindowLevelMin(), displayNode.GetWindowLevelMax()
    with slicer.util.NodeModify(displayNode):
        displayNode.AutoThresholdOff()
        # A little more than the hottest, which rounding must not hide.
        displayNode.SetThreshold(low + share * (high - low), high + abs(high - low) + 1)
        displayNode.ApplyThresholdOn()


def findHeatmap(scene, volumeNode):
    """The heatmap of a scan, or None."""
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene):
        if (
            node.GetAttribute(HEATMAP_ATTRIBUTE)
            and node.GetNodeReferenceID(VOLUME_ROLE) == volumeNode.GetID()
        ):
            return node
    return None


def _newHeatmap(scene, volumeNode):
    heatmapNode = scene.AddNewNodeByClass(
        "vtkMRMLScalarVolumeNode",
        _("{name} Med2E3 heatmap").format(name=volumeNode.GetName()),
    )
    heatmapNode.SetAttribute(HEATMAP_ATTRIBUTE, "1")
    heatmapNode.SetNodeReferenceID(VOLUME_ROLE, volumeNode.GetID())
    heatmapNode.CreateDefaultDisplayNodes()
    displayNode = heatmapNode.GetDisplayNode()
    displayNode.SetAndObserveColorNodeID(_colorNode(scene).GetID())
    displayNode.SetInterpolate(True)
    putInFolder(scene, volumeNode, heatmapNode)
    return heatmapNode


def _shownRange(heat):
    """What is drawn in the coldest and in the hottest colour.

    In the plane the scale begins at 0, below which a patch speaks against its slice; it ends
    where one patch in a thousand is hotter, so that a single one does not pale all others.
    """
    low = max(0.0, float(heat.min()))
    high = float(np.quantile(heat, 0.999))
    if heat.min() >= 0:
        high = float(heat.max())
    return (low, high) if high > low else (low, low + 1.0)


def _colorNode(scene):
    node = scene.GetSingletonNode(COLOR_TAG, "vtkMRMLColorTableNode")
    if node:
        return node
    node = slicer.vtkMRMLColorTableNode()
    node.SetSingletonTag(COLOR_TAG)
    node.SetName("Med2E3 heatmap")
    node.SetTypeToUser()
    node.SetNumberOfColors(_COLORS)
    node.SetHideFromEditors(True)
    places = [place for place, _color in _COLOR_STOPS]
    colors = np.array([color for _place, color in _COLOR_STOPS])
    for number, share in enumerate(np.linspace(0, 1, _COLORS)):
        color = [float(np.interp(share, places, channel)) for channel in colors.T]
        node.SetColor(number, f"{share:.0%}", *color, 1.0)
    return scene.AddNode(node)
