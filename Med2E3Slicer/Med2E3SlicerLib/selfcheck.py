"""A walk from the Python to an answer, that says in sentences what works and what to mend."""

from dataclasses import dataclass

import numpy as np
from slicer.i18n import tr as _

from med2e3.wire import messages

from .engine import EngineNotFoundError, VoxelWriter, findWorkerCommand
from .figures import sizeInWords
from .signal import Signal

# Fat to blood in a block in air, small enough to be answered about in a moment.
_SHAPE = (20, 24, 24)
_AIR = -1000
_TISSUE = np.linspace(-100, 100, _SHAPE[2] - 8)


@dataclass(frozen=True)
class Finding:
    """A sentence about one thing, and whether it is as it should be."""

    isWell: bool
    sentence: str


class SelfCheck:
    """One check. ``found(Finding)`` for each thing, then ``ended(isWell)``.

    It asks ``setup`` for an examination, unless a server is used, and then a worker of its own
    (``client``) about a small volume, so that what the workbench's own worker has loaded stays
    there.
    """

    def __init__(self, setup, client):
        self.found = Signal()
        self.ended = Signal()
        self._setup = setup
        self._client = client
        self._usesServer = setup.preferences.usesServer
        self._isWell = True
        self._isOver = False
        self._modelName = ""
        self._writer = None

    def start(self):
        if self._usesServer:
            # What this computer has does not matter then.
            self._askWorker()
            return
        self._setup.examined.connect(self._onExamined)
        self._setup.examinationFailed.connect(self._onExaminationFailed)
        self._setup.examine()

    def stop(self):
        """Give up, without a word."""
        if not self._isOver:
            self._isOver = True
            if not self._usesServer:
                self._setup.examined.disconnect(self._onExamined)
                self._setup.examinationFailed.disconnect(self._onExaminationFailed)
            self._client.stop()
            if self._writer:
                self._writer.remove()

    # -- Python, machine and model ---------------------------------------------------------------

    def _onExaminationFailed(self, sentence):
        self._tell(False, sentence)
        self._end()

    def _onExamined(self, examination):
        self._tell(
            True,
            _("Python {python} was found, with the engine {engine}.").format(
                python=examination.python, engine=examination.engine
            ),
        )
        if examination.lacking:
            self._tell(
                False,
                _(
                    "It lacks {packages}. Install the engine there (pip install med2e3 from the "
                    "source, see the README), or leave 'Python of the engine' empty and press "
                    "'Install packages'."
                ).format(packages=", ".join(examination.lacking)),
            )
        elif examination.problems:
            self._tell(False, " ".join(examination.problems))
        else:
            self._tellAboutExports(examination)
            self._lookAtMachine(examination)
            self._lookAtModel(examination)
        if self._isWell:
            self._askWorker()
        else:
            self._end()

    def _tellAboutExports(self, examination):
        if examination.lackingForExports:
            # Everything else works without them, so the check goes on.
            self.found.emit(
                Finding(
                    False,
                    _(
                        "Reports can be written, but not exported as DICOM and PDF: {packages} "
                        "are missing in this Python."
                    ).format(packages=", ".join(examination.lackingForExports)),
                )
            )
        else:
            self._tell(True, _("All packages are there."))

    def _lookAtMachine(self, examination):
        for device in examination.devices:
            name = _("Memory") if device["kind"] == "cpu" else device["name"]
            self._tell(
                True,
                _("{name}: {free} of {total} free.").format(
                    name=name,
                    free=sizeInWords(device["memory_free"]),
                    total=sizeInWords(device["memory_total"]),
                ),
            )
        if self._setup.preferences.device == "cuda" and not examination.cards:
            self._tell(
                False,
                _(
                    "The device is set to cuda and this Python sees no graphics card. Set it to "
                    "auto, or install a PyTorch with CUDA and the card's driver."
                ),
            )

    def _lookAtModel(self, examination):
        if examination.modelProblem:
            self._tell(False, examination.modelProblem)
            return
        self._tell(True, _("The model {name} is complete.").format(name=examination.modelName))
        for sentence in self._setup.doubts():
            self._tell(True, sentence)

    # -- the worker ------------------------------------------------------------------------------

    def _askWorker(self):
        try:
            command = findWorkerCommand(self._setup.preferences)
        except EngineNotFoundError as error:
            self._tell(False, str(error))
            self._end()
            return
        self._client.start(command)
        self._request("load_model", messages.LoadModel(), self._onLoaded)

    def _onLoaded(self, loaded):
        self._modelName = loaded.name
        if self._usesServer:
            self._tell(
                True,
                _("The server answers; it has the model {name} on {device}.").format(
                    name=loaded.name, device=loaded.device
                ),
            )
        else:
            self._tell(True, _("The engine answers."))
        voxels = np.full(_SHAPE, _AIR, np.int16)
        voxels[2:-2, 4:-4, 4:-4] = _TISSUE
        self._writer = VoxelWriter(voxels)
        self._writer.finished.connect(self._onWritten)
        self._writer.failed.connect(self._onWritingFailed)
        self._writer.start()

    def _onWritingFailed(self, error):
        self._tell(
            False,
            _(
                "The folder for temporary files cannot be written ({reason}); free some space on "
                "its disk."
            ).format(reason=error.strerror or error),
        )
        self._end()

    def _onWritten(self, path):
        matrix = (10, 0, 0, 0, 0, 10, 0, 0, 0, 0, 10, 0, 0, 0, 0, 1)
        self._request(
            "open_volume",
            messages.OpenVolume(str(path), tuple(map(float, matrix)), "CT"),
            self._onOpened,
        )

    def _onOpened(self, opened):
        self._request(
            "generate",
            messages.Generate(opened.volume_id, messages.REPORT, "", 4),
            self._onAnswered,
        )

    def _onAnswered(self, answered):
        self._tell(
            True,
            _("The model {name} wrote a few words about a test volume.").format(
                name=self._modelName
            ),
        )
        self._end()

    def _request(self, method, parameters, onResult):
        def ifGoingOn(result):
            if not self._isOver:
                onResult(result)

        self._client.request(method, parameters, ifGoingOn, self._onRefused)

    def _onRefused(self, error):
        if not self._isOver:
            self._tell(False, str(error))
            self._end()

    # -- how it ends -----------------------------------------------------------------------------

    def _tell(self, isWell, sentence):
        self._isWell = self._isWell and isWell
        self.found.emit(Finding(isWell, sentence))

    def _end(self):
        self.stop()
        self.ended.emit(self._isWell)
