"""The engine in this process: one model, and the scans that it has encoded."""

from __future__ import annotations

import gc
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from med2e3.errors import Cancelled, InputError
from med2e3.service.engine import Call
from med2e3.wire import jsonrpc, messages
from med2e3.wire.jsonrpc import RpcError

if TYPE_CHECKING:
    from med2e3.model import LoadedModel
    from med2e3.service.answering import OpenScan
    from med2e3.volume import Scan

MAX_OPEN_SCANS = 4
"""Scans kept encoded. A released-size scan takes about 50 MB in bfloat16; the oldest goes first."""

# torch is imported with the first model, so that a client hears from its worker before that.


class LocalEngine:
    """Loads the model of its client's choice and keeps the client's last scans encoded."""

    def __init__(self) -> None:
        self._model: LoadedModel | None = None
        self._scans: OrderedDict[str, OpenScan] = OrderedDict()
        self._scans_opened = 0

    def load_model(self, params: messages.LoadModel, call: Call) -> messages.ModelLoaded:
        from med2e3.model import load_model
        from med2e3.service.answering import model_loaded

        def progress(done: int, total: int) -> None:
            if call.stop.is_set():
                raise Cancelled("Loading the model was cancelled.")
            call.progress("load", done, total)

        # Two models at once may not fit: the old one goes first, with the scans it encoded.
        self._scans.clear()
        self._model = None
        self._model = load_model(
            Path(params.folder) if params.folder else None,
            device=params.device,
            dtype=params.dtype,
            progress=progress,
        )
        return model_loaded(self._model)

    def open_volume(self, params: messages.OpenVolume, call: Call) -> messages.VolumeOpened:
        from med2e3.service.answering import open_scan, volume_opened

        if self._model is None:
            raise RpcError(jsonrpc.NOT_READY, "Send load_model before open_volume.")
        opened = open_scan(
            self._model,
            scan_of(params),
            params.plane,
            params.window,
            progress=call.progress,
            stop=call.stop,
        )
        if params.ahead:
            opened.session.read_ahead(call.stop)
        self._scans_opened += 1
        volume_id = str(self._scans_opened)
        self._scans[volume_id] = opened
        while len(self._scans) > MAX_OPEN_SCANS:
            self._scans.popitem(last=False)
        return volume_opened(opened, volume_id)

    def generate(self, params: messages.Generate, call: Call) -> messages.Answered:
        from med2e3.service.answering import generate_for

        return generate_for(self._opened(params.volume_id), params, call)

    def attend(self, params: messages.Attend, call: Call) -> messages.Answered:
        from med2e3.service import answering

        return answering.attend(self._opened(params.volume_id), params.text, stop=call.stop)

    def close_volume(self, params: messages.CloseVolume, call: Call) -> messages.Done:
        self._opened(params.volume_id)
        del self._scans[params.volume_id]
        return messages.Done()

    def free_memory(self) -> None:
        self._scans.clear()
        gc.collect()
        torch = sys.modules.get("torch")
        if torch and torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _opened(self, volume_id: str) -> OpenScan:
        if volume_id not in self._scans:
            raise RpcError(
                jsonrpc.NOT_READY,
                f"The volume {volume_id[:60]!r} is not open; open it again.",
            )
        self._scans.move_to_end(volume_id)
        return self._scans[volume_id]


def scan_of(params: messages.OpenVolume) -> Scan:
    """The scan that a request describes, its voxels mapped into memory and not yet read."""
    from med2e3.volume import Scan

    try:
        voxels = np.load(Path(params.voxels), mmap_mode="r", allow_pickle=False)
        if not isinstance(voxels, np.ndarray):
            raise ValueError("a file that begins like a zip file is taken for several arrays")
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        raise InputError(
            "The voxels could not be read from the exchange file; select the volume again."
        ) from None
    matrix = np.asarray(params.ijk_to_ras, dtype=np.float64)
    if matrix.size != 16:
        raise InputError(f"ijk_to_ras must have 16 numbers, not {matrix.size}.")
    return Scan(voxels, matrix.reshape(4, 4), params.modality, ())
