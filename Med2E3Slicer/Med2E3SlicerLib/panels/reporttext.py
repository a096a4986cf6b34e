"""The report's text: its sentences can be pointed at, and it can be edited in place."""

import qt

from ..edits import compare
from ..signal import Signal

DOUBTFUL = 0.5
"""A sentence with less confidence is shaded."""

_MINIMUM_LINES, _MAXIMUM_LINES = 6, 16
_REST = 150
"""Milliseconds without a key before the reader's words are marked anew."""


class ReportText(qt.QTextEdit):
    """Text as text: nothing in it is ever taken for markup.

    ``sentencePointed(number)`` names the model's sentence under the mouse or the text cursor, None
    for none, and ``sentenceClicked(number)`` the one that was chosen by a click or Enter.
    ``edited(text)`` tells what the reader makes of it.
    """

    def __init__(self, parent=None):
        super().__init__(parent)
        self.sentencePointed = Signal()
        self.sentenceClicked = Signal()
        self.edited = Signal()
        self._turn = None
        self._edits = None
        self._pointed = None
        self._chosen = None
        self._isEditing = False
        self._isOurs = False
        self.acceptRichText = False
        self.undoRedoEnabled = False
        self.tabChangesFocus = True
        self.setMouseTracking(True)
        self.viewport().setMouseTracking(True)
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_REST)
        self._timer.connect("timeout()", self._compare)
        self._setReading()
        self._fit()
        self.connect("textChanged()", self._onTextChanged)

    # -- what is shown ---------------------------------------------------------------------------

    @property
    def isEditing(self):
        return self._isEditing

    def showTurn(self, turn):
        """Show a finished report with its marks; None shows nothing."""
        self._turn = turn
        text = turn.presentText if turn else ""
        if self.plainText != text:
            self._pointed = self._chosen = None
            self._setText(text)
        self._compare()

    def renewTurn(self, turn):
        """Take note of what has become of the turn, without touching the text."""
        self._turn = turn

    def showBeginning(self, text):
        """Show text that has no sentences yet; more comes with :meth:`addText`."""
        self.showTurn(None)
        self._setText(text)

    def addText(self, piece):
        """Add text at the end, in the same time however long the text is."""
        scrollBar = self.verticalScrollBar()
        followed = scrollBar.value == scrollBar.maximum
        # A cursor of its own: the reader may have selected something in the meantime.
        cursor = qt.QTextCursor(self.document)
        cursor.movePosition(qt.QTextCursor.End)
        self._isOurs = True
        cursor.insertText(piece)
        self._isOurs = False
        self._fit()
        if followed:
            scrollBar.value = scrollBar.maximum

    def choose(self, number):
        """Mark a sentence as the one whose slices are shown; None marks none."""
        if number != self._chosen:
            self._chosen = number
            self._mark()

    def setEditing(self, isEditing):
        if isEditing == self._isEditing:
            return
        self._isEditing = isEditing
        self._point(None)
        self._mark()
        if isEditing:
            self.readOnly = False
            self.undoRedoEnabled = True
            self.setFocus()
        else:
            self.undoRedoEnabled = False
            self._setReading()
            self._compare()

    @property
    def pointedOrChosen(self):
        """The number of the sentence that is looked at, None if none is."""
        return self._chosen if self._pointed is None else self._pointed

    # -- sentences -------------------------------------------------------------------------------

    def placesOfSentences(self):
        """(start, end) of each of the model's sentences in the present text, None for one that the
        reader has changed."""
        return self._edits.sentences if self._edits else ()

    def placesOfOwnWords(self):
        """(start, end) of what the reader wrote."""
        return self._edits.own if self._edits else ()

    def sentenceAt(self, position):
        """The number of the sentence at a place of Qt's own count, None if there is none."""
        for number, place in enumerate(self.placesOfSentences()):
            if place and self._qtPosition(place[0]) <= position < self._qtPosition(place[1]):
                return number
        return None

    def _point(self, number):
        if number != self._pointed:
            self._pointed = number
            self._mark()
            self.sentencePointed.emit(number)

    def _compare(self):
        self._timer.stop()
        if self._turn:
            self._edits = compare(self._turn.text, self.plainText, self._turn.sentences)
        else:
            self._edits = None
        self._mark()

    def _mark(self):
        if self._timer.isActive():
            # The text has changed, and the places are about to be found anew.
            return
        palette = self.palette
        chosen, pointed = (_background(_highlight(palette, alpha)) for alpha in (110, 60))
        doubtful, own = _background(doubtfulColor()), _ownWords(palette)
        marks = []
        for number, place in enumerate(self.placesOfSentences()):
            if place is None:
                continue
            if number in (self._chosen, self._pointed) and not self._isEditing:
                marks.append(self._selection(place, chosen if number == self._chosen else pointed))
            elif self._turn.sentences[number].confidence < DOUBTFUL:
                marks.append(self._selection(place, doubtful))
        for place in self.placesOfOwnWords():
            marks.append(self._selection(place, own))
        self.setExtraSelections(marks)

    def _selection(self, place, charFormat):
        selection = qt.QTextEdit.ExtraSelection()
        cursor = qt.QTextCursor(self.document)
        cursor.setPosition(self._qtPosition(place[0]))
        cursor.setPosition(self._qtPosition(place[1]), qt.QTextCursor.KeepAnchor)
        selection.cursor = cursor
        selection.format = charFormat
        return selection

    # -- text ------------------------------------------------------------------------------------

    def _qtPosition(self, index):
        """Qt counts in UTF-16: twice what lies beyond Unicode's first plane, emoji for one."""
        return len(self.plainText[:index].encode("utf-16-le", "surrogatepass")) // 2

    def _setText(self, text):
        self._isOurs = True
        self.setPlainText(text)
        self._isOurs = False
        self._fit()

    def _setReading(self):
        self.setTextInteractionFlags(qt.Qt.TextSelectableByMouse | qt.Qt.TextSelectableByKeyboard)

    def _fit(self):
        fitHeight(self, _MINIMUM_LINES, _MAXIMUM_LINES)

    # -- what the reader does --------------------------------------------------------------------

    def mouseMoveEvent(self, event):
        qt.QTextEdit.mouseMoveEvent(self, event)
        if not self._isEditing:
            self._point(self._sentenceUnder(event))

    def mouseReleaseEvent(self, event):
        qt.QTextEdit.mouseReleaseEvent(self, event)
        if not self._isEditing and not self.textCursor().hasSelection():
            self.sentenceClicked.emit(self._sentenceUnder(event))

    def leaveEvent(self, event):
        self._point(None)

    def focusOutEvent(self, event):
        qt.QTextEdit.focusOutEvent(self, event)
        if not self.underMouse():
            self._point(None)

    def keyPressEvent(self, event):
        if not self._isEditing and event.key() in (qt.Qt.Key_Return, qt.Qt.Key_Enter):
            self.sentenceClicked.emit(self.sentenceAt(self.textCursor().position()))
            return
        qt.QTextEdit.keyPressEvent(self, event)
        if not self._isEditing:
            self._point(self.sentenceAt(self.textCursor().position()))

    def resizeEvent(self, event):
        qt.QTextEdit.resizeEvent(self, event)
        self._fit()

    def _sentenceUnder(self, event):
        place = qt.QPointF(
            event.pos().x() + self.horizontalScrollBar().value,
            event.pos().y() + self.verticalScrollBar().value,
        )
        document = self.document
        return self.sentenceAt(document.documentLayout().hitTest(place, qt.Qt.ExactHit))

    def _onTextChanged(self):
        if self._isEditing and not self._isOurs:
            self._fit()
            self._timer.start()
            self.edited.emit(self.plainText)


def fitHeight(view, fewest, most):
    """Make a text widget as high as its text, between two numbers of lines."""
    line = qt.QFontMetrics(view.font).lineSpacing()
    document = view.document
    margins = 2 * (document.documentMargin + view.frameWidth)
    wanted = document.size.height() + 2 * view.frameWidth
    height = int(min(max(wanted, fewest * line + margins), most * line + margins))
    if height != view.height:
        view.setFixedHeight(height)


def doubtfulColor():
    """A quiet shade over either background."""
    return qt.QColor(230, 160, 30, 55)


def _highlight(palette, alpha):
    color = palette.color(qt.QPalette.Highlight)
    color.setAlpha(alpha)
    return color


def _background(color):
    charFormat = qt.QTextCharFormat()
    charFormat.setBackground(qt.QBrush(color))
    return charFormat


def _ownWords(palette):
    charFormat = qt.QTextCharFormat()
    charFormat.setForeground(qt.QBrush(palette.color(qt.QPalette.Link)))
    charFormat.setFontUnderline(True)
    return charFormat
