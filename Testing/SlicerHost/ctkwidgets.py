"""Doubles of CTK's widgets. Names, properties, slots and signals are the real ones."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Qt, Signal, Slot

from .properties import passedOn, stored


class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A header with an arrow that shows and hides what lies under it."""

    contentsCollapsed = Signal(bool)

    collapsedHeight = stored(int, 0)
    flat = stored(bool, False, "update")

    def __init__(self, parent: QtWidgets.QWidget | None = None):
        super().__init__(parent)
        self._collapsed = False
        self._hiddenByCollapse: list[QtWidgets.QWidget] = []
        self.setSizePolicy(QtWidgets.QSizePolicy.Preferred, QtWidgets.QSizePolicy.Preferred)
        self.setContentsMargins(0, self._headerHeight(), 0, 0)
        self.clicked.connect(lambda: self._setCollapsed(not self._collapsed))

    def _isCollapsed(self) -> bool:
        return self._collapsed

    def _setCollapsed(self, collapsed: bool) -> None:
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        if collapsed:
            children = self.findChildren(
                QtWidgets.QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly
            )
            self._hiddenByCollapse = [child for child in children if not child.isHidden()]
            self.setMaximumHeight(self._headerHeight())
        else:
            self.setMaximumHeight(16777215)
        for child in self._hiddenByCollapse:
            child.setVisible(not collapsed)
        self.updateGeometry()
        self.update()
        self.contentsCollapsed.emit(collapsed)

    collapsed = Property(bool, _isCollapsed, _setCollapsed, notify=contentsCollapsed)

    def _headerHeight(self) -> int:
        return self.fontMetrics().height() + 10

    def hitButton(self, position: QtCore.QPoint) -> bool:
        return position.y() <= self._headerHeight()

    def sizeHint(self) -> QtCore.QSize:
        width = self.fontMetrics().horizontalAdvance(self.text()) + 40
        if self.layout() is None or self._collapsed:
            return QtCore.QSize(width, self._headerHeight())
        return super().sizeHint().expandedTo(QtCore.QSize(width, 0))

    def minimumSizeHint(self) -> QtCore.QSize:
        if self.layout() is None or self._collapsed:
            return QtCore.QSize(20, self._headerHeight())
        return super().minimumSizeHint()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtWidgets.QStylePainter(self)
        header = QtWidgets.QStyleOptionButton()
        header.initFrom(self)
        header.rect = QtCore.QRect(0, 0, self.width(), self._headerHeight())
        header.state |= QtWidgets.QStyle.StateFlag.State_Raised
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, header)
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        side = self._headerHeight() - 14
        arrow.rect = QtCore.QRect(8, 7, side, side)
        primitive = QtWidgets.QStyle.PrimitiveElement
        painter.drawPrimitive(
            primitive.PE_IndicatorArrowRight
            if self._collapsed
            else primitive.PE_IndicatorArrowDown,
            arrow,
        )
        text = header.rect.adjusted(16 + side, 0, -4, 0)
        painter.setPen(self.palette().color(QtGui.QPalette.ColorRole.ButtonText))
        painter.drawText(
            text, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, self.text()
        )
        if not self._collapsed and not self.flat:
            frame = QtWidgets.QStyleOptionFrame()
            frame.initFrom(self)
            frame.rect = self.rect().adjusted(0, self._headerHeight(), 0, 0)
            painter.drawPrimitive(primitive.PE_FrameGroupBox, frame)


class ctkCollapsibleGroupBox(QtWidgets.QGroupBox):
    """A group box whose check mark shows and hides its contents."""

    collapsedHeight = stored(int, 14)

    def __init__(self, parent: QtWidgets.QWidget | None = None):
        super().__init__(parent)
        self._hiddenByCollapse: list[QtWidgets.QWidget] = []
        self.setCheckable(True)
        self.setChecked(True)
        self.toggled.connect(self._showContents)

    def _showContents(self, shown: bool) -> None:
        if not shown:
            children = self.findChildren(
                QtWidgets.QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly
            )
            self._hiddenByCollapse = [child for child in children if not child.isHidden()]
        for child in self._hiddenByCollapse:
            child.setVisible(shown)
        self.setMaximumHeight(16777215 if shown else self.fontMetrics().height() + 8)

    collapsed = Property(
        bool, lambda self: not self.isChecked(), lambda self, value: self.setChecked(not value)
    )


