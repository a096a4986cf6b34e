"""The heatmap over the reader's layers: its colours, its legend, and that it leaves no trace."""

import time

import numpy as np
import slicer
import slicer.util

from module.support import ModuleTestCase, addScan, compositeNodes, sliceNodes


class HeatmapTest(ModuleTestCase):
    def setUp(self):
        super().setUp()
        self.volumeNode = addScan()
        self.generateReport(self.volumeNode)

    def tearDown(self):
        self.slices.heatmapVisible.checked = True
        super().tearDown()

    # -- what is drawn ---------------------------------------------------------------------------

    @property
    def colors(self):
        """(256, 4): the colours of the heatmap, from its first value to its last."""
        colorNode = self.heatmapNode().GetDisplayNode().GetColorNode()
        color, colors = [0.0] * 4, []
        for number in range(colorNode.GetNumberOfColors()):
            colorNode.GetColor(number, color)
            colors.append(tuple(color))
        return np.array(colors)

    @property
    def limits(self):
        displayNode = self.heatmapNode().GetDisplayNode()
        return displayNode.GetWindowLevelMin(), displayNode.GetWindowLevelMax()

    @property
    def heat(self):
        return slicer.util.arrayFromVolume(self.heatmapNode())

    def test_per_slice_it_has_the_scores_from_0_to_the_best(self):
        self.slices.heatmapInPlane.checked = False
        for slice_ in self.turn.slices:
            np.testing.assert_allclose(self.heat[slice_.number], slice_.score, rtol=1e-6)
        best = self.turn.rankedSlices[0].score
        np.testing.assert_allclose(self.limits, (0, best), rtol=1e-5)

    def test_in_plane_it_has_the_exact_shares_less_what_all_slices_have(self):
        self.slices.heatmapInPlane.checked = True
        shares = self.turn.patchShares.astype(float)
        np.testing.assert_allclose(self.heat, shares - shares.mean(axis=0), atol=1e-6)
        low, high = self.limits
        self.assertEqual(low, 0)
        self.assertLessEqual(high, self.heat.max())
        self.assertGreater(high, 0)

    def test_the_threshold_hides_what_is_colder(self):
        for inPlane in (True, False):
            self.slices.heatmapInPlane.checked = inPlane
            self.slices.heatmapThreshold.value = 0.5
            isDrawn = self.colors[:, 3] > 0
            self.assertFalse(isDrawn[:127].any())
            self.assertTrue(isDrawn[128:].all())
            self.slices.heatmapThreshold.value = 0.0
            # Nothing is not drawn even then, so that places that speak against stay bare.
            self.assertEqual(list(np.flatnonzero(self.colors[:, 3] == 0)), [0])

    def test_for_and_against_have_colours_of_their_own(self):
        self.slices.heatmapAgainst.checked = True
        self.slices.heatmapThreshold.value = 0.25
        low, high = self.limits
        self.assertAlmostEqual(low, -high)
        self.assertFalse(self.slices.heatmapColors.enabled)
        colors = self.colors
        isDrawn = colors[:, 3] > 0
        # One threshold for both signs.
        np.testing.assert_array_equal(isDrawn, isDrawn[::-1])
        self.assertAlmostEqual(isDrawn.mean(), 0.75, delta=0.01)
        # Blue against, red for.
        self.assertTrue((colors[:96, 2] > colors[:96, 0]).all())
        self.assertTrue((colors[160:, 0] > colors[160:, 2]).all())
        self.slices.heatmapAgainst.checked = False
        self.assertEqual(self.limits[0], 0)

    def test_against_is_there_in_plane_alone(self):
        self.slices.heatmapAgainst.checked = True
        self.slices.heatmapInPlane.checked = False
        self.assertFalse(self.slices.heatmapAgainst.enabled)
        self.assertTrue(self.slices.heatmapColors.enabled)
        self.assertEqual(self.limits[0], 0)

    def test_every_colour_map_grows_brighter(self):
        colors = self.slices.heatmapColors
        known = set()
        for index in range(colors.count):
            colors.setCurrentIndex(index)
            brightness = self.colors[:, :3] @ (0.2126, 0.7152, 0.0722)
            self.assertGreater(np.diff(brightness).min(), -0.01)
            known.add(tuple(self.colors[-1]))
        self.assertEqual(len(known), colors.count)

    def test_the_legend_stands_in_the_views_while_the_heatmap_does(self):
        legendNode = slicer.modules.colors.logic().GetColorLegendDisplayNode(self.heatmapNode())
        self.assertTrue(legendNode.GetVisibility())
        self.assertEqual(legendNode.GetPrimaryDisplayNode(), self.heatmapNode().GetDisplayNode())
        inPlane = legendNode.GetTitleText()
        self.slices.heatmapInPlane.checked = False
        self.assertNotEqual(legendNode.GetTitleText(), inPlane)
        self.slices.heatmapLegend.checked = False
        self.assertFalse(legendNode.GetVisibility())
        self.slices.heatmapLegend.checked = True
        self.slices.heatmapVisible.checked = False
        self.assertFalse(legendNode.GetVisibility())

    def test_a_heatmap_is_no_scan_to_choose(self):
        selector = self.workbench.volumeSelector
        listed = [selector.nodeFromIndex(index) for index in range(selector.nodeCount())]
        self.assertIn(self.volumeNode, listed)
        self.assertNotIn(self.heatmapNode(), listed)
        self.assertEqual(selector.currentNode(), self.volumeNode)

    def test_it_is_there_at_once_for_a_scan_of_usual_size(self):
        volumeNode = slicer.util.addVolumeFromArray(np.zeros((300, 512, 512), np.int16))
        volumeNode.CreateDefaultDisplayNodes()
        milliseconds = []
        for _repetition in range(3):
            begin = time.perf_counter()
            self.controller.showTurn(volumeNode, self.turn)
            milliseconds.append(1000 * (time.perf_counter() - begin))
        self.assertLess(min(milliseconds), 100)

    # -- the reader's layers ---------------------------------------------------------------------

    def test_it_lies_over_its_scan(self):
        heatmapId = self.heatmapNode().GetID()
        self.slices.heatmapOpacity.value = 0.35
        for compositeNode in compositeNodes():
            self.assertEqual(compositeNode.GetBackgroundVolumeID(), self.volumeNode.GetID())
            self.assertEqual(compositeNode.GetForegroundVolumeID(), heatmapId)
            self.assertAlmostEqual(compositeNode.GetForegroundOpacity(), 0.35)

    def test_hidden_it_leaves_exactly_what_the_reader_had(self):
        self.slices.heatmapVisible.checked = False
        had = self.arrange()
        self.slices.heatmapVisible.checked = True
        self.slices.heatmapOpacity.value = 0.7
        self.slices.heatmapInPlane.checked = False
        for compositeNode in compositeNodes():
            self.assertEqual(compositeNode.GetForegroundVolumeID(), self.heatmapNode().GetID())
        self.slices.heatmapVisible.checked = False
        self.assertEqual(self.whatTheReaderHas(), had)

    def test_it_leaves_exactly_what_the_reader_had_after_other_layouts(self):
        layoutNode = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
        before = layoutNode.GetViewArrangement()
        self.addCleanup(layoutNode.SetViewArrangement, before)
        self.slices.heatmapVisible.checked = False
        had = self.arrange()
        self.slices.heatmapVisible.checked = True
        for layout in (
            slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView,
            slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView,
            before,
        ):
            layoutNode.SetViewArrangement(layout)
            slicer.app.processEvents()
        self.slices.heatmapVisible.checked = False
        self.assertEqual(self.whatTheReaderHas(), had)

    def test_a_view_that_comes_later_shows_it_and_then_what_the_others_show(self):
        compositeNode = slicer.vtkMRMLSliceCompositeNode()
        compositeNode.SetLayoutName("Later")
        compositeNode = slicer.mrmlScene.AddNode(compositeNode)
        self.addCleanup(slicer.mrmlScene.RemoveNode, compositeNode)
        slicer.app.processEvents()
        self.assertEqual(compositeNode.GetForegroundVolumeID(), self.heatmapNode().GetID())
        self.slices.heatmapVisible.checked = False
        first = compositeNodes()[0]
        self.assertEqual(compositeNode.GetBackgroundVolumeID(), first.GetBackgroundVolumeID())
        self.assertEqual(compositeNode.GetForegroundVolumeID(), first.GetForegroundVolumeID())

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

    def arrange(self):
        """Give each view something else, as a reader might have it; returns what that is."""
        other = addScan(name="Other", seed=3)
        labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
        slicer.util.updateVolumeFromArray(labels, np.ones((24, 40, 36), np.uint8))
        for number, compositeNode in enumerate(compositeNodes()):
            compositeNode.SetLinkedControl(number == 1)
            compositeNode.SetBackgroundVolumeID(self.volumeNode.GetID() if number else None)
            compositeNode.SetForegroundVolumeID(other.GetID() if number != 2 else None)
            compositeNode.SetForegroundOpacity(0.1 + 0.2 * number)
            compositeNode.SetLabelVolumeID(labels.GetID())
            compositeNode.SetLabelOpacity(0.25 + 0.25 * number)
            compositeNode.SetCompositing(number)
        for volumeNode, limits in ((self.volumeNode, (-800, 150)), (other, (-200, 300))):
            volumeNode.GetDisplayNode().AutoWindowLevelOff()
            volumeNode.GetDisplayNode().SetWindowLevelMinMax(*limits)
        slicer.app.processEvents()
        return self.whatTheReaderHas()

    def whatTheReaderHas(self):
        """Layers, opacities, links, windows and places of the views, by the id of their nodes."""
        seen = {}
        for node in compositeNodes():
            seen[node.GetID()] = (
                node.GetBackgroundVolumeID(),
                node.GetForegroundVolumeID(),
                node.GetForegroundOpacity(),
                node.GetLabelVolumeID(),
                node.GetLabelOpacity(),
                node.GetCompositing(),
                node.GetLinkedControl(),
                node.GetClipToBackgroundVolume(),
            )
        for node in sliceNodes():
            seen[node.GetID()] = str(slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()))
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
            displayNode = node.GetDisplayNode()
            # A label map is a scalar volume too, and has no window.
            hasWindow = node.GetClassName() == "vtkMRMLScalarVolumeNode"
            if hasWindow and node != self.heatmapNode():
                seen[node.GetID()] = (
                    displayNode.GetWindowLevelMin(),
                    displayNode.GetWindowLevelMax(),
                    displayNode.GetAutoWindowLevel(),
                    displayNode.GetApplyThreshold(),
                    displayNode.GetInterpolate(),
                )
        return seen
