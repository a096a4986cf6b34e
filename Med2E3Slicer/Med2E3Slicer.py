"""Med2E3 in Slicer: a draft report of a scan, answers about it, and where the model looked."""

import os
import sys
import unittest
from pathlib import Path

import qt
import slicer
import slicer.util
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from Med2E3SlicerLib.controller import Controller
from Med2E3SlicerLib.engine import EngineClient
from Med2E3SlicerLib.journal import Journal
from Med2E3SlicerLib.panels import Workbench
from Med2E3SlicerLib.parameters import Med2E3SlicerParameters
from Med2E3SlicerLib.sampledata import registerSampleData
from Med2E3SlicerLib.scene.heatmap import HeatmapDisplay
from Med2E3SlicerLib.scene.volumes import firstScan, stateOf, warningsAbout
from Med2E3SlicerLib.setup import Setup

HOMEPAGE = "https://github.com/med2e3/SlicerMed2E3"

REST_BEFORE_READING_AHEAD = 1000
"""Milliseconds that a choice of scan must stand before the scan is read ahead."""


class Med2E3Slicer(ScriptedLoadableModule):
    """What Slicer's list of modules shows."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Med2E3")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Informatics")]
        self.parent.dependencies = []
        self.parent.contributors = ["Med2E3Slicer contributors"]
        self.parent.helpText = _(
            "Writes a draft report of a CT, answers questions about it, and shows which slices "
            "the model looked at. The model runs on your own computer, in a background process; "
            "no image leaves it. <b>Research use only, not a medical device.</b>"
            "<ol>"
            "<li>Load a CT, or make one: <i>File, Download Sample Data, Med2E3Phantom</i> (made "
            "on this computer), or <i>CTChest</i> there.</li>"
            "<li>Choose a model in the panel. The demonstration model needs no download; it "
            "is for trying the module and knows nothing of patients.</li>"
            "<li>Press <i>Generate report</i>. The text appears as it is written; <i>Stop</i> ends "
            "it at any time.</li>"
            "<li>Point at a sentence to see its slices. Click a slice in the curve or the list, "
            "or step through them by rank.</li>"
            "<li>Ask questions about the scan below the report.</li>"
            "<li>Correct the text, mark it as reviewed, and export it.</li>"
            "</ol>"
            "Scores tell which slices counted most for the words, and the confidence how sure the "
            "model was of its words. Neither tells whether a sentence is true.<br>"
            "Something does not work: press the gear, then <i>Check everything</i>. "
            '<a href="{homepage}">More about this module</a>'
        ).format(homepage=HOMEPAGE)
        self.parent.acknowledgementText = _(
            "The model is Med-2E3: Y. Shi, X. Zhu, K. Wang, Y. Hu, C. Guo, M. Li, J. Wu: "
            "<i>Med-2E3: A 2D-Enhanced 3D Medical Multimodal Large Language Model</i>, BIBM 2025, "
            '<a href="https://arxiv.org/abs/2411.12783">arXiv:2411.12783</a>. Please cite it if '
            "you use this module. It was trained on M3D-Data (F. Bai and others, "
            '<a href="https://arxiv.org/abs/2404.00578">arXiv:2404.00578</a>).'
        )
        slicer.app.connect("startupCompleted()", self._registerSampleData)

    def _registerSampleData(self):
        registerSampleData(self.resourcePath("Icons"))


class Med2E3SlicerWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Binds the panel to the scene's parameters and follows the scene as it comes and goes."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.workbench = None
        self.modelSetup = None
        self._parameterNode = None
        self._waiting = None
        self._accepted = set()
        self._acceptedOfModel = set()
        self._aheadTimer = qt.QTimer()
        self._aheadTimer.setSingleShot(True)
        self._aheadTimer.setInterval(REST_BEFORE_READING_AHEAD)
        self._aheadTimer.connect("timeout()", self._readAhead)
        self._parameterNodeGuiTag = None
        self._shownVolumeId = None
        self._seen = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.logic = Med2E3SlicerLogic()
        self.modelSetup = Setup(self.logic.controller.preferences)
        self.workbench = Workbench(
            self.logic.controller, self.modelSetup, self.resourcePath("Icons/Gear.png")
        )
        self.workbench.volumeSelector.setMRMLScene(slicer.mrmlScene)
        self.workbench.requested.connect(self._onRequested)
        self.workbench.settings.logRequested.connect(self._saveLog)
        self.workbench.settings.changed.connect(self._aheadTimer.start)
        self.modelSetup.removing.connect(self.logic.engine.kill)
        self.modelSetup.examined.connect(lambda examination: self._goOnAfterExamination())
        self.modelSetup.examinationFailed.connect(lambda sentence: self._goOnAfterExamination())
        self.workbench.settings.window.connect("currentTextChanged(QString)", self._onWindowChanged)
        self.layout.addWidget(self.workbench.widget)
        self.layout.addStretch(1)

        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._onSceneCloses)
        self.addObserver(scene, scene.EndCloseEvent, self._onSceneIsThere)
        self.addObserver(scene, scene.EndImportEvent, self._onSceneIsThere)
        self._bind(self.logic.getParameterNode())

    def enter(self):
        if self._parameterNode is None:
            self._bind(self.logic.getParameterNode())
        elif self._parameterNode.inputVolume is None:
            # Someone went to load a scan and comes back.
            self._parameterNode.inputVolume = firstScan(slicer.mrmlScene)

    def exit(self):
        """The panel stays bound: a request goes on while other modules are shown."""

    def cleanup(self):
        self._aheadTimer.stop()
        if self.logic:
            self._bind(None)
            self.modelSetup.close()
            self.logic.controller.close()
        self.removeObservers()

    def onReload(self):
        """Reload the library as well; the base class reloads this file alone."""
        for name in list(sys.modules):
            if name.split(".")[0] in ("Med2E3SlicerLib", "med2e3"):
                del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    # -- the scene and its parameters ------------------------------------------------------------

    def _bind(self, parameterNode):
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(
                self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersChanged
            )
        self._parameterNode = parameterNode
        self._shownVolumeId = None
        if parameterNode is None:
            return
        if parameterNode.inputVolume is None:
            parameterNode.inputVolume = firstScan(slicer.mrmlScene)
        self._parameterNodeGuiTag = parameterNode.connectParametersToGui(
            self.workbench.parameterWidgets()
        )
        self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersChanged)
        self._onParametersChanged()

    def _onParametersChanged(self, caller=None, event=None):
        parameters = self._parameterNode
        window = self.workbench.settings.window
        if window.currentText != parameters.window:
            window.setCurrentText(parameters.window)
        self.logic.controller.view.setDisplay(heatmapDisplayOf(parameters))
        volumeNode = parameters.inputVolume
        volumeId = volumeNode.GetID() if volumeNode else ""
        if volumeId != self._shownVolumeId:
            self._shownVolumeId = volumeId
            self.workbench.doubts.dismiss()
            self.workbench.showVolume(volumeNode)
        seen = volumeId, parameters.plane, parameters.window
        if seen != self._seen:
            self._seen = seen
            self._aheadTimer.start()

    def _onSceneCloses(self, caller, event):
        self._bind(None)
        self._waiting = None
        self._accepted.clear()
        self.workbench.doubts.dismiss()
        self.workbench.showVolume(None)

    def _onSceneIsThere(self, caller, event):
        # The import may have brought parameters and turns.
        self._bind(self.logic.getParameterNode())

    # -- the reader ------------------------------------------------------------------------------

    def _onWindowChanged(self, text):
        if self._parameterNode is not None:
            self._parameterNode.window = text

    def _onRequested(self, request):
        if self._parameterNode is None:
            return
        if self.modelSetup.needsExamination():
            # How much memory and time a large model takes is looked at before it is loaded.
            self._waiting = request
            self.workbench.tell(_("Looking at memory and graphics card…"))
            self.modelSetup.examine()
        else:
            self._askFirst(request)

    def _goOnAfterExamination(self):
        waiting, self._waiting = self._waiting, None
        if waiting and self._parameterNode is not None:
            self.workbench.tell("")
            self._askFirst(waiting)

    def _askFirst(self, request):
        """Ask for what was requested, once the reader has accepted what speaks against it."""
        parameters = self._parameterNode
        volumeNode = parameters.inputVolume
        doubts = [*warningsAbout(volumeNode), *self.modelSetup.doubts()]
        # Accepted once, accepted until the voxels or the doubts change.
        accepted = (volumeNode.GetID(), stateOf(volumeNode), *doubts) if volumeNode else None

        def goOn():
            self._accepted.add(accepted)
            self._acceptedOfModel.add(tuple(self.modelSetup.doubts()))
            if parameters is self._parameterNode:
                self.logic.request(parameters, request)

        if doubts and accepted not in self._accepted:
            self.workbench.doubts.ask(doubts, goOn)
        else:
            goOn()

    def _readAhead(self):
        """Let the chosen scan be read before anything is asked, once the reader has chosen a model
        and accepted what speaks against it."""
        doubts = tuple(self.modelSetup.doubts())
        isAccepted = not doubts or doubts in self._acceptedOfModel
        isKnown = self.modelSetup.preferences.isSetUp and not self.modelSetup.needsExamination()
        parameters = self._parameterNode
        if parameters is not None and isKnown and isAccepted:
            self.logic.controller.readAhead(
                parameters.inputVolume, parameters.plane, parameters.window
            )
        else:
            self.logic.controller.readAhead(None)

    def _saveLog(self):
        path = qt.QFileDialog.getSaveFileName(
            None, _("Save the log of Med2E3"), "med2e3-log.txt", _("Text (*.txt)")
        )
        if path:
            with slicer.util.tryWithErrorDisplay(_("The log could not be written.")):
                Path(path).write_text(self.logic.journal.text(), encoding="utf-8")


class Med2E3SlicerLogic(ScriptedLoadableModuleLogic):
    """Med2E3 without its panel.

    ::

        logic = Med2E3SlicerLogic()
        logic.controller.turnEnded.connect(lambda turn: print(turn.text))
        logic.controller.generateReport(volumeNode, plane="axial", window="lung")
    """

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self.engine = EngineClient()
        self.controller = Controller(slicer.mrmlScene, self.engine)
        self.journal = Journal(self.controller, self.engine)

    def getParameterNode(self):
        return Med2E3SlicerParameters(super().getParameterNode())

    def request(self, parameters, request):
        """Ask for a report or an answer about the volume that the parameters name."""
        self.controller.begin(parameters.inputVolume, request, parameters.plane, parameters.window)


class Med2E3SlicerTest(ScriptedLoadableModuleTest):
    """Runs the tests of the module, where they are beside it: in a checkout of the source."""

    def runTest(self):
        testing = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "Testing"))
        folder = os.path.join(testing, "module")
        if not os.path.isdir(folder):
            self.delayDisplay(_("The tests of Med2E3 are in its source repository alone."))
            return
        if testing not in sys.path:
            sys.path.insert(0, testing)
        tests = unittest.defaultTestLoader.discover(folder, top_level_dir=folder)
        result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(tests)
        if not result.wasSuccessful():
            self.fail(_("Some tests failed; their output tells which."))


def heatmapDisplayOf(parameters):
    """How the parameters want heatmaps to be shown."""
    return HeatmapDisplay(
        isVisible=parameters.heatmapVisible,
        inPlane=parameters.heatmapInPlane,
        showsAgainst=parameters.heatmapAgainst,
        colorMap=parameters.heatmapColors,
        hasLegend=parameters.heatmapLegend,
        opacity=parameters.heatmapOpacity,
        threshold=parameters.heatmapThreshold,
        alignViews=parameters.alignViews,
    )