class ctkExpandButton(QtWidgets.QToolButton):
    """A tool button with an arrow that turns when it is checked."""

    mirrorOnExpand = stored(bool, False)

    def __init__(self, parent: QtWidgets.QWidget | None = None):
        super().__init__(parent)
        self.setCheckable(True)
        self.setAutoRaise(True)
        self.setArrowType(Qt.ArrowType.RightArrow)
        self.toggled.connect(
            lambda on: self.setArrowType(Qt.ArrowType.DownArrow if on else Qt.ArrowType.RightArrow)
        )


class ctkPushButton(QtWidgets.QPushButton):
    buttonTextAlignment = stored(int, 0x84)
    elideMode = stored(int, 3)
    iconAlignment = stored(int, 0x81)


class ctkCheckablePushButton(ctkPushButton):
    checkBoxToggled = Signal(bool)

    checkBoxControlsButton = stored(bool, True)
    checkBoxUserCheckable = stored(bool, True)
    indicatorAlignment = stored(int, 0x81)


class ctkMenuButton(QtWidgets.QPushButton):
    pass


class ctkCheckBox(QtWidgets.QCheckBox):
    indicatorIcon = stored(QtGui.QIcon, QtGui.QIcon())
    indicatorIconSize = stored(QtCore.QSize, QtCore.QSize(16, 16))


class ctkComboBox(QtWidgets.QComboBox):
    """A combo box that can show a default text while nothing is chosen."""

    class ScrollEffect(enum.IntEnum):
        NeverScroll = 0
        AlwaysScroll = 1
        ScrollWithFocus = 2
        ScrollWithNoVScrollBar = 3

    elideMode = stored(int, 3)
    forceDefault = stored(bool, False)
    scrollWheelEffect = stored(int, ScrollEffect.AlwaysScroll)
    defaultText = Property(
        str,
        lambda self: self.placeholderText(),
        lambda self, text: self.setPlaceholderText(text),
    )

    def _userData(self) -> str:
        value = self.currentData()
        return "" if value is None else str(value)

    @Slot(str)
    def setCurrentUserDataAsString(self, data: str) -> None:
        for index in range(self.count()):
            if str(self.itemData(index)) == data:
                self.setCurrentIndex(index)

    currentUserDataAsString = Property(str, _userData, setCurrentUserDataAsString)

    def wheelEvent(self, event: QtGui.QWheelEvent) -> None:
        if self.scrollWheelEffect == self.ScrollEffect.NeverScroll:
            event.ignore()
        else:
            super().wheelEvent(event)


class ctkDoubleSlider(QtWidgets.QWidget):
    """A slider of floating point numbers, in steps of `singleStep`."""

    valueChanged = Signal(float)
    sliderMoved = Signal(float)
    sliderPressed = Signal()
    sliderReleased = Signal()
    rangeChanged = Signal(float, float)

    tickInterval = stored(float, 0.0)
    handleToolTip = stored(str, "")
    invertedAppearance = passedOn(bool, "_slider", "invertedAppearance")
    invertedControls = passedOn(bool, "_slider", "invertedControls")
    tracking = passedOn(bool, "_slider", "tracking")
    tickPosition = passedOn(int, "_slider", "tickPosition")

    def __init__(self, parent: QtWidgets.QWidget | None = None):
        super().__init__(parent)
        self._minimum, self._maximum, self._step, self._page, self._value = (
            0.0,
            99.0,
            1.0,
            10.0,
            0.0,
        )
        self._slider = QtWidgets.QSlider(Qt.Orientation.Horizontal)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        self._slider.sliderPressed.connect(self.sliderPressed)
        self._slider.sliderReleased.connect(self.sliderReleased)
        self._slider.sliderMoved.connect(
            lambda place: self.sliderMoved.emit(self._minimum + place * self._step)
        )
        self._slider.valueChanged.connect(
            lambda place: self.setValue(self._minimum + place * self._step)
        )
        self._arrange()

    def _arrange(self) -> None:
        """Give the slider one place per step, and the place of the value."""
        steps = round((self._maximum - self._minimum) / self._step) if self._step else 0
        with QtCore.QSignalBlocker(self._slider):
            self._slider.setRange(0, max(steps, 0))
            self._slider.setPageStep(max(round(self._page / self._step), 1) if self._step else 1)
            self._slider.setValue(round((self._value - self._minimum) / (self._step or 1)))

    @Slot(float)
    def setValue(self, value: float) -> None:
        value = min(max(float(value), self._minimum), self._maximum)
        if value == self._value:
            return
        self._value = value
        self._arrange()
        self.valueChanged.emit(value)

    @Slot(Qt.Orientation)
    def setOrientation(self, orientation: Qt.Orientation) -> None:
        self._slider.setOrientation(orientation)

    def _setMinimum(self, minimum: float) -> None:
        self._minimum, self._maximum = minimum, max(minimum, self._maximum)
        self._limited()

    def _setMaximum(self, maximum: float) -> None:
        self._minimum, self._maximum = min(self._minimum, maximum), maximum
        self._limited()

    def _limited(self) -> None:
        self._arrange()
        self.rangeChanged.emit(self._minimum, self._maximum)
        self.setValue(self._value)

    def _setStep(self, step: float) -> None:
        self._step = step
        self._arrange()

    def _setPage(self, page: float) -> None:
        self._page = page
        self._arrange()

    value = Property(float, lambda self: self._value, setValue, notify=valueChanged)
    sliderPosition = Property(float, lambda self: self._value, setValue)
    minimum = Property(float, lambda self: self._minimum, _setMinimum)
    maximum = Property(float, lambda self: self._maximum, _setMaximum)
    singleStep = Property(float, lambda self: self._step, _setStep)
    pageStep = Property(float, lambda self: self._page, _setPage)
    orientation = Property(Qt.Orientation, lambda self: self._slider.orientation(), setOrientation)


