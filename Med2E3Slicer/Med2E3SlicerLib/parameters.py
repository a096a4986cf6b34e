"""The state of the module that belongs to the scene and is saved with it."""

from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper

PLANES = ("acquired", "axial", "coronal", "sagittal")
WINDOWS = ("auto", "lung", "mediastinum", "abdomen", "bone", "brain", "none")


@parameterNodeWrapper
class Med2E3SlicerParameters:
    """``window`` is one of WINDOWS or centre and width as in "40,400"; ``heatmapThreshold`` is the
    share (0 to 1) of the heat below which nothing is shown."""

    inputVolume: vtkMRMLScalarVolumeNode
    plane: Annotated[str, Choice(PLANES)] = "axial"
    window: str = "auto"
    heatmapVisible: bool = True
    heatmapInPlane: bool = True
    heatmapOpacity: Annotated[float, WithinRange(0, 1)] = 0.45
    heatmapThreshold: Annotated[float, WithinRange(0, 1)] = 0.3
    alignViews: bool = False
