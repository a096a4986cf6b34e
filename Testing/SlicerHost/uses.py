"""Every use that Python code makes of qt, ctk and Slicer's classes, held against the catalogue.

A walk over the syntax: `qt.X`, `ctk.X`, `slicer.X` and `slicer.util.f` wherever they stand, and the
attributes of what was made of such a class (`self.button = qt.QPushButton()`, then
`self.button.text()` is wrong: text is a property). Types are followed through assignments,
annotations, subclasses, the classes of the code itself and what the catalogue says that a method
returns; where they cannot be told, nothing is said.
"""

from __future__ import annotations

import ast
import enum
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import slicer
from PySide6 import QtCore
from shibokensupport.signature import get_signature

from . import catalogue
from .pythonqt import members, qtmodule

# Of `slicer` itself, besides classes: what Slicer's start-up puts there, and its submodules.
_SLICER_NAMES = {
    "app",
    "mrmlScene",
    "modules",
    "util",
    "i18n",
    "packaging",
    "cli",
    "testing",
    "logic",
    "ScriptedLoadableModule",
    "parameterNodeWrapper",
    "dicomDatabase",
}
_KNOWN_TYPES = {"slicer.app": "qSlicerApplication"}
_OLDEST_RELEASE = "5.10"


@dataclass
class _Class:
    """A class of the code that is looked at."""

    base: str | None = None
    attributes: dict[str, str | None] = field(default_factory=dict)


def problems(sources: Iterable[Path]) -> list[str]:
    """What is wrong, one line each: `file:line: what`."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sources}
    return _problems({str(path): tree for path, tree in trees.items()})


def problemsOf(source: str) -> list[str]:
    return _problems({"source": ast.parse(source)})


def _problems(trees: dict[str, ast.Module]) -> list[str]:
    classes: dict[str, _Class] = {}
    for _ in range(2):  # the second round knows the classes that the first one found
        for tree in trees.values():
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    classes[node.name] = _classOf(node, classes)
    found: list[str] = []
    for name, tree in trees.items():
        checker = _Checker(name, classes, tree)
        checker.visit(tree)
        found += checker.found
    return sorted(set(found))


def _classOf(node: ast.ClassDef, classes: dict[str, _Class]) -> _Class:
    made = _Class()
    for base in node.bases:
        made.base = made.base or _wrapped(base)
    typer = _Typer(classes, {"self": node.name})
    for statement in ast.walk(node):
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)) and statement is not node:
            made.attributes.setdefault(statement.name, None)
        for target, value in _assignments(statement):
            isOwn = isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name)
            if isOwn and target.value.id == "self":
                kind = typer.typeOf(value) if value is not None else None
                known = made.attributes.get(target.attr, kind)
                made.attributes[target.attr] = kind if known in (kind, None) else None
            elif isinstance(target, ast.Name):
                made.attributes.setdefault(target.id, None)
    return made


def _assignments(node: ast.AST) -> list[tuple[ast.expr, ast.expr | None]]:
    if isinstance(node, ast.Assign):
        return [(target, node.value) for target in node.targets]
    if isinstance(node, (ast.AnnAssign, ast.NamedExpr, ast.AugAssign)):
        return [(node.target, node.value)]
    return []


def _wrapped(node: ast.expr) -> str | None:
    """The class that `qt.X`, `ctk.X` or `slicer.X` names, None for anything else."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        module, name = node.value.id, node.attr
        isWidget = name.startswith(("qMRML", "qSlicer"))
        if module in ("qt", "ctk") or (module == "slicer" and isWidget):
            return name
    return None


