"""Med2E3 in Slicer: a draft report of a scan, answers about it, and where the model looked."""

import os
import sys
import unittest

import slicer
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

from Med2E3SlicerLib.controller import Controller, HeatmapDisplay
from Med2E3SlicerLib.panels import Workbench
from Med2E3SlicerLib.parameters import Med2E3SlicerParameters
from Med2E3SlicerLib.scene.volumes import firstScan
from Med2E3SlicerLib.turn import REPORT


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
            "the model looked at. The model runs on your own machine, in a background process. "
            "Research use only, not a medical device."
        )
        self.parent.acknowledgementText = _(
            "The model is Med-2E3 by Y. Shi, X. Zhu, K. Wang, Y. Hu, C. Guo, M. Li and J. Wu "
            "(BIBM 2025, arXiv:2411.12783)."
        )


class Med2E3SlicerWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Binds the panel to the scene's parameters and follows the scene as it comes and goes."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.workbench = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self._shownVolumeId = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.logic = Med2E3SlicerLogic()
        self.workbench = Workbench(self.logic.controller, self.resourcePath("Icons/Gear.png"))
        self.workbench.volumeSelector.setMRMLScene(slicer.mrmlScene)
        self.workbench.requested.connect(self._onRequested)
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

    def exit(self):
        """The panel stays bound: a request goes on while other modules are shown."""

    def cleanup(self):
        if self.logic:
            self._bind(None)
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
        self.logic.controller.setHeatmapDisplay(heatmapDisplayOf(parameters))
        volumeNode = parameters.inputVolume
        volumeId = volumeNode.GetID() if volumeNode else ""
        if volumeId != self._shownVolumeId:
            self._shownVolumeId = volumeId
            self.workbench.showVolume(volumeNode)

    def _onSceneCloses(self, caller, event):
        self._bind(None)
        self.workbench.showVolume(None)

    def _onSceneIsThere(self, caller, event):
        # The import may have brought parameters and turns.
        self._bind(self.logic.getParameterNode())

    # -- the reader ------------------------------------------------------------------------------

    def _onWindowChanged(self, text):
        if self._parameterNode is not None:
            self._parameterNode.window = text

    def _onRequested(self, kind, question):
        if self._parameterNode is not None:
            self.logic.request(self._parameterNode, kind, question)


class Med2E3SlicerLogic(ScriptedLoadableModuleLogic):
    """Med2E3 without its panel.

    ::

        logic = Med2E3SlicerLogic()
        logic.controller.turnEnded.connect(lambda turn: print(turn.text))
        logic.controller.generateReport(volumeNode, plane="axial", window="lung")
    """

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self.controller = Controller(slicer.mrmlScene)

    def getParameterNode(self):
        return Med2E3SlicerParameters(super().getParameterNode())

    def request(self, parameters, kind, question=""):
        """Ask for a report or an answer about the volume that the parameters name."""
        volumeNode, plane, window = parameters.inputVolume, parameters.plane, parameters.window
        if kind == REPORT:
            self.controller.generateReport(volumeNode, plane, window)
        else:
            self.controller.ask(volumeNode, question, plane, window)


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
        opacity=parameters.heatmapOpacity,
        threshold=parameters.heatmapThreshold,
        alignViews=parameters.alignViews,
    )
