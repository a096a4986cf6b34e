"""What speaks against asking the model about a volume is said before it is asked."""

import numpy as np
import slicer
import slicer.util

from Med2E3SlicerLib.scene.volumes import warningsAbout
from module.support import ModuleTestCase, addScan, scanVoxels


def setModality(volumeNode, modality):
    subjectHierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    item = subjectHierarchy.GetItemByDataNode(volumeNode) or subjectHierarchy.CreateItem(
        subjectHierarchy.GetSceneItemID(), volumeNode
    )
    subjectHierarchy.SetItemAttribute(item, "DICOM.Modality", modality)


class GuardsTest(ModuleTestCase):
    def assertAsked(self, *words):
        """The panel asks, with these words, and nothing goes on."""
        self.assertFalse(self.workbench.doubts.widget.isHidden())
        self.assertFalse(self.controller.isBusy)
        for word in words:
            self.assertIn(word, self.workbench.doubts.text.text)

    def assertNotAsked(self):
        self.assertTrue(self.workbench.doubts.widget.isHidden())

    def test_an_ordinary_ct_is_asked_about_at_once(self):
        volumeNode = addScan()
        setModality(volumeNode, "CT")
        self.assertEqual(warningsAbout(volumeNode), [])
        self.select(volumeNode)
        self.pressGenerate()
        self.assertNotAsked()
        self.assertTrue(self.controller.isBusy)

    def test_another_modality_is_asked_about_once(self):
        volumeNode = addScan(name="Head")
        setModality(volumeNode, "MR")
        self.select(volumeNode)
        self.pressGenerate()
        self.assertAsked("Head", "MR", "CT")
        self.workbench.doubts.goOnButton.click()
        self.waitUntilDone()
        self.assertReportIsThere()
        self.pressAsk("Is it?")
        self.assertNotAsked()
        self.assertTrue(self.controller.isBusy)

    def test_who_cancels_is_asked_again(self):
        volumeNode = addScan()
        setModality(volumeNode, "PT")
        self.select(volumeNode)
        for _ in range(2):
            self.pressGenerate()
            self.assertAsked("PT")
            self.workbench.doubts.cancelButton.click()
            self.assertNotAsked()
            self.assertFalse(self.controller.isBusy)

    def test_who_edits_the_volume_is_asked_again(self):
        volumeNode = addScan()
        setModality(volumeNode, "MR")
        self.select(volumeNode)
        self.pressGenerate()
        self.workbench.doubts.goOnButton.click()
        self.controller.cancel()
        self.waitUntilDone()
        slicer.util.updateVolumeFromArray(volumeNode, scanVoxels(seed=3))
        self.pressGenerate()
        self.assertAsked("MR")

    def test_another_volume_withdraws_the_question(self):
        volumeNode, other = addScan(), addScan(name="Other")
        setModality(volumeNode, "MR")
        self.select(volumeNode)
        self.pressGenerate()
        self.assertAsked("MR")
        self.select(other)
        self.assertNotAsked()

    def test_closing_the_scene_withdraws_the_question(self):
        volumeNode = addScan()
        setModality(volumeNode, "MR")
        self.select(volumeNode)
        self.pressGenerate()
        self.assertAsked("MR")
        slicer.mrmlScene.Clear()
        self.assertNotAsked()

    def test_values_that_are_no_hounsfield_units(self):
        volumeNode = addScan()
        slicer.util.updateVolumeFromArray(volumeNode, np.abs(scanVoxels()))
        self.select(volumeNode)
        self.pressGenerate()
        self.assertAsked("Hounsfield")

    def test_few_slices(self):
        (sentence,) = warningsAbout(addScan(shape=(9, 40, 36)))
        self.assertIn("9 slices", sentence)

    def test_an_extent_that_is_no_persons(self):
        (small,) = warningsAbout(addScan(np.diag([0.5, 0.5, 0.5, 1.0])))
        self.assertIn("20 mm", small)
        (large,) = warningsAbout(addScan(np.diag([100.0, 100.0, 100.0, 1.0])))
        self.assertIn("4000 mm", large)

    def test_a_frame_of_a_sequence_is_named(self):
        volumeNode = addScan(name="Heart")
        sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode")
        for time in range(3):
            sequence.SetDataNodeAtValue(volumeNode, str(time))
        browser = slicer.mrmlScene.AddNode(slicer.vtkMRMLSequenceBrowserNode())
        browser.AddSynchronizedSequenceNode(sequence)
        browser.AddProxyNode(volumeNode, sequence, False)
        browser.SetSelectedItemNumber(1)
        self.select(volumeNode)
        self.pressGenerate()
        self.assertAsked("Heart", "frame 2 of the 3")

    def test_a_refused_volume_gets_no_question_and_the_refusal(self):
        labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
        self.assertEqual(warningsAbout(labels), [])
        colors = slicer.util.addVolumeFromArray(
            np.zeros((4, 5, 6, 3), np.uint8), nodeClassName="vtkMRMLVectorVolumeNode"
        )
        self.assertEqual(warningsAbout(colors), [])
        self.controller.generateReport(colors)
        self.assertIn("several values", self.workbench.status.text)