class ctkDoubleSpinBox(QtWidgets.QWidget):
    """A spin box around a QDoubleSpinBox."""

    valueChanged = Signal(float)
    decimalsChanged = Signal(int)
    editingFinished = Signal()

    prefix = passedOn(str, "_spinBox", "prefix")
    suffix = passedOn(str, "_spinBox", "suffix")
    minimum = passedOn(float, "_spinBox", "minimum")
    maximum = passedOn(float, "_spinBox", "maximum")
    singleStep = passedOn(float, "_spinBox", "singleStep")
    frame = passedOn(bool, "_spinBox", "frame")

    def __init__(self, parent: QtWidgets.QWidget | None = None):
        super().__init__(parent)
        self._spinBox = QtWidgets.QDoubleSpinBox()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._spinBox)
        self._spinBox.valueChanged.connect(self.valueChanged)
        self._spinBox.editingFinished.connect(self.editingFinished)

    @Slot(float)
    def setValue(self, value: float) -> None:
        self._spinBox.setValue(value)

    @Slot(int)
    def setDecimals(self, decimals: int) -> None:
        self._spinBox.setDecimals(decimals)
        self.decimalsChanged.emit(decimals)

    @Slot(bool)
    def setReadOnly(self, readOnly: bool) -> None:
        self._spinBox.setReadOnly(readOnly)

    @Slot()
    def stepUp(self) -> None:
        self._spinBox.stepUp()

    @Slot()
    def stepDown(self) -> None:
        self._spinBox.stepDown()

    value = Property(float, lambda self: self._spinBox.value(), setValue, notify=valueChanged)
    decimals = Property(
        int, lambda self: self._spinBox.decimals(), setDecimals, notify=decimalsChanged
    )
    readOnly = Property(bool, lambda self: self._spinBox.isReadOnly(), setReadOnly)


class ctkSliderWidget(QtWidgets.QWidget):
    """A slider with a spin box beside it, for a floating point number."""

    valueChanged = Signal(float)
    valueIsChanging = Signal(float)
    decimalsChanged = Signal(int)

    prefix = passedOn(str, "_spinBox", "prefix")
    suffix = passedOn(str, "_spinBox", "suffix")
    tracking = passedOn(bool, "_slider", "tracking")
    invertedAppearance = passedOn(bool, "_slider", "invertedAppearance")
    tickInterval = passedOn(float, "_slider", "tickInterval")
    popupSlider = stored(bool, False)

    def __init__(self, parent: QtWidgets.QWidget | None = None):
        super().__init__(parent)
        self._slider = ctkDoubleSlider()
        self._spinBox = QtWidgets.QDoubleSpinBox()
        self._spinBox.setMaximum(99)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._spinBox)
        self._slider.valueChanged.connect(self._spinBox.setValue)
        self._slider.sliderMoved.connect(self.valueIsChanging)
        self._spinBox.valueChanged.connect(self._slider.setValue)
        self._spinBox.valueChanged.connect(self.valueChanged)

    def _onBoth(name: str) -> Property:  # type: ignore[misc]
        def write(self: ctkSliderWidget, value: float) -> None:
            self._spinBox.setProperty(name, value)
            self._slider.setProperty(name, value)

        return Property(float, lambda self: self._spinBox.property(name), write)

    minimum = _onBoth("minimum")
    maximum = _onBoth("maximum")
    singleStep = _onBoth("singleStep")
    pageStep = passedOn(float, "_slider", "pageStep")

    @Slot(float)
    def setValue(self, value: float) -> None:
        self._spinBox.setValue(value)

    @Slot(int)
    def setDecimals(self, decimals: int) -> None:
        self._spinBox.setDecimals(decimals)
        self.decimalsChanged.emit(decimals)

    @Slot(bool)
    def setSpinBoxVisible(self, visible: bool) -> None:
        self._spinBox.setVisible(visible)

    @Slot()
    def reset(self) -> None:
        self.setValue(self.minimum)

    value = Property(float, lambda self: self._spinBox.value(), setValue)
    decimals = Property(
        int, lambda self: self._spinBox.decimals(), setDecimals, notify=decimalsChanged
    )
    spinBoxVisible = Property(bool, lambda self: not self._spinBox.isHidden(), setSpinBoxVisible)


