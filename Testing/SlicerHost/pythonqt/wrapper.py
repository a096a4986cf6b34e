"""The Python types of Qt's classes, as PythonQt makes them.

Every C++ class is a type of its own whose only base is `PythonQtInstanceWrapper`; C++ inheritance
does not show, so `isinstance(ctk.ctkCollapsibleButton(), qt.QWidget)` is False. The wrapper holds
the object of PySide6 and looks every name up by `members.member`. A class of Qt may be subclassed
in Python: its instances then hold an object of a `shell` class that hands Qt's virtual calls on.
"""

from __future__ import annotations

import enum
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any

import shiboken6
from PySide6 import QtCore, QtWidgets
from shibokensupport.signature import get_signature

from . import connections, enums, members, shell

_wrapperClasses: dict[type, type] = {}


class WrapperType(type):
    """The type of the types: finds static functions, unbound methods and enumerations."""

    cppClass: type

    def __getattr__(cls, name: str) -> Any:
        cppClass = cls.__dict__.get("cppClass") or getattr(cls, "cppClass", None)
        found = members.member(cppClass, name) if cppClass else None
        if found is None:
            raise AttributeError(f"type object '{cls.__name__}' has no attribute '{name}'")
        if found.kind == "enum":
            return enums.enumType(found.value)
        if found.kind == "enumValue":
            return enums.fromNative(found.value)
        if found.kind == "class":
            return wrapperClass(found.value)
        return UnboundMethod(cppClass, name)


class PythonQtInstanceWrapper(metaclass=WrapperType):
    """Base of all wrappers. `cppObject` is kept out of the wrapper's own names."""

    cppClass = None

    def __init__(self, *arguments: Any):
        pythonClass = type(self)
        cppClass = pythonClass.cppClass
        if cppClass is None:
            raise TypeError("PythonQtInstanceWrapper cannot be made")
        native = [toQt(argument) for argument in arguments]
        if members.isDouble(cppClass):
            _checkConstructor(cppClass, native)
        if isSubclass(pythonClass):
            made = _call(shell.shellClass(pythonClass, dispatch), native)
        else:
            made = _call(cppClass, native)
        _attach(self, made)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        native = _native(self)
        found = members.member(type(native), name)
        if found is None and name.endswith("_"):
            # PythonQt puts an underscore behind Python's reserved words: exec_.
            found, name = members.member(type(native), name[:-1]), name[:-1]
        isObject = isinstance(native, QtCore.QObject)
        if found is not None and found.kind == "property":
            return toPython(_readProperty(native, name))
        if isObject and name in _objectMethods:
            return types.MethodType(_objectMethods[name], self)
        if found is None and isObject:
            return _dynamic(native, name)
        if found is None:
            raise AttributeError(f"{_className(native)} has no attribute named '{name}'")
        if found.kind == "signal":
            return Signal(self, name)
        if found.kind == "method":
            return BoundMethod(self, name)
        if found.kind == "field":
            return toPython(getattr(native, name))
        return getattr(wrapperClass(_exposed(type(native))), name)

    def __setattr__(self, name: str, value: Any) -> None:
        cppClass = type(self).cppClass
        found = members.member(cppClass, name)
        isObject = issubclass(cppClass, QtCore.QObject)
        if found is None and "_cppObject" not in self.__dict__ and isSubclass(type(self)):
            object.__setattr__(self, name, value)  # before the base class's __init__
            return
        native = _native(self)
        if found is not None and found.kind == "property":
            _writeProperty(native, name, value)
        elif found is not None and found.kind == "field":
            setattr(native, name, toQt(value))
        elif isObject and name == "name":
            native.setObjectName(toQt(value))
        elif found is not None or (isObject and name in _objectMethods):
            kind = found.kind if found else "method"
            raise AttributeError(f"{kind} '{name}' can not be overwritten on {_className(native)}")
        elif isObject and name.encode() in [bytes(n.data()) for n in native.dynamicPropertyNames()]:
            native.setProperty(name, toQt(value))
        elif isSubclass(type(self)):
            object.__setattr__(self, name, value)
        else:
            raise AttributeError(
                f"'{name}' does not exist on {_className(native)} and creating new attributes on "
                "C++ objects is not allowed"
            )

    def __dir__(self) -> list[str]:
        return sorted(set(dir(type(_native(self)))) | set(object.__dir__(self)))

    def __repr__(self) -> str:
        native = self.__dict__.get("_cppObject")
        return f"{type(self).__name__} ({native!r})"

    def __bool__(self) -> bool:
        return shiboken6.isValid(_native(self))

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, PythonQtInstanceWrapper):
            return False
        mine, others = _native(self), _native(other)
        if isinstance(mine, QtCore.QObject):
            return mine is others
        return type(mine) is type(others) and bool(mine == others)

    def __hash__(self) -> int:
        native = _native(self)
        return id(native) if isinstance(native, QtCore.QObject) else hash(native)


