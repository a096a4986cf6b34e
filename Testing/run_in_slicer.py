"""Run the tests of the module inside a real Slicer.

    Slicer --no-splash --additional-module-paths Med2E3Slicer \\
        --python-script Testing/run_in_slicer.py

The same files as under pytest, with unittest alone: no network, no dialog. ``MED2E3_PYTHON`` names
the Python that has the engine installed. Saves a screenshot of the main window in the present
folder, prints a summary that ends in "N passed, N failed", and ends Slicer with status 0 if none
failed.
"""

import os
import subprocess
import sys
import tempfile
import traceback
import unittest
from pathlib import Path

import slicer
import slicer.util

TESTING = Path(__file__).resolve().parent
MODULE_NAME = "Med2E3Slicer"
SCREENSHOT = Path(os.getcwd()) / "med2e3-in-slicer.png"


def run():
    """The number of tests that failed; a screenshot that cannot be taken counts as one."""
    sys.path.insert(0, str(TESTING))
    python = slicer.util.settingsValue(f"{MODULE_NAME}/python", "")
    if python:
        # The tests empty the settings, and put them back in the end.
        os.environ.setdefault("MED2E3_PYTHON", python)
    try:
        loadModule()
        result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(tests())
    except Exception:
        traceback.print_exc(file=sys.stdout)
        print("0 passed, 1 failed", flush=True)
        return 1
    # Several faults in sub-tests are one test that failed.
    faults = result.failures + result.errors
    failed = len({getattr(test, "test_case", test).id() for test, _ in faults})
    passed = result.testsRun - failed - len(result.skipped)
    print(f"{len(result.skipped)} skipped")
    try:
        takePicture()
        print(f"screenshot in {SCREENSHOT}")
    except Exception:
        traceback.print_exc(file=sys.stdout)
        print("the screenshot could not be taken")
        failed += 1
    print(f"{passed} passed, {failed} failed", flush=True)
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
    from module.support import ModuleTestCase

    window = slicer.util.mainWindow()
    if window is None:
        return
    window.resize(1500, 950)
    reader = ModuleTestCase()
    reader.setUp()
    with tempfile.TemporaryDirectory() as folder:
        volumeNode = slicer.util.loadVolume(str(phantom(Path(folder))))
    volumeNode.GetDisplayNode().AutoWindowLevelOff()
    volumeNode.GetDisplayNode().SetWindowLevel(1500, -300)
    slicer.util.setSliceViewerLayers(background=volumeNode, fit=True)
    slicer.app.processEvents()
    slicer.util.resetSliceViews()
    reader.generateReport(volumeNode)
    reader.slices.nextButton.click()
    slicer.app.processEvents()
    slicer.util.forceRenderAllViews()
    slicer.app.processEvents()
    if not window.grab().save(str(SCREENSHOT)):
        raise OSError(f"{SCREENSHOT} could not be written")
    reader.tearDown()


def phantom(folder):
    """A synthetic chest CT, made by the engine's own Python."""
    environment = {
        **slicer.util.startupEnvironment(),
        "PYTHONPATH": str(TESTING.parent / MODULE_NAME),
    }
    command = [os.environ["MED2E3_PYTHON"], "-m", "med2e3", "phantom", "--region", "chest"]
    command += ["--seed", "49"]
    subprocess.run([*command, "--out", str(folder)], env=environment, check=True)
    return folder / "phantom.nrrd"


slicer.util.exit(slicer.util.EXIT_FAILURE if run() else slicer.util.EXIT_SUCCESS)
