"""A command of the engine's command line in the background: its JSON, and how it ended."""

import json
import logging

import qt
from slicer.i18n import tr as _

from ..signal import Signal
from .process import WorkerProcess


class EngineTool:
    """One run of a command that prints JSON, an object a line.

    ``said(object)`` comes for each line, ``ended(reason)`` once, with "" after a success and else a
    sentence; what was stopped by :meth:`stop` is not heard of any more.
    """

    def __init__(self, command, newProcess=qt.QProcess):
        self.said = Signal()
        self.ended = Signal()
        self._process = WorkerProcess(command, newProcess)
        self._process.lineReceived.connect(self._onLine)
        self._process.ended.connect(self._onEnded)
        self._isRunning = False

    @property
    def isRunning(self):
        return self._isRunning

    def start(self):
        self._isRunning = True
        self._process.start()

    def stop(self):
        """Let the command end, without waiting: its input closes, and it is killed if need be."""
        self._isRunning = False
        self._process.close()

    def _onLine(self, line):
        try:
            self.said.emit(json.loads(line))
        except ValueError:
            logging.debug("A command of Med2E3 printed a line that is no JSON.")

    def _onEnded(self, reason):
        self._isRunning = False
        if self._process.hasSucceeded:
            self.ended.emit("")
        else:
            # The engine's commands end with a sentence.
            self.ended.emit(self._process.lastErrorLine() or reason or _("The engine failed."))
