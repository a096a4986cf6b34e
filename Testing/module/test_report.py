"""A report: asked for with a click, read as it is written, kept in the scene."""

import itertools
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import qt
import slicer.util

import med2e3
from med2e3.wire.messages import MODEL_MARKS
from module.support import ModuleTestCase, addScan


class ReportTest(ModuleTestCase):
    def test_streams_and_ends_with_heatmap_and_ranked_slices(self):
        seen = []
        self.controller.textArrived.connect(lambda piece: seen.append(self.report.text.plainText))
        self.select(addScan())
        self.workbench.showSetup()
        self.pressGenerate()
        # Who generates is content with the model that is set.
        self.assertTrue(self.workbench.setup.widget.isHidden())
        self.assertFalse(self.workbench.reportButton.enabled)
        self.assertTrue(self.workbench.stopButton.enabled)
        self.waitUntilDone()

        self.assertReportIsThere()
        self.assertGreater(len(seen), 1)
        # Each time the text had grown, from its beginning on.
        for shorter, longer in itertools.pairwise(seen):
            self.assertTrue(longer.startswith(shorter))
        self.assertEqual(self.report.text.plainText, self.turn.text)
        self.assertIn("AI draft, not reviewed", self.report.mark.text)
        self.assertTrue(self.workbench.reportButton.enabled)
        self.assertFalse(self.workbench.stopButton.enabled)

        scores = [slice_.score for slice_ in self.turn.slices]
        self.assertEqual(len(scores), 32)
        self.assertAlmostEqual(sum(scores), 1, places=4)
        texts = self.rankedTexts()
        self.assertEqual(len(texts), 32)
        best = max(self.turn.slices, key=lambda slice_: slice_.score)
        self.assertEqual(texts[0], f"slice {best.index:.1f}\n{best.score:.3f}")
        shown = [float(text.split()[-1]) for text in texts]
        self.assertEqual(shown, sorted(shown, reverse=True))
        self.assertEqual(
            slicer.util.arrayFromVolume(self.heatmapNode()).shape, self.turn.patchShares.shape
        )

    def test_the_scene_keeps_text_and_scores(self):
        volumeNode = addScan()
        self.generateReport(volumeNode)
        (textNode,) = slicer.util.getNodesByClass("vtkMRMLTextNode")
        self.assertEqual(textNode.GetText(), self.turn.text)
        self.assertEqual(textNode.GetNodeReference("Med2E3.volume"), volumeNode)
        tableNode = textNode.GetNodeReference("Med2E3.scores")
        scores = slicer.util.arrayFromTableColumn(tableNode, "score")
        np.testing.assert_allclose(scores, [slice_.score for slice_ in self.turn.slices])
        subjectHierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        folders = {
            subjectHierarchy.GetItemParent(subjectHierarchy.GetItemByDataNode(node))
            for node in (textNode, tableNode, self.heatmapNode())
        }
        self.assertEqual(len(folders), 1)
        self.assertEqual(subjectHierarchy.GetItemLevel(folders.pop()), "Folder")

    def test_a_second_report_takes_the_place_of_the_first(self):
        volumeNode = addScan()
        self.generateReport(volumeNode)
        first = self.turn
        nodes = slicer.mrmlScene.GetNumberOfNodes()
        self.generateReport()
        self.assertIsNot(self.turn, first)
        self.assertEqual(self.turn.text, first.text)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), nodes)

    def test_a_second_click_changes_nothing(self):
        started = []
        self.controller.turnStarted.connect(lambda request: started.append(request.kind))
        volumeNode = addScan()
        self.select(volumeNode)
        self.pressGenerate()
        self.workbench.reportButton.click()
        self.controller.generateReport(volumeNode)
        self.waitUntilDone()
        self.assertReportIsThere()
        self.assertEqual(started, ["report"])

    def test_says_what_the_model_learned_from(self):
        marks = {"nothing": "untrained model", "synthetic": "demonstration model", "scans": ""}
        volumeNode = addScan()
        embedded = Path(med2e3.__file__).parent / "embedded"
        with tempfile.TemporaryDirectory() as folder:
            for trainedOn, mark in marks.items():
                model = Path(shutil.copytree(embedded, os.path.join(folder, trainedOn)))
                (model / "med2e3.json").write_text(
                    json.dumps({"name": "some", "trained_on": trainedOn}), encoding="utf-8"
                )
                self.workbench.settings.modelFolder.currentPath = str(model)
                self.generateReport(volumeNode)
                self.assertEqual(self.workbench.notice.visible, bool(mark))
                self.assertIn(mark, self.workbench.notice.text.lower())
                self.assertIn(mark, self.report.mark.text)
                self.report.copyButton.click()
                copied = qt.QApplication.clipboard().text()
                self.assertIn(f"device. {MODEL_MARKS[trainedOn]}".rstrip(), copied)
            self.workbench.settings.modelFolder.currentPath = ""
        self.assertIn("Not a medical device", self.workbench.disclaimer.text)

    def test_a_report_keeps_the_mark_of_the_model_that_wrote_it(self):
        volumeNode = addScan()
        self.generateReport(volumeNode)
        trainedOn = self.controller.model.trained_on
        self.assertNotEqual(trainedOn, "scans")
        self.select(None)
        self.select(volumeNode)
        self.assertEqual(self.turn.modelTrainedOn, trainedOn)
        self.assertIn("model", self.report.mark.text)
        self.assertIn("model", self.report.mark.toolTip)

    def test_text_is_text_and_no_markup(self):
        volumeNode = addScan()
        self.generateReport(volumeNode)
        markup = "<b>bold</b><img src='x'> & <script>alert(1)</script>"
        (textNode,) = slicer.util.getNodesByClass("vtkMRMLTextNode")
        textNode.SetText(markup)
        self.select(None)
        self.assertEqual(self.report.text.plainText, "")
        self.select(volumeNode)
        self.assertEqual(self.report.text.plainText, markup)
        self.ask("<i>Where</i> is it?")
        self.assertEqual(self.conversation()[0], "<i>Where</i> is it?")
        self.report.copyButton.click()
        self.assertTrue(qt.QApplication.clipboard().text().startswith(markup))
        self.assertIn("AI draft, not reviewed", qt.QApplication.clipboard().text())

    def test_slicers_own_process_loads_no_torch(self):
        self.generateReport(addScan())
        self.assertReportIsThere()
        for package in ("torch", "transformers"):
            self.assertNotIn(package, sys.modules)

    def test_a_report_of_another_scan_does_not_cover_the_one_looked_at(self):
        asked, other = addScan(name="Asked"), addScan(name="Other", seed=1)
        self.select(asked)
        self.pressGenerate()
        self.select(other)
        self.waitUntilDone()
        self.assertEqual(self.report.text.plainText, "")
        self.assertIsNone(self.turn)
        self.select(asked)
        self.assertReportIsThere()
        self.assertEqual(self.heatmapNode().GetNodeReference("Med2E3.volume"), asked)
