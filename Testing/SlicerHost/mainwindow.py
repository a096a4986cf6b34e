"""The main window: the module's panel at the left, the views in the centre, as in Slicer."""

from __future__ import annotations

from PySide6 import QtGui, QtWidgets
from PySide6.QtCore import Property, Qt, Signal, Slot

from .layout import qSlicerLayoutManager
from .modules import qSlicerModuleManager

_PANEL_WIDTH = 420


class qSlicerModuleSelectorToolBar(QtWidgets.QToolBar):
    moduleSelected = Signal(str)

    def __init__(self, parent: QtWidgets.QWidget | None = None):
        super().__init__(parent)
        self._selected = ""

    @Slot(str)
    def selectModule(self, name: str) -> None:
        if name != self._selected:
            self._selected = name
            self.moduleSelected.emit(name)

    selectedModule = Property(str, lambda self: self._selected, selectModule, notify=moduleSelected)


class qSlicerMainWindow(QtWidgets.QMainWindow):
    initialWindowShown = Signal()

    notConstructible = True

    def __init__(self, layoutManager: qSlicerLayoutManager, moduleManager: qSlicerModuleManager):
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.setWindowTitle("3D Slicer")
        self._moduleManager = moduleManager
        self._shown: QtWidgets.QWidget | None = None
        self._selector = qSlicerModuleSelectorToolBar()
        self._selector.moduleSelected.connect(self._show)
        self.addToolBar(self._selector)
        self._selector.hide()
        self._title = QtWidgets.QLabel()
        self._title.setContentsMargins(8, 5, 8, 5)
        self._panel = QtWidgets.QScrollArea()
        self._panel.setWidgetResizable(True)
        self._panel.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self._panel.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        left = QtWidgets.QWidget()
        left.setFixedWidth(_PANEL_WIDTH)
        column = QtWidgets.QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._title)
        column.addWidget(self._panel, 1)
        centre = QtWidgets.QWidget()
        row = QtWidgets.QHBoxLayout(centre)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        row.addWidget(left)
        row.addWidget(layoutManager.viewport, 1)
        self.setCentralWidget(centre)
        self.resize(1400, 900)

    def _show(self, name: str) -> None:
        """Leave the module shown so far, enter the one of that name."""
        if self._shown is not None:
            self._shown.exit()
            self._panel.takeWidget()
        module = self._moduleManager.module(name)
        self._shown = module.widgetRepresentation() if module is not None else None
        if self._shown is None:
            return
        self._title.setText(f"<b>{module.title}</b>")
        self._panel.setWidget(self._shown)
        self._shown.show()
        self._shown.enter()

    @Slot(result=QtWidgets.QToolBar)
    def moduleSelector(self) -> QtWidgets.QToolBar:
        return self._selector


def usePalette(application: QtWidgets.QApplication, dark: bool) -> None:
    """Slicer's light or dark look: Fusion with a palette of its own."""
    application.setStyle("Fusion")
    role = QtGui.QPalette.ColorRole
    colors = _DARK if dark else _LIGHT
    palette = QtGui.QPalette()
    for name, color in colors.items():
        palette.setColor(getattr(role, name), QtGui.QColor(color))
    for name in ("WindowText", "Text", "ButtonText"):
        disabled = QtGui.QColor("#808080" if dark else "#a0a0a0")
        palette.setColor(QtGui.QPalette.ColorGroup.Disabled, getattr(role, name), disabled)
    application.setPalette(palette)


_LIGHT = {
    "Window": "#f0f0f0",
    "WindowText": "#1a1a1a",
    "Base": "#ffffff",
    "AlternateBase": "#f6f6f6",
    "Text": "#1a1a1a",
    "Button": "#ececec",
    "ButtonText": "#1a1a1a",
    "Highlight": "#3a7bd5",
    "HighlightedText": "#ffffff",
    "Link": "#1f5fb8",
    "ToolTipBase": "#ffffe1",
    "ToolTipText": "#1a1a1a",
    "PlaceholderText": "#7a7a7a",
    "Mid": "#b8b8b8",
}
_DARK = {
    "Window": "#323232",
    "WindowText": "#ebebeb",
    "Base": "#262626",
    "AlternateBase": "#2c2c2c",
    "Text": "#ebebeb",
    "Button": "#3c3c3c",
    "ButtonText": "#ebebeb",
    "Highlight": "#4a86d8",
    "HighlightedText": "#ffffff",
    "Link": "#7fb2f5",
    "ToolTipBase": "#4a4a4a",
    "ToolTipText": "#ebebeb",
    "PlaceholderText": "#9a9a9a",
    "Mid": "#5a5a5a",
}
