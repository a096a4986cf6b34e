"""Browsing by attention: the ranked list, the curve, and the heatmap over the reader's layers."""

import qt
import slicer.util
import vtk

from module.support import ModuleTestCase, addScan, compositeNodes, distanceFromView, sliceNodes


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

    def test_a_click_on_the_curve_leads_there(self):
        curve = self.slices.curve
        for number in (3, 20):
            self.click(curve, curve.center(number), curve.height // 2)
            self.assertViewsShow(number)
            self.assertEqual(self.turn.rankedSlices[self.slices.ranking.currentRow].number, number)

    def click(self, widget, x, y):
        """A press of the mouse at a place of a widget, as Qt delivers it."""
        place = qt.QPointF(x, y)
        left = qt.Qt.LeftButton
        event = qt.QMouseEvent(qt.QEvent.MouseButtonPress, place, left, left, qt.Qt.NoModifier)
        qt.QApplication.sendEvent(widget, event)

    def test_the_heatmap_lies_over_its_scan(self):
        heatmapId = self.heatmapNode().GetID()
        self.slices.heatmapOpacity.value = 0.35
        for compositeNode in compositeNodes():
            self.assertEqual(compositeNode.GetBackgroundVolumeID(), self.volumeNode.GetID())
            self.assertEqual(compositeNode.GetForegroundVolumeID(), heatmapId)
            self.assertAlmostEqual(compositeNode.GetForegroundOpacity(), 0.35)

    def test_the_heatmaps_colours_threshold_and_window(self):
        displayNode = self.heatmapNode().GetDisplayNode()
        self.assertEqual(displayNode.GetColorNode().GetName(), "Med2E3 heatmap")
        self.assertTrue(displayNode.GetApplyThreshold())
        self.slices.heatmapThreshold.value = 0.5
        low, high = displayNode.GetWindowLevelMin(), displayNode.GetWindowLevelMax()
        self.assertAlmostEqual(displayNode.GetLowerThreshold(), (low + high) / 2, places=4)

    def test_hidden_it_leaves_the_layers_that_the_reader_had(self):
        self.slices.heatmapVisible.checked = False
        other = addScan(name="Other", seed=3)
        had = {}
        for number, compositeNode in enumerate(compositeNodes()):
            # Each view something else, the last one no foreground at all.
            compositeNode.SetBackgroundVolumeID(self.volumeNode.GetID() if number else None)
            compositeNode.SetForegroundVolumeID(other.GetID() if number != 2 else None)
            compositeNode.SetForegroundOpacity(0.1 + 0.2 * number)
            had[compositeNode.GetID()] = layersOf(compositeNode)
        self.slices.heatmapVisible.checked = True
        self.slices.heatmapOpacity.value = 0.7
        for compositeNode in compositeNodes():
            self.assertEqual(compositeNode.GetForegroundVolumeID(), self.heatmapNode().GetID())
        self.slices.heatmapVisible.checked = False
        self.assertEqual({node.GetID(): layersOf(node) for node in compositeNodes()}, had)

    def test_a_foreground_that_the_reader_chose_meanwhile_stays(self):
        other = addScan(name="Other", seed=3)
        first, *rest = compositeNodes()
        first.SetForegroundVolumeID(other.GetID())
        first.SetForegroundOpacity(0.9)
        self.slices.heatmapVisible.checked = False
        self.assertEqual(first.GetForegroundVolumeID(), other.GetID())
        self.assertAlmostEqual(first.GetForegroundOpacity(), 0.9)
        for compositeNode in rest:
            self.assertIsNone(compositeNode.GetForegroundVolumeID())

    def tearDown(self):
        self.slices.heatmapVisible.checked = True
        super().tearDown()


def layersOf(compositeNode):
    return (
        compositeNode.GetBackgroundVolumeID(),
        compositeNode.GetForegroundVolumeID(),
        compositeNode.GetForegroundOpacity(),
    )


def ijkToRas(volumeNode):
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return matrix
