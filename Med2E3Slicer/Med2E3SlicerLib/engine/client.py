"""Requests to the worker and what comes back, as calls and callbacks in the main thread."""

import itertools
import logging

import qt
from slicer.i18n import tr as _

from med2e3.wire import PROTOCOL_VERSION, jsonrpc, messages

from ..signal import Signal
from .process import WorkerProcess

ENGINE_ENDED = "engine ended"
"""The code of the error that requests get whose worker ended before it answered."""

ENGINE_LOST = "engine lost"
"""The same, for a worker that was at work and died: another one may well do better."""

SECONDS_OF_PATIENCE = 30
"""How long a worker may keep silent before it is taken for dead. It answers a ping whatever else it
does, but a machine that is short of memory can hold it for many seconds."""

_PATIENCE_WITH_LOADING = 10
"""A first start reads gigabytes of libraries from the disk, and Python waits for each of them."""

_SECONDS_WITHOUT_WORRY = 5
_MILLISECONDS_PER_BEAT = 1000


class EngineError(Exception):
    """A request that was refused, failed or lost: the wire's code, and a sentence for the user."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class EngineClient:
    """One worker at a time, started when it is needed and started again after it ended.

    ``ended(error: EngineError)`` tells that the worker is gone with everything that was open in it.
    It comes before the requests that were lost with it get the same error. ``greeted(version:
    str)`` comes when a worker is there, ``complained(line: str)`` tells of its stderr what may be
    kept in a log.

    While it has something to answer, the worker is pinged each second. ``silent(seconds: int)``
    tells that it does not answer, and with 0 that it does again; after ``patience`` seconds it is
    killed as lost.
    """

    def __init__(self, newProcess=qt.QProcess):
        self.ended = Signal()
        self.greeted = Signal()
        self.complained = Signal()
        self.silent = Signal()
        self.patience = SECONDS_OF_PATIENCE
        self._newProcess = newProcess
        self._process = None
        self._command = None
        self._isGreeted = False
        self._pending = {}
        self._ids = itertools.count(1)
        self._secondsOfSilence = 0
        self._beat = qt.QTimer()
        self._beat.setInterval(_MILLISECONDS_PER_BEAT)
        self._beat.connect("timeout()", self._onBeat)

    @property
    def isRunning(self):
        return self._process is not None

    @property
    def processId(self):
        """The worker's process id; 0 if there is none."""
        return self._process.processId if self._process else 0

    def start(self, command):
        """Make sure that a worker runs that was started with ``command``.

        Returns whether it had to be started, which makes an end of a worker with another command.
        Requests can be sent at once: the worker reads them as soon as it is there.
        """
        if self._process and self._command == command:
            return False
        self.stop()
        self._command = command
        self._isGreeted = False
        self._process = WorkerProcess(command, self._newProcess)
        self._process.lineReceived.connect(self._onLine)
        self._process.ended.connect(self._onProcessEnded)
        self._process.complained.connect(self.complained.emit)
        self._process.start()
        self.request(
            "initialize",
            messages.Initialize(PROTOCOL_VERSION, "Med2E3Slicer"),
            self._onGreeted,
            self._onRefused,
        )
        return True

    def request(self, method, params, onResult, onError, onProgress=None, onToken=None):
        """Send a request; returns its id.

        ``onResult`` gets the method's result class of :mod:`med2e3.wire.messages` and ``onError``
        an :class:`EngineError`, exactly one of them once, never before this returns.
        """
        if not self._process:
            raise RuntimeError("start the worker before sending requests to it")
        requestId = next(self._ids)
        if not self._pending:
            self._secondsOfSilence = 0
            self._beat.start()
        self._pending[requestId] = _Pending(method, onResult, onError, onProgress, onToken)
        self._process.write(jsonrpc.request_line(requestId, method, params))
        return requestId

    def cancel(self, requestId):
        """Ask the worker to stop a request; the request's own answer tells when it has."""
        if requestId in self._pending:
            self.request("cancel", messages.Cancel(requestId), _ignore, _ignore)

    def kill(self):
        """End the worker at once, in the midst of what it does. Its requests are lost."""
        if self._process:
            self._process.kill()
            # What it may still say does not count, and the next request goes to another worker.
            self._lose(EngineError(ENGINE_ENDED, _("The Med2E3 engine was stopped.")))

    def stop(self):
        """Let the worker end by itself, without waiting. Its requests are forgotten."""
        process, self._process = self._process, None
        self._pending.clear()
        self._beat.stop()
        if process:
            process.close()

    # -- whether it is there ---------------------------------------------------------------------

    def _onBeat(self):
        if not self._pending:
            self._beat.stop()
            return
        # Beats are counted and not time: a computer that slept has not waited.
        self._secondsOfSilence += 1
        methods = {pending.method for pending in self._pending.values()}
        isLoading = not methods.isdisjoint(("initialize", "load_model"))
        if self._secondsOfSilence > self.patience * (_PATIENCE_WITH_LOADING if isLoading else 1):
            self._process.kill()
            self._lose(EngineError(ENGINE_LOST, _("The Med2E3 engine did not answer any more.")))
            return
        if self._secondsOfSilence > _SECONDS_WITHOUT_WORRY and not isLoading:
            self.silent.emit(self._secondsOfSilence)
        if "ping" not in methods:
            self.request("ping", messages.Ping(), _ignore, _ignore)

    def _onSign(self):
        wasSilent = self._secondsOfSilence > _SECONDS_WITHOUT_WORRY
        self._secondsOfSilence = 0
        if wasSilent:
            self.silent.emit(0)

    # -- what the worker says --------------------------------------------------------------------

    def _onLine(self, line):
        self._onSign()
        try:
            reply = jsonrpc.read_reply(line)
            if isinstance(reply, jsonrpc.Notification):
                self._onNotification(reply)
            else:
                self._onResponse(reply)
        except (jsonrpc.RpcError, ValueError) as error:
            logging.debug("Med2E3 worker sent what is no message: %s", error)
            self._lose(
                EngineError(
                    ENGINE_ENDED,
                    _(
                        "The Med2E3 engine said what this module does not understand; install the "
                        "same release of both."
                    ),
                )
            )

    def _onNotification(self, notification):
        pending = self._pending.get(notification.params.request_id)
        if not pending:
            return
        params = notification.params
        if notification.method == "progress" and pending.onProgress:
            pending.onProgress(params.stage, params.done, params.total)
        elif notification.method == "token" and pending.onToken:
            pending.onToken(params.text)

    def _onResponse(self, response):
        pending = self._pending.pop(response.id, None)
        if not pending:
            logging.debug("Med2E3 worker answered a request that nobody waits for.")
        elif response.error:
            pending.onError(EngineError(response.error.code, response.error.message))
        else:
            resultClass = messages.METHODS[pending.method][1]
            pending.onResult(jsonrpc.decode(resultClass, response.result))

    def _onGreeted(self, initialized):
        self._isGreeted = True
        logging.info("Med2E3 engine %s is running.", initialized.engine_version)
        self.greeted.emit(initialized.engine_version)

    def _onRefused(self, error):
        if error.code not in (ENGINE_ENDED, ENGINE_LOST):
            self._lose(EngineError(ENGINE_ENDED, str(error)))

    def _onProcessEnded(self, reason):
        if not self._isGreeted and self._process.lastErrorLine():
            reason = _("{reason} It said: {line}").format(
                reason=reason, line=self._process.lastErrorLine()
            )
        self._lose(EngineError(ENGINE_LOST if self._isGreeted else ENGINE_ENDED, reason))

    def _lose(self, error):
        lost = list(self._pending.values())
        self.stop()
        self.ended.emit(error)
        for pending in lost:
            pending.onError(error)


class _Pending:
    """A request that waits for its answer."""

    def __init__(self, method, onResult, onError, onProgress, onToken):
        self.method = method
        self.onResult = onResult
        self.onError = onError
        self.onProgress = onProgress
        self.onToken = onToken


def _ignore(reply):
    """For requests whose answer changes nothing."""
