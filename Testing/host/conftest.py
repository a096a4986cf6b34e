"""The host's own tests run in the host."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import SlicerHost
from slot_errors import no_slot_errors  # noqa: F401 - a fixture for every test here

SlicerHost.start()

import slicer  # noqa: E402 - complete only once the host has started


@pytest.fixture
def scene():
    slicer.mrmlScene.Clear(False)
    yield slicer.mrmlScene
    slicer.mrmlScene.Clear(False)


@pytest.fixture
def volume(scene):
    """A bright ball in the dark, 40 voxels a side, 1 mm, centred at the origin."""
    import numpy as np

    k, j, i = np.mgrid[-20:20, -20:20, -20:20] + 0.5
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "ball")
    values = np.where(k**2 + j**2 + i**2 < 10**2, 1000, 0).astype(np.int16)
    slicer.util.updateVolumeFromArray(node, values)
    node.SetOrigin(-19.5, -19.5, -19.5)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().AutoWindowLevelOff()
    node.GetDisplayNode().SetWindowLevelMinMax(0, 1000)
    return node
