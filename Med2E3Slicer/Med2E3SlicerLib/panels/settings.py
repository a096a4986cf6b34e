"""What is rarely changed, behind the gear."""

import ctk
import qt
from slicer.i18n import tr as _

from ..parameters import PLANES, WINDOWS


class SettingsPanel:
    """Preferences are written as they are changed; what belongs to the scene is bound by name."""

    def __init__(self, preferences):
        self._preferences = preferences
        self.widget = qt.QFrame()
        self.widget.frameShape = qt.QFrame.StyledPanel
        form = qt.QFormLayout(self.widget)

        self.python = ctk.ctkPathLineEdit()
        self.python.filters = ctk.ctkPathLineEdit.Files | ctk.ctkPathLineEdit.Executable
        self.python.toolTip = _(
            "The Python that has the Med2E3 engine installed. Empty: the one that the environment "
            "variable MED2E3_PYTHON names, or else Slicer's own."
        )
        form.addRow(_("Python of the engine"), self.python)

        self.modelFolder = ctk.ctkPathLineEdit()
        self.modelFolder.filters = ctk.ctkPathLineEdit.Dirs
        self.modelFolder.toolTip = _(
            "The folder of a Med-2E3 checkpoint. Empty: the demonstration model."
        )
        form.addRow(_("Model folder"), self.modelFolder)

        self.device = qt.QComboBox()
        self.device.addItems(list(preferences.DEVICES))
        self.device.toolTip = _(
            "Where the model is computed; auto takes a graphics card if there is one."
        )
        form.addRow(_("Device"), self.device)

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

        self.refresh()
        # currentPathChanged keeps silent about an empty path, and empty means the default here.
        self.python.comboBox().connect("editTextChanged(QString)", self._onPythonChanged)
        self.modelFolder.comboBox().connect("editTextChanged(QString)", self._onModelFolderChanged)
        self.device.connect("currentTextChanged(QString)", self._onDeviceChanged)

    def refresh(self):
        """Show the preferences as they are now."""
        self.python.currentPath = self._preferences.python
        self.modelFolder.currentPath = self._preferences.modelFolder
        self.device.setCurrentText(self._preferences.device)

    def _onPythonChanged(self, path):
        self._preferences.python = path

    def _onModelFolderChanged(self, path):
        self._preferences.modelFolder = path

    def _onDeviceChanged(self, device):
        self._preferences.device = device
