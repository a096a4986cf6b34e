"""The scores over the slices as a plot of Slicer: one chart per scan, filled anew as it is shown.

The panel draws the same curve small, for a click; the chart is what Slicer's plot views, its Plots
module and a saved scene have of it. Both take their numbers from the attention that is shown.
"""

import math

import numpy as np
import slicer
import slicer.util
import vtk
from slicer.i18n import tr as _

from .folder import VOLUME_ROLE, putInFolder

BEST_SLICES = 3

_PLOT = "Med2E3.plot"
_TABLE_ROLE = "Med2E3.plotted"
_LAYOUT_BEFORE = "Med2E3.layoutBeforePlot"
_LAYOUT_WITH_PLOT = "Med2E3.layoutWithPlot"

_SLICE = "slice of the scan"
_SCORE = "score"
_BEST = "best slices"
_CURRENT = "slice in view"

# Colours that differ in brightness as well.
_CURVE_COLOR = (0.20, 0.40, 0.70)
_BEST_COLOR = (0.90, 0.50, 0.10)
_CURRENT_COLOR = (0.75, 0.10, 0.20)


def showInPlot(scene, volumeNode, attention, caption="", current=None):
    """Fill the scan's chart with the scores of an attention; returns the chart node.

    ``current`` is the number of the slice that the reader has gone to, if any.
    """
    chartNode = findPlot(scene, volumeNode) or _newPlot(scene, volumeNode)
    tableNode = chartNode.GetNodeReference(_TABLE_ROLE)
    slices = attention.slices
    best = {slice_.number for slice_ in attention.rankedSlices[:BEST_SLICES]}
    columns = {
        _SLICE: [slice_.index for slice_ in slices],
        _SCORE: [slice_.score for slice_ in slices],
        _BEST: [slice_.score if slice_.number in best else math.nan for slice_ in slices],
        _CURRENT: [slice_.score if slice_.number == current else math.nan for slice_ in slices],
    }
    with slicer.util.NodeModify(tableNode):
        for name, values in columns.items():
            _setColumn(tableNode, name, values)
    with slicer.util.NodeModify(chartNode):
        chartNode.SetTitle(caption)
        # From 0, so that scores that are nearly even look so; above the curve the legend has room.
        chartNode.SetYAxisRange(0, 1.4 * max(columns[_SCORE]))
    return chartNode


def findPlot(scene, volumeNode):
    """The chart of a scan, or None."""
    for node in slicer.util.getNodesByClass("vtkMRMLPlotChartNode", scene):
        isOurs = node.GetAttribute(_PLOT) and node.GetNodeReference(_TABLE_ROLE)
        if isOurs and node.GetNodeReferenceID(VOLUME_ROLE) == volumeNode.GetID():
            return node
    return None


def isPlotInLayout(scene):
    """Whether the layout is still the one that :func:`showPlotInLayout` chose."""
    layoutNode = _layoutNode(scene)
    return layoutNode.GetAttribute(_LAYOUT_WITH_PLOT) == str(layoutNode.GetViewArrangement())


def showPlotInLayout(scene, chartNode):
    """Show a chart in the plot views, in a layout that has one."""
    layoutNode = _layoutNode(scene)
    before = layoutNode.GetViewArrangement()
    slicer.modules.plots.logic().ShowChartInLayout(chartNode)
    if layoutNode.GetViewArrangement() != before:
        layoutNode.SetAttribute(_LAYOUT_BEFORE, str(before))
        layoutNode.SetAttribute(_LAYOUT_WITH_PLOT, str(layoutNode.GetViewArrangement()))


def putBackLayout(scene):
    """Put back the layout that the reader had before the plot."""
    layoutNode = _layoutNode(scene)
    before = int(layoutNode.GetAttribute(_LAYOUT_BEFORE))
    layoutNode.RemoveAttribute(_LAYOUT_BEFORE)
    layoutNode.RemoveAttribute(_LAYOUT_WITH_PLOT)
    layoutNode.SetViewArrangement(before)


def _newPlot(scene, volumeNode):
    chartNode = scene.AddNewNodeByClass(
        "vtkMRMLPlotChartNode",
        _("{name} Med2E3 slice scores").format(name=volumeNode.GetName()),
    )
    chartNode.SetAttribute(_PLOT, "1")
    chartNode.SetNodeReferenceID(VOLUME_ROLE, volumeNode.GetID())
    tableNode = scene.AddNewNodeByClass("vtkMRMLTableNode", chartNode.GetName())
    tableNode.SetHideFromEditors(True)
    tableNode.SetNodeReferenceID(VOLUME_ROLE, volumeNode.GetID())
    chartNode.SetNodeReferenceID(_TABLE_ROLE, tableNode.GetID())
    for name in (_SLICE, _SCORE, _BEST, _CURRENT):
        _setColumn(tableNode, name, [])
    types = slicer.vtkMRMLPlotSeriesNode
    for column, title, color, line, marker, size in (
        (_SCORE, _("score"), _CURVE_COLOR, types.LineStyleSolid, types.MarkerStyleCircle, 5),
        (_BEST, _("best slices"), _BEST_COLOR, types.LineStyleNone, types.MarkerStyleDiamond, 12),
        (
            _CURRENT,
            _("slice in view"),
            _CURRENT_COLOR,
            types.LineStyleNone,
            types.MarkerStyleSquare,
            12,
        ),
    ):
        seriesNode = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", title)
        seriesNode.SetHideFromEditors(True)
        seriesNode.SetAndObserveTableNodeID(tableNode.GetID())
        seriesNode.SetPlotType(types.PlotTypeScatter)
        seriesNode.SetXColumnName(_SLICE)
        seriesNode.SetYColumnName(column)
        seriesNode.SetColor(*color)
        seriesNode.SetLineStyle(line)
        seriesNode.SetLineWidth(2)
        seriesNode.SetMarkerStyle(marker)
        seriesNode.SetMarkerSize(size)
        chartNode.AddAndObservePlotSeriesNodeID(seriesNode.GetID())
    chartNode.SetYAxisRangeAuto(False)
    chartNode.SetXAxisTitle(_("slice of the scan"))
    chartNode.SetYAxisTitle(_("score"))
    chartNode.SetTitleFontSize(14)
    chartNode.SetAxisTitleFontSize(13)
    chartNode.SetAxisLabelFontSize(12)
    chartNode.SetLegendFontSize(12)
    putInFolder(scene, volumeNode, chartNode)
    return chartNode


def _setColumn(tableNode, name, values):
    column = tableNode.GetTable().GetColumnByName(name)
    if column is None:
        column = vtk.vtkDoubleArray()
        column.SetName(name)
        tableNode.AddColumn(column)
    column.SetNumberOfValues(len(values))
    for row, value in enumerate(np.asarray(values, float)):
        column.SetValue(row, value)
    column.Modified()


def _layoutNode(scene):
    return scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
