"""A log to hand to others: what the module did and when, and nothing about whom.

It is made of fixed words, states, durations and versions alone. Names of nodes, paths, questions
and texts never come near it, so there is nothing to take out before it is sent.
"""

import platform
import time
from collections import deque

import slicer

from med2e3.wire import PROTOCOL_VERSION

_MAX_LINES = 2000


class Journal:
    """Listens to a controller and its engine. ``text()`` is the log."""

    def __init__(self, controller, engine):
        self._lines = deque(maxlen=_MAX_LINES)
        self._began = time.monotonic()
        controller.stateChanged.connect(lambda state: self.note(f"state {state.value}"))
        controller.turnStarted.connect(lambda *what: self.note("a text was asked for"))
        controller.turnEnded.connect(self._onTurnEnded)
        controller.failed.connect(lambda sentence: self.note("the request failed"))
        controller.modelLoaded.connect(self._onModelLoaded)
        engine.greeted.connect(lambda version: self.note(f"engine {version} is there"))
        engine.ended.connect(lambda error: self.note(f"{error.code}"))
        engine.silent.connect(lambda seconds: self.note(f"engine silent for {seconds} s"))
        engine.complained.connect(lambda line: self.note(f"engine: {line}"))

    def note(self, line):
        """Add a line. It must hold no name, path or text that a person chose."""
        self._lines.append(f"{time.monotonic() - self._began:10.2f} s  {line}")

    def text(self):
        """The log, from the versions on; times are seconds since the module was opened."""
        application = slicer.app
        version = f"{application.majorVersion}.{application.minorVersion}"
        head = [
            "Med2E3 log: no names, identifiers, paths or texts are in it.",
            f"Slicer {version} revision {application.revision}, Python {platform.python_version()}",
            f"{platform.system()} {platform.release()}, {platform.machine()}",
            f"protocol version {PROTOCOL_VERSION}",
            "",
        ]
        return "\n".join([*head, *self._lines, ""])

    def _onTurnEnded(self, turn):
        if turn is None:
            self.note("ended without a text")
        else:
            self.note(f"{turn.kind} ended ({turn.finishReason}), {len(turn.text)} characters")

    def _onModelLoaded(self, model):
        if model is not None:
            self.note(f"model {model.sha256[:12]} on {model.device} in {model.dtype}")
