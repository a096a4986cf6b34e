"""From scores to a picture: `python Testing/heatmap_time.py` prints seconds, medians, as JSON.

A report about a CT of 512 x 512 x 300 is there; its heatmap is put over the slice views again and
again, for the report and for single sentences, and all views are drawn each time.
"""

import json
import os
import statistics
import sys
import time
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
    found = {
        "views_without_a_change": seconds(lambda: None),
        "scores_to_heatmap_on_the_views": seconds(
            lambda: controller.showTurn(volumeNode, None),
            lambda: controller.showTurn(volumeNode, turn),
        ),
        "another_sentence": seconds(
            lambda: controller.showSentence(volumeNode, turn, 0),
            lambda: controller.showSentence(volumeNode, turn, 1),
        ),
    }
    widget.cleanup()
    print(json.dumps(found))


def seconds(before, act=lambda: None):
    """How long ``act`` and the drawing of all views take, the median; ``before`` is not counted."""
    import slicer

    times = []
    for _ in range(TIMES):
        before()
        slicer.app.processEvents()
        slicer.util.forceRenderAllViews()
        started = time.perf_counter()
        act()
        slicer.app.processEvents()
        slicer.util.forceRenderAllViews()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


if __name__ == "__main__":
    main()
