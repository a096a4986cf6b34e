"""What the module needs before it can work: a Python with the engine, and a model. No widgets."""

import json
from dataclasses import dataclass
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from .engine import (
    EngineClient,
    EngineNotFoundError,
    EngineTool,
    PackagesMissingError,
    findWorkerCommand,
    installPackages,
)
from .engine.interpreter import engineCommand, engineFolder, findPython, namedPython, slicersPython
from .figures import sizeInWords, timeInWords
from .selfcheck import SelfCheck
from .signal import Signal

_WEIGHTS_WORTH_A_LOOK = 200e6
"""Models smaller than this (bytes) fit everywhere and are fast on every processor."""


@dataclass(frozen=True)
class Examination:
    """What a Python and its machine have, as ``python -m med2e3.machine`` tells it.

    ``lacking`` are names of packages without which nothing runs, ``lackingForExports`` of those
    without which reports are not exported as DICOM and PDF. ``problems`` are sentences about the
    Python, ``modelProblem`` is one about the model's files. ``memory`` are the bytes that the model
    takes by precision, widest first; ``cpuSeconds`` is how long a report may take on the processor,
    None where that is not worth a word.
    """

    python: str
    engine: str
    lacking: tuple
    lackingForExports: tuple
    problems: tuple
    devices: tuple
    modelName: str
    modelProblem: str
    modelIsDownloaded: bool
    memory: dict
    cpuSeconds: float | None

    @property
    def cards(self):
        return [device for device in self.devices if device["kind"] != "cpu"]


