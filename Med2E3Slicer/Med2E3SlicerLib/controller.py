"""The story of the module in one place: volume, worker, answer, scene. No widgets."""

from dataclasses import dataclass, field
from enum import Enum

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from med2e3.wire import jsonrpc, messages

from .engine import EngineClient, EngineNotFoundError, VoxelWriter, findWorkerCommand
from .engine.client import ENGINE_ENDED
from .preferences import Preferences
from .scene.heatmap import findHeatmap, placeHeatmap, setThreshold, showInHeatmap
from .scene.layers import hideHeatmap, showHeatmap
from .scene.turns import storeTurn, turnsOf
from .scene.views import jumpTo
from .scene.volumes import (
    VolumeError,
    checkVolume,
    ijkToWorld,
    modalityOf,
    stateOf,
    voxelsOf,
)
from .signal import Signal
from .turn import ANSWER, REPORT, turnOf


class State(Enum):
    """What the module does: nothing, or one of the phases of a request, in their order."""

    IDLE = "idle"
    STARTING = "starting"
    LOADING = "loading"
    SENDING = "sending"
    ENCODING = "encoding"
    WRITING = "writing"
    CANCELLING = "cancelling"
    FAILED = "failed"


@dataclass(frozen=True)
class HeatmapDisplay:
    """How heatmaps are shown. ``opacity`` and ``threshold`` go from 0 to 1; ``inPlane`` tells the
    places within the slices apart; ``alignViews`` lets views turn to the scan as they jump."""

    isVisible: bool = True
    inPlane: bool = True
    opacity: float = 0.45
    threshold: float = 0.3
    alignViews: bool = False


@dataclass(eq=False)
class _Run:
    """A request on its way. Volumes are held by id: they can go at any time."""

    volumeId: str
    kind: str
    question: str
    plane: str
    window: str
    maxNewTokens: int | None
    requestId: int | None = None
    hasReopened: bool = False
    pieces: list = field(default_factory=list)


@dataclass(frozen=True)
class _OpenScan:
    """A scan that the worker has encoded, and what it was encoded from."""

    source: tuple
    opened: messages.VolumeOpened


