"""The layout manager: makes the views that the scene's layout node describes, and arranges them."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import slicer
import vtk
from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Qt, Signal, Slot

from .plotviews import qMRMLPlotWidget
from .properties import readOnly
from .qmrmlwidgets import qMRMLThreeDWidget
from .sliceviews import qMRMLSliceWidget


class qSlicerLayoutManager(QtCore.QObject):
    layoutChanged = Signal(int)
    selectModule = Signal(str)

    def __init__(
        self, scene: slicer.vtkMRMLScene, applicationLogic: slicer.vtkSlicerApplicationLogic
    ):
        super().__init__()
        self.viewport = QtWidgets.QWidget()
        box = QtWidgets.QVBoxLayout(self.viewport)
        box.setContentsMargins(0, 0, 0, 0)
        self._scene = scene
        self._applicationLogic = applicationLogic
        self._sliceWidgets: dict[str, qMRMLSliceWidget] = {}
        self._otherWidgets: dict[str, QtWidgets.QWidget] = {}
        self._arrangement: int | None = None
        self._layoutLogic = slicer.vtkMRMLLayoutLogic()
        self._layoutLogic.SetMRMLScene(scene)
        node = self._layoutLogic.GetLayoutNode()
        node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._arrange())
        node.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self._arrange()

    def _arrange(self) -> None:
        """Build the layout that the layout node asks for now."""
        node = self._layoutLogic.GetLayoutNode()
        arrangement = node.GetViewArrangement()
        if arrangement == self._arrangement or not node.GetCurrentLayoutDescription():
            return
        self._arrangement = arrangement
        box = self.viewport.layout()
        old = box.takeAt(0)
        built = self._build(ElementTree.fromstring(node.GetCurrentLayoutDescription()))  # noqa: S314
        box.addWidget(built)
        if old is not None and old.widget() is not built:
            old.widget().hide()
            if old.widget() not in self._views():
                old.widget().deleteLater()
        built.show()
        self.layoutChanged.emit(arrangement)

    def _views(self) -> list[QtWidgets.QWidget]:
        return [*self._sliceWidgets.values(), *self._otherWidgets.values()]

    def _build(self, element: ElementTree.Element) -> QtWidgets.QWidget:
        """A widget for a <layout>, <item> or <view> of the layout node's description."""
        if element.tag == "view":
            widget = self._view(element)
            widget.show()
            return widget
        if element.tag == "item":
            return self._build(element[0])
        kind = element.get("type", "horizontal")
        if kind == "grid":
            holder = QtWidgets.QWidget()
            grid = QtWidgets.QGridLayout(holder)
            grid.setContentsMargins(0, 0, 0, 0)
            for item in element:
                row, column = int(item.get("row", 0)), int(item.get("column", 0))
                grid.addWidget(self._build(item), row, column)
            return holder
        if kind == "tab":
            tabs = QtWidgets.QTabWidget()
            for item in element:
                tabs.addTab(self._build(item), item.get("name", ""))
            return tabs
        vertical = kind == "vertical"
        splitter = QtWidgets.QSplitter(
            Qt.Orientation.Vertical if vertical else Qt.Orientation.Horizontal
        )
        for item in element:
            splitter.addWidget(self._build(item))
        splitter.setSizes([1000] * splitter.count())
        return splitter

    def _view(self, element: ElementTree.Element) -> QtWidgets.QWidget:
        className, tag = element.get("class", ""), element.get("singletontag", "")
        if className == "vtkMRMLSliceNode":
            if tag not in self._sliceWidgets:
                widget = qMRMLSliceWidget()
                defaults = {p.get("name", ""): p.text or "" for p in element.iter("property")}
                widget.begin(self._scene, self._applicationLogic, tag, defaults)
                self._sliceWidgets[tag] = widget
            return self._sliceWidgets[tag]
        key = f"{className} {tag}"
        if key not in self._otherWidgets:
            made: QtWidgets.QWidget = QtWidgets.QWidget()
            if className == "vtkMRMLViewNode":
                made = qMRMLThreeDWidget()
            elif className == "vtkMRMLPlotViewNode":
                made = qMRMLPlotWidget()
                made.setMRMLPlotViewNode(self._scene.GetSingletonNode(tag, className))
            self._otherWidgets[key] = made
        return self._otherWidgets[key]

    def _ofClass(self, className: str) -> list[QtWidgets.QWidget]:
        return [w for key, w in self._otherWidgets.items() if key.startswith(f"{className} ")]

    @Slot(int)
    def setLayout(self, layout: int) -> None:
        self._layoutLogic.GetLayoutNode().SetViewArrangement(layout)

    layout = Property(
        int,
        lambda self: self._layoutLogic.GetLayoutNode().GetViewArrangement(),
        setLayout,
        notify=layoutChanged,
    )
    threeDViewCount = readOnly(int, lambda self: len(self._ofClass("vtkMRMLViewNode")))
    plotViewCount = readOnly(int, lambda self: len(self._ofClass("vtkMRMLPlotViewNode")))
    tableViewCount = readOnly(int, lambda self: len(self._ofClass("vtkMRMLTableViewNode")))

    @Slot(result=object)
    def layoutLogic(self) -> slicer.vtkMRMLLayoutLogic:
        return self._layoutLogic

    @Slot(result=object)
    def mrmlScene(self) -> slicer.vtkMRMLScene:
        return self._scene

    @Slot(result=object)
    def mrmlSliceLogics(self) -> vtk.vtkCollection:
        return self._applicationLogic.GetSliceLogics()

    @Slot(result="QStringList")
    def sliceViewNames(self) -> list[str]:
        return list(self._sliceWidgets)

    @Slot(str, result=QtWidgets.QWidget)
    def sliceWidget(self, name: str) -> QtWidgets.QWidget | None:
        return self._sliceWidgets.get(name)

    @Slot(int, result=QtWidgets.QWidget)
    def threeDWidget(self, index: int) -> QtWidgets.QWidget | None:
        return dict(enumerate(self._ofClass("vtkMRMLViewNode"))).get(index)

    @Slot(int, result=QtWidgets.QWidget)
    def plotWidget(self, index: int) -> QtWidgets.QWidget | None:
        return dict(enumerate(self._ofClass("vtkMRMLPlotViewNode"))).get(index)

    @Slot(result=object)
    def viewWidgets(self) -> list[QtWidgets.QWidget]:
        return self._views()

    @Slot()
    def resetSliceViews(self) -> None:
        for widget in self._sliceWidgets.values():
            widget.fitSliceToBackground()

    @Slot()
    def pauseRender(self) -> None:
        self.setRenderPaused(True)

    @Slot()
    def resumeRender(self) -> None:
        self.setRenderPaused(False)

    @Slot(bool)
    def setRenderPaused(self, paused: bool) -> None:
        for widget in self._sliceWidgets.values():
            widget.sliceView().setRenderPaused(paused)
