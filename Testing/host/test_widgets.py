"""The doubles of CTK's and Slicer's widgets do what the real ones do."""

import ctk
import pytest
import qt
import slicer


def test_a_collapsible_button_hides_its_contents():
    outer = qt.QWidget()
    section = ctk.ctkCollapsibleButton(outer)
    layout = qt.QVBoxLayout(section)
    shown, hidden, heard = qt.QLabel("a"), qt.QLabel("b"), []
    layout.addWidget(shown)
    layout.addWidget(hidden)
    hidden.hide()
    section.connect("contentsCollapsed(bool)", heard.append)
    section.collapsed = True
    assert not shown.isVisibleTo(outer)
    section.collapsed = False
    assert shown.isVisibleTo(outer)
    assert not hidden.isVisibleTo(outer)
    assert heard == [True, False]


def test_a_slider_widget_keeps_slider_and_number_together():
    slider, heard = ctk.ctkSliderWidget(), []
    slider.minimum, slider.maximum, slider.singleStep, slider.decimals = 0, 1, 0.05, 2
    slider.connect("valueChanged(double)", heard.append)
    slider.value = 0.35
    slider.setValue(2.0)
    assert heard == pytest.approx([0.35, 1.0])
    assert slider.value == 1.0
    for value in (0.1, 0.37):
        slider.value = value
        assert slider.value == pytest.approx(value)


def test_a_double_slider_keeps_its_value_within_its_range():
    slider, heard = ctk.ctkDoubleSlider(), []
    slider.minimum, slider.maximum, slider.singleStep = 0.0, 1.0, 0.01
    slider.valueChanged.connect(heard.append)
    slider.value = 0.456
    slider.maximum = 0.3
    assert slider.value == 0.3
    assert heard == pytest.approx([0.456, 0.3])


def test_a_path_line_edit_remembers(tmp_path):
    edit, heard = ctk.ctkPathLineEdit(), []
    edit.filters = edit.Dirs | edit.Readable
    edit.connect("currentPathChanged(QString)", heard.append)
    edit.connect("validInputChanged(bool)", heard.append)
    edit.currentPath = str(tmp_path)
    assert heard == [True, str(tmp_path)]
    edit.settingKey = "Med2E3Slicer/modelFolder"
    edit.addCurrentPathToHistory()
    other = ctk.ctkPathLineEdit()
    other.settingKey = "Med2E3Slicer/modelFolder"
    assert other.currentPath == str(tmp_path)
    qt.QSettings().remove("Med2E3Slicer/modelFolder")


@pytest.fixture
def selector(scene):
    box = slicer.qMRMLNodeComboBox()
    box.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    box.hideChildNodeTypes = ["vtkMRMLLabelMapVolumeNode"]
    box.noneEnabled = True
    box.setMRMLScene(scene)
    return box


def test_a_node_selector_follows_the_scene(selector, scene):
    first = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "first")
    scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    scene.AddNewNodeByClass("vtkMRMLTextNode", "text")
    hidden = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "hidden")
    assert selector.nodeCount() == 2
    hidden.SetHideFromEditors(True)
    assert selector.nodeCount() == 1
    selector.setCurrentNode(first)
    assert selector.currentNodeID == first.GetID()
    heard = []
    selector.connect("currentNodeChanged(vtkMRMLNode*)", heard.append)
    scene.RemoveNode(first)
    assert heard == [None]
    assert selector.currentNode() is None


def test_a_node_selector_without_none_takes_the_first(selector, scene):
    selector.noneEnabled = False
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    assert selector.currentNode() is node
    scene.Clear(False)
    assert selector.currentNode() is None


def test_a_node_selector_selects_by_attribute(selector, scene):
    selector.addAttribute("vtkMRMLScalarVolumeNode", "Med2E3.heatmap", "1")
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    assert selector.nodeCount() == 0
    node.SetAttribute("Med2E3.heatmap", "1")
    assert selector.nodeCount() == 1
    assert selector.nodeFromIndex(0) is node


def test_a_flow_layout_wraps():
    outer = qt.QWidget()
    layout = ctk.ctkFlowLayout()
    outer.setLayout(layout)
    for _ in range(4):
        button = qt.QPushButton("x")
        button.setFixedSize(50, 20)
        layout.addWidget(button)
    outer.resize(130, 200)
    outer.show()
    tops = {child.y for child in outer.findChildren(qt.QPushButton)}
    assert len(tops) == 2
