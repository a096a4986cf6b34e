"""Every picture of the module: `python Testing/screenshots.py --out Resources/Screenshots`.

Uses the panel in Testing/SlicerHost as a reader would, on the phantom that the module offers as
sample data, and saves a picture of each state. `--only NAME` takes some of them alone; all states
are gone through in any case, since each follows from the one before.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

TESTING = Path(__file__).resolve().parent
MODULE_NAME = "Med2E3Slicer"
sys.path.insert(0, str(TESTING))

import SlicerHost  # noqa: E402 - found through the path above
from demo import CHEST_WINDOW, showSliceViews, waitForThumbnails  # noqa: E402

SECONDS = 600

# Pieces of text after which a picture is taken of a report that is still being written.
PIECES = 30
QUESTIONS = ("What abnormality is seen in this scan?", "Where is the aneurysm?")


def main():
    arguments = parsed()
    arguments.out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("MED2E3_PYTHON", sys.executable)
    SlicerHost.load_module(TESTING.parent / MODULE_NAME / f"{MODULE_NAME}.py")
    SlicerHost.start(dark=True)
    session = Session(arguments.out, arguments.only)
    for state in (
        setup,
        empty,
        doubts,
        encoding,
        streaming,
        report,
        heatmap,
        plot,
        chat,
        ahead,
        settings,
        server,
        error,
        light,
    ):
        state(session)
    session.close()
    if SlicerHost.slotErrors:
        sys.exit(f"The module failed {len(SlicerHost.slotErrors)} times, see above.")


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="such as report or error")
    return parser.parse_args()


class Session:
    """The open module, its reader's hands, and where the pictures go."""

    def __init__(self, folder, only):
        import slicer

        self.folder, self.only = folder, only
        slicer.util.selectModule(MODULE_NAME)
        self.widget = slicer.util.getModuleWidget(MODULE_NAME)
        self.workbench = self.widget.workbench
        self.controller = self.widget.logic.controller

    def picture(self, name, shown=None):
        """Save a picture with ``shown``, a widget of the panel, in sight."""
        import slicer

        if self.only and name not in self.only:
            return
        waitForThumbnails(self.workbench)
        slicer.app.processEvents()
        scroll(self.widget, shown or self.workbench.volumeSelector)
        slicer.util.forceRenderAllViews()
        SlicerHost.screenshot(self.folder / f"{name}.png")
        print(self.folder / f"{name}.png")

    def waitFor(self, condition, what):
        if not SlicerHost.wait_until(condition, SECONDS):
            sys.exit(f"Waited in vain for {what}: {self.workbench.status.text}")

    def waitUntilDone(self):
        self.waitFor(lambda: not self.controller.isBusy, "the end of a request")

    def ask(self, question):
        self.workbench.questions.question.setPlainText(question)
        self.workbench.questions.askButton.click()
        self.waitUntilDone()

    def close(self):
        from Med2E3SlicerLib.engine import endingWorkers

        self.widget.cleanup()
        SlicerHost.wait_until(lambda: not endingWorkers(), seconds=10)


def scroll(moduleWidget, shown):
    """Bring a widget of the panel to where it is seen."""
    from PySide6 import QtWidgets

    from SlicerHost.pythonqt import wrapper

    native = wrapper.unwrap(shown)
    area = native.parent()
    while not isinstance(area, QtWidgets.QScrollArea):
        area = area.parent()
    area.verticalScrollBar().setValue(native.mapTo(area.widget(), native.rect().topLeft()).y() - 8)


# -- the states, each after the one before ---------------------------------------------------------


def setup(session):
    panel = session.workbench.setup
    panel.released.checked = True
    session.picture("setup")


def empty(session):
    panel = session.workbench.setup
    panel.demonstration.checked = True
    # The phases of a request are to be seen, and would be over before it.
    session.workbench.settings.readsAhead.checked = False
    panel.useButton.click()
    session.picture("empty")


