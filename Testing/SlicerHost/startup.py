"""Puts the host's modules where `import` finds them, and starts the application."""

from __future__ import annotations

import sys
import types
from typing import Any

import slicer
import slicer.util
import vtk
from PySide6 import QtCore

from . import ctkwidgets
from .pythonqt import connections, qtmodule, wrapper


def start(slotErrors: list[BaseException]) -> Any:
    """Make `qt`, `ctk` and what `slicer` lacks; return `slicer.app`."""
    connections.slotErrors = slotErrors
    QtCore.qInstallMessageHandler(_onQtMessage)
    # trame-slicer observes an event that VTK 9.6 warns of.
    vtk.vtkObject.GlobalWarningDisplayOff()
    sys.modules["qt"] = qtmodule.makeQtModule()
    sys.modules["ctk"] = _makeCtkModule()
    slicer.modules = types.ModuleType("slicer.modules")
    sys.modules["slicer.modules"] = slicer.modules

    from .application import qSlicerApplication

    application = qSlicerApplication()
    slicer.app = wrapper.wrap(application)
    application.begin()
    _addWidgets()
    _addSubmodules()

    from . import modules
    from .mainwindow import qSlicerMainWindow

    modules.addLoadableModules(application.moduleManager(), application.hosted)
    application._mainWindow = qSlicerMainWindow(
        application.layoutManager(), application.moduleManager()
    )
    application._mainWindow.show()
    application.aboutToQuit.connect(application.moduleManager().unload)
    application.startupCompleted.emit()
    vtk.vtkObject.GlobalWarningDisplayOn()
    return slicer.app


def _onQtMessage(kind: QtCore.QtMsgType, context: object, message: str) -> None:
    """Qt's messages go to stderr, save what its offscreen platform says of every window."""
    if "propagateSizeHints" not in message:
        print(message, file=sys.stderr)


def _makeCtkModule() -> types.ModuleType:
    module = types.ModuleType("ctk")
    for name, double in ctkwidgets.doubles().items():
        setattr(module, name, wrapper.wrapperClass(double))
    return module


def doubles() -> dict[str, type]:
    """Name -> double of every class of Slicer's own that the host has."""
    from . import application, fileio, layout, mainwindow, modules, qmrmlwidgets, sliceviews

    found: dict[str, type] = {}
    # The plot views are found in layout, which makes them.
    for source in (application, fileio, layout, mainwindow, modules, qmrmlwidgets, sliceviews):
        for name, value in vars(source).items():
            if isinstance(value, type) and name.startswith(("qMRML", "qSlicer")):
                found[name] = value
    return found


def _addWidgets() -> None:
    for name, double in doubles().items():
        setattr(slicer, name, wrapper.wrapperClass(double))


def _addSubmodules() -> None:
    from . import parameternode, scripted, translation

    sys.modules["SampleData"] = scripted.makeSampleDataModule()
    for made in (
        translation.makeTranslationModule(),
        scripted.makeScriptedModule(),
        *parameternode.makeParameterNodeModules(),
    ):
        sys.modules[made.__name__] = made
        parent, _, name = made.__name__.rpartition(".")
        setattr(sys.modules[parent], name, made)