class Setup:
    """Looks at Python, packages and model, downloads and removes the released model, and checks.

    Everything that takes time runs in another process. Signals: ``downloadProgressed(stage, done,
    total)`` in bytes; ``downloadEnded(sentence)``, empty after a success; ``removing()`` before a
    model goes and ``removed(sentence)`` after it; ``examined(Examination)`` or
    ``examinationFailed(sentence)``; ``found(Finding)`` and in the end ``checkEnded(isWell)``.
    """

    def __init__(self, preferences, newTool=EngineTool, newClient=EngineClient):
        self.downloadProgressed = Signal()
        self.downloadEnded = Signal()
        self.removing = Signal()
        self.removed = Signal()
        self.examined = Signal()
        self.examinationFailed = Signal()
        self.found = Signal()
        self.checkEnded = Signal()
        self.preferences = preferences
        self._newTool = newTool
        self._newClient = newClient
        self._tools = {}
        self._examinedChoice = None
        self._examination = None
        self._selfCheck = None

    # -- the engine's Python ---------------------------------------------------------------------

    def engineProblem(self):
        """A sentence about why the engine cannot be started, "" if it can."""
        try:
            findWorkerCommand(self.preferences)
        except EngineNotFoundError as error:
            return str(error)
        return ""

    def packagesToInstall(self):
        """What Slicer's own Python lacks, where that is the Python that is to run the engine."""
        if self.preferences.usesServer:
            return []
        try:
            findPython(self.preferences.python)
        except PackagesMissingError as error:
            return error.packages
        except EngineNotFoundError:
            pass
        return []

    def installPackages(self):
        """Install what is missing into Slicer's own Python; ask the user first. Blocks.

        Raises :class:`~Med2E3SlicerLib.engine.InstallationError`.
        """
        installPackages()
        self._examination = None

    def examine(self):
        """Look at the chosen Python, the machine and the chosen model's files."""
        choice = self._choice()
        if self._isRunning("examination"):
            return
        try:
            python = namedPython(self.preferences.python) or slicersPython()
        except EngineNotFoundError as error:
            self.examinationFailed.emit(str(error))
            return
        arguments = ["-m", "med2e3.machine", *filter(None, [self.preferences.modelFolder])]

        def onSaid(told):
            self._examinedChoice, self._examination = choice, _examinationOf(told)

        def onEnded(reason):
            if self._examination and self._examinedChoice == choice:
                self.examined.emit(self._examination)
            else:
                self.examinationFailed.emit(
                    _("{python} could not be examined: {reason}").format(
                        python=python, reason=reason
                    )
                )

        self._examination = None
        self._run("examination", engineCommand(python, *arguments), onSaid, onEnded)

    @property
    def examination(self):
        """The last :class:`Examination`, None if the choices are others since."""
        return self._examination if self._examinedChoice == self._choice() else None

    def needsExamination(self):
        """Whether the chosen model is so large that memory and time should be looked at first, and
        have not been for these choices."""
        chosen = self.preferences
        if chosen.usesServer or self.examination is not None or chosen.device == "cuda":
            return False
        folder = Path(self.preferences.modelFolder or ".")
        if not self.preferences.modelFolder or not folder.is_dir():
            return False
        weights = [*folder.glob("*/*.safetensors"), *folder.glob("*/pytorch_model*.bin")]
        return sum(path.stat().st_size for path in weights) > _WEIGHTS_WORTH_A_LOOK

    def doubts(self):
        """Sentences about what the user should know before the chosen model is used."""
        found = self.examination
        if self.preferences.usesServer or found is None or found.cpuSeconds is None:
            return []
        needed = self._memoryNeeded(found)
        if found.cards and self.preferences.device != "cpu":
            return _memoryDoubts(
                needed,
                max(card["memory_free"] for card in found.cards),
                _("the graphics card"),
            )
        (processor,) = [device for device in found.devices if device["kind"] == "cpu"]
        doubts = [
            _(
                "The model will run on the processor, since no graphics card is used. A report "
                "will take about {time}; this is an estimate from the size of the model and a "
                "short measurement."
            ).format(time=timeInWords(found.cpuSeconds))
        ]
        return doubts + _memoryDoubts(
            needed,
            processor["memory_free"],
            _("this computer"),
        )

    def _memoryNeeded(self, found):
        """Bytes that the model takes in the chosen precision. "auto" takes what fits, so it needs
        no more than the smallest one."""
        return found.memory.get(self.preferences.precision) or min(found.memory.values())

    # -- the models ----------------------------------------------------------------------

    def demonstrationDescription(self):
        """What the model that comes with the engine says of itself."""
        card = Path(engineFolder()) / "med2e3" / "embedded" / "med2e3.json"
        return json.loads(card.read_text(encoding="utf-8"))["description"]

    def defaultFolder(self):
        """Where the released model is put if the user does not choose another folder."""
        settings = Path(slicer.app.slicerUserSettingsFilePath).parent
        return str(settings / "Med2E3" / "Med-2E3-M3D")

    @property
    def isDownloading(self):
        return self._isRunning("download")

    def download(self, folder):
        """Download the released model into a folder, or go on with it. The user has agreed to it.

        When it is there, it is the chosen model.
        """
        if self.isDownloading:
            return
        try:
            python = findPython(self.preferences.python)
        except EngineNotFoundError as error:
            self.downloadEnded.emit(str(error))
            return
        options = ("--yes", "--json", "--stop-with-stdin")
        command = engineCommand(python, "-m", "med2e3", "model", "download", folder, *options)

        def onSaid(told):
            if "stage" in told:
                self.downloadProgressed.emit(told["stage"], told["done"], told["total"])

        def onEnded(reason):
            if not reason:
                self.chooseModel(folder)
            self.downloadEnded.emit(reason)

        self._run("download", command, onSaid, onEnded)

    def stopDownload(self):
        """Stop the download; what has arrived is kept, and the next download goes on with it."""
        tool = self._tools.pop("download", None)
        if tool:
            tool.stop()
            self.downloadEnded.emit(
                _("Stopped. What has arrived is kept; Download goes on with it.")
            )

    def chosenModelIsDownloaded(self):
        """Whether the chosen model was downloaded by this module, which may then remove it."""
        # The downloader's record: med2e3.download.RECORD.
        folder = self.preferences.modelFolder
        return bool(folder) and (Path(folder) / "downloaded.json").is_file()

    def removeModel(self):
        """Remove the downloaded model; the demonstration model is the chosen one then."""
        folder = self.preferences.modelFolder
        try:
            python = findPython(self.preferences.python)
        except EngineNotFoundError as error:
            self.removed.emit(str(error))
            return

        def onEnded(reason):
            if not reason:
                self.chooseModel("")
            self.removed.emit(reason)

        # No system lets go of files that the worker has mapped into its memory.
        self.removing.emit()
        command = engineCommand(python, "-m", "med2e3", "model", "remove", folder, "--yes")
        self._run("removal", command, lambda told: None, onEnded)

    def chooseModel(self, folder):
        """Use the model in a folder, "" for the demonstration model."""
        self.preferences.modelFolder = folder
        self.preferences.isSetUp = True

    # -- the check -------------------------------------------------------------------------------

    @property
    def isChecking(self):
        return self._selfCheck is not None

    def check(self):
        """Look at everything that a report needs, from the Python to an answer."""
        if self._selfCheck:
            return
        check = self._selfCheck = SelfCheck(self, self._newClient())
        check.found.connect(self.found.emit)
        check.ended.connect(self._onCheckEnded)
        check.start()

    def _onCheckEnded(self, isWell):
        self._selfCheck = None
        self.checkEnded.emit(isWell)

    def close(self):
        """End everything that goes on, without waiting."""
        for tool in self._tools.values():
            tool.stop()
        self._tools.clear()
        if self._selfCheck:
            self._selfCheck.stop()
            self._selfCheck = None

    # -- processes -------------------------------------------------------------------------------

    def _choice(self):
        return self.preferences.python, self.preferences.modelFolder

    def _isRunning(self, name):
        return name in self._tools

    def _run(self, name, command, onSaid, onEnded):
        tool = self._tools[name] = self._newTool(command)

        def end(reason):
            self._tools.pop(name, None)
            onEnded(reason)

        tool.said.connect(onSaid)
        tool.ended.connect(end)
        tool.start()


def _memoryDoubts(needed, free, where):
    if needed <= free:
        return []
    return [
        _(
            "The model needs about {needed} of memory and {where} has {free} free; it may stop "
            "with an error. Close other programs first."
        ).format(needed=sizeInWords(needed), where=where, free=sizeInWords(free))
    ]


def _examinationOf(told):
    model = told["model"] or {}
    return Examination(
        python=told["python"],
        engine=told["med2e3"],
        lacking=tuple(told["lacking"]),
        lackingForExports=tuple(told["lacking_for_exports"]),
        problems=tuple(told["missing"]),
        devices=tuple(told["machine"]["devices"]) if told["machine"] else (),
        modelName=model.get("name", ""),
        modelProblem=model.get("problem", ""),
        modelIsDownloaded=model.get("downloaded", False),
        memory=model.get("memory", {}),
        cpuSeconds=told["cpu_seconds"],
    )
