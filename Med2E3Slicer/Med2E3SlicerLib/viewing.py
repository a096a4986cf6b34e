"""What the reader sees of the model's attention: heatmap and slices of one text at a time."""

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from .scene.heatmap import (
    HeatmapDisplay,
    findHeatmap,
    heatmapsOf,
    hideLegends,
    placeHeatmap,
    showInHeatmap,
    showLegend,
)
from .scene.layers import hideHeatmap, showHeatmap
from .scene.plot import isPlotInLayout, putBackLayout, showInPlot, showPlotInLayout
from .scene.thumbnails import thumbnailMaker
from .scene.turns import rememberShown
from .scene.views import jumpTo
from .scene.volumes import stateOf
from .signal import Signal


class AttentionView(VTKObservationMixin):
    """Shows a turn about a volume, one of its sentences, or for a while what is pointed at.

    Signals: ``turnShown(turn)`` and ``attentionShown(attention, caption)``, both None and an empty
    caption if nothing is shown. Pointing changes the attention alone, never the turn.
    ``volumeChanged()`` tells that the volume was edited or moved, and ``looksChanged()`` that
    slices look different now: their window, or the heatmap over them.
    """

    def __init__(self, scene):
        VTKObservationMixin.__init__(self)
        self.turnShown = Signal()
        self.attentionShown = Signal()
        self.looksChanged = Signal()
        self.volumeChanged = Signal()
        self._scene = scene
        self._display = HeatmapDisplay()
        self._volumeId = ""
        self._volumeState = None
        self._turn = None
        self._sentence = None
        self._pointedAt = None
        self._currentSlice = None
        self.addObserver(scene, scene.NodeAddedEvent, self._onNodeAdded)

    @property
    def volumeId(self):
        return self._volumeId

    @property
    def turn(self):
        """The turn that is shown, or None."""
        return self._turn

    @property
    def sentence(self):
        """The number of the turn's sentence that is shown, None for the whole turn."""
        return self._sentence

    @property
    def attention(self):
        """Where the model looked for what is shown at this moment, or None."""
        return self._shown()[0]

    def show(self, volumeNode, turn, sentence=None):
        """Show a turn about a volume, or one of its sentences; no turn shows nothing."""
        volumeId = volumeNode.GetID() if volumeNode else ""
        if volumeId != self._volumeId:
            self._watch(volumeNode)
            self._volumeState = stateOf(volumeNode) if volumeNode else None
        self._volumeId = volumeId
        self._turn = turn
        self._sentence = sentence
        self._pointedAt = None
        if volumeNode and turn:
            rememberShown(volumeNode, turn)
        self.turnShown.emit(turn)
        self._update()

    def renew(self, turn):
        """Take note of what has become of a turn, if it is the one that is shown."""
        if self._turn and self._turn.nodeId == turn.nodeId:
            self._turn = turn

    def pointAt(self, turn, sentence):
        """Show a sentence of any turn about the volume for as long as it is pointed at;
        no sentence puts back what was shown before."""
        pointedAt = None if sentence is None else (turn, sentence)
        if pointedAt != self._pointedAt:
            self._pointedAt = pointedAt
            self._update()

    def setDisplay(self, display):
        if display != self._display:
            self._display = display
            self._updateHeatmap()
            self.looksChanged.emit()

    def jumpToSlice(self, number):
        """Let the slice views go to a slice of the model, in the attention that is shown.

        Returns the place in RAS mm: the centre of the slice or, where the heatmap tells places
        within the slice apart, the one that speaks most for the slice.
        """
        volumeNode, attention = self._scene.GetNodeByID(self._volumeId), self.attention
        if volumeNode is None or attention is None:
            return None
        if self._display.inPlane:
            place = attention.strongestPlace(number)
        else:
            place = attention.slices[number].ijk
        self._currentSlice = number
        self._updatePlot()
        return jumpTo(self._scene, volumeNode, place, self._display.alignViews)

    @property
    def heatmapIds(self):
        """The ids of all our heatmaps in the scene, which are no scans to choose."""
        return [node.GetID() for node in heatmapsOf(self._scene)]

    def thumbnailMaker(self, size):
        """A function that draws a slice of the attention that is shown, given its number: see
        :func:`.scene.thumbnails.thumbnailMaker`. None if there is nothing to draw."""
        volumeNode, attention = self._scene.GetNodeByID(self._volumeId), self.attention
        if volumeNode is None or volumeNode.GetImageData() is None or attention is None:
            return None
        return thumbnailMaker(volumeNode, attention, self._display, size)

    def togglePlot(self):
        """Show the scores in a plot view of the layout, or put back the layout from before."""
        if isPlotInLayout(self._scene):
            putBackLayout(self._scene)
            return
        chartNode = self._updatePlot()
        if chartNode:
            showPlotInLayout(self._scene, chartNode)

    def close(self):
        self.removeObservers()

    # -- what is shown ---------------------------------------------------------------------------

    def _shown(self):
        """The attention that is shown now, with its caption."""
        turn, sentence = self._pointedAt or (self._turn, self._sentence)
        if turn is None:
            return None, ""
        if not turn.isScored:
            return None, _("{model} reads a scan as a whole and scores no slices.").format(
                model=turn.modelName
            )
        if sentence is None:
            return turn, turn.caption
        return turn.sentences[sentence].attention, turn.sentenceCaption(sentence)

    def _update(self):
        self._currentSlice = None
        self._updateHeatmap()
        self._updatePlot()
        self.attentionShown.emit(*self._shown())

    def _updateHeatmap(self):
        volumeNode, attention = self._scene.GetNodeByID(self._volumeId), self.attention
        display = self._display
        if volumeNode and attention and display.isVisible:
            heatmapNode = showInHeatmap(self._scene, volumeNode, attention, display)
            showHeatmap(self._scene, volumeNode, heatmapNode, display.opacity)
            showLegend(heatmapNode, attention, display)
        else:
            hideHeatmap(self._scene)
            hideLegends(self._scene)

    def _updatePlot(self):
        volumeNode = self._scene.GetNodeByID(self._volumeId)
        attention, caption = self._shown()
        if volumeNode is None or attention is None:
            return None
        return showInPlot(self._scene, volumeNode, attention, caption, self._currentSlice)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAdded(self, scene, event, node):
        # A layout has brought a view of its own. The importer of a scene fills views itself.
        isView = node.IsA("vtkMRMLSliceCompositeNode") and not scene.IsBatchProcessing()
        if isView and self.attention:
            self._updateHeatmap()

    # -- the volume that is shown ----------------------------------------------------------------

    def _watch(self, volumeNode):
        former = self._scene.GetNodeByID(self._volumeId)
        moved = slicer.vtkMRMLTransformableNode.TransformModifiedEvent
        for event in (moved, vtk.vtkCommand.ModifiedEvent):
            if former and self.hasObserver(former, event, self._onVolumeMoved):
                self.removeObserver(former, event, self._onVolumeMoved)
            if volumeNode:
                self.addObserver(volumeNode, event, self._onVolumeMoved)
        edited = slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent
        if former and self.hasObserver(former, edited, self._onVolumeEdited):
            self.removeObserver(former, edited, self._onVolumeEdited)
        if volumeNode:
            self.addObserver(volumeNode, edited, self._onVolumeEdited)
        shown = slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent
        if former and self.hasObserver(former, shown, self._onWindowChanged):
            self.removeObserver(former, shown, self._onWindowChanged)
        if volumeNode:
            self.addObserver(volumeNode, shown, self._onWindowChanged)

    def _onWindowChanged(self, volumeNode, event):
        self.looksChanged.emit()

    def _onVolumeEdited(self, volumeNode, event):
        state = stateOf(volumeNode)
        if state != self._volumeState:
            self._volumeState = state
            self.volumeChanged.emit()

    def _onVolumeMoved(self, volumeNode, event):
        self._onVolumeEdited(volumeNode, event)
        heatmapNode = findHeatmap(self._scene, volumeNode)
        if heatmapNode and self.attention:
            placeHeatmap(heatmapNode, volumeNode, self.attention)
