"""Doubles of Slicer's MRML widgets."""

from __future__ import annotations

import slicer
import slicer.util
import vtk
from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal, Slot

from .ctkwidgets import ctkSliderWidget
from .properties import stored


class qMRMLWidget(QtWidgets.QWidget):
    """A widget that knows a scene."""

    mrmlSceneChanged = Signal(object)
    foreignSignals = ("mrmlSceneChanged(vtkMRMLScene*)",)

    def __init__(self, parent: QtWidgets.QWidget | None = None):
        super().__init__(parent)
        self._scene: slicer.vtkMRMLScene | None = None

    @Slot(object)
    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)

    @Slot(result=object)
    def mrmlScene(self) -> slicer.vtkMRMLScene | None:
        return self._scene


class qMRMLSliderWidget(ctkSliderWidget):
    quantity = stored(str, "")

    def __init__(self, parent: QtWidgets.QWidget | None = None):
        super().__init__(parent)
        self._scene: slicer.vtkMRMLScene | None = None

    @Slot(object)
    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        self._scene = scene

    @Slot(result=object)
    def mrmlScene(self) -> slicer.vtkMRMLScene | None:
        return self._scene


class qMRMLSortFilterProxyModel(QtCore.QSortFilterProxyModel):
    """Which nodes a selector leaves out, by id; it is a list only, and sorts nothing."""

    hiddenNodeIDs = stored("QStringList", [], "_tell")

    def _tell(self) -> None:
        """The selector that has the model puts its own refresh here."""


