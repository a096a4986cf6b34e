"""The state of the module that belongs to the scene and is saved with it."""

from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper

from .scene.heatcolors import COLOR_MAPS

PLANES = ("acquired", "axial", "coronal", "sagittal")
WINDOWS = ("auto", "lung", "mediastinum", "abdomen", "bone", "brain", "none")


@parameterNodeWrapper
class Med2E3SlicerParameters:
    """``window`` is one of WINDOWS or centre and width as in "40,400"; ``heatmapThreshold`` is the
    share (0 to 1) of the heat below which nothing is shown, ``reviewer`` the name that the last
    report was reviewed with. What belongs to one scan is in its own nodes (``scene/turns.py``)."""

    inputVolume: vtkMRMLScalarVolumeNode
    reviewer: str = ""
    plane: Annotated[str, Choice(PLANES)] = "axial"
    window: str = "auto"
    heatmapVisible: bool = True
    heatmapInPlane: bool = True
    heatmapAgainst: bool = False
    heatmapColors: Annotated[str, Choice(COLOR_MAPS)] = COLOR_MAPS[0]
    heatmapLegend: bool = True
    heatmapOpacity: Annotated[float, WithinRange(0, 1)] = 0.45
    heatmapThreshold: Annotated[float, WithinRange(0, 1)] = 0.3
    alignViews: bool = False
