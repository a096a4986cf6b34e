"""What the host needs of the system: graphics libraries that no Python package brings.

Each missing thing is named in one sentence, with the command that installs it on Debian and Ubuntu.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_PACKAGES = {
    "PySide6": "PySide6-Essentials",
    "slicer": "slicer-core",
    "slicer_layer_dm": "slicer-layer-dm",
    "trame_slicer": "trame-slicer",
    "vtk": "vtk",
}


@dataclass(frozen=True)
class Library:
    name: str
    purpose: str
    package: str


_LIBRARIES = (
    Library("libEGL.so.1", "rendering without a display", "libegl1"),
    Library("libGL.so.1", "Qt's drawing", "libgl1"),
    Library("libOpenGL.so.0", "VTK's drawing", "libopengl0"),
    Library("libxkbcommon.so.0", "Qt's keyboard handling", "libxkbcommon0"),
    Library("libdbus-1.so.3", "Qt", "libdbus-1-3"),
    Library("libfontconfig.so.1", "finding fonts", "libfontconfig1"),
    Library("libfreetype.so.6", "drawing text", "libfreetype6"),
    Library("libglib-2.0.so.0", "Qt", "libglib2.0-0"),
    Library("libX11.so.6", "VTK", "libx11-6"),
)


def problems() -> list[str]:
    """One sentence for each thing that is missing; empty if the host can start."""
    missing = [
        f"The Python package {package} is not installed: pip install --editable '.[develop]'"
        for module, package in _PACKAGES.items()
        if importlib.util.find_spec(module) is None
    ]
    if missing:
        return missing
    if sys.platform.startswith("linux"):
        absent = [library for library in _LIBRARIES if not _loads(library.name)]
        if absent:
            named = [
                f"The system library {library.name} ({library.purpose}) is missing."
                for library in absent
            ]
            return [*named, _apt([library.package for library in absent])]
    return _startProblems()


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _apt(packages: list[str]) -> str:
    names = " ".join(sorted(set(packages)))
    return f"On Debian and Ubuntu: sudo apt-get install --no-install-recommends {names}"


_DRIVER = _apt(["libegl-mesa0", "libgl1-mesa-dri"])


def _startProblems() -> list[str]:
    """What only shows when things are drawn. In a process of its own: a bad driver ends that."""
    probe = subprocess.run(
        [sys.executable, "-c", "from SlicerHost import check; check.probe()"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    if probe.returncode == 0:
        return probe.stdout.splitlines()
    said = [line for line in probe.stderr.splitlines() if line.strip()]
    return [
        f"Drawing without a display fails: {said[-1] if said else 'no reason was told'}",
        _DRIVER,
    ]


def probe() -> None:
    """Draw a text and a picture, and print a sentence for each that does not come out right."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    from PySide6 import QtGui, QtWidgets

    application = QtWidgets.QApplication(["check"])
    metrics = QtGui.QFontMetrics(application.font())
    if metrics.horizontalAdvance("i") == metrics.horizontalAdvance("W"):
        print("No font is installed, so each letter would be an empty box.")
        print(_apt(["fonts-dejavu-core"]))
    import slicer  # noqa: F401 - loads Slicer's libraries
    import vtk

    window, renderer = vtk.vtkRenderWindow(), vtk.vtkRenderer()
    renderer.SetBackground(1, 0, 0)
    window.SetOffScreenRendering(1)
    window.SetSize(16, 16)
    window.AddRenderer(renderer)
    window.Render()
    grabber = vtk.vtkWindowToImageFilter()
    grabber.SetInput(window)
    grabber.Update()
    if grabber.GetOutput().GetScalarComponentAsDouble(8, 8, 0, 0) != 255:
        print("VTK cannot render without a display: the system has no driver for EGL.")
        print(_DRIVER)
