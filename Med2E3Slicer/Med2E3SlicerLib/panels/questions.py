"""The conversation about the scan."""

import ctk
import qt
from slicer.i18n import tr as _

from ..signal import Signal
from .words import endingOf, sliceName

_LIST_HEIGHT = 120
_NAMED_SLICES = 3


class QuestionsPanel:
    """``asked(question)`` and ``turnChosen(turn)`` tell what the reader wants."""

    def __init__(self):
        self.asked = Signal()
        self.turnChosen = Signal()
        # Two rows for each turn: its question and its answer.
        self._turns = []
        self._unfinishedAnswer = None
        self._pieces = []

        self.widget = ctk.ctkCollapsibleButton()
        self.widget.text = _("Questions")
        layout = qt.QVBoxLayout(self.widget)

        self.conversation = qt.QListWidget()
        self.conversation.wordWrap = True
        self.conversation.resizeMode = qt.QListView.Adjust
        self.conversation.horizontalScrollBarPolicy = qt.Qt.ScrollBarAlwaysOff
        self.conversation.verticalScrollMode = qt.QAbstractItemView.ScrollPerPixel
        self.conversation.setFixedHeight(_LIST_HEIGHT)
        self.conversation.toolTip = _("Click an answer to see where the model looked for it.")
        self.conversation.connect("currentRowChanged(int)", self._onRowChanged)
        layout.addWidget(self.conversation)

        row = qt.QHBoxLayout()
        self.question = qt.QLineEdit()
        self.question.placeholderText = _("Ask about this scan…")
        self.question.connect("returnPressed()", self._ask)
        self.question.connect("textChanged(QString)", self._updateButton)
        row.addWidget(self.question, 1)
        self.askButton = qt.QPushButton(_("Ask"))
        self.askButton.connect("clicked()", self._ask)
        row.addWidget(self.askButton)
        layout.addLayout(row)
        self._isReady = False
        self._updateButton()

    def setReady(self, isReady):
        """Whether a question can be asked now."""
        self._isReady = isReady
        self._updateButton()

    def showTurns(self, turns):
        """Show finished questions with their answers."""
        blocked = self.conversation.blockSignals(True)
        self.conversation.clear()
        self._turns = []
        self._unfinishedAnswer = None
        self._pieces = []
        for turn in turns:
            self._addQuestion(turn.question)
            self.conversation.addItem(_answerOf(turn))
            self._turns.append(turn)
        self.conversation.blockSignals(blocked)
        self.conversation.scrollToBottom()

    def select(self, turn):
        """Mark a turn as the one whose slices are shown; None marks none."""
        blocked = self.conversation.blockSignals(True)
        if turn in self._turns:
            self.conversation.setCurrentRow(2 * self._turns.index(turn) + 1)
        else:
            self.conversation.setCurrentRow(-1)
        self.conversation.blockSignals(blocked)

    def showUnfinished(self, question, text=""):
        """Add a question whose answer comes with :meth:`append`."""
        self._addQuestion(question)
        self._pieces = [text]
        self._unfinishedAnswer = qt.QListWidgetItem(text or "…")
        self.conversation.addItem(self._unfinishedAnswer)
        self.conversation.scrollToBottom()

    def append(self, piece):
        if self._unfinishedAnswer:
            self._pieces.append(piece)
            self._unfinishedAnswer.setText("".join(self._pieces))
            self.conversation.scrollToBottom()

    def interrupt(self):
        """No more text will come. Returns whether some had come, which then stays."""
        hasText = self._unfinishedAnswer is not None and any(self._pieces)
        self._unfinishedAnswer = None
        return hasText

    def _addQuestion(self, question):
        item = qt.QListWidgetItem(question)
        font = qt.QFont(self.conversation.font)
        font.setBold(True)
        item.setFont(font)
        self.conversation.addItem(item)

    def _onRowChanged(self, row):
        if 0 <= row < 2 * len(self._turns):
            self.turnChosen.emit(self._turns[row // 2])

    def _ask(self):
        question = self.question.text.strip()
        if self._isReady and question:
            self.question.clear()
            self.asked.emit(question)

    def _updateButton(self):
        self.askButton.enabled = self._isReady and bool(self.question.text.strip())


def _answerOf(turn):
    best = turn.rankedSlices[:_NAMED_SLICES]
    remarks = [", ".join(sliceName(turn, slice_) for slice_ in best)]
    if endingOf(turn):
        remarks.append(endingOf(turn))
    return f"{turn.text}\n→ {'; '.join(remarks)}"