def _operator(name: str) -> Callable[..., Any]:
    def operate(self: PythonQtInstanceWrapper, *others: Any) -> Any:
        method = getattr(type(_native(self)), name, None)
        if method is None:
            return NotImplemented
        return toPython(method(_native(self), *[toQt(other) for other in others]))

    return operate


for _name in ("add", "sub", "mul", "truediv", "or", "and", "neg", "lt", "le", "gt", "ge", "iadd"):
    setattr(PythonQtInstanceWrapper, f"__{_name}__", _operator(f"__{_name}__"))


class UnboundMethod:
    """A static function, or a method that takes its object first: `qt.QWidget.paintEvent(self, e)`.

    Without __get__, so that a class that it is put on does not bind it.
    """

    def __init__(self, cppClass: type, name: str):
        self._class, self._name = cppClass, name

    def __call__(self, *arguments: Any) -> Any:
        if _isModal(self._class, self._name, len(arguments)):
            raise ModalDialogError(self._class, self._name)
        owner = (
            self._class
            if _isOfDouble(self._class, self._name)
            else members.nativeClass(self._class)
        )
        return toPython(_call(getattr(owner, self._name), [toQt(a) for a in arguments]))

    def __repr__(self) -> str:
        return f"<unbound {self._class.__name__}.{self._name}>"


class BoundMethod:
    """A method of an object. Two of the same object and name are equal, as connections need."""

    def __init__(self, wrapper: PythonQtInstanceWrapper, name: str):
        self._wrapper, self._name = wrapper, name

    def __call__(self, *arguments: Any) -> Any:
        native = _native(self._wrapper)
        if _isModal(type(native), self._name, 1):
            raise ModalDialogError(type(native), self._name)
        unbound = getattr(members.nativeClass(type(native)), self._name, None)
        return toPython(_call(getattr(native, self._name), [toQt(a) for a in arguments], unbound))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, BoundMethod)
            and self._name == other._name
            and self._wrapper == other._wrapper
        )

    def __hash__(self) -> int:
        return hash((self._name, self._wrapper))

    def __repr__(self) -> str:
        return f"<{type(self._wrapper).__name__}.{self._name}>"


class Signal:
    """A signal of an object. Like PythonQt's, it connects the first overload and takes no type."""

    def __init__(self, wrapper: PythonQtInstanceWrapper, name: str):
        self._wrapper, self._name = wrapper, name

    def _signature(self) -> str:
        return connections.firstSignature(_native(self._wrapper), self._name) or self._name

    def connect(self, slot: Callable[..., Any]) -> bool:
        return connect(self._wrapper, self._signature(), slot)

    def disconnect(self, slot: Callable[..., Any] | None = None) -> bool:
        return connections.disconnect(_native(self._wrapper), self._signature(), slot)

    def emit(self, *arguments: Any) -> None:
        getattr(_native(self._wrapper), self._name).emit(*[toQt(a) for a in arguments])

    __call__ = emit


