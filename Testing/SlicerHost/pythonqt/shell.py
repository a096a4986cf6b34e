"""Classes of PySide6 that hand Qt's virtual calls to a Python subclass of a wrapper."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from . import members

Dispatch = Callable[[Any, str, tuple[Any, ...]], tuple[bool, Any]]


@functools.cache
def shellClass(pythonClass: type, dispatch: Dispatch) -> type:
    """A subclass of the wrapped class that overrides what `pythonClass` overrides.

    `dispatch(object, name, arguments)` calls the Python method; where it says that there is none to
    call, the class's own function is called.
    """
    cppClass = pythonClass.cppClass
    names: dict[str, Any] = {"isShell": True, "__module__": "PythonQt.shells"}
    for name in _overrides(pythonClass, cppClass):
        names[name] = _forward(getattr(members.nativeClass(cppClass), name), name, dispatch)
    return type(cppClass)(cppClass.__name__, (cppClass,), names)


def _overrides(pythonClass: type, cppClass: type) -> set[str]:
    found: set[str] = set()
    for base in pythonClass.__mro__:
        if base.__dict__.get("cppClass") is not None:
            break
        for name, value in vars(base).items():
            isMethod = inspect.isfunction(value) and not name.startswith("_")
            if isMethod and callable(getattr(members.nativeClass(cppClass), name, None)):
                found.add(name)
    return found


def _forward(original: Callable[..., Any], name: str, dispatch: Dispatch) -> Callable[..., Any]:
    def override(self: Any, *arguments: Any) -> Any:
        called, result = dispatch(self, name, arguments)
        return result if called else original(self, *arguments)

    override.__name__ = name
    return override
