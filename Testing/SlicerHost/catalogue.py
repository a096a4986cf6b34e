"""The catalogue of what Slicer's Python really offers: `../shared/slicer_api_catalog.json`.

It lists, class by class, what PythonQt exposes of CTK, Slicer and Qt. Tests hold the doubles and
the module's code against it; the host itself does not need it.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATH = Path(__file__).parents[3] / "shared" / "slicer_api_catalog.json"

# What PythonQt gives every QObject besides.
_OBJECT_METHODS = {
    "connect",
    "disconnect",
    "parent",
    "setParent",
    "findChild",
    "findChildren",
    "children",
    "property",
    "setProperty",
    "tr",
    "className",
    "inherits",
    "delete",
    "help",
    "metaObject",
}


@dataclass(frozen=True)
class Member:
    """kind: property, method, signal, enum; what a call returns, where the catalogue tells."""

    kind: str
    writable: bool = False
    returns: str | None = None


@functools.cache
def _content() -> dict[str, Any]:
    return json.loads(PATH.read_text(encoding="utf-8"))


def isThere() -> bool:
    return PATH.is_file()


def slicerClasses() -> dict[str, dict[str, Any]]:
    return _content()["classes"]


def qtClasses() -> dict[str, dict[str, Any]]:
    return _content()["qt"]["classes"]


def pythonModule(name: str) -> dict[str, Any]:
    """A Python module of Slicer: util, ScriptedLoadableModule, i18n, parameterNodeWrapper, ..."""
    return _content()["slicer_util"][name]


def knows(className: str) -> bool:
    return className in slicerClasses() or className in qtClasses()


def chain(className: str) -> list[dict[str, Any]]:
    """The entries of a class and its bases, the class first."""
    found: list[dict[str, Any]] = []
    name: str | None = className
    while name:
        entry = slicerClasses().get(name) or qtClasses().get(name)
        if entry is None:
            break
        found.append(entry)
        name = entry.get("base")
    return found


def member(className: str, name: str) -> Member | None:
    """What a name is on a class, or None if it is nothing in Slicer. A property hides all else."""
    entries = chain(className)
    for entry in entries:
        if name in entry.get("properties", {}):
            hidden = className == "QTimer" and name == "singleShot"
            writable = name not in entry.get("readonly_properties", [])
            if not hidden:
                return Member("property", writable=writable)
    for entry in entries:
        found = _callable(entry, name)
        if found is not None:
            return found
    if name == "name":
        return Member("property", writable=True)
    return Member("method") if name in _OBJECT_METHODS else None


def _callable(entry: dict[str, Any], name: str) -> Member | None:
    if "module" in entry:
        if name in entry.get("methods", {}):
            return Member("method", returns=entry.get("returns", {}).get(name))
        if name in entry.get("signals", {}):
            return Member("signal")
        values = {value for keys in entry.get("enums", {}).values() for value in keys}
        return Member("enum") if name in values or name in entry.get("enums", {}) else None
    names = {signature.split("(")[0] for signature in entry.get("slots", [])}
    if name in names | set(entry.get("methods", {})) | set(entry.get("static", {})):
        return Member("method")
    if name in {signature.split("(")[0] for signature in entry.get("signals", [])}:
        return Member("signal")
    return Member("enum") if name in entry.get("enums", []) else None


def signals(className: str) -> set[str]:
    """The signatures that connect() takes, without spaces."""
    found: set[str] = set()
    for entry in chain(className):
        listed = entry.get("signal_signatures") or entry.get("signals", [])
        found |= {signature.replace(" ", "") for signature in listed}
    return found


def cppOnly(className: str) -> set[str]:
    """Public C++ methods that Python does not see, of a class and its bases."""
    return {name for entry in chain(className) for name in entry.get("cpp_only", [])}
