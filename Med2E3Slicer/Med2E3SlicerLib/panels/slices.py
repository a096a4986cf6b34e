"""Where the model looked: the curve, the slices by rank, and how the heatmap is shown."""

import ctk
import qt
from slicer.i18n import tr as _

from ..signal import Signal
from .curve import ScoreCurve
from .labels import textLabel
from .words import sliceName

_PICTURE = 64
_CELL_WIDTH, _CELL_HEIGHT = 76, 104
_SCROLL_BAR = 20
_PAUSE = 250
"""Milliseconds for which a slider or the window must rest before the pictures are drawn anew."""

_PREVIOUS_KEYS, _NEXT_KEYS = "Alt+Up", "Alt+Down"


class SlicesPanel:
    """``sliceChosen(number)`` names the slice of the model that the reader wants to see;
    ``plotAsked()`` asks for the plot in Slicer's layout, or for the layout from before.

    ``thumbnailMaker(size)`` returns a function of a slice's number that draws it as an array
    (rows, columns, 3) of uint8; None where there is nothing to draw.
    """

    def __init__(self, thumbnailMaker):
        self.sliceChosen = Signal()
        self.plotAsked = Signal()
        self._thumbnailMaker = thumbnailMaker
        self._attention = None
        self._caption = ""
        self._ranked = []
        self._undrawn = []
        self._draw = None

        self.widget = ctk.ctkCollapsibleButton()
        self.widget.text = _("Slices")
        layout = qt.QVBoxLayout(self.widget)
        self.subject = textLabel()
        layout.addWidget(self.subject)
        self.staleness = textLabel()
        self.staleness.text = _(
            "The scan was edited or moved after this. Ask again to see where the model looks now."
        )
        self._setBold(self.staleness)
        layout.addWidget(self.staleness)
        # Hidden as long as there is nothing to show in it.
        self.content = qt.QWidget()
        layout.addWidget(self.content)
        layout = qt.QVBoxLayout(self.content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._makePreference())
        self.curve = ScoreCurve()
        self.curve.clicked.connect(self._onCurveClicked)
        layout.addWidget(self.curve)
        layout.addWidget(self._makeRanking())
        layout.addLayout(self._makeSteps())
        layout.addWidget(self._makeHeatmap())

        self._timer = qt.QTimer(self.widget)
        self._timer.setSingleShot(True)
        self._timer.connect("timeout()", self._drawNext)
        self.showAttention(None, "")

    def addShortcuts(self, widget):
        """Let the keys for the next and the previous rank work wherever in a widget one is."""
        self.previousShortcut = self._shortcut(_PREVIOUS_KEYS, widget, self.previousButton.click)
        self.nextShortcut = self._shortcut(_NEXT_KEYS, widget, self.nextButton.click)

    def showAttention(self, attention, caption):
        """Show where the model looked for the text that the caption names; None shows nothing."""
        current = self._currentNumber() if self._isShown(attention, caption) else None
        self._attention, self._caption = attention, caption
        self._ranked = attention.rankedSlices if attention else []
        self.subject.text = caption or _("The slices appear here with the report.")
        self.staleness.setVisible(attention is not None and attention.isStale)
        self.content.setVisible(attention is not None)
        self._showPreference()
        self._showRanking(current)
        self.curve.showScores(
            [slice_.score for slice_ in attention.slices] if attention else (),
            [slice_.index for slice_ in attention.slices] if attention else (),
            [self._nameOf(slice_) for slice_ in attention.slices] if attention else (),
        )
        self.curve.setCurrent(current)
        self._updateSteps()
        self._beginDrawing(0)

    def refreshThumbnails(self):
        """Draw the slices anew: their window or the heatmap over them has changed."""
        if self._attention:
            self._beginDrawing(_PAUSE)

    # -- what it is made of ----------------------------------------------------------------------

    def _makePreference(self):
        row = qt.QHBoxLayout()
        self.preference = textLabel()
        self.preference.toolTip = _(
            "How many slices the attention is worth: 1 where one slice has it all, 4 where four "
            "share it evenly, as many as there are where all are alike (exponential of the entropy "
            "of the scores)."
        )
        row.addWidget(self.preference, 1)
        self.plotButton = qt.QPushButton(_("Plot"))
        self.plotButton.toolTip = _(
            "Show the scores in a plot view beside the slices. A second click brings back the "
            "layout from before."
        )
        self.plotButton.connect("clicked()", self.plotAsked.emit)
        row.addWidget(self.plotButton)
        return row

    def _makeRanking(self):
        self.ranking = qt.QListWidget()
        self.ranking.viewMode = qt.QListView.IconMode
        self.ranking.flow = qt.QListView.LeftToRight
        self.ranking.setWrapping(False)
        self.ranking.movement = qt.QListView.Static
        self.ranking.iconSize = qt.QSize(_PICTURE, _PICTURE)
        self.ranking.gridSize = qt.QSize(_CELL_WIDTH, _CELL_HEIGHT)
        self.ranking.horizontalScrollMode = qt.QAbstractItemView.ScrollPerPixel
        self.ranking.verticalScrollBarPolicy = qt.Qt.ScrollBarAlwaysOff
        self.ranking.setFixedHeight(_CELL_HEIGHT + _SCROLL_BAR)
        self.ranking.toolTip = _(
            "All slices, best first, as the model saw them. Click one to go there; the arrow keys "
            "go from rank to rank."
        )
        # A click on the row that is current already is meant as well.
        self.ranking.connect("currentRowChanged(int)", self._onRowChanged)
        self.ranking.connect("itemClicked(QListWidgetItem*)", self._onRowClicked)
        return self.ranking

    def _makeSteps(self):
        row = qt.QHBoxLayout()
        self.previousButton = qt.QPushButton(_("Previous"))
        self.previousButton.toolTip = _("Go to the slice ranked before this one ({keys}).").format(
            keys=_PREVIOUS_KEYS
        )
        self.previousButton.connect("clicked()", lambda: self._step(-1))
        row.addWidget(self.previousButton)
        self.position = qt.QLabel()
        self.position.alignment = qt.Qt.AlignCenter
        row.addWidget(self.position, 1)
        self.nextButton = qt.QPushButton(_("Next"))
        self.nextButton.toolTip = _("Go to the slice ranked after this one ({keys}).").format(
            keys=_NEXT_KEYS
        )
        self.nextButton.connect("clicked()", lambda: self._step(1))
        row.addWidget(self.nextButton)
        return row

    def _makeHeatmap(self):
        box = qt.QGroupBox(_("Heatmap"))
        form = qt.QFormLayout(box)
        row = qt.QHBoxLayout()
        self.heatmapVisible = qt.QCheckBox(_("Show"))
        self.heatmapVisible.toolTip = _(
            "Lay the heatmap over the slice views. Taken away, it leaves the layers that you had."
        )
        row.addWidget(self.heatmapVisible)
        row.addStretch(1)
        self.heatmapPerSlice = qt.QRadioButton(_("Per slice"))
        self.heatmapPerSlice.toolTip = _("Each slice in one colour, for its score, as published.")
        inPlane = qt.QRadioButton(_("In plane"))
        inPlane.toolTip = _(
            "Each patch with its exact share of its slice's logit, less what the same place has in "
            "all slices: which places raised their slice above the others. That is where the score "
            "came from, not where a finding is."
        )
        # A parameter of the scene can be tied to a check box and to no radio button. So a check
        # box that nobody sees stands between them.
        self.heatmapInPlane = qt.QCheckBox(box)
        self.heatmapInPlane.setVisible(False)
        self.heatmapInPlane.connect("toggled(bool)", inPlane.setChecked)
        self.heatmapInPlane.connect("toggled(bool)", self._onInPlaneToggled)
        inPlane.connect("toggled(bool)", self.heatmapInPlane.setChecked)
        row.addWidget(self.heatmapPerSlice)
        row.addWidget(inPlane)
        self.heatmapAgainst = qt.QCheckBox(_("Against"))
        self.heatmapAgainst.toolTip = _(
            "Show in blue, as well, the places that lowered their slice below the others. The "
            "colours are those for two signs then, and the threshold counts for both."
        )
        self.heatmapAgainst.connect("toggled(bool)", self._updateHeatmapControls)
        row.addWidget(self.heatmapAgainst)
        form.addRow(row)
        self.heatmapOpacity = _slider(_("How much the heatmap covers the scan."))
        form.addRow(_("Opacity"), self.heatmapOpacity)
        self.heatmapThreshold = _slider(
            _("How hot a place must be, compared with the hottest, to be coloured at all.")
        )
        form.addRow(_("Threshold"), self.heatmapThreshold)
        row = qt.QHBoxLayout()
        self.heatmapColors = qt.QComboBox()
        self.heatmapColors.toolTip = _("From cold to hot. Brightness rises all the way.")
        row.addWidget(self.heatmapColors, 1)
        self.heatmapLegend = qt.QCheckBox(_("Legend in the views"))
        self.heatmapLegend.toolTip = _("Show beside the slices which colour stands for how much.")
        row.addWidget(self.heatmapLegend)
        form.addRow(_("Colors"), row)
        self._onInPlaneToggled(False)
        return box

    def _shortcut(self, keys, widget, slot):
        shortcut = qt.QShortcut(qt.QKeySequence(keys), widget)
        shortcut.setContext(qt.Qt.WidgetWithChildrenShortcut)
        shortcut.connect("activated()", slot)
        return shortcut

    def _setBold(self, label):
        font = qt.QFont(label.font)
        font.setBold(True)
        label.setFont(font)

    # -- what it shows ---------------------------------------------------------------------------

    def _isShown(self, attention, caption):
        """Whether an attention is the one that is shown already, perhaps read from the scene."""
        if attention is None or self._attention is None or caption != self._caption:
            return False
        return attention.slices == self._attention.slices

    def _showPreference(self):
        attention = self._attention
        if attention is None:
            self.preference.text = ""
        elif attention.hasPreference:
            self.preference.text = _("Effective number of slices: {effective} of {number}.").format(
                effective=f"{attention.effectiveSlices:.1f}", number=len(attention.slices)
            )
        else:
            self.preference.text = _(
                "No clear preference: the scores are nearly even (effective number of slices: "
                "{effective} of {number}), and the ranking says little."
            ).format(effective=f"{attention.effectiveSlices:.1f}", number=len(attention.slices))

    def _showRanking(self, current):
        blocked = self.ranking.blockSignals(True)
        self.ranking.clear()
        for rank, slice_ in enumerate(self._ranked):
            item = qt.QListWidgetItem(f"{sliceName(self._attention, slice_)}\n{slice_.score:.3f}")
            item.setToolTip(
                _("Rank {rank}: {slice}").format(rank=rank + 1, slice=self._nameOf(slice_))
            )
            self.ranking.addItem(item)
            if slice_.number == current:
                self.ranking.setCurrentRow(rank)
        self.ranking.blockSignals(blocked)

    def _nameOf(self, slice_):
        return _("{slice}, score {score}").format(
            slice=sliceName(self._attention, slice_), score=f"{slice_.score:.3f}"
        )

    def _currentNumber(self):
        row = self.ranking.currentRow
        return self._ranked[row].number if 0 <= row < len(self._ranked) else None

    def _updateSteps(self):
        row = self.ranking.currentRow
        self.previousButton.enabled = row > 0
        self.nextButton.enabled = row < len(self._ranked) - 1
        if 0 <= row < len(self._ranked):
            self.position.text = _("rank {rank} of {number}").format(
                rank=row + 1, number=len(self._ranked)
            )
        else:
            self.position.text = ""

    # -- the pictures, one at a time so that nothing waits for them ---------------------------

    def _beginDrawing(self, milliseconds):
        self._draw = None
        self._undrawn = list(range(len(self._ranked)))
        if self._undrawn:
            self._timer.start(milliseconds)
        else:
            self._timer.stop()

    def _drawNext(self):
        if self._draw is None:
            self._draw = self._thumbnailMaker(_PICTURE)
        if self._draw is None:
            return
        row = self._undrawn.pop(0)
        picture = self._draw(self._ranked[row].number)
        self.ranking.item(row).setIcon(_icon(picture))
        if self._undrawn:
            self._timer.start(0)

    # -- what the reader does --------------------------------------------------------------------

    def _onRowChanged(self, row):
        if 0 <= row < len(self._ranked):
            self.curve.setCurrent(self._ranked[row].number)
            self._updateSteps()
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

    def _onInPlaneToggled(self, isInPlane):
        # Of two radio buttons in one box, one is always down.
        if not isInPlane:
            self.heatmapPerSlice.checked = True
        self._updateHeatmapControls()

    def _updateHeatmapControls(self):
        isInPlane = self.heatmapInPlane.checked
        self.heatmapAgainst.enabled = isInPlane
        self.heatmapColors.enabled = not (isInPlane and self.heatmapAgainst.checked)


def _icon(picture):
    """An icon of an array (rows, columns, 3) of uint8, in the middle of a square."""
    rows, columns = picture.shape[:2]
    pixmap = qt.QPixmap()
    pixmap.loadFromData(b"P6 %d %d 255\n" % (columns, rows) + picture.tobytes(), "PPM")
    square = qt.QPixmap(_PICTURE, _PICTURE)
    square.fill(qt.QColor(0, 0, 0))
    painter = qt.QPainter(square)
    painter.drawPixmap((_PICTURE - columns) // 2, (_PICTURE - rows) // 2, pixmap)
    painter.end()
    icon = qt.QIcon(square)
    # Not tinted where it is selected: it is a picture.
    icon.addPixmap(square, qt.QIcon.Selected)
    return icon


def _slider(toolTip):
    slider = ctk.ctkSliderWidget()
    slider.minimum = 0.0
    slider.maximum = 1.0
    slider.singleStep = 0.05
    slider.decimals = 2
    slider.toolTip = toolTip
    return slider
