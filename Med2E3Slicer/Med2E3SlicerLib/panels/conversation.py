"""Questions and answers as one text that grows at its end."""

import qt
from slicer.i18n import tr as _

from ..signal import Signal
from .reporttext import DOUBTFUL, doubtfulColor, fitHeight
from .words import bestSlices, endingOf, modelRemark

_FEWEST_LINES, _MOST_LINES = 5, 16
_INDENT = 12
_GAP = 8


class ConversationText(qt.QTextEdit):
    """Text as text: nothing in it is ever taken for markup.

    ``turnClicked(number)`` counts the turns that are shown, from 0. What is there already is never
    written again: a long answer takes time in proportion to its length.
    """

    def __init__(self, parent=None):
        super().__init__(parent)
        self.turnClicked = Signal()
        self._entries = []
        self._chosen = None
        self.undoRedoEnabled = False
        self.tabChangesFocus = True
        self.setTextInteractionFlags(qt.Qt.TextSelectableByMouse | qt.Qt.TextSelectableByKeyboard)
        self._fit()

    # -- what is shown ---------------------------------------------------------------------------

    def showTurns(self, turns):
        """Show these turns and nothing else. Those that are shown already stay as they are."""
        same = 0
        for entry, turn in zip(self._entries, turns, strict=False):
            if entry.key != _keyOf(turn):
                break
            same += 1
        self._removeFrom(same)
        for turn in turns[same:]:
            self._addTurn(turn)

    def showUnfinished(self, number, question, text="", isContinued=True):
        """Show a question whose answer comes with :meth:`addText`, after ``number`` turns."""
        self._removeFrom(number)
        self._begin(question, isContinued, None)
        self.addText(text)

    def addText(self, piece):
        """Add to the last answer."""
        self._atEnd(lambda cursor: cursor.insertText(piece, self._format()))

    def addRemark(self, remark):
        """Say something about the last answer, below it."""

        def write(cursor):
            self._startBlock(cursor, _INDENT, 2)
            cursor.insertText(remark, self._format(isQuiet=True))

        self._atEnd(write)

    def addDivider(self):
        """Tell that the next question begins another conversation."""
        self._begin("", False, ("divider",))

    @property
    def chosen(self):
        """The number of the turn that is marked, or None."""
        return self._chosen

    def choose(self, number):
        """Mark a turn as the one whose slices are shown; None marks none."""
        if self._chosen is not None and self._chosen < len(self._entries):
            self._tint(self._chosen, None)
        self._chosen = number
        if number is not None:
            color = self.palette.color(qt.QPalette.Highlight)
            color.setAlpha(60)
            self._tint(number, color)
            self._scrollTo(number)

    def answerPosition(self, number):
        """Where the answer of an entry begins, in Qt's own count."""
        return self._entries[number].answer

    def texts(self):
        """(question, answer with its remarks) of each entry, as they are shown."""
        found = []
        for number in range(len(self._entries)):
            entry, end = self._entries[number], self._end(number)
            question = self._between(entry.question, entry.answer)
            found.append((question, self._between(entry.answer, end)))
        return found

    # -- how it is written -----------------------------------------------------------------------

    def _addTurn(self, turn):
        self._begin(turn.question, turn.isContinued, _keyOf(turn))
        doubtful = self._format()
        doubtful.setBackground(qt.QBrush(doubtfulColor()))

        def write(cursor):
            end = 0
            for sentence in turn.sentences:
                cursor.insertText(turn.text[end : sentence.start], self._format())
                isDoubtful = sentence.confidence < DOUBTFUL
                text = turn.text[sentence.start : sentence.end]
                cursor.insertText(text, doubtful if isDoubtful else self._format())
                end = sentence.end
            cursor.insertText(turn.text[end:], self._format())
            self._startBlock(cursor, _INDENT, 2)
            cursor.insertText(_remarksOn(turn), self._format(isQuiet=True))

        self._atEnd(write)

    def _begin(self, question, isContinued, key):
        entry = _Entry(self._length(), key)

        def write(cursor):
            if not isContinued and self._entries:
                self._startBlock(cursor, 0, 2 * _GAP, qt.Qt.AlignCenter)
                cursor.insertText(_("New conversation"), self._format(isQuiet=True))
            entry.question = self._length()
            if question:
                self._startBlock(cursor, 0, _GAP)
                cursor.insertText(question, self._format(isBold=True))
                self._startBlock(cursor, _INDENT, 2)
            entry.answer = self._length()

        self._atEnd(write)
        self._entries.append(entry)

    def _startBlock(self, cursor, indent, gap, alignment=None):
        blockFormat = qt.QTextBlockFormat()
        blockFormat.setLeftMargin(indent)
        blockFormat.setTopMargin(gap)
        if alignment is not None:
            blockFormat.setAlignment(alignment)
        if self._length():
            cursor.insertBlock(blockFormat)
        else:
            cursor.setBlockFormat(blockFormat)

    def _format(self, isBold=False, isQuiet=False):
        charFormat = qt.QTextCharFormat()
        if isBold:
            charFormat.setFontWeight(qt.QFont.Bold)
        if isQuiet:
            # What is written keeps its colour when the style changes; this one is read on both.
            charFormat.setForeground(qt.QBrush(qt.QColor(128, 128, 128)))
        return charFormat

    def _atEnd(self, write):
        """Write at the end; a reader who looks at the end goes on looking at it."""
        scrollBar = self.verticalScrollBar()
        followed = scrollBar.value == scrollBar.maximum
        # A cursor of its own: the reader may have selected something in the meantime.
        cursor = qt.QTextCursor(self.document)
        cursor.movePosition(qt.QTextCursor.End)
        write(cursor)
        self._fit()
        if followed:
            scrollBar.value = scrollBar.maximum

    def _removeFrom(self, number):
        if number >= len(self._entries):
            return
        if self._chosen is not None and self._chosen >= number:
            self.choose(None)
        cursor = qt.QTextCursor(self.document)
        cursor.setPosition(self._entries[number].start)
        cursor.movePosition(qt.QTextCursor.End, qt.QTextCursor.KeepAnchor)
        cursor.removeSelectedText()
        del self._entries[number:]
        self._fit()

    def _fit(self):
        fitHeight(self, _FEWEST_LINES, _MOST_LINES)

    def _scrollTo(self, number):
        """Bring a turn into sight, if no line of its answer is."""
        cursor = qt.QTextCursor(self.document)
        cursor.setPosition(self._entries[number].answer)
        top = self.cursorRect(cursor).top()
        cursor.setPosition(self._end(number))
        bottom = self.cursorRect(cursor).bottom()
        if bottom < 0 or top > self.viewport().height:
            cursor.setPosition(self._entries[number].start)
            scrollBar = self.verticalScrollBar()
            scrollBar.value = scrollBar.value + self.cursorRect(cursor).top()

    def _tint(self, number, color):
        cursor = qt.QTextCursor(self.document)
        cursor.setPosition(self._entries[number].answer)
        cursor.setPosition(self._end(number), qt.QTextCursor.KeepAnchor)
        blockFormat = qt.QTextBlockFormat()
        blockFormat.setBackground(qt.QBrush(color) if color else qt.QBrush())
        cursor.mergeBlockFormat(blockFormat)

    # -- places ----------------------------------------------------------------------------------

    def _length(self):
        # Qt counts the end of the last paragraph, too.
        return self.document.characterCount() - 1

    def _end(self, number):
        """Where an entry ends."""
        isLast = number + 1 == len(self._entries)
        return self._length() if isLast else self._entries[number + 1].start

    def _between(self, start, end):
        cursor = qt.QTextCursor(self.document)
        cursor.setPosition(start)
        cursor.setPosition(end, qt.QTextCursor.KeepAnchor)
        return cursor.selectedText().replace("\u2029", "\n").replace("\u2028", "\n").strip("\n")

    def _turnAt(self, position):
        for number, entry in enumerate(self._entries):
            if entry.start <= position <= self._end(number) and entry.isTurn:
                return number
        return None

    # -- what the reader does --------------------------------------------------------------------

    def resizeEvent(self, event):
        qt.QTextEdit.resizeEvent(self, event)
        self._fit()

    def mouseReleaseEvent(self, event):
        qt.QTextEdit.mouseReleaseEvent(self, event)
        if not self.textCursor().hasSelection():
            self._click(self.cursorForPosition(event.pos()).position())

    def keyPressEvent(self, event):
        if event.key() in (qt.Qt.Key_Return, qt.Qt.Key_Enter):
            self._click(self.textCursor().position())
        else:
            qt.QTextEdit.keyPressEvent(self, event)

    def _click(self, position):
        number = self._turnAt(position)
        if number is not None:
            self.turnClicked.emit(number)


class _Entry:
    """Where a turn begins, with its divider, its question and its answer, in Qt's own count."""

    def __init__(self, start, key):
        self.start = self.question = self.answer = start
        self.key = key

    @property
    def isTurn(self):
        return self.key is not None and len(self.key) > 1


def _keyOf(turn):
    """What an entry shows, so that it is written anew when that changes."""
    return turn.nodeId, turn.question, turn.text, turn.finishReason, turn.isStale


def _remarksOn(turn):
    remarks = [bestSlices(turn), modelRemark(turn), endingOf(turn)]
    if turn.isStale:
        remarks.append(_("the scan has changed since"))
    if turn.historyLeftOut:
        remarks.append(
            _("earlier questions that no longer fit: {count}").format(count=turn.historyLeftOut)
        )
    return "→ " + "; ".join(remark for remark in remarks if remark)
