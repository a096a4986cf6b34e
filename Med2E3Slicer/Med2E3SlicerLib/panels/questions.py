"""The conversation about the scan."""

import ctk
import qt
from slicer.i18n import tr as _

from ..export import markOf
from ..signal import Signal
from ..turn import ANSWER, Request
from .conversation import ConversationText
from .reporttext import fitHeight

_FEWEST_LINES, _MOST_LINES = 2, 4
_LETTERS = "ABCD"


class QuestionsPanel:
    """``requested(Request)``, ``stopAsked()`` and ``turnChosen(turn)`` say what a reader wants."""

    def __init__(self):
        self.requested = Signal()
        self.stopAsked = Signal()
        self.turnChosen = Signal()
        self._turns = []
        self._isReady = False
        self._isUnfinished = False
        self._isReplacing = False
        self._hasText = False
        self._beginsAnew = False

        self.widget = ctk.ctkCollapsibleButton()
        self.widget.text = _("Questions")
        layout = qt.QVBoxLayout(self.widget)
        self.conversation = ConversationText()
        self.conversation.placeholderText = _("Questions and their answers appear here.")
        self.conversation.toolTip = _("Click an answer to see where the model looked for it.")
        self.conversation.turnClicked.connect(self._choose)
        layout.addWidget(self.conversation)
        layout.addLayout(self._makeButtons())
        layout.addLayout(self._makeQuickQuestions())
        layout.addLayout(self._makeInput())
        layout.addWidget(self._makeChoices())
        self._update()

    def _makeButtons(self):
        row = qt.QHBoxLayout()
        self.againButton = qt.QPushButton(_("Again"))
        self.againButton.toolTip = _("Answer the last question anew, in the place of its answer.")
        self.againButton.connect("clicked()", self._askAgain)
        row.addWidget(self.againButton)
        self.copyButton = qt.QPushButton(_("Copy"))
        self.copyButton.toolTip = _("Copy the marked answer, or else the last, with its question.")
        self.copyButton.connect("clicked()", self.copy)
        row.addWidget(self.copyButton)
        self.newButton = qt.QPushButton(_("New conversation"))
        self.newButton.toolTip = _(
            "The next question is asked as the first one: the model does not see those before it."
        )
        self.newButton.connect("clicked()", self._beginAnew)
        row.addWidget(self.newButton)
        return row

    def _makeQuickQuestions(self):
        row = qt.QHBoxLayout()
        row.setSpacing(2)
        self.quickButtons = []
        for text, question in _quickQuestions():
            button = qt.QToolButton()
            button.text = text
            button.toolTip = question
            button.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Fixed)
            button.connect("clicked()", lambda question=question: self._request(question))
            row.addWidget(button)
            self.quickButtons.append(button)
        return row

    def _makeInput(self):
        row = qt.QHBoxLayout()
        self.question = QuestionEdit()
        self.question.placeholderText = _("Ask about this scan…")
        self.question.toolTip = _("Enter asks, Shift and Enter begin a new line.")
        self.question.entered.connect(self._ask)
        self.question.connect("textChanged()", self._update)
        row.addWidget(self.question, 1)
        buttons = qt.QVBoxLayout()
        self.askButton = qt.QPushButton(_("Ask"))
        self.askButton.connect("clicked()", self._ask)
        buttons.addWidget(self.askButton)
        self.stopButton = qt.QPushButton(_("Stop"))
        self.stopButton.toolTip = _("Stop the answer where it is.")
        self.stopButton.connect("clicked()", self.stopAsked.emit)
        buttons.addWidget(self.stopButton)
        self.choicesButton = qt.QPushButton(_("Choices"))
        self.choicesButton.checkable = True
        self.choicesButton.toolTip = _("Give the model up to four answers to choose from.")
        self.choicesButton.connect("toggled(bool)", self._onChoicesToggled)
        buttons.addWidget(self.choicesButton)
        buttons.addStretch(1)
        row.addLayout(buttons)
        return row

    def _makeChoices(self):
        self.choicesWidget = qt.QWidget()
        form = qt.QGridLayout(self.choicesWidget)
        form.setContentsMargins(0, 0, 0, 0)
        self.choices = []
        for number, letter in enumerate(_LETTERS):
            choice = qt.QLineEdit()
            choice.toolTip = _("An answer that the model may choose.")
            choice.connect("returnPressed()", self._ask)
            row, column = divmod(number, 2)
            form.addWidget(qt.QLabel(letter), row, 2 * column)
            form.addWidget(choice, row, 2 * column + 1)
            self.choices.append(choice)
        self.choicesWidget.setVisible(False)
        return self.choicesWidget

    # -- what is shown ---------------------------------------------------------------------------

    def setReady(self, isReady):
        """Whether a question can be asked now."""
        self._isReady = isReady
        self._update()

    def showTurns(self, turns):
        """Show finished questions with their answers."""
        self._turns = list(turns)
        self._isUnfinished = self._hasText = self._beginsAnew = False
        self.conversation.showTurns(self._turns)
        self._update()

    def select(self, turn):
        """Mark a turn as the one whose slices are shown; None marks none."""
        self.conversation.choose(self._numberOf(turn.nodeId) if turn else None)

    def showUnfinished(self, request, text=""):
        """Add a question whose answer comes with :meth:`append`."""
        number = self._numberOf(request.formerId)
        self.conversation.showUnfinished(
            len(self._turns) if number is None else number,
            request.question,
            text,
            request.isContinued,
        )
        self._isUnfinished = True
        self._isReplacing = number is not None
        self._hasText = bool(text)
        self._update()

    def append(self, piece):
        if self._isUnfinished:
            self._hasText = True
            self.conversation.addText(piece)

    def interrupt(self):
        """No more text will come. Returns whether the question stays, with the text that had come
        and marked: one that was to be answered anew does not, since its answer is there."""
        stays = self._isUnfinished and not self._isReplacing
        if stays:
            self.conversation.addRemark(_("interrupted") if self._hasText else _("not answered"))
        self._isUnfinished = False
        self._update()
        return stays

    def copy(self):
        number = self.conversation.chosen
        if self._turns:
            turn = self._turns[-1 if number is None else number]
            qt.QApplication.clipboard().setText(f"{turn.question}\n{turn.text}\n\n[{markOf(turn)}]")

    def _numberOf(self, nodeId):
        for number, turn in enumerate(self._turns):
            if nodeId and turn.nodeId == nodeId:
                return number
        return None

    def _update(self):
        hasTurns = bool(self._turns)
        self.askButton.enabled = self._isReady and bool(self.question.plainText.strip())
        self.askButton.setVisible(not self._isUnfinished)
        self.stopButton.setVisible(self._isUnfinished)
        self.againButton.enabled = self._isReady and hasTurns
        self.copyButton.enabled = hasTurns
        self.newButton.enabled = hasTurns and not self._beginsAnew and not self._isUnfinished
        for button in self.quickButtons:
            button.enabled = self._isReady

    # -- what the reader does --------------------------------------------------------------------

    def _choose(self, number):
        if number < len(self._turns):
            self.turnChosen.emit(self._turns[number])

    def _ask(self):
        question = self.question.plainText.strip()
        if self._isReady and question:
            choices = [choice.text.strip() for choice in self.choices if choice.text.strip()]
            self.question.clear()
            for choice in self.choices:
                choice.clear()
            self.choicesButton.checked = False
            self._request(withChoices(question, choices))

    def _request(self, question):
        self.requested.emit(Request(ANSWER, question, isContinued=not self._beginsAnew))

    def _askAgain(self):
        turn = self._turns[-1]
        self.requested.emit(Request(ANSWER, turn.question, turn.isContinued, turn.nodeId))

    def _beginAnew(self):
        self._beginsAnew = True
        self.conversation.addDivider()
        self._update()

    def _onChoicesToggled(self, isShown):
        self.choicesWidget.setVisible(isShown)
        if isShown:
            self.choices[0].setFocus()