class ModalDialogError(RuntimeError):
    """Nobody is there to close a dialog that waits for a user; a test replaces the function."""

    def __init__(self, cppClass: type, name: str):
        super().__init__(f"{cppClass.__name__}.{name} would wait for a user; the host has none")


def wrapperClass(cppClass: type) -> type:
    """What PythonQt would make of a class of PySide6 or of a double."""
    if cppClass not in _wrapperClasses:
        names = {"cppClass": cppClass, "__module__": "PythonQt", "__doc__": None}
        _wrapperClasses[cppClass] = WrapperType(
            cppClass.__name__, (PythonQtInstanceWrapper,), names
        )
    return _wrapperClasses[cppClass]


def isSubclass(pythonClass: type) -> bool:
    """True for a class that Python code derived from a wrapper."""
    return pythonClass is not _wrapperClasses.get(pythonClass.cppClass)


def toQt(value: Any) -> Any:
    """A value of the module's code as PySide6 takes it."""
    if isinstance(value, PythonQtInstanceWrapper):
        return _native(value)
    if isinstance(value, enums.EnumValue):
        return enums.toNative(value)
    if isinstance(value, (list, tuple)):
        return [toQt(item) for item in value]
    if isinstance(value, dict):
        return {key: toQt(item) for key, item in value.items()}
    return value


def toPython(value: Any) -> Any:
    """A value of PySide6 as PythonQt shows it."""
    if isinstance(value, enum.Enum):
        return enums.fromNative(value)
    if isinstance(value, (list, tuple)):
        return tuple(toPython(item) for item in value)
    if isinstance(value, dict):
        return {key: toPython(item) for key, item in value.items()}
    if isinstance(value, shiboken6.Shiboken.Object):
        return wrap(value)
    return value


def wrap(native: Any) -> Any:
    """The wrapper of an object of PySide6: the one that it has, or a new one."""
    known = getattr(native, "_pythonQt", None)
    wrapper = known() if isinstance(known, weakref.ref) else known
    if wrapper is None:
        wrapperType = wrapperClass(_exposed(type(native)))
        wrapper = wrapperType.__new__(wrapperType)
        _attach(wrapper, native)
    return wrapper


def unwrap(wrapper: Any) -> Any:
    """The object of PySide6 inside a wrapper; for the host's own use."""
    return _native(wrapper)


def dispatch(native: Any, name: str, arguments: tuple[Any, ...]) -> tuple[bool, Any]:
    """Call the Python override of a virtual function.

    Returns whether there was one to call (while the object is being made there is none), and what
    it returned. What it raises is reported, and C++'s own function is called.
    """
    wrapper = getattr(native, "_pythonQt", None)
    if wrapper is None:
        return False, None
    try:
        override = getattr(type(wrapper), name)
        return True, toQt(override(wrapper, *[toPython(argument) for argument in arguments]))
    except Exception as error:
        connections.report(error)
        return False, None


def connect(sender: PythonQtInstanceWrapper, signature: str, *receiver: Any) -> bool:
    """connect("signal()", callable), or connect("signal()", object, "slot()")."""
    if len(receiver) >= 2 and isinstance(receiver[1], str):
        slotName = receiver[1].lstrip("1").split("(")[0]
        slot = getattr(receiver[0], slotName, None)
        if slot is None:
            print(f"QObject::connect: No such slot {receiver[1]}", file=sys.stderr)
            return False
    else:
        slot = receiver[0]
    if not callable(slot):
        raise ValueError(f"connect takes a callable, not {slot!r}")
    return connections.connect(_native(sender), signature, slot, toPython)


# --- what every QObject has besides its meta object's names


def _disconnect(self: Any, signature: str, slot: Any = None) -> bool:
    return connections.disconnect(_native(self), signature, slot)


def _findChildren(self: Any, kind: Any = None, name: str = "") -> tuple[Any, ...]:
    children = _native(self).findChildren(QtCore.QObject)
    return tuple(wrap(c) for c in children if _matches(c, kind, name))


def _findChild(self: Any, kind: Any = None, name: str = "") -> Any:
    return next(iter(_findChildren(self, kind, name)), None)