class _Typer:
    """Tells the class of an expression: a wrapped one, or one of the code's own."""

    def __init__(self, classes: dict[str, _Class], names: dict[str, str | None]):
        self.classes, self.names = classes, names

    def typeOf(self, node: ast.expr) -> str | None:
        if isinstance(node, ast.Name):
            return self.names.get(node.id)
        if isinstance(node, ast.Call):
            return self._made(node.func)
        if isinstance(node, ast.Attribute):
            dotted = ast.unparse(node)
            if dotted in _KNOWN_TYPES:
                return _KNOWN_TYPES[dotted]
            owner = self.typeOf(node.value)
            return self.classes[owner].attributes.get(node.attr) if owner in self.classes else None
        return None

    def _made(self, function: ast.expr) -> str | None:
        if _wrapped(function):
            return _wrapped(function)
        if isinstance(function, ast.Name):
            return function.id if function.id in self.classes else None
        if isinstance(function, ast.Attribute):
            owner = self._owner(function.value) or _wrapped(function.value)
            return _returned(owner, function.attr) if owner else None
        return None

    def _owner(self, node: ast.expr) -> str | None:
        """The wrapped class of an expression, also where the code's own class derives from it."""
        kind = self.typeOf(node)
        for _ in self.classes:
            if kind not in self.classes:
                break
            kind = self.classes[kind].base
        return kind

    def ofAnnotation(self, node: ast.expr | None) -> str | None:
        if node is None:
            return None
        if isinstance(node, ast.Name) and node.id in self.classes:
            return node.id
        return _wrapped(node)