class Controller(VTKObservationMixin):
    """One request at a time about the volumes of a scene.

    Signals: ``stateChanged(State)``; ``progressChanged(State, done, total)``, ``total`` 0 where
    nobody knows; ``turnStarted(kind, question)``, then ``textArrived(piece)`` and in the end
    ``turnEnded(turn)``, None if nothing came of it; ``failed(sentence)``;
    ``modelLoaded(ModelLoaded)``; ``turnShown(turn)``, None if none is shown.
    """

    def __init__(self, scene, client=None, preferences=None):
        VTKObservationMixin.__init__(self)
        self.stateChanged = Signal()
        self.progressChanged = Signal()
        self.turnStarted = Signal()
        self.textArrived = Signal()
        self.turnEnded = Signal()
        self.failed = Signal()
        self.modelLoaded = Signal()
        self.turnShown = Signal()

        self.preferences = preferences or Preferences()
        self._scene = scene
        self._client = client or EngineClient()
        self._client.ended.connect(self._onEngineEnded)
        self._state = State.IDLE
        self._run = None
        self._writer = None
        self._model = None
        self._modelChoice = None
        self._openScans = {}
        self._heatmapDisplay = HeatmapDisplay()
        self._shownTurn = None
        self._shownVolumeId = ""

        self.addObserver(scene, scene.StartCloseEvent, self._onSceneCloses)
        self.addObserver(scene, scene.NodeAboutToBeRemovedEvent, self._onNodeIsRemoved)

    # -- what can be asked -----------------------------------------------------------------------

    @property
    def state(self):
        return self._state

    @property
    def isBusy(self):
        return self._run is not None

    @property
    def model(self):
        """The ``ModelLoaded`` message of the model in the worker's memory, or None."""
        return self._model

    @property
    def workerProcessId(self):
        """The worker's process id; 0 if there is none."""
        return self._client.processId

    @property
    def shownTurn(self):
        return self._shownTurn

    def turnsOf(self, volumeNode):
        """The turns about a volume that the scene holds."""
        return turnsOf(self._scene, volumeNode) if volumeNode else []

    def unfinishedTurn(self, volumeNode):
        """(kind, question, text so far) of the request that goes on about a volume, or None."""
        run = self._run
        if run is None or volumeNode is None or volumeNode.GetID() != run.volumeId:
            return None
        return run.kind, run.question, "".join(run.pieces)

    # -- what can be done ------------------------------------------------------------------------

    def generateReport(self, volumeNode, plane="axial", window="auto", maxNewTokens=None):
        """Write a report about a volume. Does nothing while another request goes on."""
        self._begin(volumeNode, REPORT, "", plane, window, maxNewTokens)

    def ask(self, volumeNode, question, plane="axial", window="auto", maxNewTokens=None):
        """Answer a question about a volume. Does nothing while another request goes on."""
        self._begin(volumeNode, ANSWER, question.strip(), plane, window, maxNewTokens)

    def cancel(self):
        """Stop the request; a second time, end the worker that has not stopped yet."""
        if not self._run:
            return
        if self._state == State.CANCELLING:
            self._client.kill()
        elif self._state == State.SENDING or self._run.requestId is None:
            self._end(None)
        else:
            self._client.cancel(self._run.requestId)
            self._setState(State.CANCELLING)

    def setHeatmapDisplay(self, display):
        if display != self._heatmapDisplay:
            self._heatmapDisplay = display
            self._updateHeatmap()

    def showTurn(self, volumeNode, turn):
        """Show where the model looked in a turn about a volume; None shows nothing."""
        volumeId = volumeNode.GetID() if volumeNode else ""
        if volumeId != self._shownVolumeId:
            self._watchShownVolume(volumeNode)
        self._shownVolumeId = volumeId
        self._shownTurn = turn
        self._updateHeatmap()
        self.turnShown.emit(turn)

    def jumpToSlice(self, number):
        """Let the slice views go to a slice of the model, in the turn that is shown.

        Returns the place in RAS mm: the centre of the slice or, where the heatmap tells places
        within the slice apart, the one that speaks most for the slice.
        """
        volumeNode = self._scene.GetNodeByID(self._shownVolumeId)
        turn = self._shownTurn
        if volumeNode is None or turn is None:
            return None
        if self._heatmapDisplay.inPlane:
            place = turn.strongestPlace(number)
        else:
            place = turn.slices[number].ijk
        return jumpTo(self._scene, volumeNode, place, self._heatmapDisplay.alignViews)

    def close(self):
        """End the worker and leave nothing behind but what is in the scene."""
        self.removeObservers()
        self._client.stop()
        self._forgetEngine()
        self._removeVoxels()
        self._run = None
        self._setState(State.IDLE)

    # -- the story of a request ------------------------------------------------------------------

    def _begin(self, volumeNode, kind, question, plane, window, maxNewTokens):
        if self._run:
            return
        try:
            checkVolume(volumeNode)
            command = findWorkerCommand(self.preferences.python)
        except (VolumeError, EngineNotFoundError) as error:
            self._fail(str(error))
            return
        if kind == ANSWER and not question:
            self._fail(_("Write what you want to know about the scan, then ask."))
            return
        run = self._run = _Run(volumeNode.GetID(), kind, question, plane, window, maxNewTokens)
        self.turnStarted.emit(kind, question)
        if run is not self._run:
            return
        isNew = self._client.start(command)
        if isNew:
            self._forgetEngine()
        self._loadModel(run, State.STARTING if isNew else State.LOADING)

    # Each phase is told after its request was sent: whoever hears of it may cancel at once.

    def _loadModel(self, run, state):
        choice = (self.preferences.modelFolder, self.preferences.device)
        if self._model and choice == self._modelChoice:
            self._sendVoxels(run)
            return
        # The worker gives up its model and its scans before it loads another model.
        self._model = None
        self._openScans.clear()

        def onLoaded(model):
            self._model = model
            self._modelChoice = choice
            self.modelLoaded.emit(model)
            if self._goesOn(run):
                self._sendVoxels(run)

        def onProgress(stage, done, total):
            if run is self._run and self._state in (State.STARTING, State.LOADING):
                self._setState(State.LOADING)
                self.progressChanged.emit(State.LOADING, done, total)

        run.requestId = self._client.request(
            "load_model",
            messages.LoadModel(folder=choice[0] or None, device=choice[1]),
            onLoaded,
            lambda error: self._onRefused(run, error),
            onProgress,
        )
        self._setState(state)

    def _sendVoxels(self, run):
        volumeNode = self._scene.GetNodeByID(run.volumeId)
        try:
            checkVolume(volumeNode)
        except VolumeError as error:
            self._fail(str(error))
            return
        modality = modalityOf(volumeNode)
        source = (stateOf(volumeNode), modality, run.plane, run.window)
        known = self._openScans.get(run.volumeId)
        if known and known.source == source:
            self._generate(run, known.opened)
            return
        self._closeScan(run.volumeId)
        matrix = tuple(float(value) for value in ijkToWorld(volumeNode).ravel())

        def onWritten(path):
            if stateOf(volumeNode) != source[0]:
                # Edited or moved while it was being written: what is in the file was never there.
                self._removeVoxels()
                self._sendVoxels(run)
                return
            self._openVolume(run, source, str(path), matrix)

        writer = self._writer = VoxelWriter(voxelsOf(volumeNode))
        writer.progress.connect(
            lambda done, total: self.progressChanged.emit(State.SENDING, done, total)
        )
        writer.finished.connect(onWritten)
        writer.failed.connect(self._onWritingFailed)
        self._setState(State.SENDING)
        if writer is self._writer:
            writer.start()

    def _openVolume(self, run, source, path, matrix):
        def onOpened(opened):
            self._removeVoxels()
            if run is not self._run:
                self._client.request(
                    "close_volume", messages.CloseVolume(opened.volume_id), _ignore, _ignore
                )
                return
            self._openScans[run.volumeId] = _OpenScan(source, opened)
            if self._goesOn(run):
                self._generate(run, opened)

        _state, modality, plane, window = source
        run.requestId = self._client.request(
            "open_volume",
            messages.OpenVolume(path, matrix, modality, plane, window),
            onOpened,
            lambda error: self._onRefused(run, error),
            lambda stage, done, total: self._onProgress(run, State.ENCODING, done, total),
        )
        self._setState(State.ENCODING)

    def _generate(self, run, opened):
        def onAnswered(answered):
            if run is self._run:
                turn = turnOf(answered, opened, self._model)
                self._end(turn if turn.text or turn.finishReason == "stop" else None)

        def onRefused(error):
            if error.code == jsonrpc.NOT_READY and not run.hasReopened and run is self._run:
                # The worker keeps a few scans only; it gave up this one for others.
                run.hasReopened = True
                self._openScans.pop(run.volumeId, None)
                self._sendVoxels(run)
            else:
                self._onRefused(run, error)

        run.requestId = self._client.request(
            "generate",
            messages.Generate(opened.volume_id, run.kind, run.question, run.maxNewTokens),
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

    # -- how it ends -----------------------------------------------------------------------------

    def _end(self, turn):
        run, self._run = self._run, None
        self._removeVoxels()
        volumeNode = self._scene.GetNodeByID(run.volumeId)
        if turn and volumeNode:
            storeTurn(self._scene, volumeNode, turn)
            # Someone who looks at another scan by now goes on looking at it.
            if self._shownVolumeId in ("", run.volumeId):
                self.showTurn(volumeNode, turn)
        self._setState(State.IDLE)
        self.turnEnded.emit(turn)

    def _drop(self):
        """Give up the run because its volume is gone. What the worker still says is not heard."""
        if self._run:
            if self._run.requestId:
                self._client.cancel(self._run.requestId)
            self._end(None)

    def _fail(self, sentence):
        self._run = None
        self._removeVoxels()
        self._setState(State.FAILED)
        self.failed.emit(sentence)

    def _onRefused(self, run, error):
        if run is not self._run:
            return
        if error.code == jsonrpc.CANCELLED or self._state == State.CANCELLING:
            self._end(None)
        elif error.code == ENGINE_ENDED:
            self._fail(_("{reason} The next click starts it again.").format(reason=error))
        else:
            self._fail(str(error))

    def _onWritingFailed(self, error):
        self._fail(
            _(
                "The voxels could not be handed to the engine: {reason}. Free some space in the "
                "folder for temporary files and try again."
            ).format(reason=error.strerror or error)
        )

    def _onEngineEnded(self, reason):
        self._forgetEngine()
        if self._run and self._state == State.SENDING:
            # No request is on its way that would bring the error.
            self._fail(_("{reason} The next click starts it again.").format(reason=reason))

    def _onProgress(self, run, state, done, total):
        if run is self._run and self._state == state:
            self.progressChanged.emit(state, done, total)

    def _forgetEngine(self):
        self._model = None
        self._openScans.clear()

    def _closeScan(self, volumeId):
        known = self._openScans.pop(volumeId, None)
        if known:
            self._client.request(
                "close_volume", messages.CloseVolume(known.opened.volume_id), _ignore, _ignore
            )

    def _removeVoxels(self):
        if self._writer:
            self._writer.remove()
            self._writer = None

    def _setState(self, state):
        if state != self._state:
            self._state = state
            self.stateChanged.emit(state)

    # -- the scene -------------------------------------------------------------------------------

    def _updateHeatmap(self):
        volumeNode = self._scene.GetNodeByID(self._shownVolumeId)
        display = self._heatmapDisplay
        if volumeNode and self._shownTurn and display.isVisible:
            heatmapNode = showInHeatmap(self._scene, volumeNode, self._shownTurn, display.inPlane)
            setThreshold(heatmapNode, display.threshold)
            showHeatmap(self._scene, volumeNode, heatmapNode, display.opacity)
        else:
            hideHeatmap(self._scene)

    def _watchShownVolume(self, volumeNode):
        former = self._scene.GetNodeByID(self._shownVolumeId)
        moved = slicer.vtkMRMLTransformableNode.TransformModifiedEvent
        for event in (moved, vtk.vtkCommand.ModifiedEvent):
            if former and self.hasObserver(former, event, self._onShownVolumeMoved):
                self.removeObserver(former, event, self._onShownVolumeMoved)
            if volumeNode:
                self.addObserver(volumeNode, event, self._onShownVolumeMoved)

    def _onShownVolumeMoved(self, volumeNode, event):
        heatmapNode = findHeatmap(self._scene, volumeNode)
        if heatmapNode and self._shownTurn:
            placeHeatmap(heatmapNode, volumeNode, self._shownTurn)

    def _onSceneCloses(self, scene, event):
        self._drop()
        for volumeId in list(self._openScans):
            self._closeScan(volumeId)
        self.showTurn(None, None)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeIsRemoved(self, scene, event, node):
        nodeId = node.GetID()
        if self._run and self._run.volumeId == nodeId:
            self._drop()
        self._closeScan(nodeId)
        if self._shownVolumeId == nodeId:
            self.showTurn(None, None)


def _ignore(reply):
    """For requests whose answer changes nothing."""
