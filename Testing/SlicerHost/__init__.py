"""A host in which a scripted module of 3D Slicer runs unchanged, without a Slicer.

The scene, its nodes and logics, `slicer.util` and the slice views are Slicer's own, from the wheels
`slicer-core`, `slicer-layer-dm` and `trame-slicer`. Widgets are Qt's, of PySide6, with the manners
of PythonQt; what CTK and Slicer add to them are doubles held against the catalogue of the real
classes by `Testing/host`. See README.md.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_started: dict[str, Any] = {}

#: What slots raised so far; PythonQt prints such errors and goes on. Set by `start`.
slotErrors: list[BaseException] = []


def start(dark: bool = False) -> Any:
    """Set everything up, once; return `slicer.app`. From then on slicer, qt and ctk are there."""
    if not _started:
        _prepareEnvironment()
        from . import startup

        _started["app"] = startup.start(slotErrors)
    from . import mainwindow
    from .pythonqt import wrapper

    mainwindow.usePalette(wrapper.unwrap(_started["app"]), dark)
    return _started["app"]


def load_module(path: str | Path) -> Any:
    """Load a scripted module from its file as Slicer does, and return the module object."""
    start()
    from . import modules
    from .pythonqt import wrapper

    application = wrapper.unwrap(_started["app"])
    return wrapper.wrap(modules.loadScripted(application.moduleManager(), Path(path).resolve()))


def wait_until(condition: Callable[[], Any], seconds: float = 30.0) -> bool:
    """Let Qt work until a condition holds. False if it did not within the time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        _started["app"].processEvents()
        time.sleep(0.005)
    return True


def screenshot(path: str | Path) -> None:
    """Save a picture of the main window, with the views as they are now."""
    import slicer

    slicer.app.processEvents()
    if not slicer.util.mainWindow().grab().save(str(path)):
        raise OSError(f"the screenshot could not be written to {path}")


def _prepareEnvironment() -> None:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    # Without a display VTK would try X11 first and complain.
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
