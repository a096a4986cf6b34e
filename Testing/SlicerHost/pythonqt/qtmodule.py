"""The module `qt`: every class of Qt's core, gui, widgets and network in one flat namespace."""

from __future__ import annotations

import importlib
import types
from typing import Any

from PySide6 import QtCore

from . import wrapper

_SOURCES = ("QtCore", "QtGui", "QtWidgets", "QtNetwork", "QtPrintSupport", "QtUiTools")


class QtModule(types.ModuleType):
    """Wraps a class when it is first asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = find(name)
        if not wrapper.isQtClass(value) and name != "Qt":
            raise AttributeError(f"module 'qt' has no attribute '{name}'")
        found = wrapper.wrapperClass(value)
        setattr(self, name, found)
        return found


def find(name: str) -> Any:
    """A class of PySide6 by its name alone, None if there is none."""
    for source in _SOURCES:
        try:
            module = importlib.import_module(f"PySide6.{source}")
        except ImportError:  # the Essentials have no such part on this system
            continue
        if hasattr(module, name):
            return getattr(module, name)
    return None


def makeQtModule() -> QtModule:
    module = QtModule("qt")
    # Slicer replaces this function at start-up, so that it takes any callable and no C++ slot.
    wrapper.wrapperClass(QtCore.QTimer).singleShot = staticmethod(singleShot)
    return module


def singleShot(milliseconds: int, receiverOrCallable: Any, member: str | None = None) -> None:
    """Call something once, later: as Slicer's own replacement of QTimer.singleShot."""
    callable_ = getattr(receiverOrCallable, member.rstrip("()")) if member else receiverOrCallable
    timer = QtCore.QTimer(QtCore.QCoreApplication.instance())
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    wrapped = wrapper.wrap(timer)
    wrapped.connect("timeout()", callable_)
    timer.timeout.connect(timer.deleteLater)
    timer.start()
