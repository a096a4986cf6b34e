"""The slice views: Slicer's own slice logic and displayable managers, rendered offscreen by VTK.

trame-slicer joins them to a render window; the widget here shows what that window holds. As in
Slicer, the corner text is rewritten at each change by what stands for the DataProbe.
"""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Qt, Signal, Slot
from trame_slicer.views import AbstractView, SliceView
from trame_slicer.views.render_scheduler import ScheduledRenderStrategy
from vtk.util.numpy_support import vtk_to_numpy

from .properties import readOnly
from .qmrmlwidgets import qMRMLSliderWidget

_FRAME_MILLISECONDS = 20


class _OnRequest(ScheduledRenderStrategy):
    """Renders when the widget is painted, and asks for that at most once a frame."""

    def __init__(self, request):
        super().__init__()
        self.schedule_render = request


class _View(SliceView):
    """A view of the slice node that the layout has made, instead of one of its own."""

    def set_scene(self, scene: slicer.vtkMRMLScene) -> None:
        AbstractView.set_scene(self, scene)
        self._logic.SetMRMLScene(scene)
        node = scene.GetSingletonNode(self.name, "vtkMRMLSliceNode")
        self._logic.SetSliceNode(node)
        self.set_view_node(node)


class qMRMLSliceView(QtWidgets.QWidget):
    """The image of one slice view."""

    resized = Signal(QtCore.QSize)

    def __init__(self, parent: QtWidgets.QWidget | None = None):
        super().__init__(parent)
        self._view: _View | None = None
        self._image: QtGui.QImage | None = None
        self._stale = True
        self._pauses = 0
        self._timer = QtCore.QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_FRAME_MILLISECONDS)
        self._timer.timeout.connect(self.update)
        self._corner = _cornerAnnotation()
        self._overlay = _cornerAnnotation()
        self.setMinimumSize(80, 80)

    def begin(
        self, scene: slicer.vtkMRMLScene, logic: slicer.vtkSlicerApplicationLogic, name: str
    ) -> None:
        """Make the view of the slice node of that layout name."""
        self._view = _View(scene, logic, name, _OnRequest(self._request))
        self._view.render_window().SetMultiSamples(0)
        main, overlay = self._view.renderers()[:2]
        main.SetBackground(0, 0, 0)
        overlay.AddViewProp(self._corner)
        overlay.AddViewProp(self._overlay)
        observed = (self._view._logic, self._view._logic.GetSliceCompositeNode())
        for source in (*observed, self._view.get_view_node()):
            source.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._request())

    def logic(self) -> slicer.vtkMRMLSliceLogic:
        return self._view._logic

    def overlay(self) -> vtk.vtkCornerAnnotation:
        return self._overlay

    def _request(self, *_: object) -> None:
        self._stale = True
        if not self._pauses and not self._timer.isActive():
            self._timer.start()

    def _render(self) -> None:
        self._corner.SetText(vtk.vtkCornerAnnotation.LowerLeft, _layersText(self.logic()))
        self._stale = False
        self._view.render()
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(self._view.render_window())
        grabber.SetShouldRerender(False)
        grabber.SetReadFrontBuffer(False)
        grabber.Update()
        width, height, _ = grabber.GetOutput().GetDimensions()
        pixels = vtk_to_numpy(grabber.GetOutput().GetPointData().GetScalars())
        rows = np.ascontiguousarray(pixels.reshape(height, width, 3)[::-1])
        self._image = QtGui.QImage(
            rows.data, width, height, 3 * width, QtGui.QImage.Format.Format_RGB888
        ).copy()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        if self._view is None:
            return
        if self._image is None or (self._stale and not self._pauses):
            self._render()
        painter = QtGui.QPainter(self)
        painter.drawImage(self.rect(), self._image)

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        if self._view is None:
            return
        size = event.size()
        self._view.update_size(size.width(), size.height())
        self.logic().ResizeSliceNode(size.width(), size.height())
        self._request()
        self.resized.emit(size)

    def wheelEvent(self, event: QtGui.QWheelEvent) -> None:
        step = self.logic().GetLowestVolumeSliceSpacing()[2]
        turn = 1 if event.angleDelta().y() > 0 else -1
        self.logic().SetSliceOffset(self.logic().GetSliceOffset() + turn * step)

    @Slot()
    def scheduleRender(self) -> None:
        self._request()

    @Slot()
    def forceRender(self) -> None:
        self._render()
        self.update()

    @Slot(result=int)
    def pauseRender(self) -> int:
        self._pauses += 1
        return self._pauses

    @Slot(result=int)
    def resumeRender(self) -> int:
        self._pauses = max(self._pauses - 1, 0)
        if not self._pauses and self._stale:
            self._request()
        return self._pauses

    @Slot(bool, result=int)
    def setRenderPaused(self, paused: bool) -> int:
        return self.pauseRender() if paused else self.resumeRender()

    @Slot(result=object)
    def renderWindow(self) -> vtk.vtkRenderWindow:
        return self._view.render_window()

    @Slot(result=object)
    def interactor(self) -> vtk.vtkRenderWindowInteractor:
        return self._view.interactor()

    @Slot(result=object)
    def cornerAnnotation(self) -> vtk.vtkCornerAnnotation:
        return self._corner

    @Slot(result=object)
    def mrmlSliceNode(self) -> slicer.vtkMRMLSliceNode:
        return self._view.get_view_node()

    @Slot(str, result=object)
    def displayableManagerByClassName(self, name: str):
        return self._view.get_displayable_manager_by_class(name)

    @Slot(object, result=object)
    def convertXYZToRAS(self, xyz) -> tuple[float, float, float]:
        return tuple(self.mrmlSliceNode().GetXYToRAS().MultiplyPoint([*xyz, 1])[:3])

    @Slot(object, result=object)
    def convertRASToXYZ(self, ras) -> tuple[float, float, float]:
        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.mrmlSliceNode().GetXYToRAS(), inverse)
        return tuple(inverse.MultiplyPoint([*ras, 1])[:3])


