"""`slicer.parameterNodeWrapper`: typed parameters in a vtkMRMLScriptedModuleNode, and widgets.

As in Slicer: a parameter is kept in the node's parameters under its own name (a node besides as a
node reference of that role), its default is written when the wrapper is made, every value is
checked against type and annotations, and a widget is accepted only if its type is exactly one of
those that have a connector. Types that the module does not use are not there: a parameter of one
ends in an error, never in something that works here alone.
"""

from __future__ import annotations

import enum
import pathlib
import types
import typing
from collections.abc import Callable
from typing import Any

import ctk
import qt
import slicer
import vtk

SlicerParameterNamePropertyName = "SlicerParameterName"

_RESERVED = [
    "allParameters",
    "default",
    "isCached",
    "dataType",
    "getValue",
    "setValue",
    "connectGui",
    "connectParametersToGui",
    "disconnectGui",
    "StartModify",
    "EndModify",
    "AddObserver",
    "RemoveObserver",
    "Modified",
]


# --- what may stand in Annotated


class Validator:
    """Refuses values: `validate` raises ValueError."""

    def validate(self, value: Any) -> None:
        raise NotImplementedError


class Minimum(Validator):
    def __init__(self, minimum: float):
        self.minimum = minimum

    def validate(self, value: Any) -> None:
        if value < self.minimum:
            raise ValueError(f"Value must be at least {self.minimum}, not {value}")


class Maximum(Validator):
    def __init__(self, maximum: float):
        self.maximum = maximum

    def validate(self, value: Any) -> None:
        if value > self.maximum:
            raise ValueError(f"Value must be at most {self.maximum}, not {value}")


class WithinRange(Validator):
    def __init__(self, minimum: float, maximum: float):
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value: Any) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within {self.minimum} and {self.maximum}, not {value}")


class Choice(Validator):
    def __init__(self, choices: Any):
        self.choices = choices

    def validate(self, value: Any) -> None:
        if value not in self.choices:
            raise ValueError(f"Value must be one of {self.choices}, not {value!r}")


class Exclude(Validator):
    def __init__(self, excludedValues: Any):
        self.excludedValues = excludedValues

    def validate(self, value: Any) -> None:
        if value in self.excludedValues:
            raise ValueError(f"Value must not be one of {self.excludedValues}: {value!r}")


class Default:
    """A default inside Annotated."""

    def __init__(self, value: Any = None, *, generator: Callable[[], Any] | None = None):
        self._value, self._generator = value, generator

    @property
    def value(self) -> Any:
        return self._generator() if self._generator else self._value


class Decimals:
    def __init__(self, value: int):
        self.value = value


class SingleStep:
    def __init__(self, value: float):
        self.value = value


# --- one parameter: its type, its place in the node


class _Parameter:
    def __init__(self, name: str, annotated: Any):
        self.name = name
        self.unalteredType = annotated
        self.type, self.annotations = _split(annotated)
        self.validators = [a for a in self.annotations if isinstance(a, Validator)]
        if not (_isEnum(self.type) or _isNode(self.type) or self.type in _EMPTY):
            raise TypeError(f"Unable to create serializer for member {name}: type {annotated}")

        given = [a.value for a in self.annotations if isinstance(a, Default)]
        self.default = given[0] if given else self._emptyValue()

    def _emptyValue(self) -> Any:
        if _isNode(self.type):
            return None
        return next(iter(self.type)) if _isEnum(self.type) else _EMPTY[self.type]

    def check(self, value: Any) -> None:
        if _isNode(self.type) and value is None:
            return
        accepted = (int, float) if self.type is float else self.type
        isFlag = isinstance(value, bool) and self.type is not bool
        if not isinstance(value, accepted) or (isFlag and self.type is not int):
            raise TypeError(f"{self.name}: expected {self.type.__name__}, got {value!r}")
        for validator in self.validators:
            validator.validate(value)

    def write(self, node: Any, value: Any) -> None:
        self.check(value)
        if _isNode(self.type):
            node.SetParameter(self.name, "")
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
        else:
            node.SetParameter(self.name, value.name if _isEnum(self.type) else str(value))

    def read(self, node: Any) -> Any:
        """The value in the node; its default, written first, where closing the scene removed it."""
        if not node.HasParameter(self.name):
            self.write(node, self.default)
        if _isNode(self.type):
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        if _isEnum(self.type):
            return self.type[text]
        return text == "True" if self.type is bool else self.type(text)


