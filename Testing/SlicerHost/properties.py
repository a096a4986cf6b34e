"""Shorthand for the doubles' Qt properties."""

from __future__ import annotations

import itertools
from typing import Any

from PySide6.QtCore import Property

_count = itertools.count()


def stored(cppType: Any, default: Any, changed: str | None = None) -> Property:
    """A property that keeps its value, and calls the method named `changed` when it is set."""
    key = f"_stored{next(_count)}"

    def read(self: Any) -> Any:
        return getattr(self, key, default)

    def write(self: Any, value: Any) -> None:
        setattr(self, key, value)
        if changed is not None:
            getattr(self, changed)()

    return Property(cppType, read, write)


def passedOn(cppType: Any, part: str, name: str) -> Property:
    """A property that is one of a part's: of the child widget kept as attribute `part`."""

    def read(self: Any) -> Any:
        return getattr(self, part).property(name)

    def write(self: Any, value: Any) -> None:
        getattr(self, part).setProperty(name, value)

    return Property(cppType, read, write)


def readOnly(cppType: Any, read: Any) -> Property:
    return Property(cppType, read)
