"""The score over the slices, as bars to click."""

import qt
from slicer.i18n import tr as _

from ..signal import Signal

_HEIGHT = 64
_MARGIN = 2


class ScoreCurve(qt.QWidget):
    """``clicked(number)`` names a slice of the model. Draws in the colours of the palette."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self.clicked = Signal()
        self._scores = ()
        self._current = None
        self.setMinimumHeight(_HEIGHT)
        self.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Fixed)
        self.toolTip = _("Score over the model's slices; click one to go there.")

    def showScores(self, scores):
        """One score per slice, not negative; an empty sequence shows nothing."""
        self._scores = tuple(scores)
        self._current = None
        self.update()

    def setCurrent(self, number):
        self._current = number
        self.update()

    def center(self, number):
        """Where a slice is drawn, in pixels from the left."""
        return round(_MARGIN + (number + 0.5) * self._step())

    def paintEvent(self, event):
        painter = qt.QPainter(self)
        palette = self.palette
        painter.fillRect(0, 0, self.width, self.height, palette.color(qt.QPalette.Base))
        if self._scores:
            self._paintBars(painter, palette)
        # Python may keep the painter longer than Qt allows.
        painter.end()

    def _paintBars(self, painter, palette):
        step = self._step()
        room = self.height - 2 * _MARGIN
        highest = max(self._scores) or 1.0
        bar = palette.color(qt.QPalette.Highlight)
        current = palette.color(qt.QPalette.Text)
        for number, score in enumerate(self._scores):
            left = round(_MARGIN + number * step)
            width = max(1, round(_MARGIN + (number + 1) * step) - left - 1)
            height = max(1, round(room * score / highest))
            isCurrent = number == self._current
            painter.fillRect(
                left, _MARGIN + room - height, width, height, current if isCurrent else bar
            )
        # What each slice had if the model preferred none.
        even = round(self.height - _MARGIN - room * sum(self._scores) / len(self._scores) / highest)
        painter.setPen(qt.QPen(palette.color(qt.QPalette.Mid), 1, qt.Qt.DashLine))
        painter.drawLine(_MARGIN, even, self.width - _MARGIN, even)

    def mousePressEvent(self, event):
        number = int((event.pos().x() - _MARGIN) / self._step()) if self._scores else -1
        if 0 <= number < len(self._scores):
            self.clicked.emit(number)

    def _step(self):
        return (self.width - 2 * _MARGIN) / max(1, len(self._scores))