def _matches(native: QtCore.QObject, kind: Any, name: str) -> bool:
    wanted = kind.cppClass.__name__ if isinstance(kind, type) else kind
    return (not wanted or native.inherits(wanted)) and (not name or native.objectName() == name)


def _setProperty(self: Any, name: str, value: Any) -> bool:
    return bool(_native(self).setProperty(name, toQt(value)))


def _property(self: Any, name: str) -> Any:
    native = _native(self)
    if members.hasProperty(type(native), name):
        return toPython(_readProperty(native, name))
    return toPython(native.property(name))


def _delete(self: Any) -> None:
    shiboken6.delete(_native(self))


_objectMethods: dict[str, Callable[..., Any]] = {
    "connect": connect,
    "disconnect": _disconnect,
    "findChild": _findChild,
    "findChildren": _findChildren,
    "property": _property,
    "setProperty": _setProperty,
    "className": lambda self: _className(_native(self)),
    "delete": _delete,
}


# --- the object inside


def _attach(wrapper: PythonQtInstanceWrapper, native: Any) -> None:
    """Tie a wrapper to its object.

    A plain wrapper goes when Python lets go of it, and its object with it unless Qt owns that; a
    Python subclass has state of its own and lives as long as its object.
    """
    object.__setattr__(wrapper, "_cppObject", native)
    if isinstance(native, QtCore.QObject) or isSubclass(type(wrapper)):
        native._pythonQt = wrapper if isSubclass(type(wrapper)) else weakref.ref(wrapper)


def _native(wrapper: PythonQtInstanceWrapper) -> Any:
    try:
        native = object.__getattribute__(wrapper, "_cppObject")
    except AttributeError:
        name = type(wrapper).__name__
        raise AttributeError(f"{name}: the base class's __init__ has not been called") from None
    return native


def _exposed(cppClass: type) -> type:
    """The class that Python code sees for an object: no shell, and with a public name."""
    return next(c for c in cppClass.__mro__ if not hasattr(c, "isShell"))


def _className(native: Any) -> str:
    return _exposed(type(native)).__name__


def _isOfDouble(cppClass: type, name: str) -> bool:
    return any(name in vars(base) for base in cppClass.__mro__ if members.isDouble(base))


def _checkConstructor(double: type, arguments: list[Any]) -> None:
    """CTK's and Slicer's classes are made with a parent alone, and some not at all."""
    if getattr(double, "notConstructible", False):
        raise ValueError(f"{double.__name__} cannot be made from Python")
    if len(arguments) > 1 or not all(a is None or isinstance(a, QtCore.QObject) for a in arguments):
        raise ValueError(
            f"Called {double.__name__}(QWidget* parent) with wrong arguments: {arguments}"
        )


def _call(function: Callable[..., Any], arguments: list[Any], unbound: Any = None) -> Any:
    """Call into PySide6; ints stand for enumerations too, as in PythonQt.

    unbound: the same function as the class has it, of which PySide6 knows the signatures.
    """
    if any(
        isinstance(a, (types.FunctionType, types.MethodType, types.LambdaType)) for a in arguments
    ):
        raise ValueError(f"{function} takes no Python function; connect a signal instead")
    try:
        return function(*arguments)
    except TypeError as error:
        converted = _withEnums(unbound or function, arguments)
        if converted is None:
            raise ValueError(_shortened(error)) from error
        return function(*converted)


def _withEnums(function: Callable[..., Any], arguments: list[Any]) -> list[Any] | None:
    """The arguments with ints made enumerations where a signature of the function has them."""
    signatures = get_signature(function) or []
    for signature in signatures if isinstance(signatures, list) else [signatures]:
        annotations = [p.annotation for p in signature.parameters.values() if p.name != "self"]
        if len(annotations) < len(arguments):
            continue
        converted = list(arguments)
        for index, annotation in enumerate(annotations[: len(arguments)]):
            if isinstance(annotation, enum.EnumMeta) and isinstance(arguments[index], int):
                converted[index] = annotation(int(arguments[index]))
        if converted != arguments or any(map(_differ, converted, arguments)):
            return converted
    return None


