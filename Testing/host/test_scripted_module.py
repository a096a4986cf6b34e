"""A scripted module is loaded, shown, left, reloaded and unloaded as in Slicer."""

import pytest
import slicer

import SlicerHost

SOURCE = """
import ctk
import qt
import slicer
from slicer.i18n import tr as _, translate
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin

told = []

class Sample(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Sample module")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Informatics")]

class SampleWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.button = qt.QPushButton(_("Go"))
        self.layout.addWidget(self.button)
        told.append("setup")

    def enter(self):
        told.append("enter")

    def exit(self):
        told.append("exit")

    def cleanup(self):
        self.removeObservers()
        told.append("cleanup")

class SampleLogic(ScriptedLoadableModuleLogic):
    pass

class SampleTest(ScriptedLoadableModuleTest):
    def test_one(self):
        told.append("test_one")

    def runTest(self):
        self.setUp()
        self.test_one()
"""


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("module")
    (folder / "Sample.py").write_text(SOURCE, encoding="utf-8")
    return SlicerHost.load_module(folder / "Sample.py")


@pytest.fixture
def told(sample):
    import Sample

    slicer.util.getModuleWidget("Sample")
    Sample.told.clear()
    return Sample.told


def test_the_module_tells_who_it_is(sample):
    assert slicer.modules.sample is sample
    assert (sample.title, sample.name) == ("Sample module", "Sample")
    assert sample.categories == ("Informatics",)
    assert slicer.util.modulePath("Sample").endswith("Sample.py")
    assert "Sample" in slicer.util.moduleNames()


def test_its_widget_is_set_up_at_the_first_visit(sample):
    widget = slicer.util.getModuleWidget("Sample")
    assert widget.button.text == "Go"
    assert slicer.util.getModuleWidget("Sample") is widget
    assert slicer.modules.SampleWidget is widget
    assert sample.widgetRepresentation().self() is widget
    assert widget.resourcePath("x").endswith("/Resources/x")


def test_it_is_entered_and_left(told):
    widget = slicer.util.getModuleWidget("Sample")
    slicer.util.selectModule("Sample")
    assert slicer.util.selectedModule() == "Sample"
    assert widget.parent.isEntered
    assert widget.button.visible
    slicer.util.selectModule("Volumes")
    assert not widget.parent.isEntered
    assert told == ["enter", "exit"]


def test_reload_cleans_up_and_sets_up_again(told):
    former = slicer.util.getModuleWidget("Sample")
    former.onReload()
    import Sample

    assert told == ["cleanup"]
    assert Sample.told == ["setup"]
    assert slicer.util.getModuleWidget("Sample") is not former


def test_a_second_widget_can_be_made(told):
    other = slicer.util.getNewModuleWidget("Sample")
    assert other is not slicer.util.getModuleWidget("Sample")
    assert told == ["setup"]


def test_unloading_cleans_up(sample, told):
    slicer.util.getModuleWidget("Sample")
    slicer.app.moduleManager().moduleAboutToBeUnloaded.emit("Sample")
    assert "cleanup" in told


def test_its_test_runs(told):
    import Sample

    Sample.SampleTest().runTest()
    assert told == ["test_one"]


def test_the_logics_parameter_node_is_a_singleton_of_the_scene(sample, scene):
    import Sample

    logic = Sample.SampleLogic()
    node = logic.getParameterNode()
    assert logic.getParameterNode() is node
    assert node.GetSingletonTag() == "Sample"
    assert node.GetAttribute("ModuleName") == "Sample"
    assert logic.getAllParameterNodes() == [node]


def test_messages_open_no_dialog(caplog):
    slicer.util.errorDisplay("The file is not an image.")
    assert "The file is not an image." in caplog.text
    with pytest.raises(ValueError, match="inner"), slicer.util.tryWithErrorDisplay("outer"):
        raise ValueError("inner")


def test_the_environment_before_slicer_is_known():
    import os

    assert slicer.util.startupEnvironment()["PATH"] == os.environ["PATH"]
    process = slicer.util.launchConsoleProcess(["echo", "hello"])
    assert process.communicate()[0] == "hello\n"
