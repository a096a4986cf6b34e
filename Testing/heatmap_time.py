"""From scores to a picture: `python Testing/heatmap_time.py` prints seconds, medians, as JSON.

A report about a CT of 512 x 512 x 300 is there; its heatmap is put over the slice views again and
again, for the report and for single sentences, and each time all views have been drawn once.
"""

import json
import os
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

TESTING = Path(__file__).resolve().parent
MODULE_NAME = "Med2E3Slicer"
SHAPE = (300, 512, 512)
TIMES = 15
SECONDS = 600
sys.path.insert(0, str(TESTING))

import SlicerHost  # noqa: E402 - found through the path above
from demo import showSliceViews  # noqa: E402


def main():
    import slicer

    os.environ.setdefault("MED2E3_PYTHON", sys.executable)
    SlicerHost.load_module(TESTING.parent / MODULE_NAME / f"{MODULE_NAME}.py")
    SlicerHost.start(dark=True)
    slicer.util.selectModule(MODULE_NAME)
    widget = slicer.util.getModuleWidget(MODULE_NAME)
    controller = widget.logic.controller
    voxels = np.random.default_rng(0).integers(-1024, 2000, SHAPE, dtype=np.int16)
    matrix = np.diag([-0.7, -0.7, 1.0, 1.0])
    volumeNode = slicer.util.addVolumeFromArray(voxels, ijkToRAS=matrix, name="Scan")
    volumeNode.CreateDefaultDisplayNodes()
    showSliceViews()
    slicer.util.setSliceViewerLayers(background=volumeNode, fit=True)
    widget.workbench.volumeSelector.setCurrentNode(volumeNode)
    widget.workbench.reportButton.click()
    if (
        not SlicerHost.wait_until(lambda: not controller.isBusy, SECONDS)
        or not controller.shownTurn
    ):
        sys.exit(f"There is no report: {widget.workbench.status.text}")
    turn = controller.shownTurn
    drawn = countDrawings()
    found = {
        "scores_to_heatmap_on_the_views": seconds(
            drawn,
            lambda: controller.showTurn(volumeNode, None),
            lambda: controller.showTurn(volumeNode, turn),
        ),
        "another_sentence": seconds(
            drawn,
            lambda: controller.showSentence(volumeNode, turn, 0),
            lambda: controller.showSentence(volumeNode, turn, 1),
        ),
    }
    widget.cleanup()
    print(json.dumps(found))


def countDrawings():
    """A counter for each slice view of how often VTK has drawn it."""
    import slicer

    drawn = Counter()
    layoutManager = slicer.app.layoutManager()
    for name in layoutManager.sliceViewNames():
        window = layoutManager.sliceWidget(name).sliceView().renderWindow()
        window.AddObserver("EndEvent", lambda *_, name=name: drawn.update([name]))
        drawn[name] = 0
    return drawn


def seconds(drawn, before, act):
    """Medians of how long ``act`` takes ("module"), and with the drawing of all views ("all");
    ``before`` is not counted."""
    import slicer

    acting, all_ = [], []
    for _ in range(TIMES):
        before()
        slicer.app.processEvents()
        earlier = Counter(drawn)
        started = time.perf_counter()
        act()
        acting.append(time.perf_counter() - started)
        slicer.app.processEvents()
        all_.append(time.perf_counter() - started)
        for name in drawn:
            if drawn[name] != earlier[name] + 1:
                sys.exit(f"{name} was drawn {drawn[name] - earlier[name]} times, not once.")
    return {"all": statistics.median(all_), "module": statistics.median(acting)}


if __name__ == "__main__":
    main()