class _Checker(ast.NodeVisitor):
    def __init__(self, name: str, classes: dict[str, _Class], tree: ast.Module):
        self.name, self.classes, self.found = name, classes, []
        self._typer = _Typer(classes, {})
        self._guarded = {
            call.args[1].value
            for call in ast.walk(tree)
            if isinstance(call, ast.Call)
            and isinstance(call.func, ast.Name)
            and call.func.id in ("hasattr", "getattr")
            and len(call.args) > 1
            and isinstance(call.args[1], ast.Constant)
        }
        self._className: str | None = None

    def _report(self, node: ast.AST, text: str) -> None:
        self.found.append(f"{self.name}:{node.lineno}: {text}")

    # --- scopes

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        outer, self._className = self._className, node.name
        self.generic_visit(node)
        self._className = outer

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        outer = self._typer
        names = dict(outer.names)
        if self._className is not None and node.args.args and node.args.args[0].arg == "self":
            names["self"] = self._className
        self._typer = _Typer(self.classes, names)
        for argument in [*node.args.args, *node.args.kwonlyargs]:
            if argument.arg != "self":
                names[argument.arg] = self._typer.ofAnnotation(argument.annotation)
        for statement in ast.walk(node):
            for target, value in _assignments(statement):
                if isinstance(target, ast.Name):
                    kind = self._typer.typeOf(value) if value is not None else None
                    names[target.id] = kind if names.get(target.id, kind) == kind else None
        self.generic_visit(node)
        self._typer = outer

    # --- uses

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            if node.module == "slicer.util":
                self._utility(node, alias.name)
            elif node.module == "slicer":
                self._ofSlicer(node, alias.name)
            elif node.module in ("slicer.i18n", "slicer.ScriptedLoadableModule"):
                known = catalogue.pythonModule(node.module.split(".")[1])
                if alias.name not in {*known["functions"], *known["classes"], "*"}:
                    self._report(node, f"{node.module} has no {alias.name}")

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        made = _wrapped(function)
        if made is not None:
            self._constructor(node, made)
        elif isinstance(function, ast.Attribute):
            if ast.unparse(function.value) == "slicer.util":
                self._utilityCall(node, function.attr)
            else:
                self._methodCall(node, function)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        dotted = ast.unparse(node.value)
        if dotted in ("qt", "ctk"):
            self._wrappedClass(node, dotted)
        elif dotted == "slicer":
            self._ofSlicer(node, node.attr)
        elif dotted == "slicer.util":
            self._utility(node, node.attr)
        elif _wrapped(node.value):
            self._static(node, _wrapped(node.value))
        else:
            self._attribute(node)
        self.generic_visit(node)

    def _wrappedClass(self, node: ast.Attribute, module: str) -> None:
        if module == "ctk" and catalogue.slicerClasses().get(node.attr, {}).get("module") != "ctk":
            self._report(node, f"ctk has no {node.attr}")
        if module == "qt" and node.attr not in catalogue.qtClasses() and not _isQt(node.attr):
            self._report(node, f"qt has no {node.attr}")

    def _ofSlicer(self, node: ast.AST, name: str) -> None:
        isWidget = catalogue.slicerClasses().get(name, {}).get("module") == "slicer"
        if not (
            isWidget or name in _SLICER_NAMES or (name.startswith("vtk") and hasattr(slicer, name))
        ):
            self._report(node, f"slicer has no {name}")

    def _utility(self, node: ast.AST, name: str) -> None:
        known = catalogue.pythonModule("util")
        entry = known["functions"].get(name) or known["classes"].get(name)
        if entry is None and name not in known["constants"]:
            self._report(node, f"slicer.util has no {name}")
        elif entry and name not in self._guarded and not _isInOldestRelease(entry):
            self._report(node, f"slicer.util.{name} is not in {_OLDEST_RELEASE}: ask hasattr first")

    def _utilityCall(self, node: ast.Call, name: str) -> None:
        entry = catalogue.pythonModule("util")["functions"].get(name)
        if entry is None:
            return
        oldest = entry.get("release_signature_differs", {}).get(_OLDEST_RELEASE)
        text = oldest if oldest and name not in self._guarded else entry["signature"]
        signature = ast.parse(f"def f{text}: pass").body[0].args
        names = [argument.arg for argument in [*signature.args, *signature.kwonlyargs]]
        for keyword in node.keywords:
            if keyword.arg and keyword.arg not in names and signature.kwarg is None:
                self._report(
                    node, f"slicer.util.{name} has no argument {keyword.arg} in every release"
                )
        if len(node.args) > len(signature.args) and signature.vararg is None:
            self._report(node, f"slicer.util.{name} takes {len(signature.args)} arguments")

    def _constructor(self, node: ast.Call, name: str) -> None:
        if node.keywords:
            self._report(node, f"{name}(...) takes no keywords")
        entry = catalogue.slicerClasses().get(name)
        if entry is None:
            return
        if entry.get("ctor") is None:
            self._report(node, f"{name} cannot be made from Python")
        elif len(node.args) > 1 or (
            node.args and isinstance(node.args[0], (ast.Constant, ast.Call))
        ):
            isText = (
                node.args and isinstance(node.args[0], ast.Call) and _isTranslation(node.args[0])
            )
            isConstant = isinstance(node.args[0], ast.Constant) and node.args[0].value is not None
            if len(node.args) > 1 or isText or isConstant:
                self._report(node, f"{name} is made with a parent alone")

    def _methodCall(self, node: ast.Call, function: ast.Attribute) -> None:
        owner = self._owner(function.value, function.attr)
        if owner is None:
            return
        found = _member(owner, function.attr)
        if found is not None and found.kind == "property":
            self._report(node, f"{owner}.{function.attr} is a property and cannot be called")
        elif node.keywords and found is not None:
            self._report(node, f"{owner}.{function.attr}(...) takes no keywords")
        signature = node.args[0] if node.args else None
        if (
            function.attr in ("connect", "disconnect")
            and isinstance(signature, ast.Constant)
            and isinstance(signature.value, str)
            and not _hasSignal(owner, signature.value)
        ):
            self._report(node, f"{owner} has no signal {signature.value}")

    def _static(self, node: ast.Attribute, owner: str) -> None:
        if not node.attr.startswith("__") and _member(owner, node.attr) is None:
            self._report(node, f"{owner} has no {node.attr}")

    def _attribute(self, node: ast.Attribute) -> None:
        owner = self._owner(node.value, node.attr)
        if owner is None or node.attr.startswith("__"):
            return
        found = _member(owner, node.attr)
        if found is None:
            hint = " (C++ only)" if node.attr in catalogue.cppOnly(owner) else ""
            self._report(node, f"{owner} has no {node.attr}{hint}")
        elif isinstance(node.ctx, ast.Store) and not found.writable:
            self._report(node, f"{owner}.{node.attr} cannot be set")

    def _owner(self, node: ast.expr, attribute: str) -> str | None:
        """The wrapped class of which `node.attribute` is asked; None if the code's own has it."""
        kind = self._typer.typeOf(node)
        seen: set[str] = set()
        while kind in self.classes and kind not in seen:
            seen.add(kind)
            own = self.classes[kind]
            isProperty = (
                own.base and getattr(_member(own.base, attribute), "kind", "") == "property"
            )
            if attribute in own.attributes and not isProperty:
                return None
            kind = own.base
        return kind if kind and (catalogue.knows(kind) or _isQt(kind)) else None


