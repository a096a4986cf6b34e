"""The panel: one column, from top to bottom in the order of work."""

import qt
import slicer
from slicer.i18n import tr as _

from ..controller import State
from ..signal import Signal
from ..turn import ANSWER, REPORT
from .questions import QuestionsPanel
from .report import ReportPanel
from .settings import SettingsPanel
from .slices import SlicesPanel


class Workbench:
    """Joins the panels to the controller. ``requested(kind, question)`` asks for a report or an
    answer, since plane and window are not known here."""

    def __init__(self, controller, gearIcon):
        self.requested = Signal()
        self._controller = controller
        self._volumeNode = None

        self.widget = qt.QWidget()
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)

        row = qt.QHBoxLayout()
        row.addWidget(qt.QLabel(_("Volume")))
        self.volumeSelector = _volumeSelector()
        row.addWidget(self.volumeSelector, 1)
        self.gear = qt.QToolButton()
        self.gear.icon = qt.QIcon(gearIcon)
        self.gear.checkable = True
        self.gear.toolTip = _("Engine, model, plane and window")
        row.addWidget(self.gear)
        layout.addLayout(row)

        self.settings = SettingsPanel(controller.preferences)
        self.settings.widget.setVisible(False)
        self.gear.connect("toggled(bool)", self.settings.widget.setVisible)
        layout.addWidget(self.settings.widget)

        row = qt.QHBoxLayout()
        self.reportButton = qt.QPushButton(_("Generate report"))
        self.reportButton.connect("clicked()", lambda: self.requested.emit(REPORT, ""))
        row.addWidget(self.reportButton, 2)
        self.stopButton = qt.QPushButton(_("Stop"))
        self.stopButton.connect("clicked()", controller.cancel)
        row.addWidget(self.stopButton, 1)
        layout.addLayout(row)

        self.progress = qt.QProgressBar()
        self.progress.textVisible = False
        self.progress.setMaximumHeight(8)
        layout.addWidget(self.progress)
        self.status = _textLabel()
        layout.addWidget(self.status)
        self.notice = _textLabel()
        font = qt.QFont(self.notice.font)
        font.setBold(True)
        self.notice.setFont(font)
        layout.addWidget(self.notice)

        # Up here, where no scrolling hides it.
        self.disclaimer = _textLabel()
        self.disclaimer.text = _("Research use only. Not a medical device.")
        layout.addWidget(self.disclaimer)

        self.report = ReportPanel()
        self.questions = QuestionsPanel()
        self.slices = SlicesPanel()
        for panel in (self.report, self.questions, self.slices):
            layout.addWidget(panel.widget)

        self.questions.asked.connect(lambda question: self.requested.emit(ANSWER, question))
        self.questions.turnChosen.connect(self._onTurnChosen)
        self.slices.sliceChosen.connect(controller.jumpToSlice)
        controller.stateChanged.connect(self._onStateChanged)
        controller.progressChanged.connect(self._onProgress)
        controller.turnStarted.connect(self._onTurnStarted)
        controller.textArrived.connect(self._onTextArrived)
        controller.turnEnded.connect(self._onTurnEnded)
        controller.turnShown.connect(self._onTurnShown)
        controller.failed.connect(self._onFailed)
        controller.modelLoaded.connect(self._onModelLoaded)

        self._onModelLoaded(controller.model)
        self._onStateChanged(controller.state)

    def parameterWidgets(self):
        """The widgets that show a parameter of the scene, by the parameter's name."""
        return {
            "inputVolume": self.volumeSelector,
            "plane": self.settings.plane,
            "alignViews": self.settings.alignViews,
            "heatmapVisible": self.slices.heatmapVisible,
            "heatmapInPlane": self.slices.heatmapInPlane,
            "heatmapOpacity": self.slices.heatmapOpacity,
            "heatmapThreshold": self.slices.heatmapThreshold,
        }

    def showVolume(self, volumeNode):
        """Show what is known about a volume, and where the model looked last."""
        self._volumeNode = volumeNode
        turns = self._showConversation()
        self._controller.showTurn(volumeNode, turns[-1] if turns else None)
        self._onStateChanged(self._controller.state)

    def _showConversation(self):
        turns = self._controller.turnsOf(self._volumeNode)
        reports = [turn for turn in turns if turn.kind == REPORT]
        self.report.showTurn(reports[-1] if reports else None)
        self.questions.showTurns([turn for turn in turns if turn.kind == ANSWER])
        self._showUnfinished()
        return turns

    def _showUnfinished(self):
        unfinished = self._controller.unfinishedTurn(self._volumeNode)
        if unfinished:
            kind, question, text = unfinished
            if kind == REPORT:
                self.report.showUnfinished(text)
            else:
                self.questions.showUnfinished(question, text)

    # -- what the reader does --------------------------------------------------------------------

    def _onTurnChosen(self, turn):
        self._controller.showTurn(self._volumeNode, turn)

    # -- what the controller tells ---------------------------------------------------------------

    def _onStateChanged(self, state):
        isBusy = self._controller.isBusy
        isReady = self._volumeNode is not None and not isBusy
        self.reportButton.enabled = isReady
        self.questions.setReady(isReady)
        self.stopButton.enabled = isBusy
        self.stopButton.text = _("Stop now") if state == State.CANCELLING else _("Stop")
        self.progress.setVisible(isBusy)
        self.progress.setRange(0, 0)
        if state != State.FAILED:
            self.status.text = _sayings()[state]
        self.status.setVisible(bool(self.status.text))

    def _onProgress(self, state, done, total):
        # A stage of one step says nothing about how far it is.
        if total > 1:
            share = round(100 * done / total)
            self.progress.setRange(0, 100)
            self.progress.setValue(share)
            self.status.text = _("{doing} {share} %").format(doing=_sayings()[state], share=share)

    def _onTurnStarted(self, kind, question):
        self._showUnfinished()

    def _onTextArrived(self, piece):
        unfinished = self._controller.unfinishedTurn(self._volumeNode)
        if unfinished:
            panel = self.report if unfinished[0] == REPORT else self.questions
            panel.append(piece)

    def _onTurnEnded(self, turn):
        self._showConversation()
        self.questions.select(self._controller.shownTurn)
        if turn and turn.warnings:
            self.status.text = " ".join(turn.warnings)
            self.status.setVisible(True)

    def _onTurnShown(self, turn):
        self.slices.showTurn(turn)
        self.questions.select(turn)

    def _onFailed(self, sentence):
        wroteReport, wroteAnswer = self.report.interrupt(), self.questions.interrupt()
        if not (wroteReport or wroteAnswer):
            self._showConversation()
        self.status.text = sentence
        self.status.setVisible(True)

    def _onModelLoaded(self, model):
        isUntrained = model is not None and not model.trained
        self.notice.setVisible(isUntrained)
        self.notice.text = (
            _("Untrained demonstration model: its text is nonsense.") if isUntrained else ""
        )


def _sayings():
    return {
        State.IDLE: "",
        State.STARTING: _("Starting the engine…"),
        State.LOADING: _("Loading the model…"),
        State.SENDING: _("Handing the scan over…"),
        State.ENCODING: _("Reading the scan…"),
        State.WRITING: _("Writing…"),
        State.CANCELLING: _("Stopping…"),
        State.FAILED: "",
    }


def _volumeSelector():
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.showChildNodeTypes = False
    selector.addEnabled = False
    selector.removeEnabled = False
    selector.renameEnabled = False
    selector.noneEnabled = True
    selector.selectNodeUponCreation = False
    selector.toolTip = _("The scan that the report and the questions are about.")
    return selector


def _textLabel():
    label = qt.QLabel()
    label.textFormat = qt.Qt.PlainText
    label.wordWrap = True
    return label
