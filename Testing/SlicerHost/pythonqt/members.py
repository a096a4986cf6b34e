"""What a name means on a class: property, method, signal, enumeration, or nothing.

PythonQt asks the meta object first, so a property hides everything else of its name. Classes of
Qt itself are wrapped in full; a double stands for a class of CTK or Slicer, of which only what the
meta object knows is visible: properties, slots, invokables, signals and registered enumerations.
"""

from __future__ import annotations

import enum
import functools
import types
from dataclasses import dataclass
from typing import Any

from PySide6 import QtCore

# Of Qt's properties PythonQt hides this one, so that the static function of its name can be called.
_HIDDEN_PROPERTIES = {("QTimer", "singleShot")}
# What PySide6 adds to Qt's classes, and what `wrapper` does in PythonQt's own way.
_NOT_WRAPPED = {"connect", "disconnect", "emit", "receivers", "findChild", "findChildren"}
_NOT_WRAPPED |= {"staticMetaObject", "metaObject", "isQmlExposed", "isQuickItemType"}


@dataclass(frozen=True)
class Member:
    """kind is one of: property, method, signal, enum, enumValue, class, field (of a struct)."""

    kind: str
    value: Any


def isDouble(cppClass: type) -> bool:
    """True for a class written in Python to stand for one of CTK's or Slicer's."""
    isOfQt = cppClass.__module__.startswith(("PySide6", "Shiboken", "builtins"))
    return not isOfQt and "isShell" not in vars(cppClass)


@functools.cache
def nativeClass(cppClass: type) -> type:
    """The first class of Qt itself among a class and its bases."""
    return next(c for c in cppClass.__mro__ if c.__module__.startswith("PySide6"))


@functools.cache
def member(cppClass: type, name: str) -> Member | None:
    """What `name` means on `cppClass`, None if nothing. Dynamic properties are not seen."""
    if name.startswith("_"):
        return None
    if hasProperty(cppClass, name):
        return Member("property", name)
    for base in cppClass.__mro__:
        if hasattr(base, "isShell"):
            continue
        if not isDouble(base):
            break
        found = _memberOfDouble(base, name)
        if found is not None:
            return found
    return _memberOfQt(nativeClass(cppClass), name)


def hasProperty(cppClass: type, name: str) -> bool:
    # Never an object's own metaObject(): PySide6 shares what that returns with the class, and
    # invalidates it when the object goes.
    metaObject = getattr(cppClass, "staticMetaObject", None)
    if metaObject is None or metaObject.indexOfProperty(name) < 0:
        return False
    return not any((base.__name__, name) in _HIDDEN_PROPERTIES for base in cppClass.__mro__)


def _memberOfDouble(double: type, name: str) -> Member | None:
    for attribute, value in vars(double).items():
        if isinstance(value, enum.EnumMeta):
            if attribute == name:
                return Member("enum", value)
            if name in value.__members__:
                return Member("enumValue", value[name])
    if name not in vars(double):
        return None
    value = vars(double)[name]
    if isinstance(value, QtCore.Signal):
        return Member("signal", value)
    if name in _metaMethods(double):
        return Member("method", value)
    return None


@functools.cache
def _metaMethods(double: type) -> frozenset[str]:
    """The slots and invokables that a double itself declares."""
    if not issubclass(double, QtCore.QObject):
        return frozenset()
    metaObject = double.staticMetaObject
    methods = (
        metaObject.method(i) for i in range(metaObject.methodOffset(), metaObject.methodCount())
    )
    return frozenset(bytes(m.name().data()).decode() for m in methods)


def _memberOfQt(native: type, name: str) -> Member | None:
    if name in _NOT_WRAPPED:
        return None
    try:
        value = getattr(native, name)
    except AttributeError:
        return None
    if isinstance(value, QtCore.Signal):
        return Member("signal", value)
    if isinstance(value, enum.EnumMeta):
        return Member("enum", value)
    if isinstance(value, enum.Enum):
        return Member("enumValue", value)
    if isinstance(value, type):
        return Member("class", value)
    if isinstance(value, types.GetSetDescriptorType):
        return Member("field", name)
    return Member("method", value) if callable(value) else None
