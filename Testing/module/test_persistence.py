"""What is there after a scene was saved and loaded, and what is gone after the module was."""

import os
import tempfile

import slicer
import slicer.util

from module.support import (
    ModuleTestCase,
    addScan,
    compositeNodes,
    exchangeFolders,
    isRunning,
)


class PersistenceTest(ModuleTestCase):
    def test_a_saved_scene_brings_everything_back(self):
        volumeNode = addScan()
        self.select(volumeNode)
        self.workbench.settings.plane.setCurrentText("coronal")
        self.generateReport()
        self.ask("Is there a pleural effusion?")
        report, conversation = self.report.text.plainText, self.conversation()
        ranks = [text.split()[1] for text in self.rankedTexts()]
        self.slices.heatmapOpacity.value = 0.6
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "scene.mrb")
            slicer.util.saveScene(path)
            slicer.mrmlScene.Clear()
            self.assertEqual(self.report.text.plainText, "")
            self.assertEqual(self.conversation(), [])
            self.assertEqual(self.rankedTexts(), [])
            slicer.util.loadScene(path)
        slicer.app.processEvents()
        self.assertEqual(self.workbench.volumeSelector.currentNode().GetName(), "Scan")
        self.assertEqual(self.report.text.plainText, report)
        self.assertEqual(self.conversation(), conversation)
        self.assertEqual([text.split()[1] for text in self.rankedTexts()], ranks)
        self.assertEqual(self.workbench.settings.plane.currentText, "coronal")
        self.assertAlmostEqual(self.slices.heatmapOpacity.value, 0.6)
        heatmapId = self.heatmapNode().GetID()
        for compositeNode in compositeNodes():
            self.assertEqual(compositeNode.GetForegroundVolumeID(), heatmapId)
        self.slices.heatmapVisible.checked = False
        for compositeNode in compositeNodes():
            self.assertIsNone(compositeNode.GetForegroundVolumeID())
        self.generateReport()
        self.assertEqual(self.report.text.plainText, report)

    def test_each_scan_has_its_own_conversation(self):
        first, second = addScan(name="First"), addScan(name="Second", seed=1)
        self.generateReport(first)
        report = self.report.text.plainText
        self.select(second)
        self.assertEqual(self.report.text.plainText, "")
        self.assertEqual(self.rankedTexts(), [])
        self.ask("Is there a nodule?")
        self.select(first)
        self.assertEqual(self.report.text.plainText, report)
        self.assertEqual(self.conversation(), [])

    def test_a_reload_leaves_no_worker_and_no_file_and_goes_on(self):
        self.generateReport(addScan())
        report = self.report.text.plainText
        self.pressGenerate()
        worker = self.controller.workerProcessId
        self.assertTrue(isRunning(worker))
        self.widget.onReload()
        self.openModule()
        self.waitFor(lambda: not isRunning(worker), seconds=15)
        self.assertEqual(exchangeFolders(), [])
        self.assertEqual(self.report.text.plainText, report)
        self.generateReport()
        self.assertReportIsThere()

    def test_nothing_is_left_of_the_voxels_after_an_answer(self):
        self.select(addScan())
        self.ask("Is there a nodule?")
        self.assertEqual(exchangeFolders(), [])
