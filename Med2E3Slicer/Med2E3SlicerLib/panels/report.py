"""The report: as it is written, with its evidence, edited, reviewed, and taken away as a file."""

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from ..export import markOf
from ..signal import Signal
from .labels import textLabel
from .reporttext import DOUBTFUL, ReportText
from .words import (
    describeSentence,
    draftMark,
    endingOf,
    modelNotice,
    modelRemark,
    timeOf,
)

_POINTING_MILLISECONDS = 250
"""How long the reader must point at a sentence before the views change."""

FORMATS = ("text", "markdown", "json", "pdf", "dicom")


class ReportPanel:
    """Signals: ``sentencePointed(number)`` and ``sentenceChosen(number)``, None for none;
    ``edited(text)``; ``reviewed(name)``; ``againAsked()``; ``exportAsked(format)``, one of FORMATS.
    """

    def __init__(self):
        self.sentencePointed = Signal()
        self.sentenceChosen = Signal()
        self.edited = Signal()
        self.reviewed = Signal()
        self.againAsked = Signal()
        self.exportAsked = Signal()
        self._turn = None
        self._pointed = None
        self._isReady = False
        self._isUnfinished = False
        self._isInterrupted = False

        self.widget = ctk.ctkCollapsibleButton()
        self.widget.text = _("Report")
        layout = qt.QVBoxLayout(self.widget)
        layout.addLayout(self._makeMark())
        layout.addWidget(self._makeReview())

        self.text = ReportText()
        self.text.placeholderText = _("The report appears here as it is written.")
        self.text.sentencePointed.connect(self._onPointed)
        self.text.sentenceClicked.connect(self._onClicked)
        self.text.edited.connect(self._onEdited)
        layout.addWidget(self.text)

        self.hint = textLabel()
        self.hint.toolTip = _(
            "How sure the model was of its words is the mean probability of the words it took. It "
            "is not how likely a finding is to be there. A sentence of less than {share} % is "
            "shaded. The slices are those that fit the sentence best, for the model."
        ).format(share=round(100 * DOUBTFUL))
        layout.addWidget(self.hint)
        layout.addLayout(self._makeButtons())

        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_POINTING_MILLISECONDS)
        self._timer.connect("timeout()", self._tellPointed)
        self.showTurn(None)

    def _makeMark(self):
        row = qt.QHBoxLayout()
        self.mark = textLabel()
        font = qt.QFont(self.mark.font)
        font.setBold(True)
        self.mark.setFont(font)
        row.addWidget(self.mark, 1)
        self.reviewButton = qt.QPushButton(_("Mark as reviewed"))
        self.reviewButton.checkable = True
        self.reviewButton.toolTip = _(
            "Say that you have read the report against the scan and stand by it as it is now."
        )
        self.reviewButton.connect("toggled(bool)", self._onReviewToggled)
        row.addWidget(self.reviewButton)
        return row

    def _makeReview(self):
        self.review = qt.QWidget()
        row = qt.QHBoxLayout(self.review)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(qt.QLabel(_("Reviewed by")))
        self.reviewer = qt.QLineEdit()
        self.reviewer.placeholderText = _("Your name")
        self.reviewer.toolTip = _("Kept in the scene with the report, and nowhere else.")
        self.reviewer.connect("textChanged(QString)", self._update)
        self.reviewer.connect("returnPressed()", self._confirmReview)
        row.addWidget(self.reviewer, 1)
        self.confirmButton = qt.QPushButton(_("Confirm"))
        self.confirmButton.toolTip = _("Mark the report as reviewed, with this name and the time.")
        self.confirmButton.connect("clicked()", self._confirmReview)
        row.addWidget(self.confirmButton)
        self.review.setVisible(False)
        return self.review

    def _makeButtons(self):
        row = qt.QHBoxLayout()
        self.editButton = qt.QPushButton(_("Edit"))
        self.editButton.checkable = True
        self.editButton.toolTip = _(
            "Change the text in place. Your own words are underlined; a sentence that you change "
            "loses its slices."
        )
        self.editButton.connect("toggled(bool)", self._onEditToggled)
        row.addWidget(self.editButton)
        self.againButton = qt.QPushButton(_("Again"))
        self.againButton.toolTip = _(
            "Write the report anew. This one is kept until the new one is done."
        )
        self.againButton.connect("clicked()", self.againAsked.emit)
        row.addWidget(self.againButton)
        self.copyButton = qt.QPushButton(_("Copy"))
        self.copyButton.toolTip = _("Copy the report, with the mark that it is a draft.")
        self.copyButton.connect("clicked()", self.copy)
        row.addWidget(self.copyButton)
        self.exportButton = qt.QPushButton(_("Export"))
        self.exportButton.toolTip = _("Save the report as a file.")
        self.exportMenu = qt.QMenu(self.exportButton)
        self.exportActions = {}
        for name, text in _formatTexts().items():
            action = self.exportMenu.addAction(text)
            action.connect("triggered()", lambda name=name: self.exportAsked.emit(name))
            self.exportActions[name] = action
        self.exportButton.setMenu(self.exportMenu)
        row.addWidget(self.exportButton)
        return row

    # -- what is shown ---------------------------------------------------------------------------

    @property
    def turn(self):
        """The finished report that is shown, or None."""
        return self._turn

    def showTurn(self, turn):
        """Show a finished report; None clears the panel."""
        isSame = self._turn is not None and turn is not None and turn.nodeId == self._turn.nodeId
        self._isUnfinished = self._isInterrupted = False
        if not isSame or turn.presentText != self._turn.presentText:
            self._leaveEditing()
            self.reviewButton.checked = False
            self._timer.stop()
            self._pointed = None
        self._turn = turn
        self.text.showTurn(turn)
        self._update()

    def setReady(self, isReady):
        """Whether a report can be asked for now."""
        self._isReady = isReady
        self._update()

    def showChosen(self, number):
        """Mark the sentence whose slices are shown; None marks none."""
        self.text.choose(number)
        self._tellSentence()

    def showUnfinished(self, text=""):
        """Show the beginning of a report; more comes with :meth:`append`."""
        self.showTurn(None)
        self._isUnfinished = True
        self.text.showBeginning(text)
        self._update()

    def append(self, piece):
        """Add text at the end."""
        self.text.addText(piece)

    def interrupt(self):
        """No more text will come. Returns whether some had come, which then stays, marked."""
        self._isInterrupted = self._isUnfinished and bool(self.text.plainText)
        self._isUnfinished = False
        self._update()
        return self._isInterrupted

    def copy(self):
        if self._turn:
            qt.QApplication.clipboard().setText(
                f"{self._turn.presentText}\n\n[{markOf(self._turn)}]"
            )

    def _update(self):
        turn = self._turn
        hasTurn = turn is not None
        self.mark.text = self._markText()
        self.mark.toolTip = _originOf(turn) if hasTurn else ""
        self.mark.setVisible(bool(self.mark.text))
        isReviewed = hasTurn and bool(turn.reviewedAt)
        self.reviewButton.setVisible(hasTurn and not isReviewed)
        self.reviewButton.enabled = hasTurn and not self.text.isEditing
        self.confirmButton.enabled = bool(self.reviewer.text.strip())
        for button in (self.editButton, self.copyButton, self.exportButton):
            button.enabled = hasTurn
        for name in ("pdf", "dicom"):
            # The worker writes these.
            self.exportActions[name].enabled = self._isReady
        self.againButton.enabled = hasTurn and self._isReady and not self.text.isEditing
        self._tellSentence()

    def _markText(self):
        if self._turn:
            return _markText(self._turn)
        if self._isInterrupted:
            return _("{mark}, interrupted").format(mark=draftMark())
        return draftMark() if self._isUnfinished else ""

    def _tellSentence(self):
        turn = self._turn
        number = self.text.pointedOrChosen if turn and not self.text.isEditing else None
        self.hint.enabled = number is not None
        if number is not None:
            self.hint.text = describeSentence(turn, number)
        elif self.text.isEditing:
            self.hint.text = _("What you write is underlined. Press Done when you are finished.")
        elif turn and turn.sentences:
            self.hint.text = _(
                "Point at a sentence to see where the model looked for it, click to go there."
            )
        else:
            self.hint.text = ""
        self.hint.setVisible(bool(self.hint.text))

    # -- what the reader does --------------------------------------------------------------------

    def _onPointed(self, number):
        self._pointed = number
        self._tellSentence()
        self._timer.start()

    def _tellPointed(self):
        self.sentencePointed.emit(self._pointed)

    def _onClicked(self, number):
        self._timer.stop()
        if self._turn:
            self.sentenceChosen.emit(number)

    def _onEditToggled(self, isEditing):
        self.editButton.text = _("Done") if isEditing else _("Edit")
        self.reviewButton.checked = False
        self.text.setEditing(isEditing)
        self._update()

    def _leaveEditing(self):
        self.editButton.checked = False

    def _onEdited(self, text):
        if self._turn:
            self.edited.emit(text)

    def renewTurn(self, turn):
        """Take note of what has become of the report that is shown."""
        self._turn = turn
        self.text.renewTurn(turn)
        self._update()

    def _onReviewToggled(self, isAsked):
        self.review.setVisible(isAsked)
        if isAsked:
            if not self.reviewer.text:
                self.reviewer.text = _nameOfUser()
            self.reviewer.setFocus()
            self.reviewer.selectAll()

    def _confirmReview(self):
        name = self.reviewer.text.strip()
        if name and self._turn and not self._turn.reviewedAt:
            self.reviewButton.checked = False
            self.reviewed.emit(name)


def _nameOfUser():
    """Who uses this Slicer, as the application settings say; empty if they do not."""
    return slicer.app.applicationLogic().GetUserInformation().GetName() or ""


def _formatTexts():
    return {
        "text": _("Plain text…"),
        "markdown": _("Markdown…"),
        "json": _("JSON, with all scores…"),
        "pdf": _("PDF, with the best slices…"),
        "dicom": _("DICOM, for the archive…"),
    }


def _markText(turn):
    if turn.reviewedAt:
        state = _("Reviewed by {name}, {time}").format(
            name=turn.reviewer, time=timeOf(turn.reviewedAt)
        )
    else:
        state = draftMark()
    edited = _("edited") if turn.isEdited else ""
    parts = [state, edited, modelRemark(turn), endingOf(turn)]
    if turn.isStale:
        parts.append(_("the scan has changed since"))
    return ", ".join(part for part in parts if part)


def _originOf(turn):
    origin = _("Model {name}, plane {plane}, window {window}, written {time}").format(
        name=turn.modelName, plane=turn.plane, window=turn.window, time=timeOf(turn.writtenAt)
    )
    return "\n".join(part for part in (origin, modelNotice(turn.modelTrainedOn)) if part)
