"""The heatmap as a volume node: one per scan, filled anew for each attention shown."""

import math
from dataclasses import dataclass

import numpy as np
import slicer
import slicer.util
import vtk
from slicer.i18n import tr as _

from .folder import VOLUME_ROLE, putInFolder
from .heatcolors import COLOR_MAPS, scaleOfOneSign, scaleOfTwoSigns
from .volumes import HEATMAP_ATTRIBUTE

COLOR_TAG = "Med2E3Heatmap"


@dataclass(frozen=True)
class HeatmapDisplay:
    """How heatmaps are shown.

    ``inPlane`` tells the places within the slices apart, each with its exact share of its slice's
    logit; otherwise each slice has its score. ``showsAgainst`` draws the negative shares as well.
    ``opacity`` goes from 0 to 1, ``threshold`` is the share (0 to 1) of the hottest from which heat
    is drawn. ``alignViews`` lets views turn to the scan as they jump.
    """

    isVisible: bool = True
    inPlane: bool = True
    showsAgainst: bool = False
    opacity: float = 0.45
    threshold: float = 0.3
    colorMap: str = COLOR_MAPS[0]
    hasLegend: bool = True
    alignViews: bool = False


def heatOf(attention, display):
    """(slices, rows, columns), what is drawn of an attention."""
    return attention.patchHeat if display.inPlane else attention.sliceHeat


def scaleOf(attention, display):
    """The :class:`HeatScale` of an attention, the same for all its slices.

    It begins at 0, so that scores that are nearly even look nearly even. In the plane it ends
    where one patch in a thousand is hotter, so that a single one does not pale all others.
    """
    heat = heatOf(attention, display)
    if not display.inPlane:
        return scaleOfOneSign(float(heat.max()) or 1.0, display.colorMap, display.threshold)
    if display.showsAgainst:
        high = _nearlyHighest(np.abs(heat))
        return scaleOfTwoSigns(high or 1.0, display.threshold)
    high = max(_nearlyHighest(heat), 0.0)
    return scaleOfOneSign(high or 1.0, display.colorMap, display.threshold)


def showInHeatmap(scene, volumeNode, attention, display):
    """Fill the scan's heatmap; returns the volume node, made if there was none."""
    heatmapNode = findHeatmap(scene, volumeNode) or _newHeatmap(scene, volumeNode)
    scale = scaleOf(attention, display)
    with slicer.util.NodeModify(heatmapNode):
        slicer.util.updateVolumeFromArray(heatmapNode, heatOf(attention, display))
        placeHeatmap(heatmapNode, volumeNode, attention)
    _fill(_colorNode(scene), scale)
    displayNode = heatmapNode.GetDisplayNode()
    with slicer.util.NodeModify(displayNode):
        displayNode.SetAndObserveColorNodeID(_colorNode(scene).GetID())
        displayNode.AutoWindowLevelOff()
        displayNode.SetWindowLevelMinMax(scale.low, scale.high)
        # The table hides what is below the threshold: of two signs that is the middle.
        displayNode.ApplyThresholdOff()
    return heatmapNode


def placeHeatmap(heatmapNode, volumeNode, attention):
    """Put the heatmap where the scan is now."""
    ijkToRas = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(ijkToRas)
    heatmapToRas = slicer.util.arrayFromVTKMatrix(ijkToRas) @ attention.heatmapToIjk
    with slicer.util.NodeModify(heatmapNode):
        heatmapNode.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(heatmapToRas))
        heatmapNode.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())


def findHeatmap(scene, volumeNode):
    """The heatmap of a scan, or None."""
    for node in heatmapsOf(scene):
        if node.GetNodeReferenceID(VOLUME_ROLE) == volumeNode.GetID():
            return node
    return None


def heatmapsOf(scene):
    """All heatmaps in a scene."""
    return [
        node
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene)
        if node.GetAttribute(HEATMAP_ATTRIBUTE)
    ]


def showLegend(heatmapNode, attention, display):
    """Show in the slice views which colour stands for how much; to be called once they show the
    heatmap, since legends look then alone whether their volume is there."""
    logic = slicer.modules.colors.logic()
    legendNode = logic.GetColorLegendDisplayNode(heatmapNode)
    if legendNode is None:
        if not display.hasLegend:
            return
        legendNode = logic.AddDefaultColorLegendDisplayNode(heatmapNode)
    scale = scaleOf(attention, display)
    with slicer.util.NodeModify(legendNode):
        legendNode.SetVisibility(display.hasLegend)
        legendNode.SetTitleText(_("Share") if display.inPlane else _("Score"))
        legendNode.SetLabelFormat(f"%.{_decimals(scale.high)}f")
        legendNode.SetNumberOfLabels(3)
        legendNode.SetMaxNumberOfColors(len(scale.colors))
        legendNode.SetSize(0.12, 0.4)
        legendNode.SetPosition(0.98, 0.5)
    legendNode.Modified()


def hideLegends(scene):
    for heatmapNode in heatmapsOf(scene):
        legendNode = slicer.modules.colors.logic().GetColorLegendDisplayNode(heatmapNode)
        if legendNode:
            legendNode.SetVisibility(False)


def _newHeatmap(scene, volumeNode):
    # Marked before anybody hears of it: node selectors choose new nodes at once.
    heatmapNode = slicer.vtkMRMLScalarVolumeNode()
    heatmapNode.SetName(
        scene.GenerateUniqueName(_("{name} Med2E3 heatmap").format(name=volumeNode.GetName()))
    )
    heatmapNode.SetAttribute(HEATMAP_ATTRIBUTE, "1")
    heatmapNode.SetNodeReferenceID(VOLUME_ROLE, volumeNode.GetID())
    heatmapNode = scene.AddNode(heatmapNode)
    heatmapNode.CreateDefaultDisplayNodes()
    heatmapNode.GetDisplayNode().SetInterpolate(True)
    putInFolder(scene, volumeNode, heatmapNode)
    return heatmapNode


def _colorNode(scene):
    node = scene.GetSingletonNode(COLOR_TAG, "vtkMRMLColorTableNode")
    if node:
        return node
    node = slicer.vtkMRMLColorTableNode()
    node.SetSingletonTag(COLOR_TAG)
    node.SetName("Med2E3 heatmap")
    node.SetTypeToUser()
    node.SetHideFromEditors(True)
    return scene.AddNode(node)


def _fill(colorNode, scale):
    number = len(scale.colors)
    with slicer.util.NodeModify(colorNode):
        if colorNode.GetNumberOfColors() != number:
            colorNode.SetNumberOfColors(number)
        for index, color in enumerate(scale.colors):
            heat = scale.low + (scale.high - scale.low) * index / (number - 1)
            colorNode.SetColor(index, f"{heat:.4g}", *color)


def _nearlyHighest(heat):
    """What one patch in a thousand exceeds."""
    # np.quantile would load more of numpy first, which the main thread would wait for.
    place = round(0.999 * (heat.size - 1))
    return float(np.partition(heat, place, axis=None)[place])


def _decimals(value):
    """How many decimals show a value (above 0) to two figures."""
    return min(max(1 - math.floor(math.log10(value)), 0), 6)
