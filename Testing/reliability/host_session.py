"""A Slicer of its own for test_hosts.py, in Testing/SlicerHost: asks for a report of a large scan.

    python Testing/reliability/host_session.py

Prints a JSON object a line: each state with the worker's process id, then the report. Goes on until
its stdin closes, or it is killed.
"""

import json
import sys
from pathlib import Path

TESTING = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTING))

import SlicerHost  # noqa: E402 - found through the path above


def main():
    SlicerHost.load_module(TESTING.parent / "Med2E3Slicer" / "Med2E3Slicer.py")
    import slicer.util

    from module.support import addScan

    # So large that its voxels take several turns of the event loop to write.
    volumeNode = addScan(shape=(300, 256, 256))
    slicer.util.selectModule("Med2E3Slicer")
    widget = slicer.util.getModuleWidget("Med2E3Slicer")
    controller, workbench = widget.logic.controller, widget.workbench

    def tell(**what):
        print(json.dumps({**what, "worker": controller.workerProcessId}), flush=True)

    controller.stateChanged.connect(lambda state: tell(state=state.value))
    controller.textArrived.connect(lambda piece: tell(state="text"))
    workbench.volumeSelector.setCurrentNode(volumeNode)
    workbench.reportButton.click()
    SlicerHost.wait_until(lambda: not controller.isBusy, seconds=300)
    tell(state="done", report=controller.shownTurn.text if controller.shownTurn else "")
    sys.stdin.read()
    widget.cleanup()

    from Med2E3SlicerLib.engine import endingWorkers

    SlicerHost.wait_until(lambda: not endingWorkers(), seconds=15)


if __name__ == "__main__":
    main()
