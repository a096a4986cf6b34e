"""JSON-RPC 2.0 lines: from messages to bytes and back, with every type checked.

A line that cannot be understood raises :class:`RpcError`, whose ``code`` and message are what
the other side is told.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import types
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from med2e3.wire.messages import METHODS, NOTIFICATIONS

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
INPUT_ERROR: Final = -32001
CANCELLED: Final = -32002
WRONG_PROTOCOL: Final = -32003
NOT_READY: Final = -32004
OUT_OF_MEMORY: Final = -32005
BUSY: Final = -32006
NO_ACCESS: Final = -32007

MAX_LINE_BYTES: Final = 8 * 1024 * 1024
"""Longer lines are refused: voxels travel through files, so no honest message comes near."""

Message = TypeVar("Message")


class RpcError(Exception):
    """A request that was refused or failed, as it travels: a code and a sentence."""

    def __init__(self, code: int, message: str, request_id: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.request_id = request_id


@dataclass(frozen=True)
class Request:
    """A request as it came in, with its parameters already checked."""

    id: int
    method: str
    params: Any


@dataclass(frozen=True)
class Response:
    """The answer to a request: its result as plain JSON, for the asker to decode, or an error."""

    id: int | None
    result: Any = None
    error: RpcError | None = None


@dataclass(frozen=True)
class Notification:
    method: str
    params: Any


def request_line(request_id: int, method: str, params: Any) -> bytes:
    return _line({"id": request_id, "method": method, "params": _plain(params)})


def result_line(request_id: int, result: Any) -> bytes:
    return _line({"id": request_id, "result": _plain(result)})


def error_line(error: RpcError) -> bytes:
    body = {"code": error.code, "message": error.message}
    return _line({"id": error.request_id, "error": body})


def notification_line(method: str, params: Any) -> bytes:
    return _line({"method": method, "params": _plain(params)})


def read_request(line: bytes) -> Request:
    """The request in a line that a worker received. Raises :class:`RpcError`."""
    message = _object(line)
    request_id = message.get("id")
    if not _is_integer(request_id):
        raise RpcError(INVALID_REQUEST, "A request needs a whole number as its id.")
    assert isinstance(request_id, int)  # noqa: S101 - tells the type checker what was just tested
    method = message.get("method")
    if message.get("jsonrpc") != "2.0" or not isinstance(method, str):
        raise RpcError(
            INVALID_REQUEST, 'A request needs "jsonrpc": "2.0" and a method.', request_id
        )
    if method not in METHODS:
        known = ", ".join(METHODS)
        shown = method if len(method) <= 60 else method[:60] + "…"
        raise RpcError(
            METHOD_NOT_FOUND, f"There is no method {shown!r}; there are {known}.", request_id
        )
    try:
        params = decode(METHODS[method][0], message.get("params", {}))
    except ValueError as error:
        raise RpcError(INVALID_PARAMS, f"{method}: {error}", request_id) from None
    return Request(request_id, method, params)


def read_reply(line: bytes) -> Response | Notification:
    """The response or notification in a line that a client received. Raises :class:`RpcError`."""
    message = _object(line)
    if "method" in message:
        method = message["method"]
        if not isinstance(method, str) or method not in NOTIFICATIONS:
            raise RpcError(METHOD_NOT_FOUND, "There is no such notification.")
        try:
            return Notification(method, decode(NOTIFICATIONS[method], message.get("params", {})))
        except ValueError as error:
            raise RpcError(INVALID_PARAMS, f"{method}: {error}") from None
    request_id = message.get("id")
    if request_id is not None and not _is_integer(request_id):
        raise RpcError(INVALID_REQUEST, "A response needs its request's id.")
    body = message.get("error")
    if body is None:
        return Response(request_id, result=message.get("result"))
    if not (
        isinstance(body, dict)
        and _is_integer(body.get("code"))
        and isinstance(body.get("message"), str)
    ):
        raise RpcError(INVALID_REQUEST, "An error needs a code and a message.")
    return Response(request_id, error=RpcError(body["code"], body["message"], request_id))


def decode(kind: type[Message], value: Any) -> Message:
    """A message of a class from plain JSON.

    Raises ValueError with a sentence that names the field, for a field that is missing, unknown
    or of another type.
    """
    decoded: Message = _decode(kind, value, "")
    return decoded


def _decode(kind: Any, value: Any, where: str) -> Any:
    name = where or "params"
    origin = get_origin(kind)
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, value, where)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in get_args(kind):
            return None
        (inner,) = [option for option in get_args(kind) if option is not type(None)]
        return _decode(inner, value, where)
    if origin is Literal:
        if value not in get_args(kind):
            raise ValueError(f"{name} must be one of {', '.join(get_args(kind))}.")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{name} must be a list.")
        inner_kinds = get_args(kind)
        if inner_kinds[-1] is Ellipsis:
            inner_kinds = inner_kinds[:1] * len(value)
        if len(inner_kinds) != len(value):
            raise ValueError(f"{name} must have {len(inner_kinds)} entries, not {len(value)}.")
        if all(type(entry) is inner for inner, entry in zip(inner_kinds, value, strict=True)):
            # Long lists of scores and places are plain already.
            return tuple(value)
        return tuple(
            _decode(inner, entry, f"{name}[{position}]")
            for position, (inner, entry) in enumerate(zip(inner_kinds, value, strict=True))
        )
    if origin is dict:
        if not isinstance(value, dict):
            raise ValueError(f"{name} must be an object.")
        return {
            key: _decode(get_args(kind)[1], entry, f"{name}.{key}") for key, entry in value.items()
        }
    if kind is float and _is_integer(value):
        try:
            return float(value)
        except OverflowError:
            raise ValueError(f"{name} is too large a number.") from None
    # bool is an int in Python, but a flag is no number on the wire.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        expected = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
        raise ValueError(f"{name} must be {expected.get(kind, kind)}.")
    return value


def _decode_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{where or 'params'} must be an object.")
    fields = _fields(kind)
    for name in value:
        if name not in fields:
            raise ValueError(f"there is no {name[:60]!r} in {kind.__name__}.")
    found = {}
    for name, (inner, is_needed) in fields.items():
        if name in value:
            found[name] = _decode(inner, value[name], f"{where}.{name}" if where else name)
        elif is_needed:
            raise ValueError(f"{where + '.' if where else ''}{name} is missing.")
    return kind(**found)


@functools.cache
def _fields(kind: Any) -> dict[str, tuple[Any, bool]]:
    """The type of each field of a dataclass, and whether it has no default."""
    hints = get_type_hints(kind)
    return {
        field.name: (
            hints[field.name],
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(kind)
    }


def _plain(message: Any) -> Any:
    return dataclasses.asdict(message)


def _line(message: dict[str, Any]) -> bytes:
    text = json.dumps({"jsonrpc": "2.0", **message}, ensure_ascii=False, allow_nan=False)
    # A lone surrogate is no UTF-8; the model's text may hold one only through a bad file name.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _object(line: bytes) -> dict[str, Any]:
    if len(line) > MAX_LINE_BYTES:
        raise RpcError(PARSE_ERROR, f"A message may have {MAX_LINE_BYTES} bytes, not more.")
    try:
        message = json.loads(line.decode("utf-8"), parse_constant=_no_such_number)
    except (ValueError, RecursionError):
        raise RpcError(PARSE_ERROR, "The line is not JSON in UTF-8.") from None
    if not isinstance(message, dict):
        raise RpcError(INVALID_REQUEST, "A message is one JSON object; batches are not served.")
    return message


def _no_such_number(name: str) -> Any:
    raise ValueError(f"{name} is not a number in JSON.")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
