"""The story of the module in one place: volume, worker, answer, scene. No widgets."""

import time
from dataclasses import dataclass, field, replace
from enum import Enum

import qt
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from med2e3.wire import jsonrpc, messages

from .engine import (
    ENGINE_ENDED,
    ENGINE_LOST,
    EngineClient,
    EngineNotFoundError,
    findWorkerCommand,
)
from .exporting import reportMessage, seriesFiles
from .preferences import Preferences
from .scans import Scans
from .scene.turns import isTurnNode, storeReview, storeTurn, turnsOf
from .scene.volumes import VolumeError, checkVolume
from .signal import Signal
from .turn import ANSWER, REPORT, Request, historyOf, now, turnOf
from .viewing import AttentionView

_DOUBLE_CLICK_SECONDS = 0.5
"""A second press of Stop within this time is no second wish."""

_REST = 300
"""Milliseconds without an edit of a scan before what was said about it is looked at again."""


class State(Enum):
    """What the module does: nothing, or one of the phases of a request, in their order. AHEAD is
    reading a scan that nobody has asked about yet."""

    IDLE = "idle"
    STARTING = "starting"
    LOADING = "loading"
    SENDING = "sending"
    UPLOADING = "uploading"
    ENCODING = "encoding"
    WRITING = "writing"
    EXPORTING = "exporting"
    AHEAD = "ahead"
    CANCELLING = "cancelling"
    FAILED = "failed"


@dataclass(eq=False)
class _Run:
    """A request on its way. An export has none, and what opens a scan again after the worker was
    lost, or before anyone asks, has none yet. Volumes are held by id: they can go at any time."""

    volumeId: str
    request: Request | None
    plane: str
    window: str
    maxNewTokens: int | None = None
    requestId: int | None = None
    hasReopened: bool = False
    isRecovery: bool = False
    isAhead: bool = False
    modelChoice: messages.LoadModel | None = None
    pieces: list = field(default_factory=list)

    @property
    def isExport(self):
        return self.request is None and not (self.isRecovery or self.isAhead)


@dataclass(frozen=True)
class Offer:
    """A request that can be made again, since nothing came of it, or not all.

    ``smaller`` is the setting of the model with which it should be tried, None for the present one.
    """

    volumeId: str
    request: Request
    smaller: messages.LoadModel | None


