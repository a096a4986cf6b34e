"""The main job without a Slicer and without a screen: a report, two questions, and a picture.

    python Testing/demo.py --out demo [--volume CT]

Runs the module's own code in Testing/SlicerHost as a reader would use it, and writes to the folder:
report.txt, answers.txt, heatmap.nrrd (what the report looked at, in the scan's space) and
screenshot.png. Without a volume it makes a synthetic chest CT.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

TESTING = Path(__file__).resolve().parent
MODULE_FOLDER = TESTING.parent / "Med2E3Slicer"
sys.path.insert(0, str(TESTING))

import SlicerHost  # noqa: E402 - found through the path above

QUESTIONS = ("What abnormality is seen in this scan?", "Where is the aneurysm?")
SECONDS = 1800

# Centre and width in HU that show lungs and soft tissue in one picture.
CHEST_WINDOW = (-300, 1500)

# The axial view large, the others beside it; numbers above 100 are free for layouts of one's own.
LAYOUT = 2412
LAYOUT_DESCRIPTION = """
<layout type="horizontal" split="true">
 <item>{Red}</item>
 <item>
  <layout type="vertical" split="true"><item>{Green}</item><item>{Yellow}</item></layout>
 </item>
</layout>
"""
VIEW_DESCRIPTION = """<view class="vtkMRMLSliceNode" singletontag="{name}">
 <property name="orientation" action="default">{orientation}</property>
 <property name="viewlabel" action="default">{name[0]}</property>
 <property name="viewcolor" action="default">{color}</property>
</view>"""
VIEWS = {
    "Red": ("Axial", "#F34A33"),
    "Green": ("Coronal", "#6EB04B"),
    "Yellow": ("Sagittal", "#EDD54C"),
}


def main():
    arguments = parsed()
    arguments.out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("MED2E3_PYTHON", sys.executable)
    volume = arguments.volume or makePhantom(arguments.out)
    SlicerHost.load_module(MODULE_FOLDER / "Med2E3Slicer.py")
    SlicerHost.start(dark=not arguments.light)
    demonstrate(volume, arguments.out)
    if SlicerHost.slotErrors:
        sys.exit(f"The module failed {len(SlicerHost.slotErrors)} times, see above.")


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for what the demo writes")
    parser.add_argument("--volume", type=Path, help="a CT (NIfTI, NRRD, MHA); or a phantom")
    parser.add_argument("--light", action="store_true", help="Slicer's light style, not its dark")
    arguments = parser.parse_args()
    if arguments.volume and not arguments.volume.exists():
        parser.error(f"there is no {arguments.volume}; name a CT that is there")
    return arguments


def makePhantom(folder):
    command = [sys.executable, "-m", "med2e3", "phantom", "--region", "chest", "--seed", "49"]
    command += ["--out", str(folder)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(MODULE_FOLDER)})
    return folder / "phantom.nrrd"


def demonstrate(volume, folder):
    import slicer

    from med2e3.wire.messages import MODEL_MARKS
    from Med2E3SlicerLib.engine import endingWorkers

    volumeNode = slicer.util.loadVolume(str(volume))
    displayNode = volumeNode.GetDisplayNode()
    if volumeNode.GetImageData().GetScalarRange()[0] < -500:
        displayNode.AutoWindowLevelOff()
        displayNode.SetWindowLevel(CHEST_WINDOW[1], CHEST_WINDOW[0])
    showSliceViews()
    slicer.util.setSliceViewerLayers(background=volumeNode, fit=True)

    slicer.util.selectModule("Med2E3Slicer")
    widget = slicer.util.getModuleWidget("Med2E3Slicer")
    workbench, controller = widget.workbench, widget.logic.controller
    workbench.volumeSelector.setCurrentNode(volumeNode)

    workbench.reportButton.click()
    wait(controller, workbench)
    (folder / "report.txt").write_text(textOf(controller.shownTurn), encoding="utf-8")
    heatmapNode = slicer.util.getFirstNodeByClassByName(
        "vtkMRMLScalarVolumeNode", f"{volumeNode.GetName()} Med2E3 heatmap"
    )
    slicer.util.saveNode(heatmapNode, str(folder / "heatmap.nrrd"))

    answers = []
    for question in QUESTIONS:
        workbench.questions.question.setPlainText(question)
        workbench.questions.askButton.click()
        wait(controller, workbench)
        answers.append(f"{question}\n{textOf(controller.shownTurn)}")
    (folder / "answers.txt").write_text("\n".join(answers), encoding="utf-8")

    # The picture shows the last answer's slices, at the one looked at most.
    workbench.slices.nextButton.click()
    waitForThumbnails(workbench)
    slicer.util.forceRenderAllViews()
    SlicerHost.screenshot(folder / "screenshot.png")

    print(f"report.txt, answers.txt, heatmap.nrrd and screenshot.png are in {folder}.")
    print(MODEL_MARKS[controller.model.trained_on])
    widget.cleanup()
    SlicerHost.wait_until(lambda: not endingWorkers(), seconds=10)


def showSliceViews():
    import slicer

    layoutManager = slicer.app.layoutManager()
    views = {
        name: VIEW_DESCRIPTION.format(name=name, orientation=orientation, color=color)
        for name, (orientation, color) in VIEWS.items()
    }
    layoutNode = layoutManager.layoutLogic().GetLayoutNode()
    layoutNode.AddLayoutDescription(LAYOUT, LAYOUT_DESCRIPTION.format(**views))
    layoutManager.setLayout(LAYOUT)


def wait(controller, workbench):
    from Med2E3SlicerLib.controller import State

    SlicerHost.wait_until(lambda: not controller.isBusy, SECONDS)
    if controller.isBusy or controller.state == State.FAILED:
        sys.exit(f"The demo failed: {workbench.status.text}")


def waitForThumbnails(workbench):
    ranking = workbench.slices.ranking
    last = ranking.item(ranking.count - 1)
    if last is not None and not SlicerHost.wait_until(lambda: not last.icon().isNull(), SECONDS):
        sys.exit("The demo failed: the slices' pictures were not drawn.")


def textOf(turn):
    from Med2E3SlicerLib.export import markOf

    slices = ", ".join(
        f"{slice_.index:.1f} (score {slice_.score:.3f})" for slice_ in turn.rankedSlices[:5]
    )
    return f"{turn.text}\n\nLooked at most: slices {slices}\n{markOf(turn)}\n"


if __name__ == "__main__":
    main()
