"""Where the model looked: the curve, the ranked slices, and how the heatmap is shown."""

import ctk
import qt
from slicer.i18n import tr as _

from ..signal import Signal
from ..turn import REPORT
from .curve import ScoreCurve
from .words import sliceName

_LIST_HEIGHT = 84


class SlicesPanel:
    """``sliceChosen(number)`` names the slice of the model that the reader wants to see."""

    def __init__(self):
        self.sliceChosen = Signal()
        self._ranked = []

        self.widget = ctk.ctkCollapsibleButton()
        self.widget.text = _("Slices")
        layout = qt.QVBoxLayout(self.widget)

        self.subject = qt.QLabel()
        self.subject.textFormat = qt.Qt.PlainText
        self.subject.wordWrap = True
        layout.addWidget(self.subject)

        self.curve = ScoreCurve()
        self.curve.clicked.connect(self._onCurveClicked)
        layout.addWidget(self.curve)

        row = qt.QHBoxLayout()
        self.ranking = qt.QListWidget()
        self.ranking.setFixedHeight(_LIST_HEIGHT)
        self.ranking.toolTip = _("Best first. Click a slice to go there.")
        # A click on the row that is current already is meant as well.
        self.ranking.connect("currentRowChanged(int)", self._onRowChanged)
        self.ranking.connect("itemClicked(QListWidgetItem*)", self._onRowClicked)
        row.addWidget(self.ranking, 1)
        buttons = qt.QVBoxLayout()
        self.previousButton = qt.QPushButton(_("Previous"))
        self.previousButton.toolTip = _("Go to the slice ranked before this one.")
        self.previousButton.connect("clicked()", lambda: self._step(-1))
        self.nextButton = qt.QPushButton(_("Next"))
        self.nextButton.toolTip = _("Go to the slice ranked after this one.")
        self.nextButton.connect("clicked()", lambda: self._step(1))
        buttons.addWidget(self.previousButton)
        buttons.addWidget(self.nextButton)
        buttons.addStretch(1)
        row.addLayout(buttons)
        layout.addLayout(row)

        form = qt.QFormLayout()
        switches = qt.QHBoxLayout()
        self.heatmapVisible = qt.QCheckBox(_("Show"))
        self.heatmapVisible.toolTip = _(
            "Lay the heatmap over the slice views. Taken away, it leaves the layers that you had."
        )
        switches.addWidget(self.heatmapVisible)
        self.heatmapInPlane = qt.QCheckBox(_("Places within the slices"))
        self.heatmapInPlane.toolTip = _(
            "Show which places speak for their slice, more than the same places of other slices. "
            "Otherwise each slice has one colour, for its score."
        )
        switches.addWidget(self.heatmapInPlane)
        switches.addStretch(1)
        form.addRow(_("Heatmap"), switches)
        self.heatmapOpacity = _slider(_("How much the heatmap covers the scan."))
        form.addRow(_("Opacity"), self.heatmapOpacity)
        self.heatmapThreshold = _slider(_("How hot a place must be to be coloured at all."))
        form.addRow(_("Threshold"), self.heatmapThreshold)
        layout.addLayout(form)
        self.showTurn(None)

    def showTurn(self, turn):
        """Show where the model looked in a turn; None shows nothing."""
        blocked = self.ranking.blockSignals(True)
        self.ranking.clear()
        self._ranked = turn.rankedSlices if turn else []
        for slice_ in self._ranked:
            self.ranking.addItem(
                _("{slice}   score {score}").format(
                    slice=sliceName(turn, slice_), score=f"{slice_.score:.3f}"
                )
            )
        self.ranking.blockSignals(blocked)
        self.curve.showScores(slice_.score for slice_ in turn.slices) if turn else (
            self.curve.showScores(())
        )
        if turn is None:
            self.subject.text = _("The slices appear here with the report.")
        elif turn.kind == REPORT:
            self.subject.text = _("Looked at for the report")
        else:
            self.subject.text = _("Looked at for: {question}").format(question=turn.question)
        self._updateButtons()

    def _onRowChanged(self, row):
        if 0 <= row < len(self._ranked):
            self.curve.setCurrent(self._ranked[row].number)
            self._updateButtons()
            self.sliceChosen.emit(self._ranked[row].number)

    def _onRowClicked(self, item):
        self.sliceChosen.emit(self._ranked[self.ranking.row(item)].number)

    def _onCurveClicked(self, number):
        for row, slice_ in enumerate(self._ranked):
            if slice_.number == number:
                self._goTo(row)

    def _step(self, rows):
        self._goTo(self.ranking.currentRow + rows)

    def _goTo(self, row):
        if row == self.ranking.currentRow:
            self._onRowChanged(row)
        else:
            self.ranking.setCurrentRow(row)

    def _updateButtons(self):
        self.previousButton.enabled = self.ranking.currentRow > 0
        self.nextButton.enabled = self.ranking.currentRow < len(self._ranked) - 1


def _slider(toolTip):
    slider = ctk.ctkSliderWidget()
    slider.minimum = 0.0
    slider.maximum = 1.0
    slider.singleStep = 0.05
    slider.decimals = 2
    slider.toolTip = toolTip
    return slider
