"""Every double against the catalogue of the real classes: nothing invented, nothing too much."""

import enum

import pytest
from PySide6 import QtCore

from SlicerHost import catalogue, ctkwidgets, startup
from SlicerHost.pythonqt import members

pytestmark = pytest.mark.skipif(
    not catalogue.isThere(),
    reason=f"the catalogue ({catalogue.PATH.name}) is not beside this repository",
)

DOUBLES = {**ctkwidgets.doubles(), **startup.doubles()}
everyDouble = pytest.mark.parametrize("double", DOUBLES.values(), ids=list(DOUBLES))


def declared(double):
    """The double's own meta object with those of the doubles that it derives from."""
    return [base for base in double.__mro__ if members.isDouble(base)]


def metaMethods(double, kind):
    for base in declared(double):
        if not issubclass(base, QtCore.QObject):
            continue
        metaObject = base.staticMetaObject
        for index in range(metaObject.methodOffset(), metaObject.methodCount()):
            if metaObject.method(index).methodType() == kind:
                yield metaObject.method(index)


def nameOf(method):
    return bytes(method.name().data()).decode()


@everyDouble
def test_the_class_is_a_real_one(double):
    entry = catalogue.slicerClasses()[double.__name__]
    assert entry["module"] == ("ctk" if double.__name__.startswith("ctk") else "slicer")
    assert issubclass(double, members.nativeClass(double))
    assert members.nativeClass(double).__name__ == entry["qt_base"]


@everyDouble
def test_it_can_be_made_as_the_real_one(double):
    if catalogue.slicerClasses()[double.__name__]["ctor"] is None:
        assert double.notConstructible


@everyDouble
def test_properties_are_real_ones(double):
    for base in declared(double):
        metaObject = base.staticMetaObject
        for index in range(metaObject.propertyOffset(), metaObject.propertyCount()):
            name = metaObject.property(index).name()
            real = catalogue.member(double.__name__, name)
            assert real is not None, name
            assert real.kind == "property", name
            assert real.writable or not metaObject.property(index).isWritable(), name


@everyDouble
def test_methods_are_real_ones(double):
    for method in metaMethods(double, QtCore.QMetaMethod.MethodType.Slot):
        name = nameOf(method)
        entries = catalogue.chain(double.__name__)
        assert any(name in entry.get("methods", {}) for entry in entries), name


@everyDouble
def test_signals_are_real_ones(double):
    real = catalogue.signals(double.__name__)
    foreign = {s for base in declared(double) for s in vars(base).get("foreignSignals", ())}
    assert foreign <= real
    for method in metaMethods(double, QtCore.QMetaMethod.MethodType.Signal):
        signature = bytes(method.methodSignature().data()).decode()
        named = [s for s in foreign if s.split("(")[0] == nameOf(method)]
        assert signature in real or named or "QVariantMap" in signature, signature


@everyDouble
def test_enumerations_have_the_real_values(double):
    for name, value in vars(double).items():
        if isinstance(value, enum.EnumMeta):
            real = catalogue.slicerClasses()[double.__name__]["enums"][name]
            assert {key: int(v) for key, v in value.__members__.items()}.items() <= real.items()


@everyDouble
def test_cpp_only_names_are_not_seen(double):
    for name in catalogue.cppOnly(double.__name__):
        if catalogue.member(double.__name__, name) is None:
            assert members.member(double, name) is None, name


@everyDouble
def test_what_is_seen_is_real(double):
    for base in declared(double):
        for name in vars(base):
            isOfQt = hasattr(members.nativeClass(double), name)
            if members.member(double, name) is not None and not isOfQt:
                assert catalogue.member(double.__name__, name) is not None, name


def test_the_python_modules_have_the_real_names():
    import slicer.i18n
    import slicer.parameterNodeWrapper
    import slicer.ScriptedLoadableModule

    real = catalogue.pythonModule("ScriptedLoadableModule")["classes"]
    for name in slicer.ScriptedLoadableModule.__all__:
        own = vars(getattr(slicer.ScriptedLoadableModule, name))
        public = {n for n, value in own.items() if callable(value) and not n.startswith("_")}
        assert public <= set(real[name]["methods"]), name
    assert {"tr", "translate"} <= set(catalogue.pythonModule("i18n")["functions"])
    public = {
        name
        for module in catalogue.pythonModule("parameterNodeWrapper")["modules"].values()
        for name in [*module["public"], *module["classes"], *module["functions"]]
    }
    assert set(slicer.parameterNodeWrapper.__all__) <= public
