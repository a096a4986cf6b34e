"""The first use: which model is to write, in words, and nothing happens without consent."""

import ctk
import qt
from slicer.i18n import tr as _

from ..engine import InstallationError
from ..figures import sizeInWords
from ..signal import Signal
from .labels import textLabel

HUB_PAGE = "https://huggingface.co/shiym2000/Med-2E3-M3D"
_INDENT = 22


class SetupPanel:
    """Three choices of a model, and what the engine still lacks. ``chosen()`` once one is made."""

    def __init__(self, setup):
        self.chosen = Signal()
        self._setup = setup

        self.widget = qt.QFrame()
        self.widget.frameShape = qt.QFrame.StyledPanel
        layout = qt.QVBoxLayout(self.widget)

        self.title = qt.QLabel(_("Which model is to write?"))
        font = qt.QFont(self.title.font)
        font.setBold(True)
        self.title.setFont(font)
        layout.addWidget(self.title)

        self.demonstration = _choice(layout, _("The demonstration model"))
        _words(
            layout,
            _("Nothing to download. {description}").format(
                description=setup.demonstrationDescription()
            ),
        )

        self.released = _choice(layout, _("The released Med-2E3"))
        _words(
            layout,
            _(
                "Download: 8.7 GB from huggingface.co (shiym2000/Med-2E3-M3D, and the vocabulary "
                "of GoodBaiBai88/M3D-CLIP).\n"
                "Needs: a graphics card with 9 GB free; or 18 GB of memory, and minutes for a "
                "report.\n"
                "Licences: code Apache 2.0; weights as their page says; training images (M3D-Data) "
                "for non-commercial use only. For research, not for care."
            ),
        )
        self._releasedBox = qt.QWidget()
        box = _indented(self._releasedBox)
        self.page = qt.QLabel(f'<a href="{HUB_PAGE}">{HUB_PAGE.partition("//")[2]}</a>')
        self.page.openExternalLinks = True
        box.addWidget(self.page)
        row = qt.QHBoxLayout()
        row.addWidget(qt.QLabel(_("Save to")))
        self.target = ctk.ctkPathLineEdit()
        self.target.filters = ctk.ctkPathLineEdit.Dirs
        self.target.toolTip = _("A new or empty folder on a disk with 9 GB free.")
        self.target.currentPath = setup.defaultFolder()
        row.addWidget(self.target, 1)
        box.addLayout(row)
        self.consent = qt.QCheckBox(_("I accept these terms; download it"))
        box.addWidget(self.consent)
        row = qt.QHBoxLayout()
        self.downloadButton = qt.QPushButton(_("Download"))
        row.addWidget(self.downloadButton)
        self.stopButton = qt.QPushButton(_("Stop"))
        self.stopButton.toolTip = _("What has arrived is kept; Download goes on with it.")
        row.addWidget(self.stopButton)
        box.addLayout(row)
        self.progress = qt.QProgressBar()
        box.addWidget(self.progress)
        layout.addWidget(self._releasedBox)

        self.onDisk = _choice(layout, _("A model in a folder on this computer"))
        self._folderBox = qt.QWidget()
        box = _indented(self._folderBox)
        self.folder = ctk.ctkPathLineEdit()
        self.folder.filters = ctk.ctkPathLineEdit.Dirs
        self.folder.toolTip = _("The folder that holds the model's config.json.")
        self.folder.currentPath = setup.preferences.modelFolder
        box.addWidget(self.folder)
        layout.addWidget(self._folderBox)

        self.engine = EngineNotice(setup)
        layout.addWidget(self.engine.widget)

        self.status = textLabel()
        layout.addWidget(self.status)
        self.useButton = qt.QPushButton(_("Use this model"))
        layout.addWidget(self.useButton)

        self.demonstration.checked = True
        for choice in (self.demonstration, self.released, self.onDisk):
            choice.connect("toggled(bool)", self._showState)
        self.consent.connect("toggled(bool)", self._showState)
        self.folder.comboBox().connect("editTextChanged(QString)", self._showState)
        self.downloadButton.connect("clicked()", self._download)
        self.stopButton.connect("clicked()", setup.stopDownload)
        self.useButton.connect("clicked()", self._use)
        setup.downloadProgressed.connect(self._onProgress)
        setup.downloadEnded.connect(self._onDownloadEnded)
        self._showState()

    def refresh(self):
        """Show what is chosen and what is missing now."""
        self.folder.currentPath = self._setup.preferences.modelFolder
        self.engine.refresh()
        self._showState()

    def _download(self):
        self.status.text = ""
        self.progress.setRange(0, 0)
        self._setup.download(self.target.currentPath)
        self._showState()

    def _use(self):
        self._setup.chooseModel(self.folder.currentPath if self.onDisk.checked else "")
        self.chosen.emit()

    def _showState(self):
        isDownloading = self._setup.isDownloading
        self._releasedBox.setVisible(self.released.checked)
        self._folderBox.setVisible(self.onDisk.checked)
        for widget in (self.demonstration, self.released, self.onDisk, self.target, self.consent):
            widget.enabled = not isDownloading
        self.downloadButton.enabled = self.consent.checked and not isDownloading
        self.stopButton.enabled = isDownloading
        self.progress.setVisible(isDownloading)
        # The released model is chosen by its download.
        self.useButton.setVisible(not self.released.checked)
        hasFolder = bool(self.folder.currentPath.strip())
        self.useButton.enabled = not self.onDisk.checked or hasFolder
        self.status.setVisible(bool(self.status.text))

    def _onProgress(self, stage, done, total):
        self.progress.setRange(0, 1000)
        self.progress.setValue(round(1000 * done / total) if total else 0)
        doing = _("Checking") if stage == "verify" else _("Downloading")
        self.progress.setFormat(
            _("{doing}: {done} of {total}").format(
                doing=doing, done=sizeInWords(done), total=sizeInWords(total)
            )
        )

    def _onDownloadEnded(self, sentence):
        self.status.text = sentence
        self._showState()
        if not sentence:
            self.chosen.emit()


class EngineNotice:
    """What the engine's Python lacks, and the button that installs it. Hidden if nothing."""

    def __init__(self, setup):
        self._setup = setup
        self.widget = qt.QWidget()
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        self.text = textLabel()
        layout.addWidget(self.text)
        self.installButton = qt.QPushButton(_("Install packages into Slicer"))
        self.installButton.toolTip = _(
            "Downloads about 3 GB and installs them into Slicer's own Python."
        )
        self.installButton.connect("clicked()", self._install)
        layout.addWidget(self.installButton)
        self.refresh()

    def refresh(self):
        problem = self._setup.engineProblem()
        self.text.text = problem
        self.widget.setVisible(bool(problem))
        self.installButton.setVisible(bool(self._setup.packagesToInstall()))

    def _install(self):
        try:
            self._setup.installPackages()
        except InstallationError as error:
            self.text.text = str(error)
        else:
            self.refresh()


def _choice(layout, words):
    button = qt.QRadioButton(words)
    layout.addWidget(button)
    return button


def _words(layout, text):
    label = textLabel(text)
    label.indent = _INDENT
    layout.addWidget(label)
    return label


def _indented(widget):
    layout = qt.QVBoxLayout(widget)
    layout.setContentsMargins(_INDENT, 0, 0, 0)
    return layout
