"""The worker's process: lines in, lines out, and an end that never holds the main thread."""

import codecs
import logging

import qt
from slicer.i18n import tr as _

from ..signal import Signal
from .stderr import withoutPrivateParts

SECONDS_TO_END = 3
"""How long the worker may take to end by itself once its input is closed."""

_MAX_STDERR_CHARACTERS = 2000

# A QProcess that loses its last reference kills its program and waits for it. Those that are
# ending are kept here until they have ended.
_ending = set()


def endingWorkers():
    """How many workers have been told to end and have not yet."""
    return len(_ending)


class WorkerProcess:
    """One run of a program that speaks in lines.

    ``lineReceived(line: bytes)`` comes for each whole line of its output, ``ended(reason: str)``
    once, however it ended, with a sentence about how. ``complained(line: str)`` tells of its stderr
    what may be kept in a log, see :func:`~Med2E3SlicerLib.engine.stderr.withoutPrivateParts`.
    """

    def __init__(self, command, newProcess=qt.QProcess):
        self.lineReceived = Signal()
        self.ended = Signal()
        self.complained = Signal()
        self._command = command
        self._unfinishedLine = []
        self._stderrEnd = ""
        self._unfinishedComplaint = ""
        # A character may come in two parts.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._isOver = False
        self._isClosed = False
        self._process = newProcess()
        environment = qt.QProcessEnvironment()
        for name, value in command.environment.items():
            environment.insert(name, value)
        self._process.setProcessEnvironment(environment)
        self._process.setWorkingDirectory(command.folder)
        self._slots = {
            "readyReadStandardOutput()": self._onOutput,
            "readyReadStandardError()": self._onErrorOutput,
            "finished(int,QProcess::ExitStatus)": self._onFinished,
            "errorOccurred(QProcess::ProcessError)": self._onError,
        }
        for signal, slot in self._slots.items():
            self._process.connect(signal, slot)

    def start(self):
        self._process.start(self._command.program, list(self._command.arguments))

    @property
    def processId(self):
        return self._process.processId()

    @property
    def hasSucceeded(self):
        """Whether the program ended by itself with status 0."""
        return (
            self._process.state() == qt.QProcess.NotRunning
            and self._process.error() != qt.QProcess.FailedToStart
            and self._process.exitStatus() == qt.QProcess.NormalExit
            and self._process.exitCode() == 0
        )

    def write(self, line):
        if not self._isOver:
            self._process.write(line)

    def kill(self):
        self._process.kill()

    def close(self):
        """Let the worker end: its input closes, and it is killed if that is not enough.

        Returns at once, and nothing is heard of the process any more. If Slicer itself ends before
        the time is over, the closed input still ends the worker.
        """
        self._isOver = self._isClosed = True
        for signal, slot in self._slots.items():
            self._process.disconnect(signal, slot)
        if self._process.state() == qt.QProcess.NotRunning:
            return
        process = self._process
        _ending.add(process)
        process.connect("finished(int,QProcess::ExitStatus)", lambda: _ending.discard(process))
        process.closeWriteChannel()
        qt.QTimer.singleShot(
            SECONDS_TO_END * 1000, lambda: process.kill() if process in _ending else None
        )

    # -- what the process tells ------------------------------------------------------------------

    def _onOutput(self):
        if self._isClosed:
            return
        *ended, unfinished = self._process.readAllStandardOutput().data().split(b"\n")
        if ended:
            ended[0] = b"".join([*self._unfinishedLine, ended[0]])
            self._unfinishedLine = []
        self._unfinishedLine.append(unfinished)
        for line in ended:
            # A listener may have closed this process in between.
            if line.strip() and not self._isClosed:
                self.lineReceived.emit(line)

    def _onErrorOutput(self):
        text = self._decoder.decode(self._process.readAllStandardError().data())
        self._stderrEnd = (self._stderrEnd + text)[-_MAX_STDERR_CHARACTERS:]
        *lines, self._unfinishedComplaint = (self._unfinishedComplaint + text).split("\n")
        for line in filter(None, map(withoutPrivateParts, lines)):
            logging.debug("Med2E3 worker: %s", line)
            self.complained.emit(line)

    def _onFinished(self, exitCode, exitStatus):
        self._onOutput()
        if self._process.exitStatus() == qt.QProcess.CrashExit:
            self._end(_("The Med2E3 engine was ended by the system."))
        else:
            self._end(
                _("The Med2E3 engine ended by itself with status {status}.").format(status=exitCode)
            )

    def _onError(self, error):
        # Every other error is followed by `finished`.
        if error == qt.QProcess.FailedToStart:
            self._end(
                _(
                    "The Python of the engine, {program}, could not be started. Choose another "
                    "one behind the gear."
                ).format(program=self._command.program)
            )

    def _end(self, reason):
        if self._isOver:
            return
        self._isOver = True
        # Qt may say this while the process is being started or written to; whoever does that
        # hears it later.
        qt.QTimer.singleShot(0, lambda: None if self._isClosed else self.ended.emit(reason))

    def lastErrorLine(self):
        """What the program said last on stderr, for a sentence about a start that failed."""
        lines = self._stderrEnd.strip().splitlines()
        return lines[-1].strip() if lines else ""
