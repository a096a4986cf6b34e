"""Enumerations as PythonQt shows them: subclasses of int, their values reachable unscoped."""

from __future__ import annotations

import enum


class EnumValue(int):
    """A value of a C++ enumeration or of its flags."""

    native: type[enum.Enum]

    def _combined(self, value: int, other: object) -> int:
        return type(self)(value) if type(other) is type(self) else value

    def __or__(self, other):
        return self._combined(int(self) | int(other), other)

    def __and__(self, other):
        return self._combined(int(self) & int(other), other)

    def __xor__(self, other):
        return self._combined(int(self) ^ int(other), other)

    def __invert__(self):
        return type(self)(~int(self))


_types: dict[type[enum.Enum], type[EnumValue]] = {}


def enumType(native: type[enum.Enum]) -> type[EnumValue]:
    """The Python type of an enumeration; its values are its attributes, and calling it converts."""
    if native not in _types:
        made = type(native.__name__, (EnumValue,), {"native": native})
        _types[native] = made
        for name, member in native.__members__.items():
            setattr(made, name, made(member.value))
    return _types[native]


def fromNative(value: enum.Enum) -> EnumValue:
    return enumType(type(value))(value.value)


def toNative(value: EnumValue) -> enum.Enum | int:
    """The member that stands for a value; one without (a user's event type) stays an int."""
    try:
        return value.native(int(value))
    except ValueError:
        return int(value)
