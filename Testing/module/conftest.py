"""Under pytest, the tests of the module run in Testing/SlicerHost."""

import sys
from pathlib import Path

import pytest

TESTING = Path(__file__).parents[1]
sys.path.insert(0, str(TESTING))

import SlicerHost  # noqa: E402 - found through the path above

SlicerHost.start()
SlicerHost.load_module(str(TESTING.parent / "Med2E3Slicer" / "Med2E3Slicer.py"))


@pytest.fixture(scope="session", autouse=True)
def _end_of_slicer():
    """After the last test the module hears what it hears when Slicer ends."""
    yield
    import slicer.util

    slicer.util.getModuleWidget("Med2E3Slicer").cleanup()
