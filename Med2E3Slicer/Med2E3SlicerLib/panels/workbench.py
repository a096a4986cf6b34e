"""The panel: one column, from top to bottom in the order of work."""

import os

import qt
import slicer
import slicer.util
from slicer.i18n import tr as _

from ..controller import State
from ..scene.turns import shownLast
from ..signal import Signal
from ..turn import ANSWER, REPORT, Request
from .doubts import DoubtsPanel
from .labels import textLabel
from .questions import QuestionsPanel
from .report import ReportPanel
from .saving import export
from .server import serverNotice
from .settings import SettingsPanel
from .setup import SetupPanel
from .slices import SlicesPanel
from .words import modelNotice

# Seen on dark and on light styles alike.
_TROUBLE = "QLabel { background: rgba(200, 70, 40, 70); border-radius: 3px; padding: 4px; }"


class Workbench:
    """Joins the panels to the controller. ``requested(Request)`` asks for a report or an answer,
    since plane and window are not known here."""

    def __init__(self, controller, setup, gearIcon):
        self.requested = Signal()
        self._controller = controller
        # Looked up once: in Slicer a translation looks for its module's file each time.
        self._sayings = _sayings()
        self._modelSetup = setup
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

        self.settings = SettingsPanel(setup)
        self.settings.widget.setVisible(False)
        self.settings.changeModelRequested.connect(self.showSetup)
        self.settings.placeChanged.connect(self._onPlaceChanged)
        self.gear.connect("toggled(bool)", self._onGear)
        layout.addWidget(self.settings.widget)
        self.setup = SetupPanel(setup)
        self.setup.widget.setVisible(not setup.preferences.isSetUp)
        self.setup.chosen.connect(self._onModelChosen)
        layout.addWidget(self.setup.widget)

        row = qt.QHBoxLayout()
        self.reportButton = qt.QPushButton(_("Generate report"))
        self.reportButton.connect("clicked()", self._requestReport)
        row.addWidget(self.reportButton, 2)
        self.stopButton = qt.QPushButton(_("Stop"))
        self.stopButton.connect("clicked()", controller.cancel)
        row.addWidget(self.stopButton, 1)
        layout.addLayout(row)

        self.progress = qt.QProgressBar()
        self.progress.textVisible = False
        self.progress.setMaximumHeight(8)
        layout.addWidget(self.progress)
        self.status = textLabel()
        layout.addWidget(self.status)
        self.repeatButton = qt.QPushButton()
        self.repeatButton.connect("clicked()", self._onRepeat)
        self.repeatButton.setVisible(False)
        layout.addWidget(self.repeatButton)
        self.doubts = DoubtsPanel()
        layout.addWidget(self.doubts.widget)
        self.notice = textLabel()
        font = qt.QFont(self.notice.font)
        font.setBold(True)
        self.notice.setFont(font)
        layout.addWidget(self.notice)
        self.serverNotice = textLabel()
        self.serverNotice.setFont(font)
        layout.addWidget(self.serverNotice)

        # Up here, where no scrolling hides it.
        self.disclaimer = textLabel()
        self.disclaimer.text = _("Research use only. Not a medical device.")
        layout.addWidget(self.disclaimer)

        self.report = ReportPanel()
        self.questions = QuestionsPanel()
        self.slices = SlicesPanel(controller.view.thumbnailMaker)
        self.slices.addShortcuts(self.widget)
        for panel in (self.report, self.questions, self.slices):
            layout.addWidget(panel.widget)

        self.report.againAsked.connect(self._requestReport)
        self.report.sentencePointed.connect(self._onSentencePointed)
        self.report.sentenceChosen.connect(self._onSentenceChosen)
        self.report.edited.connect(self._onReportEdited)
        self.report.reviewed.connect(self._onReportReviewed)
        self.report.exportAsked.connect(self._onExportAsked)
        self.questions.requested.connect(self.requested.emit)
        self.questions.stopAsked.connect(controller.cancel)
        self.questions.turnChosen.connect(self._onTurnChosen)
        self.slices.sliceChosen.connect(controller.view.jumpToSlice)
        self.slices.plotAsked.connect(controller.view.togglePlot)
        controller.stateChanged.connect(self._onStateChanged)
        controller.progressChanged.connect(self._onProgress)
        controller.turnStarted.connect(self._onTurnStarted)
        controller.textArrived.connect(self._onTextArrived)
        controller.turnEnded.connect(self._onTurnEnded)
        controller.turnsChanged.connect(self._onTurnsChanged)
        controller.exported.connect(self._onExported)
        controller.view.turnShown.connect(self._onTurnShown)
        controller.view.attentionShown.connect(self.slices.showAttention)
        controller.view.attentionShown.connect(self._hideHeatmaps)
        controller.view.looksChanged.connect(self.slices.refreshThumbnails)
        controller.failed.connect(self._onFailed)
        controller.modelLoaded.connect(self._onModelLoaded)
        controller.silent.connect(self._onSilent)

        self._showPlace()
        self._onModelLoaded(controller.model)
        self._onStateChanged(controller.state)

    def parameterWidgets(self):
        """The widgets that show a parameter of the scene, by the parameter's name."""
        return {
            "inputVolume": self.volumeSelector,
            "reviewer": self.report.reviewer,
            "plane": self.settings.plane,
            "alignViews": self.settings.alignViews,
            "heatmapVisible": self.slices.heatmapVisible,
            "heatmapInPlane": self.slices.heatmapInPlane,
            "heatmapAgainst": self.slices.heatmapAgainst,
            "heatmapColors": self.slices.heatmapColors,
            "heatmapLegend": self.slices.heatmapLegend,
            "heatmapOpacity": self.slices.heatmapOpacity,
            "heatmapThreshold": self.slices.heatmapThreshold,
        }

    def showVolume(self, volumeNode):
        """Show what is known about a volume, and where the model looked last."""
        self._volumeNode = volumeNode
        if not self._controller.isBusy:
            self.tell("")
        turns = self._showConversation()
        self._controller.showTurn(volumeNode, shownLast(volumeNode, turns))
        self._onStateChanged(self._controller.state)

    def _showConversation(self):
        turns = self._controller.turnsOf(self._volumeNode)
        reports = [turn for turn in turns if turn.kind == REPORT]
        self.report.showTurn(reports[-1] if reports else None)
        self._markShown()
        self.questions.showTurns([turn for turn in turns if turn.kind == ANSWER])
        self._showUnfinished()
        return turns

    def _showUnfinished(self):
        unfinished = self._controller.unfinishedTurn(self._volumeNode)
        if unfinished:
            request, text = unfinished
            if request.kind == REPORT:
                self.report.showUnfinished(text)
            else:
                self.questions.showUnfinished(request, text)

    def tell(self, sentence, isTrouble=False):
        """Show a sentence in the status line, on a ground of its own if something went wrong."""
        self.status.text = sentence
        self.status.styleSheet = _TROUBLE if isTrouble else ""
        self.status.setVisible(bool(sentence))

    def showSetup(self):
        """Let the user choose a model."""
        self.gear.checked = False
        self.setup.refresh()
        self.setup.widget.setVisible(True)

    # -- what the reader does --------------------------------------------------------------------

    def _onGear(self, isOpen):
        self.settings.widget.setVisible(isOpen)
        if isOpen:
            self.settings.refresh()
            self.settings.examine()

    def _onModelChosen(self):
        self.setup.widget.setVisible(False)
        self.settings.refresh()
        self.settings.changed.emit()

    def _requestReport(self):
        turn = self.report.turn
        if turn and (turn.isEdited or turn.reviewedAt):
            isMeant = slicer.util.confirmOkCancelDisplay(
                _("A new report takes the place of this one, with your edits and its review."),
                _("Write the report anew?"),
            )
            if not isMeant:
                return
        self.requested.emit(Request(REPORT))

    def _onRepeat(self):
        offer = self._controller.offerFor(self._volumeNode)
        if offer is None:
            return
        if offer.smaller:
            preferences = self._modelSetup.preferences
            preferences.device, preferences.precision = offer.smaller.device, offer.smaller.dtype
            self.settings.refresh()
        self.requested.emit(offer.request)

    def _onTurnChosen(self, turn):
        self._controller.showTurn(self._volumeNode, turn)

    def _onSentencePointed(self, number):
        self._controller.view.pointAt(self.report.turn, number)

    def _onSentenceChosen(self, number):
        turn, view = self.report.turn, self._controller.view
        evidence = None if number is None else turn.sentences[number].attention
        self._controller.showSentence(self._volumeNode, turn, number if evidence else None)
        if evidence:
            view.jumpToSlice(evidence.rankedSlices[0].number)

    def _onReportEdited(self, text):
        self._renew(self._controller.keepEdit(self.report.turn, text))

    def _onReportReviewed(self, name):
        self._renew(self._controller.review(self.report.turn, name))

    def _renew(self, turn):
        if turn:
            self.report.renewTurn(turn)
        else:
            self.tell(_("The report is no longer in the scene."))
            self._showConversation()

    def _onExportAsked(self, name):
        export(name, self.report.turn, self._volumeNode, self._controller, self.tell)

    # -- what the controller tells ---------------------------------------------------------------

    def _onStateChanged(self, state):
        isBusy = self._controller.isBusy
        isReady = self._volumeNode is not None and not isBusy
        self.reportButton.enabled = isReady
        self.report.setReady(isReady)
        self.questions.setReady(isReady)
        self.stopButton.enabled = isBusy
        self.stopButton.text = _("Stop now") if state == State.CANCELLING else _("Stop")
        self.progress.setVisible(isBusy)
        self.progress.setRange(0, 0)
        self._showOffer()
        if state != State.FAILED:
            self._tellOfWork(self._sayings[state])

    def _tellOfWork(self, saying):
        """Tell what goes on, and before it what has just gone wrong."""
        trouble = self._controller.trouble
        self.tell(f"{trouble} {saying}".strip(), isTrouble=bool(trouble))

    def _showOffer(self):
        """Show what can be asked again about the volume, as a button."""
        offer = self._controller.offerFor(self._volumeNode)
        self.repeatButton.setVisible(offer is not None)
        if offer is None:
            return
        if offer.smaller:
            self.repeatButton.text = _("Again with less memory: {precision}, {device}").format(
                precision=offer.smaller.dtype, device=offer.smaller.device
            )
        elif offer.request.kind == REPORT:
            self.repeatButton.text = _("Write the report again")
        else:
            self.repeatButton.text = _("Ask again")
        self.repeatButton.toolTip = offer.request.question

    def _onProgress(self, state, done, total):
        # A stage of one step says nothing about how far it is.
        if total > 1:
            share = round(100 * done / total)
            self.progress.setRange(0, 100)
            self.progress.setValue(share)
            self._tellOfWork(f"{self._sayings[state]} {share} %")

    def _onSilent(self, seconds):
        if seconds:
            self.tell(
                _("The engine has not answered for {seconds} s…").format(seconds=seconds),
                isTrouble=True,
            )
        else:
            self._tellOfWork(self._sayings[self._controller.state])

    def _onTurnStarted(self, request):
        # Whoever begins is content with the model that is set.
        if not self._modelSetup.isDownloading:
            self.setup.widget.setVisible(False)
        self._showOffer()
        self._showUnfinished()

    def _onTextArrived(self, piece):
        unfinished = self._controller.unfinishedTurn(self._volumeNode)
        if unfinished:
            panel = self.report if unfinished[0].kind == REPORT else self.questions
            panel.append(piece)

    def _onTurnEnded(self, turn):
        self._showConversation()
        self._markShown()
        if turn and turn.warnings:
            self.tell(" ".join(turn.warnings))

    def _onTurnShown(self, turn):
        self._markShown()

    def _markShown(self):
        """Mark in report and conversation what the slices are shown for."""
        turn, sentence = self._controller.shownTurn, self._controller.view.sentence
        isReport = turn is not None and turn.kind == REPORT
        self.report.showChosen(sentence if isReport else None)
        self.questions.select(None if isReport else turn)

    def _onTurnsChanged(self):
        """Turns have gone, or the scan is no longer the one that they are about."""
        turns = self._showConversation()
        shown = self._controller.shownTurn
        if shown:
            present = [turn for turn in turns if turn.nodeId == shown.nodeId]
            if present and present[0].isStale != shown.isStale:
                self._controller.showTurn(self._volumeNode, present[0])

    def _onExported(self, exported):
        names = ", ".join(os.path.basename(file) for file in exported.files)
        self.tell(" ".join([_("Saved {names}.").format(names=names), *exported.warnings]))

    def _hideHeatmaps(self, attention, caption):
        """Heatmaps are no scans to choose."""
        self.volumeSelector.sortFilterProxyModel().hiddenNodeIDs = self._controller.view.heatmapIds

    def _onFailed(self, sentence):
        wroteReport, wroteAnswer = self.report.interrupt(), self.questions.interrupt()
        turns = self._controller.turnsOf(self._volumeNode)
        hasReport = any(turn.kind == REPORT for turn in turns)
        if not wroteAnswer and (hasReport or not wroteReport):
            self._showConversation()
        self._showOffer()
        self.tell(sentence, isTrouble=True)

    def _onPlaceChanged(self):
        self._showPlace()
        if self._modelSetup.preferences.isSetUp:
            self.setup.widget.setVisible(False)

    def _showPlace(self):
        self.serverNotice.text = serverNotice(self._modelSetup.preferences)
        self.serverNotice.setVisible(bool(self.serverNotice.text))

    def _onModelLoaded(self, model):
        sentences = [modelNotice(model.trained_on)] if model else []
        if model and not model.scores_slices:
            sentences.append(_("This model scores no slices: there is no heatmap with its texts."))
        self.notice.text = " ".join(filter(None, sentences))
        self.notice.setVisible(bool(self.notice.text))


def _sayings():
    return {
        State.IDLE: "",
        State.STARTING: _("Starting the engine…"),
        State.LOADING: _("Loading the model…"),
        State.SENDING: _("Handing the scan over…"),
        State.UPLOADING: _("Sending the scan to the server…"),
        State.ENCODING: _("Reading the scan…"),
        State.WRITING: _("Writing…"),
        State.EXPORTING: _("Writing the files…"),
        State.AHEAD: _("The scan is being read, so that an answer comes sooner…"),
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
