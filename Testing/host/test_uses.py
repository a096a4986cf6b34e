"""Every attribute that the module uses of qt, ctk and Slicer's classes, against the catalogue."""

from pathlib import Path

import pytest

from SlicerHost import catalogue, uses

pytestmark = pytest.mark.skipif(
    not catalogue.isThere(),
    reason=f"the catalogue ({catalogue.PATH.name}) is not beside this repository",
)

MODULE = Path(__file__).parents[2] / "Med2E3Slicer"


def test_the_module_uses_what_is_there():
    sources = [MODULE / "Med2E3Slicer.py", *sorted((MODULE / "Med2E3SlicerLib").rglob("*.py"))]
    assert uses.problems(sources) == []


def test_the_host_uses_what_is_there():
    """The host's own Python in Slicer's style is held to the same."""
    host = Path(uses.__file__).parent
    assert uses.problems([host / "scripted.py", host / "parameternode.py"]) == []


PANEL = """
import ctk, qt, slicer

class Bars(qt.QWidget):
    def __init__(self, parent=None):
        qt.QWidget.__init__(self, parent)
        self.scores = []

class Panel:
    def __init__(self):
        self.button = qt.QPushButton("Generate")
        self.section = ctk.ctkCollapsibleButton()
        self.selector = slicer.qMRMLNodeComboBox()
        self.bars = Bars()

    def use(self):
        {line}

class Window:
    def __init__(self):
        self.panel = Panel()

    def use(self):
        {outer}
"""


def problemsOf(line="pass", outer="pass"):
    return uses.problemsOf(PANEL.format(line=line, outer=outer))


@pytest.mark.parametrize(
    "line",
    [
        "self.button.text = 'Stop'",
        "self.button.connect('clicked()', self.use)",
        "self.button.clicked.connect(self.use)",
        "self.section.collapsed = True",
        "self.section.setVisible(True)",
        "self.selector.nodeTypes = ['vtkMRMLScalarVolumeNode']",
        "self.bars.update(); self.bars.scores.append(1)",
        "qt.QTimer.singleShot(0, self.use)",
        "qt.QDialog().exec_()",
        "slicer.app.layoutManager().sliceWidget('Red').sliceView().cornerAnnotation()",
        "slicer.util.setSliceViewerLayers(background=None, fit=True)",
        "ctk.ctkSliderWidget(None)",
    ],
)
def test_right_uses_pass(line):
    assert problemsOf(line) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("self.button.text()", "is a property and cannot be called"),
        ("self.button.txt", "QPushButton has no txt"),
        ("self.button.setText = 1", "cannot be set"),
        ("self.button.sizeHint = 1", "cannot be set"),
        ("self.button.connect('clikced()', self.use)", "no signal clikced()"),
        ("self.button.setText(text='x')", "takes no keywords"),
        ("self.section.setCollapsed(True)", "(C++ only)"),
        ("self.selector.setNodeTypes(['x'])", "(C++ only)"),
        ("self.bars.updte()", "QWidget has no updte"),
        ("self.bars.width()", "is a property"),
        ("button = qt.QCheckBox('x'); button.checkd", "QCheckBox has no checkd"),
        ("qt.QTextEdit().document()", "is a property and cannot be called"),
        ("qt.QTextEdit().textCursor().text", "QTextCursor has no text"),
        ("qt.QMessageBox.Okay", "QMessageBox has no Okay"),
        ("qt.Qt.AlignCentre", "Qt has no AlignCentre"),
        ("qt.QNothing()", "qt has no QNothing"),
        ("ctk.ctkNothing()", "ctk has no ctkNothing"),
        ("slicer.vtkMRMLNothing()", "slicer has no vtkMRMLNothing"),
        ("slicer.qMRMLNothing()", "slicer has no qMRMLNothing"),
        ("slicer.app.mainWindow()", "(C++ only)"),
        ("slicer.app.layoutManager().sliceWidget('Red').nothing()", "has no nothing"),
        ("slicer.util.nothing()", "slicer.util has no nothing"),
        ("slicer.util.executePythonModule('m', [])", "not in 5.10"),
        ("slicer.util.launchConsoleProcess([], blocking=False)", "in every release"),
        ("slicer.util.setSliceViewerLayers(bg=None)", "no argument bg"),
        ("ctk.ctkCollapsibleButton('Inputs')", "made with a parent alone"),
        ("qt.QLabel(text='x')", "takes no keywords"),
        ("slicer.qSlicerApplication()", "cannot be made"),
        ("from slicer.util import nothing", "slicer.util has no nothing"),
    ],
)
def test_wrong_uses_are_found(line, said):
    (problem,) = problemsOf(line)
    assert said in problem


def test_types_are_followed_through_the_codes_own_classes():
    (problem,) = problemsOf(outer="self.panel.button.txt")
    assert "QPushButton has no txt" in problem
    (problem,) = problemsOf(outer="self.panel.bars.updte()")
    assert "QWidget has no updte" in problem
