"""The tests of the module as Slicer's build runs them: ctest, then `slicer.testing.runUnitTest`.

They are those of `Testing/module`, which run under pytest in Testing/SlicerHost as well. The
environment variable MED2E3_PYTHON names the Python that has the engine installed.
"""

import sys
from pathlib import Path

TESTING = Path(__file__).resolve().parents[1]


def load_tests(loader, tests, pattern):
    """What unittest asks for the tests in this file."""
    if str(TESTING) not in sys.path:
        sys.path.insert(0, str(TESTING))
    folder = str(TESTING / "module")
    return loader.discover(folder, "test_*.py", top_level_dir=folder)
