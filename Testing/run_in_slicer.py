"""Run the tests of the module inside a real Slicer.

    Slicer --no-splash --additional-module-paths Med2E3Slicer \\
        --python-script Testing/run_in_slicer.py

The same files as under pytest, with unittest alone: no network, no dialog. ``MED2E3_PYTHON`` names
the Python that has the engine installed. Saves a screenshot of the main window in the present
folder, prints a summary that ends in "N passed, N failed", and ends Slicer with status 0 if none
failed.
"""

import os
import sys
import traceback
import unittest
from pathlib import Path

import slicer
import slicer.util

TESTING = Path(__file__).resolve().parent
MODULE_NAME = "Med2E3Slicer"
SCREENSHOT = Path(os.getcwd()) / "med2e3-in-slicer.png"


def run():
    """The number of tests that failed; anything that keeps them from running counts as one."""
    sys.path.insert(0, str(TESTING))
    try:
        loadModule()
        result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(tests())
        takePicture()
    except Exception:
        traceback.print_exc(file=sys.stdout)
        print("0 passed, 1 failed", flush=True)
        return 1
    # Several faults in sub-tests are one test that failed.
    faults = result.failures + result.errors
    failed = len({getattr(test, "test_case", test).id() for test, _ in faults})
    skipped = len(result.skipped)
    print(f"{skipped} skipped, screenshot in {SCREENSHOT}")
    print(f"{result.testsRun - failed - skipped} passed, {failed} failed", flush=True)
    return failed


def loadModule():
    """Slicer has loaded the module already if it was started with --additional-module-paths."""
    if not hasattr(slicer.modules, MODULE_NAME.lower()):
        factory = slicer.app.moduleManager().factoryManager()
        factory.registerModule(str(TESTING.parent / MODULE_NAME / f"{MODULE_NAME}.py"))
        factory.loadModules([MODULE_NAME])


def tests():
    folder = str(TESTING / "module")
    return unittest.defaultTestLoader.discover(folder, "test_*.py", top_level_dir=folder)


def takePicture():
    """The main window after a report, at the slice that was looked at most."""
    from module.support import ModuleTestCase, addScan

    reader = ModuleTestCase()
    reader.setUp()
    reader.generateReport(addScan())
    slicer.util.resetSliceViews()
    reader.slices.nextButton.click()
    slicer.app.processEvents()
    slicer.util.forceRenderAllViews()
    window = slicer.util.mainWindow()
    if window is not None and not window.grab().save(str(SCREENSHOT)):
        raise OSError(f"{SCREENSHOT} could not be written")
    reader.tearDown()


slicer.util.exit(slicer.util.EXIT_FAILURE if run() else slicer.util.EXIT_SUCCESS)
