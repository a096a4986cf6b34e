"""The score over the slices, small, as bars to click.

It is drawn here and not by a plot view of Slicer, which needs more room than a panel has, is white
whatever the application's style is, and takes the mouse's wheel from the panel that scrolls. The
plot nodes that Slicer shows (``scene/plot.py``) are filled from the same attention as it is shown.
"""

import qt
from slicer.i18n import tr as _

from ..signal import Signal

_HEIGHT = 112
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 6, 8, 34
_BEST = 3


class ScoreCurve(qt.QWidget):
    """``clicked(number)`` names a slice of the model. Draws in the colours of the palette."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self.clicked = Signal()
        self._scores = ()
        self._places = ()
        self._names = ()
        self._best = ()
        self._current = None
        self.setMinimumHeight(_HEIGHT)
        self.setMouseTracking(True)
        self.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Fixed)
        self.toolTip = self._help = _("Score over the slices; click one to go there.")

    def showScores(self, scores, places=(), names=()):
        """One score per slice, not negative; an empty sequence shows nothing.

        ``places`` are the slices' numbers in the scan, for the axis, ``names`` what the tool tip
        calls them.
        """
        self._scores = tuple(scores)
        self._places = tuple(places)
        self._names = tuple(names)
        order = sorted(range(len(self._scores)), key=lambda number: -self._scores[number])
        self._best = tuple(order[:_BEST])
        self._current = None
        self.update()

    def setCurrent(self, number):
        """Mark a slice of the model; None marks none."""
        self._current = number
        self.update()

    def center(self, number):
        """Where a slice is drawn, in pixels from the left."""
        return round(_LEFT + (self._position(number) + 0.5) * self._step())

    def paintEvent(self, event):
        painter = qt.QPainter(self)
        palette = self.palette
        painter.fillRect(0, 0, self.width, self.height, palette.color(qt.QPalette.Base))
        if self._scores:
            self._paintBars(painter, palette)
            self._paintAxes(painter, palette)
        # Python may keep the painter longer than Qt allows.
        painter.end()

    def _paintBars(self, painter, palette):
        floor = self.height - _BOTTOM
        room = floor - _TOP
        highest = max(self._scores) or 1.0
        bar = qt.QColor(palette.color(qt.QPalette.Highlight))
        pale = qt.QColor(bar)
        pale.setAlphaF(0.45)
        current = palette.color(qt.QPalette.Text)
        for number, score in enumerate(self._scores):
            position = self._position(number)
            left = round(_LEFT + position * self._step())
            width = max(1, round(_LEFT + (position + 1) * self._step()) - left - 1)
            height = max(1, round(room * score / highest))
            color = current if number == self._current else bar if number in self._best else pale
            painter.fillRect(left, floor - height, width, height, color)
        # What each slice had if the model preferred none.
        even = round(floor - room * sum(self._scores) / len(self._scores) / highest)
        painter.setPen(qt.QPen(palette.color(qt.QPalette.Mid), 1, qt.Qt.DashLine))
        painter.drawLine(_LEFT, even, self.width - _RIGHT, even)

    def _paintAxes(self, painter, palette):
        floor = self.height - _BOTTOM
        painter.setPen(qt.QPen(palette.color(qt.QPalette.Mid), 1))
        painter.drawLine(_LEFT - 2, floor, self.width - _RIGHT, floor)
        font = qt.QFont(self.font)
        font.setPointSizeF(max(6.0, font.pointSizeF() - 1))
        painter.setFont(font)
        painter.setPen(palette.color(qt.QPalette.Text))
        line = _BOTTOM // 2
        toRight = int(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
        toCenter = int(qt.Qt.AlignHCenter | qt.Qt.AlignVCenter)
        highest = max(self._scores)
        painter.drawText(0, 0, _LEFT - 4, line, toRight, f"{highest:.2f}")
        painter.drawText(0, _TOP + 16, _LEFT - 4, line, toRight, _("score"))
        painter.drawText(0, floor - line // 2, _LEFT - 4, line, toRight, "0")
        if self._places:
            last = len(self._scores) - 1
            for number in (0, last // 2, last):
                middle = min(max(self.center(number), _LEFT + 10), self.width - _RIGHT - 14)
                text = f"{self._places[number]:.0f}"
                painter.drawText(middle - 30, floor + 1, 60, line, toCenter, text)
        width = self.width - _LEFT - _RIGHT
        painter.drawText(_LEFT, floor + line - 1, width, line, toCenter, _("slice of the scan"))

    def mouseMoveEvent(self, event):
        number = self._numberAt(event.pos().x())
        self.toolTip = self._help if number is None or not self._names else self._names[number]

    def mousePressEvent(self, event):
        number = self._numberAt(event.pos().x())
        if number is not None:
            self.clicked.emit(number)

    def _numberAt(self, x):
        position = int((x - _LEFT) // self._step())
        return self._position(position) if 0 <= position < len(self._scores) else None

    def _position(self, number):
        """Where a slice stands from the left, from 0, or the slice that stands there: the slices'
        numbers in the scan grow to the right, as on any axis."""
        isReversed = len(self._places) > 1 and self._places[0] > self._places[-1]
        return len(self._scores) - 1 - number if isReversed else number

    def _step(self):
        return (self.width - _LEFT - _RIGHT) / max(1, len(self._scores))
