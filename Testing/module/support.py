"""What the tests of the module share: a reader who opens it, presses its buttons and waits.

The same tests run under pytest in Testing/SlicerHost and inside a real Slicer
(Testing/run_in_slicer.py), so they use unittest and Slicer's own API alone.
"""

import atexit
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import numpy as np
import qt
import slicer
import slicer.util

MODULE_NAME = "Med2E3Slicer"
SHARED_DATA = Path(__file__).parents[3] / "shared" / "data"

SETTINGS = (
    "python",
    "modelFolder",
    "device",
    "precision",
    "isSetUp",
    "readsAhead",
    "usesServer",
    "serverAddress",
    "tokenFile",
)

SECONDS = 240
"""How long a report of the embedded model may take on a busy machine."""


def soak(test):
    """Marks a test that takes minutes: `make soak` runs it, and no other."""
    try:
        import pytest
    except ImportError:
        return unittest.skip("takes minutes; `make soak` runs it")(test)
    return pytest.mark.soak(test)


@functools.cache
def untrainedModel():
    """The folder of a model whose texts do not end by themselves."""
    return _modelOf("untrained_checkpoint.py")


@functools.cache
def lamedModel():
    """The folder of a tiny M3D-LaMed, which scores no slices."""
    return _modelOf("other_checkpoints.py")


def _modelOf(scriptName):
    """What a script of the tests writes into a folder; the engine's Python runs it."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    model = os.path.join(folder, "model")
    script = Path(__file__).parents[1] / scriptName
    environment = {
        **slicer.util.startupEnvironment(),
        "PYTHONPATH": str(Path(__file__).parents[2] / MODULE_NAME),
    }
    subprocess.run([os.environ["MED2E3_PYTHON"], script, model], env=environment, check=True)
    return model


class ModuleTestCase(unittest.TestCase):
    """An empty scene and the open module before each test; nothing goes on after it."""

    def setUp(self):
        os.environ.setdefault("MED2E3_PYTHON", sys.executable)
        self._settings = {name: qt.QSettings().value(settingKey(name)) for name in SETTINGS}
        for name in SETTINGS:
            qt.QSettings().remove(settingKey(name))
        slicer.mrmlScene.Clear()
        slicer.util.selectModule(MODULE_NAME)
        self.openModule()
        self.workbench.settings.refresh()

    def openModule(self):
        self.widget = slicer.util.getModuleWidget(MODULE_NAME)
        self.controller = self.widget.logic.controller
        self.workbench = self.widget.workbench
        self.report = self.workbench.report
        self.questions = self.workbench.questions
        self.slices = self.workbench.slices

    def tearDown(self):
        if self.controller.isBusy:
            self.controller.cancel()
            self.waitUntilDone()
        for name, value in self._settings.items():
            if value is None:
                qt.QSettings().remove(settingKey(name))
            else:
                qt.QSettings().setValue(settingKey(name), value)
        slicer.mrmlScene.Clear()
        slicer.app.processEvents()

    # -- what a reader does ----------------------------------------------------------------------

    def select(self, volumeNode):
        self.workbench.volumeSelector.setCurrentNode(volumeNode)
        slicer.app.processEvents()

    def generateReport(self, volumeNode=None):
        """Press the button and wait for the end."""
        if volumeNode:
            self.select(volumeNode)
        self.pressGenerate()
        self.waitUntilDone()

    def pressGenerate(self):
        self.assertTrue(self.workbench.reportButton.enabled)
        self.workbench.reportButton.click()

    def ask(self, question):
        self.pressAsk(question)
        self.waitUntilDone()

    def pressAsk(self, question):
        self.questions.question.setPlainText(question)
        self.assertTrue(self.questions.askButton.enabled)
        self.questions.askButton.click()

    def waitUntilDone(self):
        self.waitFor(lambda: not self.controller.isBusy)

    def waitFor(self, condition, seconds=SECONDS):
        """Let Slicer work until ``condition()`` is true; fails if it takes too long."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                self.fail(
                    f"Waited {seconds} s in the state {self.controller.state}: "
                    f"{self.workbench.status.text!r}"
                )
            slicer.app.processEvents()
            time.sleep(0.002)
        slicer.app.processEvents()

    # -- what a reader sees ----------------------------------------------------------------------

    @property
    def turn(self):
        return self.controller.shownTurn

    def rankedTexts(self):
        ranking = self.slices.ranking
        return [ranking.item(row).text() for row in range(ranking.count)]

    def conversation(self):
        """What the conversation shows: question, answer, question, answer…"""
        return [text for texts in self.questions.conversation.texts() for text in texts]

    def heatmapNode(self):
        """The heatmap in the scene; fails if there is not exactly one."""
        nodes = [
            node
            for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
            if node.GetAttribute("Med2E3.heatmap")
        ]
        self.assertEqual(len(nodes), 1)
        return nodes[0]

    def assertReportIsThere(self):
        self.assertTrue(self.report.text.plainText, self.workbench.status.text)
        self.assertIsNotNone(self.turn)


