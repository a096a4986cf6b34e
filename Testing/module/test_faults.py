"""What goes wrong is said in a sentence, and the next click works."""

import os
import unittest

import qt
import slicer
import slicer.util

import limits
from module.support import (
    ModuleTestCase,
    addScan,
    endProcess,
    exchangeFolders,
    scanVoxels,
    settingKey,
)
from reliability.record import tried


class FaultsTest(ModuleTestCase):
    def endWorkerByForce(self):
        endProcess(self.controller.workerProcessId)

    def assertNextClickWorks(self):
        self.generateReport()
        self.assertReportIsThere()
        self.assertEqual(self.controller.state.value, "idle")

    def test_the_worker_dies_while_it_has_nothing_to_do(self):
        self.generateReport(addScan())
        self.endWorkerByForce()
        self.waitFor(lambda: not self.controller.workerProcessId)
        self.assertReportIsThere()
        self.assertNextClickWorks()

    def test_a_python_that_is_not_there(self):
        self.select(addScan())
        self.workbench.settings.python.currentPath = "/no/such/python"
        self.pressGenerate()
        self.assertFalse(self.controller.isBusy)
        self.assertIn("/no/such/python", self.workbench.status.text)
        self.assertIn("Python of the engine", self.workbench.status.text)
        self.workbench.settings.python.currentPath = ""
        self.assertNextClickWorks()

    def test_a_program_that_is_no_python(self):
        self.select(addScan())
        program = "where" if os.name == "nt" else "false"
        self.workbench.settings.python.currentPath = program
        self.pressGenerate()
        self.waitUntilDone()
        self.assertEqual(self.controller.state.value, "failed")
        self.assertIn("ended", self.workbench.status.text)
        self.workbench.settings.python.currentPath = ""
        self.assertNextClickWorks()

    def test_a_model_folder_that_holds_no_model(self):
        self.select(addScan())
        self.workbench.settings.modelFolder.currentPath = os.path.dirname(__file__)
        self.pressGenerate()
        self.waitUntilDone()
        self.assertEqual(self.controller.state.value, "failed")
        self.assertTrue(self.workbench.status.text)
        self.workbench.settings.modelFolder.currentPath = ""
        self.assertNextClickWorks()

    def test_the_settings_are_kept(self):
        self.workbench.settings.device.setCurrentText("cpu")
        self.workbench.settings.python.currentPath = "/some/python"
        self.assertEqual(qt.QSettings().value(settingKey("device")), "cpu")
        self.assertEqual(qt.QSettings().value(settingKey("python")), "/some/python")

    def test_the_volume_is_deleted_while_its_report_is_written(self):
        volumeNode, other = addScan(), addScan(name="Other", seed=1)
        self.select(volumeNode)
        self.pressGenerate()
        self.waitFor(lambda: self.report.text.plainText)
        slicer.mrmlScene.RemoveNode(volumeNode)
        self.waitUntilDone()
        self.assertEqual(slicer.util.getNodesByClass("vtkMRMLTextNode"), [])
        self.assertEqual(self.report.text.plainText, "")
        self.select(other)
        self.assertNextClickWorks()
        self.assertEqual(self.heatmapNode().GetNodeReference("Med2E3.volume"), other)

    def test_the_scene_is_closed_in_every_phase(self):
        for phase in ("sending", "encoding", "writing"):
            with self.subTest(phase):
                self.select(addScan(shape=(120, 128, 128)))
                self.pressGenerate()
                self.waitFor(lambda phase=phase: self.controller.state.value in (phase, "idle"))
                slicer.mrmlScene.Clear()
                self.waitUntilDone()
                self.assertEqual(self.report.text.plainText, "")
                self.assertEqual(exchangeFolders(), [])
                # The next scan may get the id that the former one had.
                self.select(addScan(name="Next"))
                self.assertNextClickWorks()

    def test_a_scan_that_is_edited_while_it_is_handed_over(self):
        volumeNode = addScan(shape=(300, 256, 256))
        self.select(volumeNode)
        edited = []

        def onProgress(state, done, total):
            if state.value == "sending" and not edited:
                edited.append(done)
                slicer.util.updateVolumeFromArray(volumeNode, scanVoxels((24, 40, 36)))

        self.controller.progressChanged.connect(onProgress)
        self.pressGenerate()
        self.waitUntilDone()
        self.controller.progressChanged.disconnect(onProgress)
        self.assertTrue(edited)
        self.assertReportIsThere()
        # What was asked about is the scan as it is now.
        self.assertLess(max(slice_.ijk[2] for slice_ in self.turn.slices), 24)

    @unittest.skipUnless(limits.ARE_POSSIBLE, "no limit on the size of files there")
    def test_a_full_disk_while_the_scan_is_handed_over(self):
        self.generateReport(addScan())
        report = self.report.text.plainText
        large = addScan(name="Large", shape=(60, 256, 256))
        with limits.full_disk(2_000_000):
            self.generateReport(large)
        self.assertEqual(self.controller.state.value, "failed")
        self.assertIn("File too large. Free some space", self.workbench.status.text)
        self.assertEqual(exchangeFolders(), [])
        self.workbench.repeatButton.click()
        self.waitUntilDone()
        self.assertReportIsThere()
        self.select(slicer.util.getNode("Scan"))
        self.assertEqual(self.report.text.plainText, report)
        tried(
            "Resources",
            "a full disk while the scan is handed over to the worker",
            1,
            "a sentence; nothing left of the file; written with one click once there is room",
        )

    def test_volumes_that_are_no_scan(self):
        labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
        vectors = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "Vectors")
        empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
        for node in (labels, vectors, empty):
            self.controller.generateReport(node)
            self.assertFalse(self.controller.isBusy)
            self.assertIn(node.GetName(), self.workbench.status.text)
        self.generateReport(addScan())
        self.controller.generateReport(self.heatmapNode())
        self.assertIn("heatmap", self.workbench.status.text)

    def test_a_window_that_there_is_not(self):
        self.select(addScan())
        self.workbench.settings.window.setCurrentText("purple")
        self.pressGenerate()
        self.waitUntilDone()
        self.assertIn("purple", self.workbench.status.text)
        self.workbench.settings.window.setCurrentText("40,400")
        self.assertNextClickWorks()
        self.assertEqual(self.turn.window, "40,400")