def _shortened(error: TypeError) -> str:
    """What PySide6 says without its list of signatures, which fills a screen."""
    return " ".join(str(error).split("Supported signatures:")[0].split())


def _differ(one: Any, other: Any) -> bool:
    return type(one) is not type(other)


# --- properties


def _readProperty(native: QtCore.QObject, name: str) -> Any:
    if not shiboken6.isValid(native):
        raise ValueError(
            f"Trying to read property '{name}' from a destroyed {_className(native)} object"
        )
    if isinstance(_declaration(type(native), name), QtCore.Property):
        return getattr(native, name)
    try:
        return native.property(name)
    except RuntimeError:
        # PySide6 has no converter for some flags; their getters have.
        return getattr(members.nativeClass(type(native)), name)(native)


def _writeProperty(native: QtCore.QObject, name: str, value: Any) -> None:
    className = _className(native)
    if not shiboken6.isValid(native):
        raise AttributeError(f"Trying to set property '{name}' on a destroyed {className} object")
    metaObject = type(native).staticMetaObject
    metaProperty = metaObject.property(metaObject.indexOfProperty(name))
    if not metaProperty.isWritable():
        raise AttributeError(f"Property '{name}' of {className} object is not writable")
    typeName = metaProperty.typeName()
    if not _accepts(typeName, value):
        raise AttributeError(
            f"Property '{name}' of type '{typeName}' does not accept an object of type "
            f"{type(value).__name__} ({value!r})"
        )
    if isinstance(_declaration(type(native), name), QtCore.Property):
        setattr(native, name, toQt(value))
        return
    plain = int(value) if isinstance(value, enums.EnumValue) else toQt(value)
    if not native.setProperty(name, plain):
        raise AttributeError(f"Property '{name}' of type '{typeName}' does not accept {value!r}")


def _declaration(cppClass: type, name: str) -> Any:
    return next((vars(base)[name] for base in cppClass.__mro__ if name in vars(base)), None)


def _accepts(typeName: str, value: Any) -> bool:
    if typeName in ("int", "uint", "qlonglong", "qulonglong"):
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if typeName in ("double", "float"):
        return isinstance(value, (int, float))
    if typeName == "bool":
        return isinstance(value, (bool, int))
    if typeName == "QString":
        return isinstance(value, str)
    if typeName == "QStringList":
        return isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value)
    return True


def _dynamic(native: QtCore.QObject, name: str) -> Any:
    """The last places where PythonQt looks: dynamic properties, then children by their name."""
    if not shiboken6.isValid(native):
        raise AttributeError(
            f"Trying to read '{name}' from a destroyed {_className(native)} object"
        )
    if name == "name":
        return native.objectName()
    value = native.property(name)
    if value is not None:
        return toPython(value)
    for child in native.children():
        if child.objectName() == name:
            return wrap(child)
    raise AttributeError(f"{_className(native)} has no attribute named '{name}'")


# --- dialogs that would wait for a user

_MODAL_STATICS = {
    QtWidgets.QMessageBox: {"question", "information", "warning", "critical", "about", "aboutQt"},
    QtWidgets.QFileDialog: {
        "getOpenFileName",
        "getOpenFileNames",
        "getSaveFileName",
        "getExistingDirectory",
    },
    QtWidgets.QInputDialog: {"getText", "getInt", "getDouble", "getItem", "getMultiLineText"},
    QtWidgets.QColorDialog: {"getColor"},
}


def _isModal(cppClass: type, name: str, count: int) -> bool:
    if name in ("exec", "exec_"):
        return count == 1 and issubclass(cppClass, (QtWidgets.QDialog, QtWidgets.QMenu))
    statics = _MODAL_STATICS.get(members.nativeClass(cppClass), ())
    return name in statics


def isQtClass(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, shiboken6.Shiboken.Object)
