"""Signals and slots with PythonQt's manners.

A wrong signature does not raise: it returns False and says so on stderr. A Python function gets no
more arguments than it takes. What a slot raises is printed, not propagated; `slotErrors` keeps it,
so that a test can insist on there being none.
"""

from __future__ import annotations

import inspect
import re
import sys
import traceback
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore

slotErrors: list[BaseException] = []


def report(error: BaseException) -> None:
    """Print and keep an exception that Python code called by Qt let go."""
    slotErrors.append(error)
    traceback.print_exception(error, file=sys.stderr)


def accepted(function: Callable[..., Any]) -> int | None:
    """How many arguments PythonQt passes to a callable at most; None for all there are."""
    if inspect.ismethod(function):
        code, bound = function.__func__, 1
    elif inspect.isfunction(function):
        code, bound = function, 0
    else:
        return None
    if not inspect.isfunction(code) or code.__code__.co_flags & inspect.CO_VARARGS:
        return None
    return max(code.__code__.co_argcount - bound, 0)


def metaSignature(sender: QtCore.QObject, signature: str) -> str | None:
    """The signature as the sender's meta object has it, None if it has no such signal.

    PySide6 declares a signal of a VTK object, of which Qt knows no type, with a Python object.
    """
    wanted = normalized(signature)
    metaObject = type(sender).staticMetaObject
    if metaObject.indexOfSignal(wanted) >= 0:
        return wanted
    declared = foreignSignatures(type(sender)).get(wanted)
    return declared if declared and metaObject.indexOfSignal(declared) >= 0 else None


def normalized(signature: str) -> str:
    """As Qt compares signatures. The leading 2 is what C++'s SIGNAL() adds."""
    text = signature[1:] if signature.startswith("2") else signature
    return bytes(QtCore.QMetaObject.normalizedSignature(text).data()).decode()


def foreignSignatures(double: type) -> dict[str, str]:
    """C++ signature -> PySide6's, of the signals whose argument types PySide6 cannot name."""
    found: dict[str, str] = {}
    for base in double.__mro__:
        for signature in vars(base).get("foreignSignals", ()):
            found[signature] = re.sub(r"[\w:]+\s*\*", "PyObject", signature)
    return found


def firstSignature(sender: QtCore.QObject, name: str) -> str | None:
    """The signature of the first signal of that name, with its optional arguments."""
    metaObject = type(sender).staticMetaObject
    for index in range(metaObject.methodCount()):
        method = metaObject.method(index)
        if (
            method.methodType() == QtCore.QMetaMethod.MethodType.Signal
            and bytes(method.name().data()).decode() == name
        ):
            return bytes(method.methodSignature().data()).decode()
    return None


class Connection:
    """One connected callable, on the side of Qt."""

    def __init__(self, signature: str, slot: Callable[..., Any], toPython: Callable[[Any], Any]):
        self.signature = signature
        self.slot = slot
        self._toPython = toPython
        self._count = accepted(slot)

    def __call__(self, *arguments: Any) -> None:
        try:
            self.slot(*[self._toPython(argument) for argument in arguments[: self._count]])
        except Exception as error:
            report(error)


def connect(
    sender: QtCore.QObject, signature: str, slot: Callable[..., Any], toPython: Callable[[Any], Any]
) -> bool:
    found = metaSignature(sender, signature)
    if found is None:
        name = type(sender).staticMetaObject.className()
        print(f"QObject::connect: No such signal {name}::{signature}", file=sys.stderr)
        return False
    connection = Connection(found, slot, toPython)
    if not QtCore.QObject.connect(sender, QtCore.SIGNAL(found), connection):
        return False
    _connections(sender).append(connection)
    return True


def disconnect(sender: QtCore.QObject, signature: str, slot: Callable[..., Any] | None) -> bool:
    """Undo the connections of one signal to one callable, or to all."""
    found = metaSignature(sender, signature)
    gone = [
        connection
        for connection in _connections(sender)
        if connection.signature == found and (slot is None or connection.slot == slot)
    ]
    for connection in gone:
        QtCore.QObject.disconnect(sender, QtCore.SIGNAL(connection.signature), connection)
        _connections(sender).remove(connection)
    return bool(gone)


def _connections(sender: QtCore.QObject) -> list[Connection]:
    if not hasattr(sender, "_connections"):
        sender._connections = []
    return sender._connections
