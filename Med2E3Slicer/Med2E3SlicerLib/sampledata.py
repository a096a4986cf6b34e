"""A scan to try the module with: a synthetic chest, made on this computer when it is asked for."""

import logging
import os
import shutil

import slicer.util
from slicer.i18n import tr as _

from .engine import EngineNotFoundError, EngineTool
from .engine.interpreter import engineCommand, findPython
from .preferences import Preferences

CATEGORY = "Med2E3"
SAMPLE_NAME = "Med2E3Phantom"
# A chest with an aneurysm, of which what the demonstration model says is true.
_PHANTOM = ("--region", "chest", "--seed", "49")

# Slicer keeps no reference to a program that runs.
_running = set()


def registerSampleData(iconsFolder):
    """Add the phantom to Slicer's Sample Data module, if this Slicer has one."""
    try:
        import SampleData
    except ImportError:
        return
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=SAMPLE_NAME,
        thumbnailFileName=os.path.join(iconsFolder, "Med2E3Phantom.png"),
        # Nothing is fetched from anywhere; the fields have to be there.
        uris=[""],
        fileNames=["phantom.nrrd"],
        nodeNames=["Med2E3Phantom"],
        customDownloader=makePhantom,
    )


def makePhantom(source=None):
    """Make the phantom in the background, and load it when it is there."""
    try:
        python = findPython(Preferences().python)
    except EngineNotFoundError as error:
        slicer.util.errorDisplay(str(error))
        return
    folder = slicer.util.tempDirectory()
    arguments = ("-m", "med2e3", "phantom", *_PHANTOM, "--out", folder)
    tool = EngineTool(engineCommand(python, *arguments))
    _running.add(tool)

    def onEnded(reason):
        _running.discard(tool)
        slicer.util.showStatusMessage("")
        try:
            if reason:
                slicer.util.errorDisplay(reason)
            else:
                _load(os.path.join(folder, "phantom.nrrd"))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    tool.ended.connect(onEnded)
    slicer.util.showStatusMessage(_("Making the phantom…"))
    tool.start()


def _load(path):
    volumeNode = slicer.util.loadVolume(path, {"name": SAMPLE_NAME})
    slicer.util.setSliceViewerLayers(background=volumeNode, fit=True)
    logging.info("The phantom of Med2E3 was made and loaded.")