class ctkPathLineEdit(QtWidgets.QWidget):
    """A path, typed or chosen in a dialog, with those of earlier days in a list."""

    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)

    class Filter(enum.IntFlag):
        Dirs = 1
        Files = 2
        Drives = 4
        NoSymLinks = 8
        AllEntries = 7
        Readable = 16
        Writable = 32
        Executable = 64
        Hidden = 256
        NoDot = 8192
        NoDotDot = 16384
        NoFilter = -1

    filters = stored(int, int(Filter.AllEntries | Filter.NoDot | Filter.NoDotDot))
    label = stored(str, "")
    nameFilters = stored("QStringList", [])
    settingKey = stored(str, "", "retrieveHistory")
    showHistoryButton = stored(bool, True)
    minimumContentsLength = passedOn(int, "_comboBox", "minimumContentsLength")

    def __init__(self, parent: QtWidgets.QWidget | None = None):
        super().__init__(parent)
        self._comboBox = QtWidgets.QComboBox()
        self._comboBox.setEditable(True)
        self._comboBox.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        self._browseButton = QtWidgets.QToolButton()
        self._browseButton.setText("...")
        self._browseButton.clicked.connect(self.browse)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._comboBox, 1)
        layout.addWidget(self._browseButton)
        self._valid = False
        self._comboBox.editTextChanged.connect(self._onTextChanged)

    def _onTextChanged(self, path: str) -> None:
        valid = Path(path).exists() if path else False
        if valid != self._valid:
            self._valid = valid
            self.validInputChanged.emit(valid)
        # The real one says nothing of a path that was emptied.
        if path:
            self.currentPathChanged.emit(path)

    def _browseShown(self) -> bool:
        return not self._browseButton.isHidden()

    showBrowseButton = Property(
        bool, _browseShown, lambda self, shown: self._browseButton.setVisible(shown)
    )

    @Slot(str)
    def setCurrentPath(self, path: str) -> None:
        self._comboBox.setEditText(path)

    @Slot()
    def addCurrentPathToHistory(self) -> None:
        path = self._comboBox.currentText()
        if path and self._comboBox.findText(path) < 0:
            self._comboBox.insertItem(0, path)
            self._comboBox.setCurrentIndex(0)
        if self.settingKey:
            paths = [self._comboBox.itemText(i) for i in range(self._comboBox.count())]
            QtCore.QSettings().setValue(self.settingKey, paths)

    @Slot()
    def retrieveHistory(self) -> None:
        kept = QtCore.QSettings().value(self.settingKey) if self.settingKey else None
        paths = [kept] if isinstance(kept, str) else (kept or [])
        text = self._comboBox.currentText()
        with QtCore.QSignalBlocker(self._comboBox):
            self._comboBox.clear()
            self._comboBox.addItems(paths)
            self._comboBox.setEditText(text)
        if paths and not text:
            self.setCurrentPath(paths[0])

    @Slot()
    def browse(self) -> None:
        raise RuntimeError("ctkPathLineEdit.browse would wait for a user; the host has none")

    @Slot(result=QtWidgets.QComboBox)
    def comboBox(self) -> QtWidgets.QComboBox:
        return self._comboBox

    currentPath = Property(
        str,
        lambda self: self._comboBox.currentText(),
        setCurrentPath,
        notify=currentPathChanged,
    )


