"""What the reader should know before the model is asked, with the choice to go on or not."""

import qt
from slicer.i18n import tr as _

from .labels import textLabel


class DoubtsPanel:
    """A question in the panel rather than a window over the scan. Hidden until it is asked."""

    def __init__(self):
        self._goOn = None
        self.widget = qt.QFrame()
        self.widget.frameShape = qt.QFrame.StyledPanel
        layout = qt.QVBoxLayout(self.widget)
        self.text = textLabel()
        layout.addWidget(self.text)
        row = qt.QHBoxLayout()
        self.goOnButton = qt.QPushButton(_("Go on all the same"))
        self.goOnButton.connect("clicked()", self._onGoOn)
        row.addWidget(self.goOnButton)
        self.cancelButton = qt.QPushButton(_("Cancel"))
        self.cancelButton.connect("clicked()", self.dismiss)
        row.addWidget(self.cancelButton)
        layout.addLayout(row)
        self.dismiss()

    def ask(self, sentences, goOn):
        """Show the sentences; ``goOn()`` is called if the reader wants to."""
        self._goOn = goOn
        self.text.text = "\n".join(sentences)
        self.widget.setVisible(True)
        self.goOnButton.setFocus()

    def dismiss(self):
        """Withdraw the question."""
        self._goOn = None
        self.widget.setVisible(False)

    def _onGoOn(self):
        goOn = self._goOn
        self.dismiss()
        goOn()