class QuestionEdit(qt.QTextEdit):
    """``entered()`` tells of Enter; Shift and Enter begin a new line. Grows to a few lines."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self.entered = Signal()
        self.acceptRichText = False
        self.tabChangesFocus = True
        self.verticalScrollBarPolicy = qt.Qt.ScrollBarAsNeeded
        self.connect("textChanged()", self._fit)
        self._fit()

    def keyPressEvent(self, event):
        isEnter = event.key() in (qt.Qt.Key_Return, qt.Qt.Key_Enter)
        if isEnter and not int(event.modifiers()) & int(qt.Qt.ShiftModifier):
            self.entered.emit()
        else:
            qt.QTextEdit.keyPressEvent(self, event)

    def resizeEvent(self, event):
        qt.QTextEdit.resizeEvent(self, event)
        self._fit()

    def _fit(self):
        fitHeight(self, _FEWEST_LINES, _MOST_LINES)


def withChoices(question, choices):
    """A closed question in the words that the model was trained with (M3D-VQA's)."""
    if not choices:
        return question
    listed = " ".join(
        f"{letter}. {choice}" for letter, choice in zip(_LETTERS, choices, strict=False)
    )
    return f"{question} Choices: {listed}"


def _quickQuestions():
    return (
        (_("Plane"), _("Which plane is this scan in?")),
        (_("Phase"), _("Which contrast phase does this scan show?")),
        (_("Organ"), _("Which organ is abnormal?")),
        (_("Abnormality"), _("What abnormality is seen in this scan?")),
        (_("Location"), _("Where is the abnormality?")),
    )