class ctkDirectoryButton(QtWidgets.QWidget):
    """A button that shows a folder and lets another be chosen."""

    directoryChanged = Signal(str)
    directorySelected = Signal(str)

    caption = stored(str, "")
    text = stored(str, "", "_show")
    elideMode = stored(int, 3)

    def __init__(self, parent: QtWidgets.QWidget | None = None):
        super().__init__(parent)
        self._directory = str(Path.cwd())
        self._button = QtWidgets.QPushButton()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._button)
        self._show()

    def _show(self) -> None:
        self._button.setText(self.text or self._directory)

    def _setDirectory(self, directory: str) -> None:
        absolute = QtCore.QDir(directory).absolutePath()
        if absolute == self._directory:
            return
        self._directory = absolute
        self._show()
        self.directoryChanged.emit(absolute)

    directory = Property(str, lambda self: self._directory, _setDirectory, notify=directoryChanged)


class ctkFittedTextBrowser(QtWidgets.QTextBrowser):
    """A text browser as high as its text; text after `more...` can be shown on demand."""

    showDetailsText = stored(str, "Show details...")
    hideDetailsText = stored(str, "Hide details...")
    disableMouseScroll = stored(bool, False)
    collapsed = stored(bool, True)

    def __init__(self, parent: QtWidgets.QWidget | None = None):
        super().__init__(parent)
        self._collapsible = ""
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Preferred)
        self.document().documentLayout().documentSizeChanged.connect(self._fit)

    def _fit(self) -> None:
        margins = self.contentsMargins()
        height = self.document().size().height() + margins.top() + margins.bottom()
        self.setFixedHeight(max(round(height), 1))

    @Slot(result=str)
    def collapsibleText(self) -> str:
        return self._collapsible

    @Slot(str)
    def setCollapsibleText(self, text: str) -> None:
        self._collapsible = text
        self.setText(text)

    @Slot(str)
    def setCollapsibleHtml(self, text: str) -> None:
        self._collapsible = text
        self.setHtml(text)

    @Slot(str)
    def setCollapsiblePlainText(self, text: str) -> None:
        self._collapsible = text
        self.setPlainText(text)


class ctkFlowLayout(QtWidgets.QLayout):
    """Puts widgets side by side and starts a new row where the width ends."""

    horizontalSpacing = stored(int, 6, "invalidate")
    verticalSpacing = stored(int, 6, "invalidate")
    alignItems = stored(bool, True)

    def __init__(self) -> None:
        super().__init__()
        self._items: list[QtWidgets.QLayoutItem] = []

    def addItem(self, item: QtWidgets.QLayoutItem) -> None:
        self._items.append(item)

    def count(self) -> int:
        return len(self._items)

    def itemAt(self, index: int) -> QtWidgets.QLayoutItem | None:
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QtWidgets.QLayoutItem | None:
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def expandingDirections(self) -> Qt.Orientation:
        return Qt.Orientation(0)

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return self._place(QtCore.QRect(0, 0, width, 0), move=False)

    def setGeometry(self, rect: QtCore.QRect) -> None:
        super().setGeometry(rect)
        self._place(rect, move=True)

    def sizeHint(self) -> QtCore.QSize:
        return self.minimumSize()

    def minimumSize(self) -> QtCore.QSize:
        size = QtCore.QSize()
        for item in self._items:
            size = size.expandedTo(item.minimumSize())
        margins = self.contentsMargins()
        return size + QtCore.QSize(
            margins.left() + margins.right(), margins.top() + margins.bottom()
        )

    def _place(self, rect: QtCore.QRect, move: bool) -> int:
        area = rect.marginsRemoved(self.contentsMargins())
        x, y, rowHeight = area.x(), area.y(), 0
        for item in self._items:
            size = item.sizeHint()
            if x + size.width() > area.right() + 1 and rowHeight:
                x, y, rowHeight = area.x(), y + rowHeight + self.verticalSpacing, 0
            if move:
                item.setGeometry(QtCore.QRect(QtCore.QPoint(x, y), size))
            x += size.width() + self.horizontalSpacing
            rowHeight = max(rowHeight, size.height())
        return y + rowHeight - rect.y() + self.contentsMargins().bottom()


class ctkSettings(QtCore.QSettings):
    """The settings that `slicer.app.settings()` and its siblings return."""

    modified = Signal()


def doubles() -> dict[str, Any]:
    """Name -> double of every class that the module `ctk` has here."""
    return {
        name: value
        for name, value in globals().items()
        if isinstance(value, type) and name.startswith("ctk")
    }
