"""Where the heatmap and the ranked slices lie in the patient, however the scan lies."""

import itertools
import math

import numpy as np
import slicer
import slicer.util
import vtk

from module.support import ModuleTestCase, addScan, distanceFromView, sliceNodes


def rotation(degrees, axis):
    angle = math.radians(degrees)
    turned = np.eye(3)
    first, second = [other for other in range(3) if other != axis]
    turned[first, first] = turned[second, second] = math.cos(angle)
    turned[first, second], turned[second, first] = -math.sin(angle), math.sin(angle)
    return turned


def matrix(axes, spacing=(1.5, 2.0, 4.0), origin=(31.0, -17.0, 53.0)):
    result = np.eye(4)
    result[:3, :3] = np.asarray(axes, float) * spacing
    result[:3, 3] = origin
    return result


LAYOUTS = {
    "axial, LPS": matrix(np.diag([-1, -1, 1])),
    "axial, RAS": matrix(np.eye(3)),
    "axial, from head to foot": matrix(np.diag([-1, -1, -1])),
    "coronal": matrix([[-1, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "sagittal": matrix([[0, 0, 1], [-1, 0, 0], [0, -1, 0]]),
    "oblique": matrix(rotation(17, 0) @ rotation(-23, 2) @ np.diag([-1, -1, 1])),
}


def corners(volumeNode):
    """(8, 3): the outer corners of a volume in the world, in no order that means something."""
    ijkToRas = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(ijkToRas)
    sides = [(-0.5, length - 0.5) for length in volumeNode.GetImageData().GetDimensions()]
    places = [ijkToRas.MultiplyPoint((*ijk, 1))[:3] for ijk in itertools.product(*sides)]
    transformNode = volumeNode.GetParentTransformNode()
    if transformNode:
        toWorld = vtk.vtkGeneralTransform()
        transformNode.GetTransformToWorld(toWorld)
        places = [toWorld.TransformPoint(place) for place in places]
    return np.array(sorted(tuple(np.round(place, 2)) for place in places))


def worldOf(volumeNode, ijk):
    ijkToRas = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(ijkToRas)
    place = ijkToRas.MultiplyPoint((*ijk, 1))[:3]
    transformNode = volumeNode.GetParentTransformNode()
    if transformNode:
        toWorld = vtk.vtkGeneralTransform()
        transformNode.GetTransformToWorld(toWorld)
        place = toWorld.TransformPoint(place)
    return np.array(place)


class GeometryTest(ModuleTestCase):
    def checkPlaces(self, volumeNode):
        # Each slice in one colour, and jumps to the middle of a slice.
        self.slices.heatmapInPlane.checked = False
        self.generateReport(volumeNode)
        self.assertReportIsThere()
        heatmapNode = self.heatmapNode()
        heat = slicer.util.arrayFromVolume(heatmapNode)
        # The scan has no black margin that is cropped, so the heatmap fills all of it.
        np.testing.assert_allclose(corners(heatmapNode), corners(volumeNode), atol=0.05)

        # The hottest slice of the heatmap is where a click on the first ranked slice leads.
        hottest = int(np.argmax(heat[:, 0, 0]))
        middle = [(length - 1) / 2 for length in heat.shape[:0:-1]]
        expected = worldOf(heatmapNode, (*middle, hottest))
        self.slices.ranking.setCurrentRow(0)
        for sliceNode in sliceNodes():
            self.assertLess(distanceFromView(sliceNode, expected), 0.05)
        best = max(self.turn.slices, key=lambda slice_: slice_.score)
        self.assertAlmostEqual(float(heat.max()), best.score, places=5)
        np.testing.assert_allclose(worldOf(volumeNode, best.ijk), expected, atol=0.05)

    def test_scans_of_every_layout(self):
        for name, ijkToRas in LAYOUTS.items():
            with self.subTest(name):
                slicer.mrmlScene.Clear()
                self.checkPlaces(addScan(ijkToRas))

    def test_a_scan_under_a_linear_transform(self):
        volumeNode = addScan(LAYOUTS["oblique"])
        moved = np.eye(4)
        moved[:3, :3] = rotation(30, 1)
        moved[:3, 3] = (12, -40, 7)
        transformNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        transformNode.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(moved))
        volumeNode.SetAndObserveTransformNodeID(transformNode.GetID())
        self.checkPlaces(volumeNode)

    def test_the_heatmap_follows_a_scan_that_is_moved_later(self):
        volumeNode = addScan()
        self.generateReport(volumeNode)
        moved = np.eye(4)
        moved[:3, 3] = (0, 0, 25)
        transformNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        transformNode.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(moved))
        volumeNode.SetAndObserveTransformNodeID(transformNode.GetID())
        np.testing.assert_allclose(corners(self.heatmapNode()), corners(volumeNode), atol=0.05)
        volumeNode.HardenTransform()
        np.testing.assert_allclose(corners(self.heatmapNode()), corners(volumeNode), atol=0.05)

    def test_a_curved_transform_is_refused_with_a_sentence(self):
        volumeNode = addScan()
        transformNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
        spline = vtk.vtkThinPlateSplineTransform()
        spline.SetBasisToR()
        source, target = vtk.vtkPoints(), vtk.vtkPoints()
        for place in itertools.product((0, 30), repeat=3):
            source.InsertNextPoint(place)
            target.InsertNextPoint([value + (5 if sum(place) == 30 else 0) for value in place])
        spline.SetSourceLandmarks(source)
        spline.SetTargetLandmarks(target)
        transformNode.SetAndObserveTransformToParent(spline)
        volumeNode.SetAndObserveTransformNodeID(transformNode.GetID())
        self.select(volumeNode)
        self.pressGenerate()
        self.assertFalse(self.controller.isBusy)
        self.assertIn("not linear", self.workbench.status.text)
        self.assertTrue(self.workbench.reportButton.enabled)
