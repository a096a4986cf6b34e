"""The scene changes under the module: edited, renamed, deleted, closed, exchanged, reloaded."""

import os
import tempfile

import slicer
import slicer.util
import vtk

from module.support import ModuleTestCase, addScan, exchangeFolders, isRunning


class SceneTest(ModuleTestCase):
    def folderOf(self, node):
        subjectHierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        return subjectHierarchy.GetItemParent(subjectHierarchy.GetItemByDataNode(node))

    def itemOf(self, volumeNode):
        """The scan's item in the subject hierarchy, which Slicer's own plugins make."""
        subjectHierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        return subjectHierarchy.GetItemByDataNode(volumeNode) or subjectHierarchy.CreateItem(
            subjectHierarchy.GetSceneItemID(), volumeNode
        )

    def raise_(self, volumeNode, voxels=slice(0, 4), by=500):
        slicer.util.arrayFromVolume(volumeNode)[voxels] += by
        slicer.util.arrayFromVolumeModified(volumeNode)

    # -- a scan that is no longer what the model saw ---------------------------------------------

    def test_what_was_said_about_an_edited_scan_is_marked_until_it_is_as_it_was(self):
        volumeNode = addScan()
        self.generateReport(volumeNode)
        self.ask("Is there a nodule?")
        self.assertNotIn("changed since", self.report.mark.text)
        self.raise_(volumeNode)
        self.waitFor(lambda: "changed since" in self.report.mark.text, seconds=5)
        self.assertIn("changed since", self.conversation()[1])
        self.assertTrue(self.turn.isStale)
        self.raise_(volumeNode, by=-500)
        self.waitFor(lambda: "changed since" not in self.report.mark.text, seconds=5)
        self.assertNotIn("changed since", self.conversation()[1])

    def test_an_edited_scan_is_sent_again_and_the_new_report_is_about_it(self):
        volumeNode = addScan()
        self.generateReport(volumeNode)
        self.raise_(volumeNode)
        states = []
        self.controller.stateChanged.connect(states.append)
        self.generateReport()
        self.controller.stateChanged.disconnect(states.append)
        self.assertIn("encoding", [state.value for state in states])
        self.assertNotIn("changed since", self.report.mark.text)

    def test_a_scan_that_was_moved_is_another_one(self):
        volumeNode = addScan()
        self.generateReport(volumeNode)
        transformNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        volumeNode.SetAndObserveTransformNodeID(transformNode.GetID())
        slicer.app.processEvents()
        matrix = vtk.vtkMatrix4x4()
        matrix.SetElement(0, 3, 25)
        transformNode.SetMatrixTransformToParent(matrix)
        self.waitFor(lambda: "changed since" in self.report.mark.text, seconds=5)

    def test_the_mark_is_saved_with_the_scene(self):
        volumeNode = addScan()
        self.generateReport(volumeNode)
        self.raise_(volumeNode)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "scene.mrb")
            slicer.util.saveScene(path)
            slicer.mrmlScene.Clear()
            slicer.util.loadScene(path)
        slicer.app.processEvents()
        self.assertIn("changed since", self.report.mark.text)

    def test_an_answer_about_the_former_scan_is_no_history(self):
        volumeNode = addScan()
        self.select(volumeNode)
        self.ask("Is there a nodule?")
        self.raise_(volumeNode)
        self.ask("How large is it?")
        self.assertEqual((self.turn.historyUsed, self.turn.historyLeftOut), (0, 0))

    # -- nodes that come and go ------------------------------------------------------------------

    def test_everything_lies_in_one_folder_even_after_it_was_renamed(self):
        volumeNode = addScan()
        item = self.itemOf(volumeNode)
        self.generateReport(volumeNode)
        subjectHierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        (textNode,) = slicer.util.getNodesByClass("vtkMRMLTextNode")
        folder = self.folderOf(textNode)
        subjectHierarchy.SetItemName(folder, "What the machine says")
        volumeNode.SetName("Another name")
        self.ask("Is there a nodule?")
        for node in slicer.util.getNodesByClass("vtkMRMLTextNode"):
            self.assertEqual(self.folderOf(node), folder)
        self.assertEqual(
            subjectHierarchy.GetItemParent(folder),
            subjectHierarchy.GetItemParent(item),
        )

    def test_the_folder_lies_in_the_study_of_the_scan(self):
        volumeNode = addScan()
        subjectHierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        study = subjectHierarchy.CreateStudyItem(subjectHierarchy.GetSceneItemID(), "Study")
        subjectHierarchy.SetItemParent(self.itemOf(volumeNode), study)
        self.generateReport(volumeNode)
        (textNode,) = slicer.util.getNodesByClass("vtkMRMLTextNode")
        self.assertEqual(subjectHierarchy.GetItemParent(self.folderOf(textNode)), study)

    def test_a_report_that_is_deleted_is_gone_from_the_panel(self):
        self.generateReport(addScan())
        (textNode,) = slicer.util.getNodesByClass("vtkMRMLTextNode")
        slicer.mrmlScene.RemoveNode(textNode)
        self.waitFor(lambda: not self.report.text.plainText, seconds=5)
        self.assertFalse(self.report.editButton.enabled)
        self.assertIsNone(self.turn)
        self.generateReport()
        self.assertReportIsThere()

    def test_a_report_that_is_deleted_while_it_is_edited(self):
        self.generateReport(addScan())
        self.report.editButton.checked = True
        (textNode,) = slicer.util.getNodesByClass("vtkMRMLTextNode")
        slicer.mrmlScene.RemoveNode(textNode)
        self.report.text.textCursor().insertText("x")
        self.waitFor(lambda: not self.report.text.plainText, seconds=5)
        self.assertFalse(self.report.text.isEditing)

    def test_a_report_that_is_deleted_while_the_next_one_is_written(self):
        self.generateReport(addScan())
        (textNode,) = slicer.util.getNodesByClass("vtkMRMLTextNode")
        self.report.againButton.click()
        slicer.mrmlScene.RemoveNode(textNode)
        self.waitUntilDone()
        self.assertReportIsThere()
        self.assertEqual(len(slicer.util.getNodesByClass("vtkMRMLTextNode")), 1)

    def test_a_scan_that_is_renamed_while_its_report_is_written(self):
        volumeNode = addScan()
        self.select(volumeNode)
        self.pressGenerate()
        self.waitFor(lambda: self.report.text.plainText)
        volumeNode.SetName("Another name")
        self.waitUntilDone()
        self.assertReportIsThere()

    # -- another scene, another module -----------------------------------------------------------

    def test_another_scene_is_loaded_while_a_report_is_written(self):
        self.generateReport(addScan(name="Saved"))
        report = self.report.text.plainText
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "scene.mrb")
            slicer.util.saveScene(path)
            slicer.mrmlScene.Clear()
            self.select(addScan(name="Open", seed=1))
            self.pressGenerate()
            self.waitFor(lambda: self.report.text.plainText)
            slicer.util.loadScene(path, {"clear": True})
        self.waitUntilDone()
        slicer.app.processEvents()
        self.assertEqual(self.controller.state.value, "idle")
        self.assertEqual(self.workbench.status.text, "")
        (volumeNode,) = scansOf(slicer.mrmlScene)
        self.assertEqual(volumeNode.GetName(), "Saved")
        self.assertEqual(self.report.text.plainText, report)
        self.assertEqual(self.turn.text, report)
        self.assertEqual(exchangeFolders(), [])

    def test_the_turn_that_was_looked_at_comes_back(self):
        volumeNode = addScan()
        self.generateReport(volumeNode)
        self.ask("Is there a nodule?")
        self.ask("Where is it?")
        first = self.controller.turnsOf(volumeNode)[1]
        self.controller.showTurn(volumeNode, first)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "scene.mrb")
            slicer.util.saveScene(path)
            slicer.mrmlScene.Clear()
            slicer.util.loadScene(path)
        slicer.app.processEvents()
        self.assertEqual(self.turn.question, "Is there a nodule?")

    def test_a_reload_in_the_middle_of_an_answer(self):
        self.select(addScan())
        self.ask("Is there a nodule?")
        before = self.conversation()
        self.pressAsk("Where is it?")
        worker = self.controller.workerProcessId
        self.widget.onReload()
        self.openModule()
        self.waitFor(lambda: not isRunning(worker), seconds=15)
        self.assertEqual(self.conversation(), before)
        self.assertFalse(self.controller.isBusy)
        self.assertEqual(exchangeFolders(), [])
        self.ask("Where is it?")
        self.assertEqual(len(self.conversation()), 4)


def scansOf(scene):
    """The volumes of a scene that are no heatmaps."""
    nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene)
    return [node for node in nodes if not node.GetAttribute("Med2E3.heatmap")]