def _cornerAnnotation() -> vtk.vtkCornerAnnotation:
    annotation = vtk.vtkCornerAnnotation()
    annotation.SetMaximumFontSize(14)
    annotation.GetTextProperty().SetShadow(1)
    return annotation


def _layersText(logic: slicer.vtkMRMLSliceLogic) -> str:
    """The names of the volumes shown, as Slicer writes them into the corner of each slice view."""
    composite = logic.GetSliceCompositeNode()
    scene = composite.GetScene()
    lines = []
    foreground = scene.GetNodeByID(composite.GetForegroundVolumeID() or "")
    background = scene.GetNodeByID(composite.GetBackgroundVolumeID() or "")
    if foreground is not None:
        opacity = round(100 * composite.GetForegroundOpacity())
        lines.append(f"F: {foreground.GetName()} ({opacity}%)")
    if background is not None:
        lines.append(f"B: {background.GetName()}")
    return "\n".join(lines)


class qMRMLSliceControllerWidget(QtWidgets.QWidget):
    """The coloured bar above a slice view: its letter and the slider of its offset."""

    def __init__(self, parent: QtWidgets.QWidget | None = None):
        super().__init__(parent)
        self._logic: slicer.vtkMRMLSliceLogic | None = None
        self._letter = QtWidgets.QLabel()
        self._letter.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._slider = qMRMLSliderWidget()
        self._slider.setDecimals(1)
        self._slider.suffix = "mm"
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._letter)
        layout.addWidget(self._slider, 1)
        self._slider.valueChanged.connect(self.setSliceOffsetValue)

    @Slot(object)
    def setSliceLogic(self, logic: slicer.vtkMRMLSliceLogic) -> None:
        self._logic = logic
        logic.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._follow())
        node = logic.GetSliceNode()
        node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._follow())
        color = QtGui.QColor.fromRgbF(*node.GetLayoutColor())
        self._letter.setText(node.GetLayoutLabel())
        self._letter.setStyleSheet(
            f"background: {color.name()}; color: black; font-weight: bold; padding: 1px 7px;"
        )
        self._follow()

    def _follow(self) -> None:
        low, high, resolution = _offsetRange(self._logic)
        node = self._logic.GetSliceNode()
        slider = self._slider
        with QtCore.QSignalBlocker(slider), QtCore.QSignalBlocker(slider._spinBox):
            letter = _direction(node)
            slider.prefix = f"{letter}: " if letter else ""
            slider.singleStep = resolution
            slider.minimum, slider.maximum = low, high
            slider.setValue(self._logic.GetSliceOffset())
            slider._slider.value = slider.value

    @Slot(float)
    def setSliceOffsetValue(self, offset: float) -> None:
        if abs(offset - self._logic.GetSliceOffset()) > 0.05:
            self._logic.SetSliceOffset(offset)

    @Slot()
    def fitSliceToBackground(self) -> None:
        self._logic.FitSliceToBackground()

    @Slot(result=object)
    def sliceLogic(self) -> slicer.vtkMRMLSliceLogic:
        return self._logic

    @Slot(result=object)
    def mrmlSliceNode(self) -> slicer.vtkMRMLSliceNode:
        return self._logic.GetSliceNode()

    @Slot(result=object)
    def mrmlSliceCompositeNode(self) -> slicer.vtkMRMLSliceCompositeNode:
        return self._logic.GetSliceCompositeNode()

    @Slot(result=QtWidgets.QWidget)
    def sliceOffsetSlider(self) -> QtWidgets.QWidget:
        return self._slider