_EMPTY: dict[type, Any] = {
    int: 0,
    float: 0.0,
    str: "",
    bool: False,
    pathlib.Path: pathlib.Path(),
    pathlib.PurePath: pathlib.PurePath(),
}


def _split(annotated: Any) -> tuple[type, list[Any]]:
    if typing.get_origin(annotated) is typing.Annotated:
        plain, *annotations = typing.get_args(annotated)
        return plain, annotations
    return annotated, []


def _isNode(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode)


def _isEnum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, enum.Enum)


# --- the decorator


def parameterNodeWrapper(classtype: type | None = None) -> Any:
    """Class decorator: the annotated members become parameters of the node that wraps them."""
    return _processed if classtype is None else _processed(classtype)


def isParameterNodeWrapper(classOrObject: Any) -> bool:
    return getattr(classOrObject, "_is_parameter_node_wrapper", False)


def _processed(classtype: type) -> type:
    parameters: dict[str, _Parameter] = {}
    for name, annotated in typing.get_type_hints(classtype, include_extras=True).items():
        if name in _RESERVED:
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
        parameter = _Parameter(name, annotated)
        parameter.default = getattr(classtype, name, parameter.default)
        parameters[name] = parameter
        setattr(classtype, name, _property(parameter))
    classtype.allParameters = parameters
    classtype._is_parameter_node_wrapper = True
    for name, function in _METHODS.items():
        setattr(classtype, name, function)
    return classtype


def _property(parameter: _Parameter) -> property:
    return property(
        lambda self: parameter.read(self.parameterNode),
        lambda self, value: parameter.write(self.parameterNode, value),
    )


def _initialize(self: Any, parameterNode: Any, prefix: str | None = None) -> None:
    if prefix:
        raise NotImplementedError("the host's parameter node takes no prefix")
    self.parameterNode = parameterNode
    self._connected: dict[int, tuple[dict[str, _Connector], int]] = {}
    self._nextTag = 0
    self._showing = False
    for parameter in self.allParameters.values():
        parameter.read(parameterNode)


def _parameter(self: Any, name: str) -> _Parameter:
    if name not in self.allParameters:
        raise ValueError(f"Cannot find a param with the given name: {name}")
    return self.allParameters[name]


def _getValue(self: Any, name: str) -> Any:
    return _parameter(self, name).read(self.parameterNode)


def _setValue(self: Any, name: str, value: Any) -> None:
    _parameter(self, name).write(self.parameterNode, value)


def _connectParametersToGui(self: Any, mapping: dict[str, Any]) -> int:
    """Tie widgets to parameters, both ways; the tag returned undoes it."""
    connectors = {
        name: _Connector(widget, _parameter(self, name)) for name, widget in mapping.items()
    }
    tag, self._nextTag = self._nextTag, self._nextTag + 1
    for name, connector in connectors.items():
        connector.write(_getValue(self, name))
        connector.begin(lambda name=name, connector=connector: _take(self, name, connector))
    observer = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: _show(self))
    self._connected[tag] = (connectors, observer)
    return tag


def _take(self: Any, name: str, connector: _Connector) -> None:
    if not self._showing:
        _setValue(self, name, connector.read())


def _show(self: Any) -> None:
    """Bring the widgets up to date."""
    if self._showing:
        return
    self._showing = True
    try:
        with slicer.util.NodeModify(self):
            for connectors, _ in list(self._connected.values()):
                for name, connector in connectors.items():
                    connector.write(_getValue(self, name))
    finally:
        self._showing = False