def settingKey(name):
    return f"{MODULE_NAME}/{name}"


def scanVoxels(shape=(24, 40, 36), seed=0):
    """Voxels (k, j, i) in HU that reach all edges of the volume, with organs of a kind in it."""
    rng = np.random.default_rng(seed)
    voxels = rng.normal(40, 60, shape)
    j, i = (np.linspace(-1, 1, length) for length in shape[1:])
    lungs = (np.abs(i) - 0.45)[None, None, :] ** 2 * 9 + j[None, :, None] ** 2 * 4 < 0.8
    voxels[np.broadcast_to(lungs, shape)] -= 800
    voxels[shape[0] // 3, shape[1] // 2 : shape[1] // 2 + 4, shape[2] // 4 : shape[2] // 4 + 4] = 90
    return voxels.astype(np.int16)


def addScan(ijkToRas=None, shape=(24, 40, 36), name="Scan", seed=0):
    """A CT of a kind in the scene."""
    if ijkToRas is None:
        ijkToRas = np.diag([-2.0, -2.0, 3.0, 1.0])
    volumeNode = slicer.util.addVolumeFromArray(
        scanVoxels(shape, seed), ijkToRAS=ijkToRas, name=name
    )
    volumeNode.CreateDefaultDisplayNodes()
    return volumeNode


def sendMouse(view, kind, x, y, button=qt.Qt.NoButton):
    """An event of the mouse at a place of a text or another scrolling widget, as Qt delivers it."""
    event = qt.QMouseEvent(kind, qt.QPointF(x, y), button, button, qt.Qt.NoModifier)
    qt.QApplication.sendEvent(view.viewport(), event)


def compositeNodes():
    return slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")


def sliceNodes():
    return slicer.util.getNodesByClass("vtkMRMLSliceNode")


def distanceFromView(sliceNode, place):
    """How far a place (RAS mm) lies from the plane that a slice view shows."""
    matrix = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())
    return abs(float(np.dot(np.asarray(place) - matrix[:3, 3], matrix[:3, 2])))


def exchangeFolders():
    """The folders for voxels that this process has made and not removed."""
    return list(Path(tempfile.gettempdir()).glob(f"med2e3-exchange-{os.getpid()}-*"))


def endProcess(processId):
    """End a process as a crash would, without a chance to clean up."""
    os.kill(processId, getattr(signal, "SIGKILL", signal.SIGTERM))


def isRunning(processId):
    """Whether a process is there and not only its entry in the system's table."""
    if sys.platform == "win32":
        import subprocess

        listed = subprocess.run(
            ["tasklist", "/FI", f"PID eq {processId}"], capture_output=True, text=True, check=True
        )
        return str(processId) in listed.stdout
    status = Path(f"/proc/{processId}/stat")
    if status.exists():
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    try:
        os.kill(processId, 0)
    except ProcessLookupError:
        return False
    return True