class qMRMLNodeComboBox(QtWidgets.QWidget):
    """Choose a node of the scene. Follows the scene: nodes that come, go and change their name."""

    currentNodeChanged = Signal((object,), (bool,))
    currentNodeIDChanged = Signal(str)
    currentNodeRenamed = Signal(str)
    nodeActivated = Signal(object)
    nodeAdded = Signal(object)
    nodeAddedByUser = Signal(object)
    nodeAboutToBeRemoved = Signal(object)
    nodeAboutToBeEdited = Signal(object)
    foreignSignals = (
        "currentNodeChanged(vtkMRMLNode*)",
        "nodeActivated(vtkMRMLNode*)",
        "nodeAdded(vtkMRMLNode*)",
        "nodeAddedByUser(vtkMRMLNode*)",
        "nodeAboutToBeRemoved(vtkMRMLNode*)",
        "nodeAboutToBeEdited(vtkMRMLNode*)",
    )

    nodeTypes = stored("QStringList", [], "_refresh")
    hideChildNodeTypes = stored("QStringList", [], "_refresh")
    showChildNodeTypes = stored(bool, True, "_refresh")
    showHidden = stored(bool, False, "_refresh")
    noneEnabled = stored(bool, False, "_refresh")
    noneDisplay = stored(str, "None", "_refresh")
    addEnabled = stored(bool, True)
    removeEnabled = stored(bool, True)
    renameEnabled = stored(bool, False)
    editEnabled = stored(bool, False)
    baseName = stored(str, "")
    selectNodeUponCreation = stored(bool, True)

    def __init__(self, parent: QtWidgets.QWidget | None = None):
        super().__init__(parent)
        self._scene: slicer.vtkMRMLScene | None = None
        self._observed: list[tuple[vtk.vtkObject, int]] = []
        self._attributes: list[tuple[str, str, object]] = []
        self._proxyModel = qMRMLSortFilterProxyModel(self)
        self._proxyModel._tell = self._refresh
        self._current = ""
        self._comboBox = QtWidgets.QComboBox()
        self._comboBox.setSizeAdjustPolicy(
            QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self._comboBox.currentIndexChanged.connect(self._onChosen)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._comboBox)
        self.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        self._refresh()

    @Slot(object)
    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        if scene is self._scene:
            return
        for source, tag in self._observed:
            source.RemoveObserver(tag)
        self._observed = []
        self._scene = scene
        if scene is not None:
            events = slicer.vtkMRMLScene
            for event in (
                events.NodeAddedEvent,
                events.NodeRemovedEvent,
                events.EndCloseEvent,
                events.EndImportEvent,
                events.EndBatchProcessEvent,
            ):
                self._observed.append((scene, scene.AddObserver(event, self._onSceneChanged)))
        self._refresh()

    @Slot(result=object)
    def mrmlScene(self) -> slicer.vtkMRMLScene | None:
        return self._scene

    def _onSceneChanged(self, *_: object) -> None:
        if not self._scene.IsBatchProcessing():
            self._refresh()

    def _onNodeModified(self, *_: object) -> None:
        shown = [self._comboBox.itemText(i) for i in range(self._comboBox.count())]
        if shown != [text for text, _ in self._entries()]:
            self._refresh()
            self.currentNodeRenamed.emit(self._comboBox.currentText())

    def _nodes(self) -> list[slicer.vtkMRMLNode]:
        if self._scene is None:
            return []
        # Asked for with each node that comes, and the scene finds the few of a class far sooner.
        ofTypes = {
            node.GetID(): node
            for nodeType in self.nodeTypes
            for node in slicer.util.getNodesByClass(nodeType, self._scene)
            if self.showChildNodeTypes or node.GetClassName() == nodeType
        }
        return [node for node in ofTypes.values() if self._isShown(node)]

    def _isShown(self, node: slicer.vtkMRMLNode) -> bool:
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        if node.GetID() in self._proxyModel.hiddenNodeIDs:
            return False
        if any(node.IsA(hidden) for hidden in self.hideChildNodeTypes):
            return False
        return all(
            node.GetAttribute(name) is not None
            and (value is None or node.GetAttribute(name) == value)
            for nodeType, name, value in self._attributes
            if node.IsA(nodeType)
        )

    def _entries(self) -> list[tuple[str, str]]:
        none = [(self.noneDisplay, "")] if self.noneEnabled else []
        return none + [(node.GetName() or "", node.GetID()) for node in self._nodes()]

    def _refresh(self) -> None:
        """Show the scene's nodes; keep the current one, else take the first or none."""
        entries = self._entries()
        for node in self._nodes():
            if not any(source is node for source, _ in self._observed):
                tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._onNodeModified)
                self._observed.append((node, tag))
        with QtCore.QSignalBlocker(self._comboBox):
            self._comboBox.clear()
            for text, nodeID in entries:
                self._comboBox.addItem(text, nodeID)
            ids = [nodeID for _, nodeID in entries]
            if self._current in ids:
                self._comboBox.setCurrentIndex(ids.index(self._current))
            elif self.noneEnabled:
                self._comboBox.setCurrentIndex(0)
        self._onChosen(self._comboBox.currentIndex())

    def _onChosen(self, index: int) -> None:
        chosen = (self._comboBox.itemData(index) or "") if index >= 0 else ""
        if chosen == self._current:
            return
        self._current = chosen
        node = self.currentNode()
        self.currentNodeChanged[object].emit(node)
        self.currentNodeChanged[bool].emit(node is not None)
        self.currentNodeIDChanged.emit(chosen)

    @Slot(result=object)
    def currentNode(self) -> slicer.vtkMRMLNode | None:
        return self._scene.GetNodeByID(self._current) if self._scene and self._current else None

    @Slot(object)
    def setCurrentNode(self, node: slicer.vtkMRMLNode | str | None) -> None:
        self.setCurrentNodeID(node if isinstance(node, str) else node.GetID() if node else "")

    @Slot(str)
    def setCurrentNodeID(self, nodeID: str) -> None:
        index = self._comboBox.findData(nodeID or "")
        self._comboBox.setCurrentIndex(index if index >= 0 else -1)

    @Slot(int)
    def setCurrentNodeIndex(self, index: int) -> None:
        self._comboBox.setCurrentIndex(index + (1 if self.noneEnabled else 0))

    @Slot(result=QtCore.QObject)
    def sortFilterProxyModel(self) -> QtCore.QObject:
        return self._proxyModel

    @Slot(result=int)
    def nodeCount(self) -> int:
        return len(self._nodes())

    @Slot(int, result=object)
    def nodeFromIndex(self, index: int) -> slicer.vtkMRMLNode | None:
        nodes = self._nodes()
        return nodes[index] if 0 <= index < len(nodes) else None

    @Slot(str, str, "QVariant")
    def addAttribute(self, nodeType: str, name: str, value: object = None) -> None:
        self._attributes.append((nodeType, name, value))
        self._refresh()

    @Slot(str, str)
    def removeAttribute(self, nodeType: str, name: str) -> None:
        self._attributes = [a for a in self._attributes if a[:2] != (nodeType, name)]
        self._refresh()

    @Slot(result=object)
    def addNode(self, nodeType: str = "") -> slicer.vtkMRMLNode:
        node = self._scene.AddNewNodeByClass(nodeType or self.nodeTypes[0], self.baseName or "")
        self.nodeAddedByUser.emit(node)
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        return node

    @Slot()
    def removeCurrentNode(self) -> None:
        node = self.currentNode()
        if node is not None:
            self.nodeAboutToBeRemoved.emit(node)
            self._scene.RemoveNode(node)

    currentNodeID = Property(
        str, lambda self: self._current, setCurrentNodeID, notify=currentNodeIDChanged
    )
    currentNodeId = Property(str, lambda self: self._current, setCurrentNodeID)


class qMRMLThreeDView(QtWidgets.QWidget):
    """The place of a 3D view. Nothing is rendered in it: the module shows nothing there."""

    def paintEvent(self, event) -> None:
        from PySide6.QtGui import QColor, QLinearGradient, QPainter

        gradient = QLinearGradient(0, 0, 0, self.height())
        gradient.setColorAt(0, QColor(116, 120, 190))
        gradient.setColorAt(1, QColor(193, 195, 232))
        QPainter(self).fillRect(self.rect(), gradient)

    @Slot()
    def forceRender(self) -> None:
        self.update()


class qMRMLThreeDWidget(qMRMLWidget):
    def __init__(self, parent: QtWidgets.QWidget | None = None):
        super().__init__(parent)
        self._view = qMRMLThreeDView()
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._view)

    @Slot(result=QtWidgets.QWidget)
    def threeDView(self) -> QtWidgets.QWidget:
        return self._view