def _offsetRange(logic: slicer.vtkMRMLSliceLogic) -> tuple[float, float, float]:
    bounds, resolution = [-1.0, -1.0], vtk.reference(1.0)
    if not logic.GetSliceOffsetRangeResolution(bounds, resolution):
        return -100.0, 100.0, 1.0
    return bounds[0], bounds[1], resolution.get()


def _direction(node: slicer.vtkMRMLSliceNode) -> str:
    """The letter of the direction in which the offset grows; none for an oblique slice."""
    matrix = node.GetSliceToRAS()
    for axis, (positive, negative) in enumerate(("RL", "AP", "SI")):
        if abs(matrix.GetElement(axis, 2)) > 0.999:
            return positive if matrix.GetElement(axis, 2) > 0 else negative
    return ""


class qMRMLSliceWidget(QtWidgets.QWidget):
    """A slice view with its controller."""

    def __init__(self, parent: QtWidgets.QWidget | None = None):
        super().__init__(parent)
        self._controller = qMRMLSliceControllerWidget()
        self._sliceView = qMRMLSliceView()
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._controller)
        layout.addWidget(self._sliceView, 1)

    def begin(
        self,
        scene: slicer.vtkMRMLScene,
        logic: slicer.vtkSlicerApplicationLogic,
        name: str,
        defaults: dict[str, str],
    ) -> None:
        """Make the view; `defaults` are the properties that the layout gives it."""
        self._sliceView.begin(scene, logic, name)
        node = self.mrmlSliceNode()
        node.SetOrientation(defaults.get("orientation", "Axial"))
        node.SetLayoutLabel(defaults.get("viewlabel", name[:1]))
        node.SetLayoutColor(*QtGui.QColor(defaults.get("viewcolor", "#808080")).getRgbF()[:3])
        self._controller.setSliceLogic(self._sliceView.logic())

    sliceViewName = readOnly(str, lambda self: self.mrmlSliceNode().GetLayoutName())
    sliceViewLabel = readOnly(str, lambda self: self.mrmlSliceNode().GetLayoutLabel())

    @Slot(str)
    def setSliceOrientation(self, orientation: str) -> None:
        self.mrmlSliceNode().SetOrientation(orientation)

    sliceOrientation = Property(
        str, lambda self: self.mrmlSliceNode().GetOrientation(), setSliceOrientation
    )

    @Slot(result=QtWidgets.QWidget)
    def sliceView(self) -> QtWidgets.QWidget:
        return self._sliceView

    @Slot(result=QtWidgets.QWidget)
    def viewWidget(self) -> QtWidgets.QWidget:
        return self._sliceView

    @Slot(result=QtWidgets.QWidget)
    def sliceController(self) -> QtWidgets.QWidget:
        return self._controller

    @Slot(result=object)
    def sliceLogic(self) -> slicer.vtkMRMLSliceLogic:
        return self._sliceView.logic()

    @Slot(result=object)
    def logic(self) -> slicer.vtkMRMLSliceLogic:
        return self._sliceView.logic()

    @Slot(result=object)
    def mrmlSliceNode(self) -> slicer.vtkMRMLSliceNode:
        return self.sliceLogic().GetSliceNode()

    @Slot(result=object)
    def mrmlAbstractViewNode(self) -> slicer.vtkMRMLSliceNode:
        return self.mrmlSliceNode()

    @Slot(result=object)
    def mrmlSliceCompositeNode(self) -> slicer.vtkMRMLSliceCompositeNode:
        return self.sliceLogic().GetSliceCompositeNode()

    @Slot(result=object)
    def overlayCornerAnnotation(self) -> vtk.vtkCornerAnnotation:
        return self._sliceView.overlay()

    @Slot()
    def fitSliceToBackground(self) -> None:
        self.sliceLogic().FitSliceToBackground()