def _connectGui(self: Any, gui: Any) -> int:
    """Tie every widget that has the dynamic property `SlicerParameterName`."""
    if getattr(gui, "isWidgetType", lambda: False)():
        widgets = gui.findChildren("QWidget")
    else:
        widgets = gui.__dict__.values()
    named = {widget.property(SlicerParameterNamePropertyName): widget for widget in widgets}
    return _connectParametersToGui(self, {name: w for name, w in named.items() if name})


def _disconnectGui(self: Any, guiTag: int) -> None:
    connectors, observer = self._connected.pop(guiTag, ({}, None))
    for connector in connectors.values():
        connector.end()
    if observer is not None:
        self.RemoveObserver(observer)


_METHODS: dict[str, Any] = {
    "__init__": _initialize,
    "default": lambda self, name: Default(_parameter(self, name).default),
    "isCached": lambda self, name: _parameter(self, name) is not None,
    "dataType": lambda self, name: _parameter(self, name).unalteredType,
    "getValue": _getValue,
    "setValue": _setValue,
    "connectGui": _connectGui,
    "connectParametersToGui": _connectParametersToGui,
    "disconnectGui": _disconnectGui,
    "StartModify": lambda self: self.parameterNode.StartModify(),
    "EndModify": lambda self, wasModified: self.parameterNode.EndModify(wasModified),
    "AddObserver": lambda self, event, callback, priority=0.0: self.parameterNode.AddObserver(
        event, callback, priority
    ),
    "RemoveObserver": lambda self, tag: self.parameterNode.RemoveObserver(tag),
    "Modified": lambda self: self.parameterNode.Modified(),
}


# --- widgets


