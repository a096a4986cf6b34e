"""A model without slice scores: the panel says so, and shows nothing that there is not."""

import os
import tempfile

import slicer.util

from module.support import ModuleTestCase, addScan, lamedModel


class NoScoresTest(ModuleTestCase):
    def setUp(self):
        super().setUp()
        self.workbench.settings.modelFolder.currentPath = lamedModel()
        self.addCleanup(setattr, self.workbench.settings.modelFolder, "currentPath", "")

    def heatmaps(self):
        return [
            node
            for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
            if node.GetAttribute("Med2E3.heatmap")
        ]

    def test_the_report_is_there_and_no_heatmap(self):
        self.generateReport(addScan())
        self.assertReportIsThere()
        self.assertEqual(self.heatmaps(), [])
        self.assertIn("scores no slices", self.workbench.notice.text)
        self.assertIn("scores no slices", self.slices.subject.text)
        self.assertFalse(self.slices.content.visible)
        self.assertEqual(self.rankedTexts(), [])

    def test_an_answer_after_a_scored_one_and_back(self):
        volumeNode = addScan()
        self.workbench.settings.modelFolder.currentPath = ""
        self.generateReport(volumeNode)
        self.assertEqual(len(self.heatmaps()), 1)
        self.workbench.settings.modelFolder.currentPath = lamedModel()
        self.ask("Is there a nodule?")
        self.assertFalse(self.slices.content.visible)
        _question, answer = self.conversation()
        self.assertIn("this model scores no slices", answer)
        # The report of the other model still has its slices.
        report = next(turn for turn in self.controller.turnsOf(volumeNode) if turn.isScored)
        self.controller.showTurn(volumeNode, report)
        self.assertTrue(self.slices.content.visible)

    def test_it_is_saved_with_the_scene(self):
        volumeNode = addScan()
        self.generateReport(volumeNode)
        text = self.turn.text
        (kept,) = self.controller.turnsOf(volumeNode)
        self.assertEqual((kept.text, kept.slices), (text, ()))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "scene.mrb")
            self.assertTrue(slicer.util.saveScene(path))
            slicer.mrmlScene.Clear()
            slicer.util.loadScene(path)
            volumeNode = slicer.util.getNode("Scan")
            self.select(volumeNode)
            (kept,) = self.controller.turnsOf(volumeNode)
        self.assertEqual((kept.text, kept.slices), (text, ()))