def doubts(session):
    import slicer

    from Med2E3SlicerLib import sampledata

    sampledata.makePhantom()
    volumeClass = "vtkMRMLScalarVolumeNode"
    session.waitFor(lambda: slicer.util.getNodesByClass(volumeClass), "the phantom")
    (session.volumeNode,) = slicer.util.getNodesByClass(volumeClass)
    displayNode = session.volumeNode.GetDisplayNode()
    displayNode.AutoWindowLevelOff()
    displayNode.SetWindowLevel(CHEST_WINDOW[1], CHEST_WINDOW[0])
    showSliceViews()
    slicer.util.setSliceViewerLayers(background=session.volumeNode, fit=True)
    session.workbench.volumeSelector.setCurrentNode(session.volumeNode)
    subjectHierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    item = subjectHierarchy.CreateItem(subjectHierarchy.GetSceneItemID(), session.volumeNode)
    subjectHierarchy.SetItemAttribute(item, "DICOM.Modality", "MR")
    session.workbench.reportButton.click()
    session.picture("doubts")
    session.workbench.doubts.cancelButton.click()
    subjectHierarchy.SetItemAttribute(item, "DICOM.Modality", "CT")


def encoding(session):
    taken = []

    def onProgress(state, done, total):
        if state.value == "encoding" and 0 < done < total and not taken:
            taken.append(done)
            session.picture("encoding")

    session.controller.progressChanged.connect(onProgress)
    session.workbench.reportButton.click()
    session.waitFor(lambda: taken or not session.controller.isBusy, "the encoding")
    session.controller.progressChanged.disconnect(onProgress)


def streaming(session):
    import slicer

    pieces = []

    def onText(piece):
        pieces.append(piece)
        if len(pieces) == PIECES:
            # A picture takes longer than a word: the worker holds its breath, or the text would
            # grow between the layout and the painting.
            os.kill(session.controller.workerProcessId, signal.SIGSTOP)
            slicer.app.processEvents()
            session.picture("streaming")
            os.kill(session.controller.workerProcessId, signal.SIGCONT)

    session.controller.textArrived.connect(onText)
    session.waitUntilDone()
    session.controller.textArrived.disconnect(onText)
    if len(pieces) < PIECES:
        sys.exit(f"The report had {len(pieces)} pieces only; take a picture earlier.")


def report(session):
    session.workbench.slices.nextButton.click()
    session.picture("workbench")
    session.picture("report", session.workbench.report.widget)


def heatmap(session):
    session.workbench.slices.heatmapInPlane.checked = True
    session.picture("heatmap", session.workbench.slices.widget)


def plot(session):
    session.workbench.slices.plotButton.click()
    session.picture("plot", session.workbench.slices.widget)
    session.workbench.slices.plotButton.click()


def chat(session):
    for question in QUESTIONS:
        session.ask(question)
    session.picture("chat", session.workbench.questions.widget)


def ahead(session):
    taken = []

    def onState(state):
        if state.value == "ahead" and not taken:
            taken.append(state)
            session.picture("ahead")

    session.controller.stateChanged.connect(onState)
    session.workbench.settings.window.setCurrentText("lung")
    session.workbench.settings.readsAhead.checked = True
    session.waitFor(lambda: taken and session.controller.state.value != "ahead", "the scan")
    session.controller.stateChanged.disconnect(onState)
    session.workbench.settings.readsAhead.checked = False
    session.workbench.settings.window.setCurrentText("auto")


def settings(session):
    panel = session.workbench.settings
    session.workbench.gear.checked = True
    panel.checkButton.click()
    session.waitFor(lambda: panel.checkButton.enabled, "the check")
    panel.readsAhead.checked = True
    session.picture("settings")
    panel.readsAhead.checked = False
    session.workbench.gear.checked = False


def server(session):
    panel = session.workbench.settings
    session.workbench.gear.checked = True
    panel.place.setCurrentIndex(1)
    panel.server.address.text = "https://ct.example.org:8484"
    session.picture("server")
    panel.server.address.text = ""
    panel.place.setCurrentIndex(0)
    session.workbench.gear.checked = False


def error(session):
    panel = session.workbench.settings
    panel.python.currentPath = "/opt/no-such-python"
    session.workbench.reportButton.click()
    session.picture("error")
    panel.python.currentPath = ""


def light(session):
    SlicerHost.start(dark=False)
    session.workbench.reportButton.click()
    session.waitUntilDone()
    session.workbench.slices.nextButton.click()
    session.picture("light", session.workbench.report.widget)


if __name__ == "__main__":
    main()