class Controller(VTKObservationMixin):
    """One request at a time about the volumes of a scene.

    Signals: ``stateChanged(State)``; ``progressChanged(State, done, total)``, ``total`` 0 where
    nobody knows; ``turnStarted(Request)``, then ``textArrived(piece)`` and in the end
    ``turnEnded(turn)``, None if nothing came of it; ``exported(Exported)``; ``failed(sentence)``;
    ``modelLoaded(ModelLoaded)``; ``turnsChanged()`` where turns went, or became about another scan,
    without a request; ``silent(seconds)`` while the worker does not answer, 0 when it does again.
    ``view`` (:class:`AttentionView`) is what the reader sees of the turns.

    If the worker is lost in the midst of a request, ``failed`` tells, and another one is started
    and reads the scan again, once: if that goes wrong as well, the next request starts it.
    :meth:`offerFor` tells what can be asked again.

    :meth:`readAhead` does without a request what can be done before there is one. Its phases are
    the one state AHEAD, nothing that goes wrong in it is told, and whatever is asked goes first.
    """

    def __init__(self, scene, client=None, preferences=None):
        VTKObservationMixin.__init__(self)
        self.stateChanged = Signal()
        self.progressChanged = Signal()
        self.turnStarted = Signal()
        self.textArrived = Signal()
        self.turnEnded = Signal()
        self.exported = Signal()
        self.failed = Signal()
        self.modelLoaded = Signal()
        self.turnsChanged = Signal()
        self.silent = Signal()

        self.preferences = preferences or Preferences()
        self.view = AttentionView(scene)
        self._scene = scene
        self._client = client or EngineClient()
        self._client.ended.connect(self._onEngineEnded)
        self._client.silent.connect(self.silent.emit)
        self._scans = Scans(self._client)
        self._scans.progress.connect(
            lambda done, total: self._tellProgress(State.SENDING, done, total)
        )
        self._scans.failed.connect(self._onWritingFailed)
        self._state = State.IDLE
        self._run = None
        self._isStarting = False
        self._cancelledAt = 0.0
        self._model = None
        self._modelChoice = None
        self._offer = None
        self._trouble = ""
        self._losses = 0

        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_REST)
        self._timer.connect("timeout()", self.turnsChanged.emit)
        self.view.volumeChanged.connect(self._timer.start)
        self.addObserver(scene, scene.StartCloseEvent, self._onSceneCloses)
        self.addObserver(scene, scene.NodeAboutToBeRemovedEvent, self._onNodeIsRemoved)

    # -- what can be asked -----------------------------------------------------------------------

    @property
    def state(self):
        return State.AHEAD if self._isAhead else self._state

    @property
    def isBusy(self):
        return self._run is not None and not self._run.isAhead

    @property
    def model(self):
        """The ``ModelLoaded`` message of the model in the worker's memory, or None."""
        return self._model

    @property
    def workerProcessId(self):
        """The worker's process id; 0 if there is none."""
        return self._client.processId

    @property
    def trouble(self):
        """What went wrong with the worker, as long as it is being mended; empty if nothing did."""
        return self._trouble

    def offerFor(self, volumeNode):
        """The :class:`Offer` to ask again what was asked about a volume, or None."""
        offer = self._offer
        return offer if offer and volumeNode and volumeNode.GetID() == offer.volumeId else None

    @property
    def shownTurn(self):
        return self.view.turn

    def turnsOf(self, volumeNode):
        """The turns about a volume that the scene holds."""
        return turnsOf(self._scene, volumeNode) if volumeNode else []

    def unfinishedTurn(self, volumeNode):
        """(Request, text so far) of what goes on about a volume, or None."""
        run = self._run
        isAbout = run and volumeNode and volumeNode.GetID() == run.volumeId
        return (run.request, "".join(run.pieces)) if isAbout and run.request else None

    # -- what can be done ------------------------------------------------------------------------

    def generateReport(self, volumeNode, plane="axial", window="auto", maxNewTokens=None):
        """Write a report about a volume. Does nothing while another request goes on."""
        self.begin(volumeNode, Request(REPORT), plane, window, maxNewTokens)

    def ask(self, volumeNode, question, plane="axial", window="auto", maxNewTokens=None):
        """Answer a question about a volume. Does nothing while another request goes on."""
        self.begin(volumeNode, Request(ANSWER, question), plane, window, maxNewTokens)

    def begin(self, volumeNode, request, plane="axial", window="auto", maxNewTokens=None):
        """Do what a :class:`Request` asks. Does nothing while another one goes on; but while a lost
        worker's scan is still being opened again, it is done as soon as that is open."""
        volumeId = volumeNode.GetID() if volumeNode else ""
        if self.isBusy:
            run = self._run
            if run.request or not run.isRecovery or run.volumeId != volumeId:
                return
        else:
            run = self._keepAhead(volumeId, plane, window)
        if request.kind == ANSWER and not request.question.strip():
            self._dropAhead()
            self._fail(_("Write what you want to know about the scan, then ask."))
            return
        if run:
            self._join(run, request, plane, window, maxNewTokens)
            return
        run = _Run(volumeId, request, plane, window, maxNewTokens)
        command = self._workerFor(volumeNode, run)
        if command is None:
            return
        self._offer, self._trouble = None, ""
        self._run = run
        self.turnStarted.emit(request)
        if run is self._run:
            self._startWorker(command)
            self._loadModel(run)

    def readAhead(self, volumeNode, plane="axial", window="auto"):
        """Let the worker read a scan that may be asked about, so that an answer comes sooner, where
        the user wants that; None ends it. Nothing is sent to a server before somebody asks."""
        if self.isBusy:
            return
        isWanted = self.preferences.readsAhead and not self.preferences.usesServer
        if volumeNode is None or not isWanted:
            self._dropAhead()
            return
        volumeId = volumeNode.GetID()
        if self._keepAhead(volumeId, plane, window):
            return
        try:
            checkVolume(volumeNode)
            command = findWorkerCommand(self.preferences)
        except (VolumeError, EngineNotFoundError):
            # Who asks is told.
            return
        if self._isOpen(volumeNode, plane, window):
            return
        self._run = _Run(volumeId, None, plane, window, isAhead=True)
        self.stateChanged.emit(self.state)
        self._startWorker(command)
        self._loadModel(self._run)

    def exportPdf(self, volumeNode, turn, file):
        """Let the worker write a report as a PDF. Does nothing while a request goes on."""
        self._dropAhead()
        command = self._workerFor(volumeNode) if not self._run else None
        if command:
            self._run = _Run(volumeNode.GetID(), None, turn.plane, turn.window)
            self._startWorker(command)
            self._sendForPdf(self._run, turn, file)

    def exportDicom(self, volumeNode, turn, folder):
        """Let the worker write a report as DICOM files. Does nothing while a request goes on."""
        self._dropAhead()
        command = self._workerFor(volumeNode) if not self._run else None
        if command is None:
            return
        try:
            files = seriesFiles(volumeNode)
        except VolumeError as error:
            self._fail(str(error))
            return
        run = self._run = _Run(volumeNode.GetID(), None, turn.plane, turn.window)
        self._startWorker(command)
        report = reportMessage(turn, volumeNode)
        self._export(run, "export_dicom", messages.ExportDicom(report, files, folder))

    def keepEdit(self, turn, text):
        """Keep what a reader makes of a report. Another text is no longer the one that somebody
        reviewed. Returns the turn as it is now, None if it is no longer in the scene."""
        if text == turn.presentText:
            return turn
        return self._keepReview(turn, None if text == turn.text else text, "", "")

    def review(self, turn, reviewer):
        """Keep that somebody has reviewed a report. Returns the turn as it is now, or None."""
        return self._keepReview(turn, turn.editedText, reviewer, now())

    def cancel(self):
        """Stop the request; a second time, end the worker that has not stopped yet."""
        self._dropAhead()
        if not self._run:
            return
        if self._state == State.CANCELLING:
            if time.monotonic() - self._cancelledAt > _DOUBLE_CLICK_SECONDS:
                self._client.kill()
            return
        self._cancelledAt = time.monotonic()
        if self._run.requestId is not None:
            self._client.cancel(self._run.requestId)
        if self._state in (State.STARTING, State.SENDING) or self._run.requestId is None:
            # Nobody hears before all libraries are loaded; there is nothing to wait for.
            self._end(None)
        else:
            self._setState(State.CANCELLING)

    def showTurn(self, volumeNode, turn):
        """Show where the model looked in a turn about a volume; None shows nothing."""
        self.view.show(volumeNode, turn)

    def showSentence(self, volumeNode, turn, number):
        """Show where the model looked for one sentence of a turn."""
        self.view.show(volumeNode, turn, number)

    def close(self):
        """End the worker and leave nothing behind but what is in the scene."""
        self.removeObservers()
        self._timer.stop()
        self.view.close()
        self._client.stop()
        self._forgetEngine()
        self._scans.removeVoxels()
        self._run = self._offer = None
        self._trouble = ""
        self._setState(State.IDLE)

    # -- the story of a request ------------------------------------------------------------------

    def _workerFor(self, volumeNode, run=None):
        """The command that starts a worker for a volume; None, and a sentence, if there is none."""
        try:
            checkVolume(volumeNode)
            return findWorkerCommand(self.preferences)
        except (VolumeError, EngineNotFoundError) as error:
            self._fail(str(error), run)
            return None

    def _startWorker(self, command):
        if self._client.start(command):
            self._isStarting = True
            self._forgetEngine()

    # Each phase is told after its request was sent: whoever hears of it may cancel at once.

    def _loadModel(self, run):
        choice = run.modelChoice = self._chosenModel()
        if self._model and choice == self._modelChoice:
            self._sendVoxels(run)
            return
        # The worker gives up its model and its scans before it loads another model.
        self._model = None
        self._scans.forget()

        def onLoaded(model):
            self._isStarting = False
            self._model = model
            self._modelChoice = choice
            self.modelLoaded.emit(model)
            if self._goesOn(run):
                self._sendVoxels(run)

        def onRefused(error):
            self._isStarting = self._isStarting and error.code == jsonrpc.CANCELLED
            self._onRefused(run, error)

        def onProgress(stage, done, total):
            self._isStarting = False
            if run is self._run and self._state in (State.STARTING, State.LOADING):
                self._setState(State.LOADING)
                self._tellProgress(State.LOADING, done, total)

        run.requestId = self._client.request(
            "load_model",
            choice,
            onLoaded,
            onRefused,
            onProgress,
        )
        self._setState(State.STARTING if self._isStarting else State.LOADING)

    def _chosenModel(self):
        chosen = self.preferences
        if chosen.usesServer:
            # It has the model that its keeper chose.
            return messages.LoadModel()
        return messages.LoadModel(chosen.modelFolder or None, chosen.device, chosen.precision)

    def _smallerModel(self):
        return None if self.preferences.usesServer else self._chosenModel().smaller()

    def _sendVoxels(self, run):
        volumeNode = self._scene.GetNodeByID(run.volumeId)
        try:
            checkVolume(volumeNode)
        except VolumeError as error:
            self._fail(str(error))
            return
        known = self._scans.find(volumeNode, run.plane, run.window)
        if known:
            self._generate(run, known)
            return
        self._scans.close(run.volumeId)
        self._scans.write(
            volumeNode,
            run.plane,
            run.window,
            lambda message, source: self._openVolume(run, message, source),
            lambda: self._sendVoxels(run),
        )
        self._setState(State.SENDING)
        self._scans.startWriting()

    def _openVolume(self, run, message, source):
        def onOpened(opened):
            self._scans.removeVoxels()
            if run is not self._run:
                self._scans.discard(opened)
                return
            volumeNode = self._scene.GetNodeByID(run.volumeId)
            scan = self._scans.remember(volumeNode, source, opened)
            if not self._goesOn(run):
                return
            if (message.plane, message.window) == (run.plane, run.window):
                self._generate(run, scan)
            else:
                # Another one was asked for while the scan was opened again.
                self._sendVoxels(run)

        run.requestId = self._client.request(
            "open_volume",
            replace(message, ahead=run.isAhead),
            onOpened,
            lambda error: self._onRefused(run, error),
            lambda stage, done, total: self._onOpening(run, stage, done, total),
        )
        self._setState(State.ENCODING)

    def _generate(self, run, scan):
        if run.isAhead:
            self._end(None)
            return
        if run.request is None:
            self._trouble = _("{trouble} It runs again, and the scan is open again.").format(
                trouble=self._trouble
            )
            self._end(None)
            return
        request, opened = run.request, scan.opened
        history = historyOf(self.turnsOf(self._scene.GetNodeByID(run.volumeId)), request)

        def onAnswered(answered):
            self._losses = 0
            if run is self._run:
                self._trouble = ""
                turn = turnOf(answered, opened, scan.identity, len(history))
                # To read what the worker tells of a long report takes its time, and so does showing
                # it: between them Slicer can do something else.
                qt.QTimer.singleShot(0, lambda: keep(turn))

        def keep(turn):
            if run is self._run:
                self._end(turn if turn.text or turn.finishReason == "stop" else None)

        def onRefused(error):
            if error.code == jsonrpc.NOT_READY and not run.hasReopened and run is self._run:
                # The worker keeps a few scans only; it gave up this one for others.
                run.hasReopened = True
                self._scans.forget(run.volumeId)
                self._sendVoxels(run)
            else:
                self._onRefused(run, error)

        run.requestId = self._client.request(
            "generate",
            messages.Generate(
                opened.volume_id, request.kind, request.question.strip(), run.maxNewTokens, history
            ),
            onAnswered,
            onRefused,
            onToken=lambda text: self._onToken(run, text),
        )
        self._setState(State.WRITING)

    def _onToken(self, run, text):
        if run is self._run:
            run.pieces.append(text)
            self.textArrived.emit(text)

    def _goesOn(self, run):
        """Whether a run's next phase may begin. A cancel that came too late for the last phase
        ends the run here."""
        if run is self._run and self._state == State.CANCELLING:
            self._end(None)
        return run is self._run

    # -- reading ahead ---------------------------------------------------------------------------

    @property
    def _isAhead(self):
        return self._run is not None and self._run.isAhead

    def _isOpen(self, volumeNode, plane, window):
        """Whether the worker has a scan open in the model that is chosen."""
        isLoaded = self._model is not None and self._modelChoice == self._chosenModel()
        return isLoaded and self._scans.find(volumeNode, plane, window) is not None

    def _keepAhead(self, volumeId, plane, window):
        """The run that reads this scan ahead, or None; one that reads another scan is given up."""
        run = self._run
        if not self._isAhead:
            return None
        wanted = volumeId, plane, window
        if volumeId and run.modelChoice == self._chosenModel():
            if self._state in (State.STARTING, State.LOADING):
                # The model is the same for every scan.
                run.volumeId, run.plane, run.window = wanted
            if (run.volumeId, run.plane, run.window) == wanted:
                return run
        self._drop()
        return None

    def _dropAhead(self):
        if self._isAhead:
            self._drop()

    def _join(self, run, request, plane, window, maxNewTokens):
        """Let a run that only opens a scan do a request as soon as that is open."""
        wasAhead, run.isAhead = run.isAhead, False
        run.request, run.plane, run.window = request, plane, window
        run.maxNewTokens = maxNewTokens
        self._offer = None
        self.turnStarted.emit(request)
        if wasAhead and run is self._run:
            self.stateChanged.emit(self._state)

    # -- the story of an export ------------------------------------------------------------------

    def _sendForPdf(self, run, turn, file):
        volumeNode = self._scene.GetNodeByID(run.volumeId)
        report = reportMessage(turn, volumeNode)

        def onWritten(message, source):
            params = messages.ExportPdf(report, message, file, volumeNode.GetName())
            self._export(run, "export_pdf", params)

        self._scans.write(
            volumeNode,
            run.plane,
            run.window,
            onWritten,
            lambda: self._sendForPdf(run, turn, file),
        )
        self._setState(State.SENDING)
        self._scans.startWriting()

    def _export(self, run, method, params):
        def onExported(exported):
            if run is self._run:
                self._end(None)
                self.exported.emit(exported)

        run.requestId = self._client.request(
            method, params, onExported, lambda error: self._onRefused(run, error)
        )
        self._setState(State.EXPORTING)

    # -- how it ends -----------------------------------------------------------------------------

    def _end(self, turn):
        run, self._run = self._run, None
        self._scans.removeVoxels()
        volumeNode = self._scene.GetNodeByID(run.volumeId)
        if turn and volumeNode:
            turn = storeTurn(self._scene, volumeNode, turn, run.request)
            # Someone who looks at another scan by now goes on looking at it.
            if self.view.volumeId in ("", run.volumeId):
                self.showTurn(volumeNode, turn)
        self._setState(State.IDLE)
        if run.request:
            self.turnEnded.emit(turn)

    def _drop(self):
        """Give up the run because its volume is gone. What the worker still says is not heard."""
        if self._run:
            if self._run.requestId:
                self._client.cancel(self._run.requestId)
            self._end(None)

    def _fail(self, sentence, run=None, smaller=None):
        """End the run, or one that was never begun; what it was to do can be done again."""
        run = run or self._run
        if run and run.isAhead:
            # Nobody waits for it; who asks is told then.
            self._end(None)
            return
        if run and run.request and run.volumeId:
            self._offer = Offer(run.volumeId, run.request, smaller)
        elif run and run.isRecovery and self._offer:
            self._offer = replace(self._offer, smaller=smaller)
        self._run, self._trouble = None, ""
        self._scans.removeVoxels()
        self._setState(State.FAILED)
        self.failed.emit(sentence)

    def _onRefused(self, run, error):
        if run is not self._run:
            return
        if error.code == jsonrpc.CANCELLED or self._state == State.CANCELLING:
            self._end(None)
        elif error.code in (ENGINE_ENDED, ENGINE_LOST):
            self._onGone(run, error)
        elif error.code == jsonrpc.OUT_OF_MEMORY:
            # The worker has given up its scans.
            self._scans.forget()
            self._fail(str(error), smaller=self._smallerModel())
        else:
            self._fail(str(error))

    def _onGone(self, run, error):
        """The worker ended in the midst of a run."""
        if run.isAhead:
            self._end(None)
            return
        isLost = error.code == ENGINE_LOST and not run.isExport
        if isLost:
            self._losses += 1
        if isLost and self._losses == 1:
            self._fail(_("{reason} It is started again.").format(reason=error))
            self._recover(run, str(error))
        else:
            # The system ends what takes too much memory, and tells nobody why.
            self._fail(
                _("{reason} The next click starts it again.").format(reason=error),
                smaller=self._smallerModel() if isLost else None,
            )

    def _recover(self, lost, trouble):
        """Start another worker and let it read the scan again, as for the run that was lost."""
        volumeNode = self._scene.GetNodeByID(lost.volumeId)
        command = self._workerFor(volumeNode)
        if command:
            self._trouble = trouble
            self._run = _Run(lost.volumeId, None, lost.plane, lost.window, isRecovery=True)
            self._startWorker(command)
            self._loadModel(self._run)

    def _onWritingFailed(self, error):
        self._fail(
            _(
                "The voxels could not be handed to the engine: {reason}. Free some space in the "
                "folder for temporary files and try again."
            ).format(reason=error.strerror or error)
        )

    def _onEngineEnded(self, error):
        self._forgetEngine()
        if self._run and self._state == State.SENDING:
            # No request is on its way that would bring the error.
            self._onGone(self._run, error)

    def _onOpening(self, run, stage, done, total):
        if run is self._run and self._state in (State.UPLOADING, State.ENCODING):
            state = State.UPLOADING if stage == "send" else State.ENCODING
            self._setState(state)
            self._tellProgress(state, done, total)

    def _forgetEngine(self):
        self._model = None
        self._scans.forget()

    def _setState(self, state):
        if state != self._state:
            self._state = state
            if not self._isAhead:
                self.stateChanged.emit(state)

    def _tellProgress(self, state, done, total):
        if not self._isAhead:
            self.progressChanged.emit(state, done, total)

    # -- the scene -------------------------------------------------------------------------------

    def _keepReview(self, turn, editedText, reviewer, reviewedAt):
        turn = storeReview(self._scene, turn, editedText, reviewer, reviewedAt)
        if turn:
            self.view.renew(turn)
        return turn

    def _onSceneCloses(self, scene, event):
        self._drop()
        self._offer = None
        self._scans.closeAll()
        self.showTurn(None, None)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeIsRemoved(self, scene, event, node):
        nodeId = node.GetID()
        if self._run and self._run.volumeId == nodeId:
            self._drop()
        if self._offer and self._offer.volumeId == nodeId:
            self._offer = None
        self._scans.close(nodeId)
        if self.view.volumeId == nodeId:
            self.showTurn(None, None)
        elif isTurnNode(node) and not scene.IsBatchProcessing():
            if self.shownTurn and self.shownTurn.nodeId == nodeId:
                self.showTurn(scene.GetNodeByID(self.view.volumeId), None)
            # It is still there at this moment.
            self._timer.start()
