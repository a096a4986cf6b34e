"""Modules: what `slicer.modules` and the module manager hold, and the scripted module's frame."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Signal, Slot

from .properties import readOnly, stored
from .pythonqt import connections, wrapper


class qSlicerScriptedLoadableModule(QtCore.QObject):
    """What Slicer hands a scripted module's class as `parent`."""

    title = stored(str, "")
    categories = stored("QStringList", [])
    dependencies = stored("QStringList", [])
    contributors = stored("QStringList", [])
    associatedNodeTypes = stored("QStringList", [])
    helpText = stored(str, "")
    acknowledgementText = stored(str, "")
    hidden = stored(bool, False)
    index = stored(int, -1)
    icon = stored(QtGui.QIcon, QtGui.QIcon())
    name = readOnly(str, lambda self: self._name)
    path = readOnly(str, lambda self: self._path)

    notConstructible = False

    def __init__(self, parent: QtCore.QObject | None = None):
        super().__init__(parent)
        self._name, self._path = "", ""
        self._python: Any = None
        self._source: types.ModuleType | None = None
        self._widget: qSlicerScriptedLoadableModuleWidget | None = None

    def begin(self, path: Path, source: types.ModuleType) -> None:
        """Make the module's Python object, as Slicer does when it finds the file."""
        self._name, self._path, self._source = path.stem, str(path), source
        self._python = getattr(source, self._name)(wrapper.wrap(self))

    @Slot(result=QtWidgets.QWidget)
    def widgetRepresentation(self) -> QtWidgets.QWidget:
        if self._widget is None:
            self._widget = self.createNewWidgetRepresentation()
        return self._widget

    @Slot(result=QtWidgets.QWidget)
    def createNewWidgetRepresentation(self) -> QtWidgets.QWidget:
        widget = qSlicerScriptedLoadableModuleWidget()
        widget.begin(self)
        return widget

    @Slot(result=object)
    def logic(self) -> Any:
        return None

    @Slot(result=object)
    def mrmlScene(self) -> slicer.vtkMRMLScene:
        return slicer.mrmlScene

    def pythonClass(self, suffix: str) -> Any:
        return getattr(sys.modules[self._name], self._name + suffix)


class qSlicerScriptedLoadableModuleWidget(QtWidgets.QWidget):
    """The frame that Slicer gives a scripted module's widget as `parent`."""

    mrmlSceneChanged = Signal(object)
    foreignSignals = ("mrmlSceneChanged(vtkMRMLScene*)",)

    def __init__(self, parent: QtWidgets.QWidget | None = None):
        super().__init__(parent)
        QtWidgets.QVBoxLayout(self)
        self._module: qSlicerScriptedLoadableModule | None = None
        self._python: Any = None
        self._entered = False

    isEntered = readOnly(bool, lambda self: self._entered)
    moduleName = readOnly(str, lambda self: self._module._name)

    def begin(self, module: qSlicerScriptedLoadableModule) -> None:
        self._module = module
        self.setObjectName(f"{module._name}ModuleWidget")
        self.reload()

    @Slot()
    def reload(self) -> None:
        """Make the module's Python widget anew."""
        self._python = self._module.pythonClass("Widget")(wrapper.wrap(self))
        self._python.setup()

    @Slot()
    def enter(self) -> None:
        self._entered = True
        self._call("enter")

    @Slot()
    def exit(self) -> None:
        self._entered = False
        self._call("exit")

    def cleanup(self) -> None:
        self._call("cleanup")

    def _call(self, name: str) -> None:
        """Call what the Python widget has of that name; as in Slicer, its error is printed."""
        try:
            getattr(self._python, name, lambda: None)()
        except Exception as error:
            connections.report(error)

    @Slot(object)
    def setMRMLScene(self, scene: slicer.vtkMRMLScene) -> None:
        self.mrmlSceneChanged.emit(scene)

    @Slot(result=object)
    def module(self) -> QtCore.QObject:
        return self._module

    @Slot(object, str, str, result=bool)
    def setEditedNode(self, node: Any, role: str = "", context: str = "") -> bool:
        method = getattr(self._python, "setEditedNode", None)
        return bool(method(node, role, context)) if method else False

    def _self(self) -> Any:
        return self._python

    # The real method is called `self`, which cannot be the name of a method's first argument too.
    self = Slot(name="self", result=object)(_self)


class qSlicerLoadableModule(QtCore.QObject):
    """A module written in C++, for its logic."""

    notConstructible = True

    def __init__(self, name: str, logic: Any):
        super().__init__()
        self._name, self._logic = name, logic

    name = readOnly(str, lambda self: self._name)
    title = readOnly(str, lambda self: self._name)

    @Slot(result=object)
    def logic(self) -> Any:
        return self._logic

    @Slot(result=object)
    def mrmlScene(self) -> slicer.vtkMRMLScene:
        return slicer.mrmlScene


class qSlicerModuleFactoryManager(QtCore.QObject):
    notConstructible = True

    def __init__(self, modules: dict[str, QtCore.QObject]):
        super().__init__()
        self._modules = modules

    @Slot(result="QStringList")
    def loadedModuleNames(self) -> list[str]:
        return list(self._modules)

    @Slot(str, result=bool)
    def isLoaded(self, name: str) -> bool:
        return name in self._modules

    @Slot(str, result=QtCore.QObject)
    def loadedModule(self, name: str) -> QtCore.QObject | None:
        return self._modules.get(name)


class qSlicerModuleManager(QtCore.QObject):
    moduleLoaded = Signal(str)
    moduleAboutToBeUnloaded = Signal(str)

    def __init__(self, parent: QtCore.QObject | None = None):
        super().__init__(parent)
        self._modules: dict[str, QtCore.QObject] = {}
        self._factoryManager = qSlicerModuleFactoryManager(self._modules)

    def add(self, name: str, module: QtCore.QObject) -> None:
        self._modules[name] = module
        setattr(slicer.modules, name.lower(), wrapper.wrap(module))
        self.moduleLoaded.emit(name)

    def unload(self) -> None:
        """What happens when the application ends: widgets clean up."""
        for name, module in self._modules.items():
            if isinstance(module, qSlicerScriptedLoadableModule):
                self.moduleAboutToBeUnloaded.emit(name)

    @Slot(str, result=QtCore.QObject)
    def module(self, name: str) -> QtCore.QObject | None:
        return self._modules.get(name)

    @Slot(result="QStringList")
    def modulesNames(self) -> list[str]:
        return list(self._modules)

    @Slot(result=QtCore.QObject)
    def factoryManager(self) -> QtCore.QObject:
        return self._factoryManager


def loadScripted(manager: qSlicerModuleManager, path: Path) -> qSlicerScriptedLoadableModule:
    """Load a scripted module as Slicer does: its folder on sys.path, the file by its name."""
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    specification = importlib.util.spec_from_file_location(path.stem, path)
    source = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = source
    specification.loader.exec_module(source)
    module = qSlicerScriptedLoadableModule()
    module.begin(path, source)
    manager.add(path.stem, module)
    return module


_LOGICS = {
    # trame-slicer has the core's logic under this name; the module's own adds the legends.
    "Colors": "vtkSlicerColorLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
}


def addLoadableModules(manager: qSlicerModuleManager, hosted: Any) -> None:
    """Slicer's own modules, for their logics; what trame-slicer has already made is taken."""
    for name, className in _LOGICS.items():
        logic = hosted.app_logic.GetModuleLogic(name)
        if logic is None or not logic.IsA(className):
            logic = hosted.register_module_logic(getattr(slicer, className)(), logic_name=name)
        manager.add(name, qSlicerLoadableModule(name, logic))
