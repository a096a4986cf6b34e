"""The scores as a plot of Slicer's own: nodes of the scene, and a view of the layout."""

import math

import slicer
import slicer.util

from module.support import ModuleTestCase, addScan


class PlotTest(ModuleTestCase):
    def setUp(self):
        super().setUp()
        self.layoutNode = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
        self.layout = self.layoutNode.GetViewArrangement()
        self.addCleanup(self.layoutNode.SetViewArrangement, self.layout)
        self.generateReport(addScan())

    @property
    def chartNode(self):
        """The chart in the scene; fails if there is not exactly one."""
        nodes = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")
        self.assertEqual(len(nodes), 1)
        return nodes[0]

    def series(self, name):
        """(x, y) of each point that a series of the chart draws."""
        for index in range(self.chartNode.GetNumberOfPlotSeriesNodes()):
            seriesNode = self.chartNode.GetNthPlotSeriesNode(index)
            if seriesNode.GetName() == name:
                table = seriesNode.GetTableNode().GetTable()
                x = table.GetColumnByName(seriesNode.GetXColumnName())
                y = table.GetColumnByName(seriesNode.GetYColumnName())
                rows = range(table.GetNumberOfRows())
                points = [(x.GetValue(row), y.GetValue(row)) for row in rows]
                return [point for point in points if not math.isnan(point[1])]
        self.fail(f"The chart has no series {name!r}.")

    def test_the_chart_has_the_scores_of_what_is_shown(self):
        expected = [(slice_.index, slice_.score) for slice_ in self.turn.slices]
        self.assertEqual(self.series("score"), expected)
        self.assertEqual(self.chartNode.GetXAxisTitle(), "slice of the scan")
        self.assertEqual(self.chartNode.GetYAxisTitle(), "score")
        self.assertEqual(self.chartNode.GetTitle(), self.turn.caption)
        self.assertEqual(self.chartNode.GetYAxisRange()[0], 0)

    def test_an_answer_takes_the_place_of_the_report(self):
        self.ask("Is there a nodule?")
        self.assertEqual(self.chartNode.GetTitle(), self.turn.caption)
        expected = [(slice_.index, slice_.score) for slice_ in self.turn.slices]
        self.assertEqual(self.series("score"), expected)

    def test_best_and_current_slices_are_marked(self):
        best = self.turn.rankedSlices[:3]
        self.assertEqual(
            sorted(self.series("best slices")),
            sorted((slice_.index, slice_.score) for slice_ in best),
        )
        self.assertEqual(self.series("slice in view"), [])
        self.slices.ranking.setCurrentRow(5)
        current = self.turn.rankedSlices[5]
        self.assertEqual(self.series("slice in view"), [(current.index, current.score)])

    def test_the_button_shows_it_beside_the_slices_and_brings_the_layout_back(self):
        self.slices.plotButton.click()
        slicer.app.processEvents()
        shown = slicer.util.getNodesByClass("vtkMRMLPlotViewNode")
        self.assertIn(self.chartNode.GetID(), [node.GetPlotChartNodeID() for node in shown])
        self.assertNotEqual(self.layoutNode.GetViewArrangement(), self.layout)
        self.assertGreater(slicer.app.layoutManager().plotViewCount, 0)
        self.slices.plotButton.click()
        self.assertEqual(self.layoutNode.GetViewArrangement(), self.layout)

    def test_a_layout_that_the_reader_chose_meanwhile_stays(self):
        self.slices.plotButton.click()
        chosen = slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
        self.layoutNode.SetViewArrangement(chosen)
        self.slices.plotButton.click()
        self.assertNotEqual(self.layoutNode.GetViewArrangement(), self.layout)
        self.assertGreater(slicer.app.layoutManager().plotViewCount, 0)
        self.slices.plotButton.click()
        self.assertEqual(self.layoutNode.GetViewArrangement(), chosen)

    def test_it_lies_in_the_folder_of_the_scan(self):
        subjectHierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        items = [
            subjectHierarchy.GetItemParent(subjectHierarchy.GetItemByDataNode(node))
            for node in (self.chartNode, self.heatmapNode())
        ]
        self.assertEqual(items[0], items[1])
