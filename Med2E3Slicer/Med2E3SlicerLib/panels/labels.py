"""Labels for sentences, which break into lines and never make the panel wider."""

import qt


def textLabel(text=""):
    """A label for a text of any length, shown as it is written.

    Slicer makes the module panel as wide as its widgets would like to be. A sentence would like to
    stand on one line; without this, each new one would move the slice views beside the panel.
    """
    label = qt.QLabel(text)
    label.textFormat = qt.Qt.PlainText
    label.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Preferred)
    label.wordWrap = True
    return label
