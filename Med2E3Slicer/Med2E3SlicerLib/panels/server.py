"""A server instead of this computer: where it is, who asks, and what that means for the scan."""

from urllib.parse import urlsplit

import ctk
import qt
from slicer.i18n import tr as _

from ..signal import Signal
from .labels import textLabel


class ServerPanel:
    """Writes the preferences as they are changed, and then says ``changed()``;
    ``testRequested()`` asks for a try of the connection."""

    def __init__(self, preferences):
        self.changed = Signal()
        self.testRequested = Signal()
        self._preferences = preferences
        self.widget = qt.QWidget()
        form = qt.QFormLayout(self.widget)
        form.setContentsMargins(0, 0, 0, 0)

        self.consequences = textLabel()
        self.consequences.text = _(
            "With a server, the scan's voxels and your questions leave this computer, and whoever "
            "keeps the server can read them. The patient's name, number and dates are not sent, "
            "but a face can be seen in a scan of a head. Ask whether you may."
        )
        form.addRow(self.consequences)

        self.address = qt.QLineEdit()
        self.address.placeholderText = "https://ct.example.org:8484"
        form.addRow(_("Address"), self.address)

        self.tokenFile = ctk.ctkPathLineEdit()
        self.tokenFile.filters = ctk.ctkPathLineEdit.Files
        self.tokenFile.toolTip = _(
            "A file with the token that the server's keeper gave to you. Empty: the token in the "
            "environment variable MED2E3_SERVER_TOKEN, if there is one."
        )
        form.addRow(_("Token file"), self.tokenFile)

        self.testButton = qt.QPushButton(_("Test the connection"))
        self.testButton.toolTip = _("Asks the server about a small test volume, not about a scan.")
        self.testButton.connect("clicked()", self.testRequested.emit)
        form.addRow("", self.testButton)

        self.refresh()
        self.address.connect("textChanged(QString)", self._onAddressChanged)
        self.tokenFile.comboBox().connect("editTextChanged(QString)", self._onTokenFileChanged)

    def refresh(self):
        """Show the preferences as they are now."""
        self.address.text = self._preferences.serverAddress
        self.tokenFile.currentPath = self._preferences.tokenFile

    def _onAddressChanged(self, address):
        self._preferences.serverAddress = address
        self.changed.emit()

    def _onTokenFileChanged(self, path):
        self._preferences.tokenFile = path
        self.changed.emit()


def serverNotice(preferences):
    """What has to be read before every click, while the engine is on a server; else ""."""
    if not preferences.usesServer:
        return ""
    host = urlsplit(preferences.serverAddress).netloc or _("a server")
    return _("The scan and your questions are sent to {host}.").format(host=host)
