"""The background worker: one client, its requests on stdin, the answers on stdout.

One thread reads, so that a cancel is heard while the model works; the main thread answers one
request after the other. What needs a model an engine answers: the one in this process
(:mod:`~med2e3.service.local`) or a server's (:mod:`~med2e3.remote.engine`).

When stdin closes, the client is gone: the worker then stops what it does, removes the files that it
was shown, and ends, whatever killed the client. It also ends after an answer that tells of
libraries that could not be loaded to their end.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from med2e3 import __version__
from med2e3.errors import Cancelled, InputError
from med2e3.service.engine import Call, Engine
from med2e3.service.errors import told
from med2e3.wire import PROTOCOL_VERSION, exchange, jsonrpc, messages
from med2e3.wire.jsonrpc import Request, RpcError

SECONDS_TO_END = 2.0
"""How long a request may go on after the client is gone; an encoder's step may take longer than
anyone wants an orphan to live."""

SECONDS_FOR_THE_CLIENT_TO_END = 0.3
"""A client that is killed closes its end a moment before the system counts it as gone."""

log = logging.getLogger(__name__)


def serve(requests: BinaryIO, replies: BinaryIO, engine: Engine) -> None:
    """Answer the requests of one client until it says ``shutdown`` or closes its end."""
    worker = Worker(replies, engine)
    reader = threading.Thread(target=worker.listen, args=(requests,), daemon=True)
    reader.start()
    worker.work()


def take_stdout() -> BinaryIO:
    """The real stdout, kept for the wire; whatever else prints goes to stderr from now on."""
    sys.stdout.flush()
    wire = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return wire


class Worker:
    """The state that one client's requests share: who answers them, and what to stop."""

    def __init__(self, replies: BinaryIO, engine: Engine) -> None:
        self._replies = replies
        self._engine = engine
        self._reply_lock = threading.Lock()
        self._waiting: queue.Queue[tuple[Request, threading.Event] | None] = queue.Queue()
        self._stops: dict[int, threading.Event] = {}
        self._at_work: int | None = None
        self._stops_lock = threading.Lock()
        self._exchange_folders: set[Path] = set()
        self._initialized = False
        self._is_spoilt = False

    # -- the thread that reads -----------------------------------------------------------------

    def listen(self, requests: BinaryIO) -> None:
        for line in _lines(requests):
            try:
                request = jsonrpc.read_request(line)
                if request.method == "ping":
                    self._reply(request.id, messages.Done())
                elif request.method == "cancel":
                    self._cancel(request)
                else:
                    self._accept(request)
            except RpcError as error:
                self._write(jsonrpc.error_line(error))
        self._client_is_gone()

    def _accept(self, request: Request) -> None:
        with self._stops_lock:
            if request.id in self._stops:
                raise RpcError(
                    jsonrpc.INVALID_REQUEST,
                    f"The request {request.id} is still being answered; use another id.",
                    request.id,
                )
            stop = self._stops[request.id] = threading.Event()
        voxels = _voxels_file(request.params)
        if voxels and exchange.is_exchange_file(voxels):
            self._exchange_folders.add(voxels.parent)
        self._waiting.put((request, stop))

    def _cancel(self, request: Request) -> None:
        cancelled = request.params.request_id
        with self._stops_lock:
            stop = self._stops.get(cancelled)
            waits = stop is not None and cancelled != self._at_work
            if waits:
                # What goes on before it may take long.
                del self._stops[cancelled]
            elif stop:
                stop.set()
        self._reply(request.id, messages.Cancelling(found=stop is not None))
        if waits:
            sentence = "The request was cancelled before it began."
            self._write(jsonrpc.error_line(RpcError(jsonrpc.CANCELLED, sentence, cancelled)))

    def _client_is_gone(self) -> None:
        with self._stops_lock:
            for stop in self._stops.values():
                stop.set()
        self._waiting.put(None)
        end = threading.Timer(SECONDS_TO_END, self._end_now)
        end.daemon = True
        end.start()

    def _end_now(self) -> None:
        self._remove_exchange_folders()
        os._exit(0)

    # -- the thread that works -----------------------------------------------------------------

    def work(self) -> None:
        try:
            while (waiting := self._waiting.get()) is not None:
                request, stop = waiting
                with self._stops_lock:
                    if self._stops.get(request.id) is not stop:
                        continue
                    self._at_work = request.id
                self._answer(request, stop)
                if request.method == "shutdown" or self._is_spoilt:
                    return
            time.sleep(SECONDS_FOR_THE_CLIENT_TO_END)
        finally:
            self._remove_exchange_folders()

    def _answer(self, request: Request, stop: threading.Event) -> None:
        code = None
        try:
            if stop.is_set():
                raise Cancelled("The request was cancelled before it began.")
            line = jsonrpc.result_line(request.id, self._serve(request, stop))
        except Exception as error:
            # The worker outlives a fault: its client keeps the loaded model and may ask again.
            code, sentence = told(request.method, error)
            self._is_spoilt = _broke_off_an_import(error)
            line = jsonrpc.error_line(RpcError(code, sentence, request.id))
        if code == jsonrpc.OUT_OF_MEMORY:
            # Before the client hears of it, who may try something smaller at once.
            self._engine.free_memory()
        with self._stops_lock:
            del self._stops[request.id]
            self._at_work = None
        self._write(line)

    def _serve(self, request: Request, stop: threading.Event) -> Any:
        if request.method not in ("initialize", "shutdown") and not self._initialized:
            raise RpcError(jsonrpc.NOT_READY, "Send initialize before anything else.")
        handlers: dict[str, Callable[[Any, Call], Any]] = {
            "initialize": self._initialize,
            "load_model": self._engine.load_model,
            "open_volume": self._engine.open_volume,
            "generate": self._engine.generate,
            "attend": self._engine.attend,
            "close_volume": self._engine.close_volume,
            "export_dicom": _export_dicom,
            "export_pdf": _export_pdf,
            "describe_machine": _describe_machine,
            "shutdown": lambda params, call: messages.Done(),
        }
        return handlers[request.method](request.params, self._call(request.id, stop))

    def _call(self, request_id: int, stop: threading.Event) -> Call:
        def progress(stage: str, done: int, total: int) -> None:
            self._notify("progress", messages.Progress(request_id, stage, done, total))

        def token(text: str, token_id: int) -> None:
            self._notify("token", messages.Token(request_id, token_id, text))

        return Call(progress, token, stop)

    def _initialize(self, params: messages.Initialize, call: Call) -> messages.Initialized:
        if params.protocol_version != PROTOCOL_VERSION:
            raise RpcError(
                jsonrpc.WRONG_PROTOCOL,
                f"This worker speaks protocol version {PROTOCOL_VERSION} and the client version "
                f"{params.protocol_version}; install the same release of both.",
            )
        self._initialized = True
        return messages.Initialized(PROTOCOL_VERSION, __version__)

    # -- what goes out -------------------------------------------------------------------------

    def _reply(self, request_id: int, result: Any) -> None:
        self._write(jsonrpc.result_line(request_id, result))

    def _notify(self, method: str, params: Any) -> None:
        self._write(jsonrpc.notification_line(method, params))

    def _write(self, line: bytes) -> None:
        with self._reply_lock:
            try:
                self._replies.write(line)
                self._replies.flush()
            except (BrokenPipeError, ValueError):
                # The client is gone; the reading thread hears it too and ends the worker.
                log.debug("a reply was lost: the client is gone")

    def _remove_exchange_folders(self) -> None:
        for folder in self._exchange_folders:
            exchange.remove_exchange_folder(folder)
        # A client that was killed while it wrote had no time to name its folder.
        exchange.remove_stale_exchange_folders()


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a stream. One that is too long is read to its end in pieces and comes out cut,
    which :func:`~med2e3.wire.jsonrpc.read_request` then refuses."""
    limit = jsonrpc.MAX_LINE_BYTES + 2
    while line := stream.readline(limit):
        if not line.endswith(b"\n"):
            rest = line
            while rest and not rest.endswith(b"\n"):
                rest = stream.readline(limit)
        if line.strip():
            yield line


def _voxels_file(params: Any) -> Path | None:
    """The file that a request brings its voxels in."""
    if isinstance(params, messages.ExportPdf):
        params = params.volume
    return Path(params.voxels) if isinstance(params, messages.OpenVolume) else None


def _export_dicom(params: messages.ExportDicom, call: Call) -> messages.Exported:
    from med2e3.export.dicom import export_dicom

    files = [Path(file) for file in params.series_files]
    return export_dicom(params.report, files, Path(params.folder))


def _export_pdf(params: messages.ExportPdf, call: Call) -> messages.Exported:
    from med2e3.export.pdf import export_pdf
    from med2e3.service.local import scan_of
    from med2e3.volume import prepare

    # The model that wrote the report need not be there any more; its grid is in the report.
    prepared = prepare(
        scan_of(params.volume),
        plane=params.volume.plane,
        window=params.volume.window,
        size=_model_size(params.report),
    )
    return export_pdf(params.report, prepared, Path(params.file), params.title)


def _describe_machine(params: messages.DescribeMachine, call: Call) -> messages.Machine:
    from med2e3.service.machine import describe_machine

    return describe_machine()


def _model_size(report: messages.Report) -> tuple[int, int, int]:
    """(slices, rows, columns) of the volume that a report's model saw."""
    from med2e3.volume.geometry import PATCH_SIZE

    if len(report.patch_shares.shape) != 3:
        raise InputError("The report's attention is not complete; generate the report again.")
    slices, rows, columns = report.patch_shares.shape
    return slices, rows * PATCH_SIZE, columns * PATCH_SIZE


def _broke_off_an_import(error: Exception) -> bool:
    """Whether an error left modules half imported. Python keeps the finished ones of them and
    cannot begin anew, so that whatever needs them fails from then on: only another process helps.
    """
    if isinstance(error, ModuleNotFoundError):
        # Nothing has begun.
        return False
    frames = traceback.walk_tb(error.__traceback__)
    return isinstance(error, ImportError) or any(
        frame.f_code.co_name == "<module>" for frame, _ in frames
    )
