"""`slicer.parameterNodeWrapper`: types, defaults, limits, and widgets tied to parameters."""

import enum
from pathlib import Path
from typing import Annotated

import ctk
import pytest
import qt
import slicer
from slicer import vtkMRMLScalarVolumeNode
from slicer.parameterNodeWrapper import (
    Choice,
    Default,
    Maximum,
    Minimum,
    WithinRange,
    parameterNodeWrapper,
)


class Plane(enum.Enum):
    ACQUIRED = 1
    AXIAL = 2


@parameterNodeWrapper
class Parameters:
    volume: vtkMRMLScalarVolumeNode
    opacity: Annotated[float, WithinRange(0, 1)] = 0.4
    tokens: Annotated[int, Minimum(1), Maximum(512)] = 256
    window: Annotated[str, Choice(["auto", "lung"])] = "auto"
    plane: Plane = Plane.AXIAL
    question: str = ""
    isVisible: bool = True
    model: Path = Path()
    count: Annotated[int, Default(7)]


@pytest.fixture
def node(scene):
    return scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")


@pytest.fixture
def parameters(node):
    return Parameters(node)


def test_defaults_are_written_into_the_node(parameters, node):
    assert node.GetParameter("opacity") == "0.4"
    assert node.GetParameter("plane") == "AXIAL"
    assert node.GetParameter("isVisible") == "True"
    assert (parameters.volume, parameters.question, parameters.count) == (None, "", 7)
    assert parameters.default("opacity").value == 0.4


def test_what_the_node_holds_is_kept(node):
    node.SetParameter("opacity", "0.9")
    assert Parameters(node).opacity == 0.9


def test_values_come_back_with_their_types(parameters):
    parameters.opacity, parameters.tokens = 1, 12
    parameters.plane, parameters.model = Plane.ACQUIRED, Path("models/tiny")
    parameters.isVisible, parameters.question = False, "Where?"
    assert (parameters.opacity, parameters.tokens) == (1.0, 12)
    assert (parameters.plane, parameters.model) == (Plane.ACQUIRED, Path("models/tiny"))
    assert (parameters.isVisible, parameters.question) == (False, "Where?")
    assert parameters.getValue("tokens") == 12
    parameters.setValue("tokens", 13)
    assert parameters.tokens == 13


def test_a_node_is_a_reference_of_that_role(parameters, node, volume):
    parameters.volume = volume
    assert node.GetNodeReferenceID("volume") == volume.GetID()
    assert parameters.volume is volume
    slicer.mrmlScene.RemoveNode(volume)
    assert parameters.volume is None


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("opacity", 1.5, ValueError),
        ("tokens", 0, ValueError),
        ("tokens", 513, ValueError),
        ("window", "brain", ValueError),
        ("question", None, TypeError),
        ("tokens", 1.5, TypeError),
        ("isVisible", 1, TypeError),
        ("volume", "vtkMRMLScalarVolumeNode1", TypeError),
        ("nothing", 1, ValueError),
    ],
)
def test_wrong_values_are_refused(parameters, name, value, error):
    with pytest.raises(error):
        parameters.setValue(name, value)


def test_reserved_names_and_unknown_types_are_refused():
    with pytest.raises(ValueError, match="reserved name 'Modified'"):

        @parameterNodeWrapper
        class Reserved:
            Modified: int

    with pytest.raises(TypeError, match="Unable to create serializer"):

        @parameterNodeWrapper
        class Unknown:
            values: complex


def test_closing_the_scene_brings_the_defaults_back(scene):
    logic = slicer.ScriptedLoadableModule.ScriptedLoadableModuleLogic()
    parameters = Parameters(logic.getParameterNode())
    parameters.opacity = 0.9
    scene.Clear(False)
    assert parameters.opacity == 0.4


def test_widgets_follow_parameters_and_the_other_way_round(parameters, volume):
    widgets = {
        "opacity": ctk.ctkSliderWidget(),
        "tokens": qt.QSpinBox(),
        "window": qt.QComboBox(),
        "plane": qt.QComboBox(),
        "question": qt.QLineEdit(),
        "isVisible": qt.QCheckBox(),
        "model": ctk.ctkPathLineEdit(),
        "volume": slicer.qMRMLNodeComboBox(),
    }
    widgets["volume"].nodeTypes = ["vtkMRMLScalarVolumeNode"]
    widgets["volume"].noneEnabled = True
    widgets["volume"].setMRMLScene(slicer.mrmlScene)
    tag = parameters.connectParametersToGui(widgets)
    assert (widgets["opacity"].value, widgets["opacity"].maximum) == (0.4, 1)
    assert (widgets["tokens"].minimum, widgets["tokens"].maximum) == (1, 512)
    assert widgets["plane"].currentText == "AXIAL"

    parameters.opacity, parameters.window, parameters.volume = 0.7, "lung", volume
    assert widgets["opacity"].value == 0.7
    assert widgets["window"].currentText == "lung"
    assert widgets["volume"].currentNode() is volume

    widgets["question"].text = "Where?"
    widgets["isVisible"].click()
    widgets["plane"].setCurrentIndex(0)
    widgets["model"].currentPath = "/models"
    widgets["volume"].setCurrentNode(None)
    assert (parameters.question, parameters.isVisible) == ("Where?", False)
    assert (parameters.plane, parameters.model) == (Plane.ACQUIRED, Path("/models"))
    assert parameters.volume is None

    parameters.disconnectGui(tag)
    widgets["question"].text = "When?"
    assert parameters.question == "Where?"


def test_widgets_are_found_by_their_dynamic_property(parameters):
    panel = qt.QWidget()
    edit = qt.QLineEdit(panel)
    edit.setProperty("SlicerParameterName", "question")
    parameters.connectGui(panel)
    edit.text = "Where?"
    assert parameters.question == "Where?"


class OwnEdit(qt.QLineEdit):
    pass


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("question", qt.QPlainTextEdit),
        ("question", qt.QTextBrowser),
        ("question", OwnEdit),
        ("isVisible", qt.QRadioButton),
        ("volume", qt.QComboBox),
        ("count", qt.QSlider),
        ("question", qt.QComboBox),
    ],
)
def test_only_exact_widget_types_with_a_connector_are_taken(parameters, name, make):
    with pytest.raises(RuntimeError):
        parameters.connectParametersToGui({name: make()})
