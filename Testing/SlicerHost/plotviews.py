"""The plot views: a chart node's series, drawn by VTK's own charts as Slicer draws them.

Pictures to look at; the mouse does nothing in them.
"""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Slot
from vtk.util.numpy_support import vtk_to_numpy

from .qmrmlwidgets import qMRMLWidget

_FRAME_MILLISECONDS = 20
_MARKERS = (
    vtk.vtkPlotPoints.NONE,
    vtk.vtkPlotPoints.CROSS,
    vtk.vtkPlotPoints.PLUS,
    vtk.vtkPlotPoints.SQUARE,
    vtk.vtkPlotPoints.CIRCLE,
    vtk.vtkPlotPoints.DIAMOND,
)
_LINES = (
    vtk.vtkPen.NO_PEN,
    vtk.vtkPen.SOLID_LINE,
    vtk.vtkPen.DASH_LINE,
    vtk.vtkPen.DOT_LINE,
    vtk.vtkPen.DASH_DOT_LINE,
    vtk.vtkPen.DASH_DOT_DOT_LINE,
)


class _PlotView(QtWidgets.QWidget):
    """Stands for qMRMLPlotView; what a module may call of it is what every widget has."""

    def __init__(self, parent: QtWidgets.QWidget | None = None):
        super().__init__(parent)
        self._viewNode: slicer.vtkMRMLPlotViewNode | None = None
        self._observed: list[tuple[vtk.vtkObject, int]] = []
        self._image: QtGui.QImage | None = None
        self._timer = QtCore.QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_FRAME_MILLISECONDS)
        self._timer.timeout.connect(self.update)
        self.setMinimumSize(80, 80)

    def begin(self, viewNode: slicer.vtkMRMLPlotViewNode) -> None:
        self._viewNode = viewNode
        viewNode.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._onChartChosen())
        self._onChartChosen()

    def chartNode(self) -> slicer.vtkMRMLPlotChartNode | None:
        return self._viewNode.GetPlotChartNode() if self._viewNode else None

    def _onChartChosen(self) -> None:
        for source, tag in self._observed:
            source.RemoveObserver(tag)
        chartNode = self.chartNode()
        events = (vtk.vtkCommand.ModifiedEvent, slicer.vtkMRMLPlotChartNode.PlotModifiedEvent)
        self._observed = [
            (chartNode, chartNode.AddObserver(event, lambda *_: self._request()))
            for event in (events if chartNode else ())
        ]
        self._request()

    def _request(self) -> None:
        self._image = None
        if not self._timer.isActive():
            self._timer.start()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect(), QtGui.QColor("white"))
        if self._image is None and self.chartNode() is not None:
            self._image = _drawn(self.chartNode(), self.width(), self.height())
        if self._image is not None:
            painter.drawImage(self.rect(), self._image)

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        self._request()


def _drawn(chartNode: slicer.vtkMRMLPlotChartNode, width: int, height: int) -> QtGui.QImage:
    view = vtk.vtkContextView()
    window = view.GetRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(0)
    window.SetSize(width, height)
    view.GetRenderer().SetBackground(1, 1, 1)
    chart = vtk.vtkChartXY()
    view.GetScene().AddItem(chart)
    chart.SetTitle(chartNode.GetTitle() or "")
    chart.GetTitleProperties().SetFontSize(chartNode.GetTitleFontSize())
    chart.SetShowLegend(chartNode.GetLegendVisibility())
    for axis, title, isAuto, limits in (
        (
            chart.GetAxis(vtk.vtkAxis.BOTTOM),
            chartNode.GetXAxisTitle(),
            chartNode.GetXAxisRangeAuto(),
            chartNode.GetXAxisRange(),
        ),
        (
            chart.GetAxis(vtk.vtkAxis.LEFT),
            chartNode.GetYAxisTitle(),
            chartNode.GetYAxisRangeAuto(),
            chartNode.GetYAxisRange(),
        ),
    ):
        axis.SetTitle(title or "")
        axis.GetTitleProperties().SetFontSize(chartNode.GetAxisTitleFontSize())
        axis.GetLabelProperties().SetFontSize(chartNode.GetAxisLabelFontSize())
        if not isAuto:
            axis.SetBehavior(vtk.vtkAxis.FIXED)
            axis.SetRange(*limits)
    for index in range(chartNode.GetNumberOfPlotSeriesNodes()):
        seriesNode = chartNode.GetNthPlotSeriesNode(index)
        if seriesNode and seriesNode.GetTableNode():
            _addSeries(chart, seriesNode)
    view.Render()
    grabber = vtk.vtkWindowToImageFilter()
    grabber.SetInput(window)
    grabber.SetShouldRerender(False)
    grabber.SetReadFrontBuffer(False)
    grabber.Update()
    width, height, _ = grabber.GetOutput().GetDimensions()
    pixels = vtk_to_numpy(grabber.GetOutput().GetPointData().GetScalars())
    rows = np.ascontiguousarray(pixels.reshape(height, width, 3)[::-1])
    image = QtGui.QImage(
        rows.data, width, height, 3 * width, QtGui.QImage.Format.Format_RGB888
    ).copy()
    window.Finalize()
    return image


def _addSeries(chart: vtk.vtkChartXY, seriesNode: slicer.vtkMRMLPlotSeriesNode) -> None:
    isBar = seriesNode.GetPlotType() in (
        slicer.vtkMRMLPlotSeriesNode.PlotTypeBar,
        slicer.vtkMRMLPlotSeriesNode.PlotTypeScatterBar,
    )
    plot = chart.AddPlot(vtk.vtkChart.BAR if isBar else vtk.vtkChart.LINE)
    table, y = seriesNode.GetTableNode().GetTable(), seriesNode.GetYColumnName()
    plot.SetUseIndexForXSeries(not seriesNode.IsXColumnRequired())
    x = seriesNode.GetXColumnName() if seriesNode.IsXColumnRequired() else y
    plot.SetInputData(table, x, y)
    plot.SetColorF(*seriesNode.GetColor())
    plot.SetWidth(seriesNode.GetLineWidth())
    plot.SetLabel(seriesNode.GetName())
    if not isBar:
        plot.GetPen().SetLineType(_LINES[seriesNode.GetLineStyle()])
        plot.SetMarkerStyle(_MARKERS[seriesNode.GetMarkerStyle()])
        plot.SetMarkerSize(seriesNode.GetMarkerSize())


class qMRMLPlotWidget(qMRMLWidget):
    """A plot view without its controller."""

    def __init__(self, parent: QtWidgets.QWidget | None = None):
        super().__init__(parent)
        self._view = _PlotView()
        self._node: slicer.vtkMRMLPlotViewNode | None = None
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._view)

    @Slot(object)
    def setMRMLPlotViewNode(self, node: slicer.vtkMRMLPlotViewNode) -> None:
        self._node = node
        self._view.begin(node)

    @Slot(result=object)
    def mrmlPlotViewNode(self) -> slicer.vtkMRMLPlotViewNode | None:
        return self._node

    @Slot(result=QtWidgets.QWidget)
    def plotView(self) -> QtWidgets.QWidget:
        return self._view

    @Slot(result=QtWidgets.QWidget)
    def viewWidget(self) -> QtWidgets.QWidget:
        return self._view