class _Connector:
    """A widget tied to a parameter. Which widgets may be: exact types, as `_KINDS` lists them."""

    def __init__(self, widget: Any, parameter: _Parameter):
        self._widget, self._parameter = widget, parameter
        self._callback: Callable[[], None] | None = None
        kind = _kind(widget, parameter)
        if kind is None:
            raise RuntimeError(
                f"Unable to create GUI connector from datatype '{parameter.unalteredType}' to "
                f"widget type '{type(widget)}'"
            )
        self._signal, self._attribute, prepare = kind
        self._choices = prepare(widget, parameter)

    def begin(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        getattr(self._widget, self._signal).connect(self._changed)

    def end(self) -> None:
        getattr(self._widget, self._signal).disconnect(self._changed)
        self._callback = None

    def _changed(self) -> None:
        if self._callback is not None:
            self._callback()

    def read(self) -> Any:
        if self._attribute == "node":
            return self._widget.currentNode()
        value = getattr(self._widget, self._attribute)
        if self._choices is not None:
            return self._choices[value]
        return pathlib.Path(value) if self._parameter.type in _PATHS else value

    def write(self, value: Any) -> None:
        if self._attribute == "node":
            self._widget.setCurrentNode(value)
        elif self._choices is not None:
            setattr(self._widget, self._attribute, self._choices.index(value))
        else:
            setattr(
                self._widget,
                self._attribute,
                str(value) if isinstance(value, pathlib.PurePath) else value,
            )


_PATHS = (pathlib.Path, pathlib.PurePath)


def _nothing(widget: Any, parameter: _Parameter) -> None:
    return None


def _checkable(widget: Any, parameter: _Parameter) -> None:
    widget.checkable = True


def _range(widget: Any, parameter: _Parameter) -> None:
    """Give the widget the annotations' limits, decimals and step; a slider must have limits."""
    limits: dict[str, float] = {}
    for annotation in parameter.annotations:
        if isinstance(annotation, (WithinRange, Minimum)):
            limits["minimum"] = annotation.minimum
        if isinstance(annotation, (WithinRange, Maximum)):
            limits["maximum"] = annotation.maximum
        if isinstance(annotation, Decimals) and parameter.type is float:
            widget.decimals = annotation.value
        if isinstance(annotation, SingleStep):
            widget.singleStep = annotation.value
    isSlider = type(widget) not in (qt.QSpinBox, qt.QDoubleSpinBox, ctk.ctkDoubleSpinBox)
    if isSlider and len(limits) < 2:
        raise RuntimeError(f"Cannot connect a slider to {parameter.name}, which is unbounded")
    widest = 2**31 - 1 if parameter.type is int else float(2**53)
    widget.minimum = limits.get("minimum", -widest)
    widget.maximum = limits.get("maximum", widest)


def _choices(widget: Any, parameter: _Parameter) -> list[Any]:
    """Fill a combo box with the values there are to choose from."""
    if _isEnum(parameter.type):
        values = list(parameter.type)
        label = getattr(parameter.type, "label", lambda value: value.name)
        texts = [label(value) for value in values]
    else:
        choice = next((a for a in parameter.annotations if isinstance(a, Choice)), None)
        if choice is None:
            raise RuntimeError(f"A combo box for {parameter.name} needs the Choice annotation")
        values = list(choice.choices)
        texts = [str(value) for value in values]
    widget.clear()
    widget.addItems(texts)
    return values


def _kind(widget: Any, parameter: _Parameter) -> tuple[str, str, Callable[..., Any]] | None:
    """Signal, attribute and preparation for a widget and a parameter; None without a connector."""
    if _isNode(parameter.type):
        isNodeComboBox = type(widget) is slicer.qMRMLNodeComboBox
        return ("currentNodeChanged", "node", _nothing) if isNodeComboBox else None
    wanted = enum.Enum if _isEnum(parameter.type) else parameter.type
    for widgets, kinds, signal, attribute, prepare in _KINDS:
        if type(widget) in widgets and wanted in kinds:
            return signal, attribute, prepare
    return None


_KINDS: list[tuple[tuple[Any, ...], tuple[Any, ...], str, str, Callable[..., Any]]] = [
    ((qt.QCheckBox, ctk.ctkCheckBox), (bool,), "toggled", "checked", _nothing),
    ((qt.QPushButton, ctk.ctkCheckablePushButton), (bool,), "toggled", "checked", _checkable),
    ((qt.QSlider, qt.QSpinBox), (int,), "valueChanged", "value", _range),
    (
        (
            qt.QDoubleSpinBox,
            ctk.ctkSliderWidget,
            ctk.ctkDoubleSlider,
            ctk.ctkDoubleSpinBox,
            slicer.qMRMLSliderWidget,
        ),
        (float,),
        "valueChanged",
        "value",
        _range,
    ),
    (
        (qt.QComboBox, ctk.ctkComboBox),
        (int, float, str, bool, enum.Enum),
        "currentIndexChanged",
        "currentIndex",
        _choices,
    ),
    ((qt.QLineEdit,), (str,), "textChanged", "text", _nothing),
    ((qt.QTextEdit,), (str,), "textChanged", "plainText", _nothing),
    ((ctk.ctkPathLineEdit,), _PATHS, "currentPathChanged", "currentPath", _nothing),
    ((ctk.ctkDirectoryButton,), _PATHS, "directoryChanged", "directory", _nothing),
]


# --- the modules


def makeParameterNodeModules() -> list[types.ModuleType]:
    """`slicer.parameterNodeWrapper`, with the submodules that Slicer's own modules import from."""
    package = types.ModuleType("slicer.parameterNodeWrapper")
    package.__path__ = []
    inner = {
        "default": [Default],
        "validators": [Validator, Minimum, Maximum, WithinRange, Choice, Exclude],
        "guiConnectors": [Decimals, SingleStep],
        "wrapper": [parameterNodeWrapper, isParameterNodeWrapper],
    }
    made = [package]
    for name, members in inner.items():
        module = types.ModuleType(f"slicer.parameterNodeWrapper.{name}")
        for member in members:
            setattr(module, member.__name__, member)
            setattr(package, member.__name__, member)
        made.append(module)
    package.SlicerParameterNamePropertyName = SlicerParameterNamePropertyName
    package.__all__ = [name for name in vars(package) if not name.startswith("_")]
    return made