def _member(owner: str, name: str) -> catalogue.Member | None:
    """What the catalogue says; of Qt's classes and values that it does not list, what Qt says."""
    found = catalogue.member(owner, name)
    if found is None and name.endswith("_"):
        found = catalogue.member(owner, name[:-1])
    if found is not None or owner in catalogue.slicerClasses():
        return found or _ofQtBase(owner, name)
    return _ofQt(owner, name)


def _returned(owner: str, name: str) -> str | None:
    """The class that a method returns: as the catalogue says, or for Qt's own as PySide6 does."""
    found = catalogue.member(owner, name)
    if found is not None and found.returns:
        returned = found.returns.rstrip("* ")
        return returned if catalogue.knows(returned) else None
    base = catalogue.slicerClasses().get(owner, {}).get("qt_base", owner)
    qtClass = qtmodule.find(base)
    if qtClass is None or isinstance(qtClass, enum.EnumMeta) or not hasattr(qtClass, name):
        return None
    signatures = get_signature(getattr(qtClass, name))
    signatures = signatures if isinstance(signatures, list) else [signatures]
    kinds = {getattr(s.return_annotation, "__name__", None) for s in signatures if s is not None}
    only = kinds.pop() if len(kinds) == 1 else None
    return only if only and only.startswith("Q") and _isQt(only) else None


def _ofQtBase(owner: str, name: str) -> catalogue.Member | None:
    base = catalogue.slicerClasses()[owner].get("qt_base")
    return _member(base, name) if base else None


def _ofQt(owner: str, name: str) -> catalogue.Member | None:
    qtClass = qtmodule.find(owner)
    if qtClass is None:
        return None
    if isinstance(qtClass, enum.EnumMeta):
        return catalogue.Member("enum") if name in qtClass.__members__ else None
    found = members.member(qtClass, name)
    if found is None and name.endswith("_"):
        found = members.member(qtClass, name[:-1])
    if found is None:
        return None
    isListed = owner in catalogue.qtClasses()
    if isListed and found.kind not in ("enum", "enumValue", "class") and _isNewer(owner, name):
        return None
    return catalogue.Member(found.kind, writable=found.kind == "property")


def _isNewer(owner: str, name: str) -> bool:
    """True where the catalogue lists the class and its bases in full, and not this name."""
    bases = qtmodule.find(owner).__mro__
    definer = next((base.__name__ for base in bases if name in vars(base)), owner)
    if definer not in catalogue.qtClasses():
        return False  # of a base that is not listed, such as QTextCharFormat's QTextFormat
    return all(base.get("methods") for base in catalogue.chain(owner)) and name not in dir(
        QtCore.QObject
    )


def _isQt(name: str) -> bool:
    return qtmodule.find(name) is not None


def _isInOldestRelease(entry: dict) -> bool:
    return _OLDEST_RELEASE in entry.get("in_release", [_OLDEST_RELEASE])


def _hasSignal(owner: str, signature: str) -> bool:
    wanted = signature.replace(" ", "")
    if wanted in catalogue.signals(owner):
        return True
    qtClass = qtmodule.find(owner)
    if qtClass is None:
        base = catalogue.slicerClasses().get(owner, {}).get("qt_base")
        qtClass = qtmodule.find(base) if base else None
    # The catalogue lists Qt's signals without the shorter forms of those with default arguments.
    return qtClass is not None and qtClass.staticMetaObject.indexOfSignal(wanted) >= 0


def _isTranslation(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id in ("_", "str", "translate")
