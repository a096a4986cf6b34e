"""Browsing by attention: the ranked slices, the curve, the keys, and what is said about them."""

import numpy as np
import qt
import slicer
import slicer.util
import vtk

from Med2E3SlicerLib.attention import Attention, ScoredSlice
from module.support import ModuleTestCase, addScan, distanceFromView, sliceNodes


class SlicesTest(ModuleTestCase):
    def setUp(self):
        super().setUp()
        self.volumeNode = addScan()
        self.generateReport(self.volumeNode)

    def assertViewsShow(self, number):
        """The views pass through the strongest place of a slice, which lies in that slice."""
        place = self.turn.strongestPlace(number)
        self.assertAlmostEqual(place[2], self.turn.slices[number].ijk[2], places=4)
        matrix = slicer.util.arrayFromVTKMatrix(ijkToRas(self.volumeNode))
        for sliceNode in sliceNodes():
            self.assertLess(distanceFromView(sliceNode, (matrix @ (*place, 1))[:3]), 0.01)

    def test_a_click_on_a_ranked_slice_leads_there(self):
        for row in (0, 5, 31):
            self.slices.ranking.setCurrentRow(row)
            self.assertViewsShow(self.turn.rankedSlices[row].number)
            self.assertIn(str(row + 1), self.slices.position.text)

    def test_a_click_on_the_current_slice_leads_back(self):
        ranking = self.slices.ranking
        ranking.setCurrentRow(2)
        for sliceNode in sliceNodes():
            sliceNode.JumpSliceByOffsetting(200, 200, 200)
        ranking.itemClicked.emit(ranking.item(2))
        self.assertViewsShow(self.turn.rankedSlices[2].number)

    def test_next_and_previous_follow_the_ranks(self):
        self.assertFalse(self.slices.previousButton.enabled)
        for rank in range(3):
            self.slices.nextButton.click()
            self.assertViewsShow(self.turn.rankedSlices[rank].number)
        self.slices.previousButton.click()
        self.assertViewsShow(self.turn.rankedSlices[1].number)
        self.slices.ranking.setCurrentRow(31)
        self.assertFalse(self.slices.nextButton.enabled)

    def test_keys_follow_the_ranks_and_the_buttons_name_them(self):
        for button, shortcut in (
            (self.slices.nextButton, self.slices.nextShortcut),
            (self.slices.previousButton, self.slices.previousShortcut),
        ):
            self.assertIn(shortcut.key.toString(), button.toolTip)
        self.slices.nextShortcut.activated.emit()
        self.slices.nextShortcut.activated.emit()
        self.assertViewsShow(self.turn.rankedSlices[1].number)
        self.slices.previousShortcut.activated.emit()
        self.assertViewsShow(self.turn.rankedSlices[0].number)

    def test_a_click_on_the_curve_leads_there(self):
        curve = self.slices.curve
        for number in (3, 20):
            self.click(curve, curve.center(number), curve.height // 2)
            self.assertViewsShow(number)
            self.assertEqual(self.turn.rankedSlices[self.slices.ranking.currentRow].number, number)

    def test_the_curve_grows_to_the_right_as_the_scan_does(self):
        for name, sign in (("Up", 1), ("Down", -1)):
            volumeNode = addScan(np.diag([-2.0, -2.0, 3.0 * sign, 1.0]), name=name)
            self.generateReport(volumeNode)
            first, last = self.turn.slices[0], self.turn.slices[-1]
            curve = self.slices.curve
            self.assertEqual(
                first.index < last.index, curve.center(first.number) < curve.center(last.number)
            )

    def click(self, widget, x, y):
        """A press of the mouse at a place of a widget, as Qt delivers it."""
        place = qt.QPointF(x, y)
        left = qt.Qt.LeftButton
        event = qt.QMouseEvent(qt.QEvent.MouseButtonPress, place, left, left, qt.Qt.NoModifier)
        qt.QApplication.sendEvent(widget, event)

    def test_every_slice_has_its_picture_and_its_score(self):
        ranking = self.slices.ranking
        self.waitFor(lambda: not ranking.item(31).icon().isNull(), seconds=20)
        for row, slice_ in enumerate(self.turn.rankedSlices):
            self.assertFalse(ranking.item(row).icon().isNull())
            self.assertIn(f"{slice_.score:.3f}", ranking.item(row).text())

    def test_a_picture_shows_its_slice_in_the_window_of_the_scan(self):
        self.slices.heatmapVisible.checked = False
        displayNode = self.volumeNode.GetDisplayNode()
        displayNode.AutoWindowLevelOff()
        displayNode.SetWindowLevelMinMax(-1000, 200)
        voxels = slicer.util.arrayFromVolume(self.volumeNode).astype(float)
        draw = self.controller.view.thumbnailMaker(36)
        for number in (0, 15, 31):
            picture = draw(number)
            self.assertEqual(picture.dtype, np.uint8)
            self.assertEqual(max(picture.shape[:2]), 36)
            shown = picture.astype(float).mean()
            k = round(self.turn.slices[number].ijk[2])
            expected = (np.clip(voxels[k], -1000, 200) + 1000).mean() / 1200 * 255
            self.assertLess(abs(shown - expected), 8)
        displayNode.SetWindowLevelMinMax(3000, 4000)
        self.assertEqual(self.controller.view.thumbnailMaker(36)(15).max(), 0)

    def test_a_picture_has_the_heatmap_over_it(self):
        self.slices.heatmapVisible.checked = False
        number = self.turn.rankedSlices[0].number
        bare = self.controller.view.thumbnailMaker(36)(number)
        self.assertTrue((bare[..., 0] == bare[..., 2]).all())
        self.slices.heatmapVisible.checked = True
        covered = self.controller.view.thumbnailMaker(36)(number)
        self.assertTrue((covered[..., 0] != covered[..., 2]).any())

    def test_a_question_changes_nothing_under_the_readers_eyes_until_it_is_answered(self):
        self.ask("Is there a nodule?")
        self.slices.ranking.setCurrentRow(4)
        before = self.underTheEyes()
        self.pressAsk("Is there a pleural effusion?")
        seen = set()
        self.waitFor(lambda: self.note(seen) and not self.controller.isBusy)
        self.assertEqual(seen - {self.underTheEyes()}, {before})
        self.assertIn("effusion", self.slices.subject.text)

    def note(self, seen):
        if self.controller.isBusy:
            seen.add(self.underTheEyes())
        return True

    def underTheEyes(self):
        return (
            self.slices.subject.text,
            tuple(self.rankedTexts()),
            self.slices.ranking.currentRow,
            slicer.util.arrayFromVolume(self.heatmapNode()).tobytes(),
            tuple(str(slicer.util.arrayFromVTKMatrix(n.GetSliceToRAS())) for n in sliceNodes()),
        )

    def test_the_caption_says_for_which_text_the_slices_are(self):
        self.assertEqual(self.slices.subject.text, self.turn.caption)
        self.ask("Is there a nodule?")
        self.assertIn("Is there a nodule?", self.slices.subject.text)

    def tearDown(self):
        self.slices.heatmapVisible.checked = True
        super().tearDown()


class WhatIsSaidTest(ModuleTestCase):
    def test_an_empty_panel_says_where_slices_come_from(self):
        self.select(addScan())
        self.assertIn("report", self.slices.subject.text)
        self.assertFalse(self.slices.content.visible)
        self.assertEqual(self.rankedTexts(), [])

    def test_even_scores_are_no_preference(self):
        self.slices.showAttention(attentionOf(np.full(32, 1 / 32)), "Looked at for a test")
        self.assertIn("No clear preference", self.slices.preference.text)
        self.assertIn("32.0 of 32", self.slices.preference.text)

    def test_the_effective_number_of_slices_is_told(self):
        scores = np.zeros(32)
        scores[[3, 4, 5, 6]] = 0.25
        self.slices.showAttention(attentionOf(scores), "Looked at for a test")
        self.assertIn("4.0 of 32", self.slices.preference.text)
        self.assertEqual(self.rankedTexts()[0].split()[1:], ["3", "0.250"])

    def test_a_scan_that_changed_is_told(self):
        self.generateReport(addScan())
        self.assertTrue(self.slices.staleness.isHidden())
        moved = np.eye(4)
        moved[:3, 3] = (0, 0, 25)
        transformNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        transformNode.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(moved))
        volumeNode = self.workbench.volumeSelector.currentNode()
        volumeNode.SetAndObserveTransformNodeID(transformNode.GetID())
        self.waitFor(lambda: not self.slices.staleness.isHidden(), seconds=10)
        volumeNode.SetAndObserveTransformNodeID(None)
        self.waitFor(self.slices.staleness.isHidden, seconds=10)


def attentionOf(scores):
    """An attention of slices one millimetre apart, all patches of a slice alike."""
    return Attention(
        slices=tuple(
            ScoredSlice(number, float(number), (0.0, 0.0, float(number)), float(score))
            for number, score in enumerate(scores)
        ),
        patchShares=np.zeros((len(scores), 4, 4), np.float32),
        heatmapToIjk=np.eye(4),
    )


def ijkToRas(volumeNode):
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return matrix
