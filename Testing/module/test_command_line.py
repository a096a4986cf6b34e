"""The module and the command line are two ways to the same text and the same scores."""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

import slicer

from module.support import SHARED_DATA, ModuleTestCase, addScan

LUNG = SHARED_DATA / "lung1_image.nrrd"
ENGINE_FOLDER = Path(__file__).resolve().parents[2] / "Med2E3Slicer"


class CommandLineTest(ModuleTestCase):
    def commandLine(self, path):
        python = os.environ.get("MED2E3_PYTHON") or sys.executable
        environment = {**slicer.util.startupEnvironment(), "PYTHONPATH": str(ENGINE_FOLDER)}
        ended = subprocess.run(
            [python, "-m", "med2e3", "report", str(path), "--json"],
            capture_output=True,
            env=environment,
            check=True,
        )
        return json.loads(ended.stdout)

    def assertSameAsCommandLine(self, volumeNode, path):
        self.generateReport(volumeNode)
        turn = self.controller.shownTurn
        answer = self.commandLine(path)
        self.assertEqual(turn.text, answer["text"])
        self.assertEqual([place.score for place in turn.slices], answer["slice_scores"])
        for place, told in zip(turn.slices, answer["slices"], strict=True):
            self.assertAlmostEqual(place.index, told["index"], places=4)

    def test_a_scan_in_a_file(self):
        path = os.path.join(slicer.util.tempDirectory(), "scan.nrrd")
        slicer.util.saveNode(addScan(), path)
        self.assertSameAsCommandLine(slicer.util.loadVolume(path), path)

    @unittest.skipUnless(LUNG.is_file(), "the chest CT (../shared/data) is not there")
    def test_the_chest_ct(self):
        self.assertSameAsCommandLine(slicer.util.loadVolume(str(LUNG)), LUNG)
