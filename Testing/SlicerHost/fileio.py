"""Reading and writing files by Slicer's own logics and storage nodes."""

from __future__ import annotations

from pathlib import Path

import slicer
import vtk
from PySide6 import QtCore
from PySide6.QtCore import Signal, Slot

_VOLUME_OPTIONS = {"labelmap": 1, "center": 2, "singleFile": 4, "autoWindowLevel": 8}
_VOLUME_OPTIONS["discardOrientation"] = 16


class qSlicerIOManager(QtCore.QObject):
    newFileLoaded = Signal("QVariantMap")
    fileSaved = Signal("QVariantMap")

    def __init__(
        self, scene: slicer.vtkMRMLScene, applicationLogic: slicer.vtkSlicerApplicationLogic
    ):
        super().__init__()
        self._scene = scene
        self._applicationLogic = applicationLogic

    @Slot(str, result=str)
    def fileType(self, fileName: str) -> str:
        suffix = Path(fileName).suffix
        return {".mrml": "SceneFile", ".mrb": "SceneFile", ".txt": "TextFile"}.get(
            suffix, "VolumeFile"
        )

    @Slot(str, "QVariantMap", object, object, result=bool)
    def loadNodes(self, fileType, properties, loaded=None, messages=None) -> bool:
        if fileType == "SceneFile":
            return self.loadScene(properties["fileName"], properties.get("clear", False), messages)
        readers = {"VolumeFile": self._loadVolume, "TextFile": self._loadText}
        if fileType not in readers:
            raise NotImplementedError(f"the host reads no {fileType}")
        node = readers[fileType](properties)
        if node is None:
            return False
        if loaded is not None:
            loaded.AddItem(node)
        return True

    def _loadVolume(self, properties) -> slicer.vtkMRMLVolumeNode | None:
        path = properties["fileName"]
        options = sum(bit for name, bit in _VOLUME_OPTIONS.items() if properties.get(name))
        logic = self._applicationLogic.GetModuleLogic("Volumes")
        name = properties.get("name") or _stem(path)
        node = logic.AddArchetypeVolume(path, name, options)
        if node is not None and properties.get("show", True):
            self._show(node)
        return node

    def _show(self, node: slicer.vtkMRMLVolumeNode) -> None:
        selection = self._applicationLogic.GetSelectionNode()
        selection.SetActiveVolumeID(node.GetID())
        self._applicationLogic.PropagateVolumeSelection()

    def _loadText(self, properties) -> slicer.vtkMRMLTextNode | None:
        node = self._scene.AddNewNodeByClass("vtkMRMLTextNode", _stem(properties["fileName"]))
        node.SetText(Path(properties["fileName"]).read_text(encoding="utf-8"))
        return node

    @Slot(str, bool, object, result=bool)
    def loadScene(self, fileName: str, clear: bool = False, messages=None) -> bool:
        if clear:
            self._scene.Clear(False)
        if Path(fileName).suffix == ".mrb":
            folder = QtCore.QTemporaryDir()
            return bool(self._scene.ReadFromMRB(fileName, clear)) and folder.isValid()
        self._scene.SetURL(fileName)
        return bool(self._scene.Import(messages))

    @Slot(object, result=str)
    def fileWriterFileType(self, node: vtk.vtkObject, preferred: str = "") -> str:
        return "VolumeFile" if node.IsA("vtkMRMLVolumeNode") else "NodeFile"

    @Slot(str, "QVariantMap", object, result=bool)
    def saveNodes(self, fileType, properties, messages=None, scene=None) -> bool:
        path = str(properties["fileName"])
        if fileType == "SceneFile":
            self._scene.SetURL(path)
            self._scene.SetRootDirectory(str(Path(path).parent))
            if path.endswith(".mrb"):
                return bool(self._scene.WriteToMRB(path))
            return bool(self._scene.Commit(path))
        node = self._scene.GetNodeByID(properties["nodeID"])
        if node.GetStorageNode() is None:
            node.AddDefaultStorageNode()
        storage = node.GetStorageNode()
        storage.SetFileName(path)
        storage.SetUseCompression(bool(properties.get("useCompression", False)))
        return bool(storage.WriteData(node))

    @Slot("QStringList", "QStringList", "QVariantMap", bool, object, result=bool)
    def exportNodes(self, nodeIDs, fileNames, properties, harden, messages=None) -> bool:
        """Write nodes without touching the storage nodes that they have."""
        written = True
        for nodeID, fileName in zip(nodeIDs, fileNames, strict=True):
            node = self._scene.GetNodeByID(nodeID)
            storage = self._storage(node)
            storage.SetFileName(str(fileName))
            storage.SetUseCompression(bool(properties.get("useCompression", False)))
            written = bool(storage.WriteData(node)) and written
        return written

    @Slot(str, object, result=str)
    def extractKnownExtension(self, fileName: str, node: vtk.vtkObject) -> str:
        extensions = [_extension(f) for f in self.fileWriterExtensions(node)]
        known = [e for e in extensions if str(fileName).lower().endswith(e)]
        return max(known, key=len, default="")

    @Slot(object, result="QStringList")
    def fileWriterExtensions(self, node: vtk.vtkObject) -> list[str]:
        formats = self._storage(node).GetSupportedWriteFileTypes()
        return [formats.GetValue(i) for i in range(formats.GetNumberOfValues())]

    def _storage(self, node: slicer.vtkMRMLStorableNode) -> slicer.vtkMRMLStorageNode:
        """A storage node of the kind that the node's class has, outside the scene."""
        storage = self._scene.CreateNodeByClass(node.GetDefaultStorageNodeClassName())
        storage.UnRegister(None)
        storage.SetScene(self._scene)
        return storage


def _stem(path: str) -> str:
    name = Path(path).name
    return name[: -len(".nii.gz")] if name.endswith(".nii.gz") else Path(path).stem


def _extension(fileFormat: str) -> str:
    return slicer.vtkDataFileFormatHelper.GetFileExtensionFromFormatString(fileFormat)
