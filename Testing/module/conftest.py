"""Under pytest, the tests of the module run in Testing/SlicerHost."""

import sys
from pathlib import Path

import pytest

TESTING = Path(__file__).parents[1]
sys.path.insert(0, str(TESTING))

import SlicerHost  # noqa: E402 - found through the path above
from slot_errors import no_slot_errors  # noqa: E402, F401 - a fixture for every test here

SlicerHost.start()
SlicerHost.load_module(str(TESTING.parent / "Med2E3Slicer" / "Med2E3Slicer.py"))


@pytest.fixture(scope="session", autouse=True)
def _end_of_slicer():
    """After the last test the module hears what it hears when Slicer ends, and leaves nothing."""
    yield
    import slicer.util

    from Med2E3SlicerLib.engine import endingWorkers
    from module.support import exchangeFolders, isRunning

    widget = slicer.util.getModuleWidget("Med2E3Slicer")
    worker = widget.logic.controller.workerProcessId
    widget.cleanup()
    assert SlicerHost.wait_until(lambda: not endingWorkers(), seconds=15)
    assert not (worker and isRunning(worker))
    assert exchangeFolders() == []
