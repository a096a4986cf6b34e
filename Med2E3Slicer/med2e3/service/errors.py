"""What a client is told of an error, over the wire and over HTTP alike."""

from __future__ import annotations

import logging

from med2e3.errors import Cancelled, InputError, Med2E3Error, lacks_memory, missing_package
from med2e3.wire import jsonrpc
from med2e3.wire.jsonrpc import RpcError

log = logging.getLogger(__name__)


def told(method: str, error: Exception) -> tuple[int, str]:
    """The code (of :mod:`med2e3.wire.jsonrpc`) and the sentence that a client hears of an error
    that ended a request with this method of the wire."""
    if isinstance(error, RpcError):
        return error.code, error.message
    if isinstance(error, Cancelled):
        return jsonrpc.CANCELLED, str(error)
    if lacks_memory(error):
        log.warning("%s lacked memory", method)
        return jsonrpc.OUT_OF_MEMORY, (
            f"There was not enough memory to {_DOINGS.get(method, 'answer')}; close other "
            "programs, or let the model take less: bfloat16 instead of float32, the processor "
            "instead of the graphics card, or 8 or 4 bits."
        )
    if isinstance(error, InputError):
        return jsonrpc.INPUT_ERROR, str(error)
    if isinstance(error, ImportError):
        return jsonrpc.INTERNAL_ERROR, missing_package(error)
    log.error("%s failed", method, exc_info=error)
    if isinstance(error, Med2E3Error):
        return jsonrpc.INTERNAL_ERROR, str(error)
    return jsonrpc.INTERNAL_ERROR, (
        f"The engine failed in {method} ({type(error).__name__}); "
        "its log has the details, and the next request can be sent."
    )


_DOINGS = {
    "load_model": "load the model",
    "open_volume": "read the scan",
    "generate": "write the text",
    "attend": "score the slices",
    "export_dicom": "write the files",
    "export_pdf": "write the file",
}
