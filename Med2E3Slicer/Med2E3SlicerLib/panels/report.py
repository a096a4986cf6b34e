"""The report, as it is written and when it is done."""

import ctk
import qt
from slicer.i18n import tr as _

from ..turn import REPORT
from .words import draftMark, endingOf

_TEXT_HEIGHT = 120


class ReportPanel:
    """Shows text as text: what the model writes is never taken for markup."""

    def __init__(self):
        self._turn = None
        self._isUnfinished = False

        self.widget = ctk.ctkCollapsibleButton()
        self.widget.text = _("Report")
        layout = qt.QVBoxLayout(self.widget)

        self.text = qt.QPlainTextEdit()
        self.text.readOnly = True
        self.text.undoRedoEnabled = False
        self.text.placeholderText = _("The report appears here as it is written.")
        self.text.setFixedHeight(_TEXT_HEIGHT)
        layout.addWidget(self.text)

        row = qt.QHBoxLayout()
        self.mark = qt.QLabel()
        self.mark.textFormat = qt.Qt.PlainText
        self.mark.wordWrap = True
        row.addWidget(self.mark, 1)
        self.copyButton = qt.QPushButton(_("Copy"))
        self.copyButton.toolTip = _("Copy the report, with the mark that it is a draft.")
        self.copyButton.connect("clicked()", self.copy)
        row.addWidget(self.copyButton)
        layout.addLayout(row)
        self.showTurn(None)

    def showTurn(self, turn):
        """Show a finished report; None clears the panel."""
        self._turn = turn
        self._isUnfinished = False
        self.text.setPlainText(turn.text if turn else "")
        if turn:
            self.mark.text = ", ".join(part for part in (draftMark(), endingOf(turn)) if part)
            self.mark.toolTip = _("Model {name}, plane {plane}, window {window}").format(
                name=turn.modelName, plane=turn.plane, window=turn.window
            )
        else:
            self.mark.text = self.mark.toolTip = ""
        self.copyButton.enabled = turn is not None

    def showUnfinished(self, text=""):
        """Show the beginning of a report; more comes with :meth:`append`."""
        self.showTurn(None)
        self._isUnfinished = True
        self.text.setPlainText(text)
        self.mark.text = draftMark()

    def append(self, piece):
        """Add text at the end, in the same time however long the text is."""
        scrollBar = self.text.verticalScrollBar()
        followed = scrollBar.value == scrollBar.maximum
        # A cursor of its own: the reader may have selected something in the meantime.
        cursor = qt.QTextCursor(self.text.document())
        cursor.movePosition(qt.QTextCursor.End)
        cursor.insertText(piece)
        if followed:
            scrollBar.value = scrollBar.maximum

    def interrupt(self):
        """No more text will come. Returns whether some had come, which then stays, marked."""
        hasText = self._isUnfinished and bool(self.text.plainText)
        if hasText:
            self.mark.text = _("{mark}, interrupted").format(mark=draftMark())
        self._isUnfinished = False
        return hasText

    def copy(self):
        if self._turn and self._turn.kind == REPORT:
            qt.QApplication.clipboard().setText(f"{self._turn.text}\n\n[{self.mark.text}]")
