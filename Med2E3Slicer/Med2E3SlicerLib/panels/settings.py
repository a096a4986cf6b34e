"""What is rarely changed, behind the gear."""

import ctk
import qt
from slicer.i18n import tr as _

from ..figures import sizeInWords
from ..parameters import PLANES, WINDOWS
from ..signal import Signal
from .labels import textLabel
from .server import ServerPanel
from .setup import EngineNotice


class SettingsPanel:
    """Preferences are written as they are changed; what belongs to the scene is bound by name.

    ``changeModelRequested()`` asks for the panel in which a model is chosen, ``logRequested()`` for
    a log to save; ``placeChanged()`` tells that the engine is to be somewhere else, ``changed()``
    that it, its model or how it is used is another one.
    """

    def __init__(self, setup):
        self.changeModelRequested = Signal()
        self.logRequested = Signal()
        self.placeChanged = Signal()
        self.changed = Signal()
        self._setup = setup
        self._preferences = setup.preferences
        self.widget = qt.QFrame()
        self.widget.frameShape = qt.QFrame.StyledPanel
        form = qt.QFormLayout(self.widget)

        self.place = qt.QComboBox()
        self.place.addItems([_("On this computer"), _("On a server")])
        self.place.toolTip = _("Where the model is computed, and so where the scan goes.")
        form.addRow(_("Engine"), self.place)
        self.server = ServerPanel(self._preferences)
        form.addRow(self.server.widget)
        self._ofThisComputer = qt.QWidget()
        form.addRow(self._ofThisComputer)
        whole, form = form, qt.QFormLayout(self._ofThisComputer)
        form.setContentsMargins(0, 0, 0, 0)

        self.modelFolder = ctk.ctkPathLineEdit()
        self.modelFolder.filters = ctk.ctkPathLineEdit.Dirs
        self.modelFolder.toolTip = _(
            "The folder of a Med-2E3 checkpoint. Empty: the demonstration model."
        )
        self.modelFolder.comboBox().lineEdit().placeholderText = _("the demonstration model")
        form.addRow(_("Model folder"), self.modelFolder)
        row = qt.QHBoxLayout()
        self.changeModelButton = qt.QPushButton(_("Choose or download…"))
        self.changeModelButton.connect("clicked()", self.changeModelRequested.emit)
        row.addWidget(self.changeModelButton)
        self.removeModelButton = qt.QPushButton(_("Delete download"))
        self.removeModelButton.toolTip = _(
            "Delete the downloaded model from the disk; the demonstration model is used then."
        )
        self.removeModelButton.checkable = True
        self.removeModelButton.connect("clicked()", self._onRemove)
        row.addWidget(self.removeModelButton)
        form.addRow("", row)

        self.device = qt.QComboBox()
        self.device.addItems(list(self._preferences.DEVICES))
        self.device.toolTip = _(
            "Where the model is computed; auto takes a graphics card if there is one."
        )
        form.addRow(_("Device"), self.device)
        self.precision = qt.QComboBox()
        self.precision.addItems(list(self._preferences.PRECISIONS))
        self.precision.toolTip = _(
            "How exactly the model is computed: bfloat16 takes half the memory of float32, int8 "
            "and int4 less, with another word here and there. auto takes what is fastest on this "
            "computer and fits into its memory."
        )
        form.addRow(_("Precision"), self.precision)
        self.machine = textLabel()
        form.addRow("", self.machine)
        self.readsAhead = qt.QCheckBox(_("Read a scan as soon as it is chosen"))
        self.readsAhead.toolTip = _(
            "A report then begins sooner. The engine works in the background and takes its memory "
            "before anything is asked."
        )
        form.addRow("", self.readsAhead)
        form = whole

        self.python = ctk.ctkPathLineEdit()
        self.python.filters = ctk.ctkPathLineEdit.Files | ctk.ctkPathLineEdit.Executable
        self.python.toolTip = _(
            "The Python that has the Med2E3 engine installed. Empty: the one that the environment "
            "variable MED2E3_PYTHON names, or else Slicer's own."
        )
        self.python.comboBox().lineEdit().placeholderText = _("the default")
        form.addRow(_("Python of the engine"), self.python)
        self.engine = EngineNotice(setup)
        form.addRow(self.engine.widget)

        self.plane = qt.QComboBox()
        self.plane.addItems(list(PLANES))
        self.plane.toolTip = _(
            "How the scan is cut into the slices that the model sees; acquired takes its own."
        )
        form.addRow(_("Plane"), self.plane)

        self.window = qt.QComboBox()
        self.window.editable = True
        self.window.insertPolicy = qt.QComboBox.NoInsert
        self.window.addItems(list(WINDOWS))
        self.window.toolTip = _(
            "How grey values are scaled for the model: a name, or centre and width such as 40,400."
        )
        form.addRow(_("Window"), self.window)

        self.alignViews = qt.QCheckBox(_("Turn the views to the scan when they jump"))
        self.alignViews.toolTip = _("For scans that lie oblique in the patient's space.")
        form.addRow(self.alignViews)

        row = qt.QHBoxLayout()
        self.checkButton = qt.QPushButton(_("Check everything"))
        self.checkButton.toolTip = _(
            "Looks at Python, packages, memory and model, and asks the demonstration model about "
            "a small test volume."
        )
        self.checkButton.connect("clicked()", self._onCheck)
        row.addWidget(self.checkButton)
        self.logButton = qt.QPushButton(_("Save log…"))
        self.logButton.toolTip = _(
            "For a report of a fault. Holds states, times and versions; no names, paths or texts."
        )
        self.logButton.connect("clicked()", self.logRequested.emit)
        row.addWidget(self.logButton)
        form.addRow(row)
        self.findings = textLabel()
        form.addRow(self.findings)

        self.refresh()
        self.place.connect("currentIndexChanged(int)", self._onPlaceChanged)
        self.server.changed.connect(self._onServerChanged)
        self.server.testRequested.connect(self._onCheck)
        # currentPathChanged keeps silent about an empty path, and empty means the default here.
        self.python.comboBox().connect("editTextChanged(QString)", self._onPythonChanged)
        self.modelFolder.comboBox().connect("editTextChanged(QString)", self._onModelFolderChanged)
        self.device.connect("currentTextChanged(QString)", self._onDeviceChanged)
        self.precision.connect("currentTextChanged(QString)", self._onPrecisionChanged)
        self.readsAhead.connect("toggled(bool)", self._onReadsAheadChanged)
        setup.examined.connect(lambda examination: self._showMachine())
        setup.found.connect(self._onFound)
        setup.checkEnded.connect(self._onCheckEnded)
        setup.removed.connect(self._onRemoved)

    def refresh(self):
        """Show the preferences as they are now."""
        self.place.setCurrentIndex(int(self._preferences.usesServer))
        self.server.refresh()
        self.python.currentPath = self._preferences.python
        self.modelFolder.currentPath = self._preferences.modelFolder
        self.device.setCurrentText(self._preferences.device)
        self.precision.setCurrentText(self._preferences.precision)
        self.readsAhead.checked = self._preferences.readsAhead
        self._showState()

    def examine(self):
        """Find out what the machine has, unless that is known."""
        if self._setup.examination is None:
            self._setup.examine()

    # -- what the user does ----------------------------------------------------------------------

    def _onPlaceChanged(self, index):
        self._preferences.usesServer = bool(index)
        if index:
            # There is no model to choose first.
            self._preferences.isSetUp = True
        self._onServerChanged()

    def _onServerChanged(self):
        self.findings.text = ""
        self._showState()
        self.placeChanged.emit()
        self.changed.emit()

    def _onPythonChanged(self, path):
        self._preferences.python = path
        self._showState()
        self.changed.emit()

    def _onModelFolderChanged(self, path):
        self._preferences.modelFolder = path
        self._showState()
        self.changed.emit()

    def _onDeviceChanged(self, device):
        self._preferences.device = device
        self._showMachine()
        self.changed.emit()

    def _onPrecisionChanged(self, precision):
        self._preferences.precision = precision
        self._showMachine()
        self.changed.emit()

    def _onReadsAheadChanged(self, readsAhead):
        self._preferences.readsAhead = readsAhead
        self.changed.emit()

    def _onRemove(self):
        # Pressed a second time, it means it.
        if self.removeModelButton.checked:
            self.removeModelButton.text = _("Really delete?")
        else:
            self._setup.removeModel()

    def _onCheck(self):
        self.findings.text = _("Checking…")
        self._isFirstFinding = True
        self.checkButton.enabled = False
        self.findings.setVisible(True)
        self._setup.check()

    # -- what the setup tells --------------------------------------------------------------------

    def _onFound(self, finding):
        mark = "✓" if finding.isWell else "✗"
        before = "" if self._isFirstFinding else self.findings.text + "\n"
        self._isFirstFinding = False
        self.findings.text = f"{before}{mark} {finding.sentence}"

    def _onCheckEnded(self, isWell):
        ending = _("Everything is in order.") if isWell else _("See the lines with ✗.")
        self.findings.text += "\n" + ending
        self.checkButton.enabled = True

    def _onRemoved(self, sentence):
        self.refresh()
        if sentence:
            self.findings.text = sentence
            self.findings.setVisible(True)

    def _showState(self):
        self.server.widget.setVisible(self._preferences.usesServer)
        self._ofThisComputer.setVisible(not self._preferences.usesServer)
        self.engine.refresh()
        self.removeModelButton.checked = False
        self.removeModelButton.text = _("Delete download")
        self.removeModelButton.setVisible(self._setup.chosenModelIsDownloaded())
        self.findings.setVisible(bool(self.findings.text))
        self._showMachine()

    def _showMachine(self):
        found = self._setup.examination
        lines = []
        for device in found.devices if found else ():
            name = _("Processor") if device["kind"] == "cpu" else device["name"]
            lines.append(
                _("{name}: {free} of {total} free").format(
                    name=name,
                    free=sizeInWords(device["memory_free"]),
                    total=sizeInWords(device["memory_total"]),
                )
            )
        if found and found.memory and found.cpuSeconds is not None:
            needed = ", ".join(f"{name} {sizeInWords(size)}" for name, size in found.memory.items())
            lines.append(_("The model needs: {needed}").format(needed=needed))
        lines += self._setup.doubts()
        self.machine.text = "\n".join(lines)
        self.machine.setVisible(bool(lines))
