"""Small pictures of the slices as the model saw them, in the window that the reader sees."""

import numpy as np
import slicer.util
import vtk

from .heatmap import heatOf, scaleOf
from .volumes import voxelsOf

_SAMPLES = 3
"""Voxels averaged along each side of a pixel: CT is noisy, and a pixel is many voxels wide."""


def thumbnailMaker(volumeNode, attention, display, size):
    """A function of a slice's number that returns its picture (rows, columns, 3), uint8.

    The picture shows all that the heatmap covers, ``size`` pixels along its longer side, grey as in
    the volume's window and, where ``display`` tells places within the slices apart, with the
    heatmap over it. Outside the scan it is black. One picture takes about a millisecond, whatever
    the size of the scan.
    """
    voxels = voxelsOf(volumeNode)
    low, high = _window(volumeNode)
    rows, columns = _pixels(volumeNode, attention, size)
    isOverlaid = display.isVisible and display.inPlane
    heat = heatOf(attention, display) if isOverlaid else None
    scale = scaleOf(attention, display) if isOverlaid else None

    def make(number):
        values = _sampled(voxels, attention, number, rows * _SAMPLES, columns * _SAMPLES, low)
        grey = values.reshape(rows, _SAMPLES, columns, _SAMPLES).mean(axis=(1, 3))
        picture = np.clip((grey - low) / (high - low), 0, 1)[..., None] * np.ones(3)
        if isOverlaid:
            colors = scale.colorsOf(_enlarged(heat[number], rows, columns))
            cover = display.opacity * colors[..., 3:]
            picture = (1 - cover) * picture + cover * colors[..., :3]
        return np.round(255 * picture).astype(np.uint8)

    return make


def _window(volumeNode):
    displayNode = volumeNode.GetDisplayNode()
    if displayNode is None:
        low, high = volumeNode.GetImageData().GetScalarRange()
    else:
        low, high = displayNode.GetWindowLevelMin(), displayNode.GetWindowLevelMax()
    return low, max(high, low + 1e-6)


def _pixels(volumeNode, attention, size):
    """(rows, columns) of a picture with square pixels in the patient."""
    ijkToRas = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(ijkToRas)
    steps = slicer.util.arrayFromVTKMatrix(ijkToRas) @ attention.heatmapToIjk
    width, height = np.linalg.norm(steps[:3, :2], axis=0) * attention.patchShares.shape[:0:-1]
    pixel = max(width, height) / size
    return max(1, round(height / pixel)), max(1, round(width / pixel))


def _sampled(voxels, attention, number, rows, columns, outside):
    """(rows, columns): the voxels nearest to the places of a slice's grid."""
    patchRows, patchColumns = attention.patchShares.shape[1:]
    row = (np.arange(rows) + 0.5) / rows * patchRows - 0.5
    column = (np.arange(columns) + 0.5) / columns * patchColumns - 0.5
    matrix = attention.heatmapToIjk
    # Separable, as the map is affine: one sum for each pixel and axis, and no list of points.
    start = matrix[:3, 2] * number + matrix[:3, 3]
    index, isInside = [], True
    for axis, length in zip((2, 1, 0), voxels.shape, strict=True):
        place = start[axis] + np.add.outer(matrix[axis, 1] * row, matrix[axis, 0] * column)
        nearest = np.round(place).astype(int)
        isInside = isInside & (nearest >= 0) & (nearest < length)
        index.append(np.clip(nearest, 0, length - 1))
    return np.where(isInside, voxels[tuple(index)], outside)


def _enlarged(values, rows, columns):
    """(rows, columns): a small picture, linear between the centres of its own pixels."""
    for axis, length in ((0, rows), (1, columns)):
        own = values.shape[axis]
        place = np.clip((np.arange(length) + 0.5) / length * own - 0.5, 0, own - 1)
        before = np.minimum(place.astype(int), max(own - 2, 0))
        after = np.minimum(before + 1, own - 1)
        share = (place - before).reshape((-1, 1) if axis == 0 else (1, -1))
        values = values.take(before, axis) * (1 - share) + values.take(after, axis) * share
    return values
