"""PythonQt's manners, one by one: what the module's code meets in a real Slicer."""

import ctk
import pytest
import qt
import slicer
from PySide6 import QtCore, QtTest

import SlicerHost
from SlicerHost.pythonqt import wrapper


def test_a_property_is_an_attribute_and_hides_its_getter():
    label = qt.QLabel("lung")
    assert label.text == "lung"
    with pytest.raises(TypeError, match="not callable"):
        label.text()
    with pytest.raises(TypeError, match="not callable"):
        label.width()


def test_a_property_is_set_with_a_value_of_its_type():
    label = qt.QLabel()
    label.text = "lung"
    assert label.text == "lung"
    for wrong in (None, 5):
        with pytest.raises(AttributeError, match="does not accept"):
            label.text = wrong
    with pytest.raises(AttributeError, match="not writable"):
        label.sizeHint = qt.QSize(1, 1)


def test_methods_and_signals_cannot_be_overwritten():
    button = qt.QPushButton()
    for name in ("setText", "clicked", "connect", "Flat"):
        with pytest.raises(AttributeError):
            setattr(button, name, 3)


def test_unknown_names_can_be_neither_read_nor_set():
    label = qt.QLabel()
    with pytest.raises(AttributeError, match="no attribute named 'foo'"):
        label.foo  # noqa: B018
    with pytest.raises(AttributeError, match="new attributes on C\\+\\+ objects"):
        label.foo = 1


def test_dynamic_properties_and_named_children_are_attributes():
    parent = qt.QWidget()
    child = qt.QLabel("x", parent)
    child.objectName = "inner"
    assert parent.inner is child
    child.setProperty("SlicerParameterName", "volume")
    assert child.SlicerParameterName == "volume"
    child.SlicerParameterName = "other"
    assert child.property("SlicerParameterName") == "other"
    assert child.property("never set") is None


def test_name_is_the_object_name():
    label = qt.QLabel()
    label.name = "inner"
    assert label.objectName == "inner"
    assert label.name == "inner"


def test_cpp_inheritance_does_not_show():
    button = ctk.ctkCollapsibleButton()
    assert not isinstance(button, qt.QWidget)
    assert button.isWidgetType()
    assert button.inherits("QAbstractButton")
    assert button.className() == "ctkCollapsibleButton"
    assert type(qt.QPushButton()) is qt.QPushButton


def test_plain_cpp_setters_of_ctk_do_not_exist():
    button = ctk.ctkCollapsibleButton()
    with pytest.raises(AttributeError):
        button.setCollapsed(True)
    button.collapsed = True
    assert button.collapsed
    button.setVisible(True)  # but all methods of Qt's own classes do


def test_ctk_classes_are_made_with_a_parent_alone():
    parent = qt.QWidget()
    assert ctk.ctkSliderWidget(parent).parent() is parent
    with pytest.raises(ValueError, match="wrong arguments"):
        ctk.ctkCollapsibleButton("Inputs")
    with pytest.raises(ValueError, match="cannot be made"):
        slicer.qSlicerApplication()


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="wrong argument"):
        qt.QLabel().setText(5)
    with pytest.raises(TypeError):
        qt.QLabel(text="no keywords")
    with pytest.raises(ValueError, match="no Python function"):
        qt.QMenu().addAction("Copy", lambda: None)


def test_string_lists_come_back_as_tuples():
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    assert selector.nodeTypes == ("vtkMRMLScalarVolumeNode",)
    assert slicer.app.layoutManager().sliceViewNames() == ("Red", "Green", "Yellow")


def test_byte_arrays_are_not_converted():
    array = qt.QByteArray(b"voxels")
    assert not isinstance(array, (bytes, str))
    assert array.data() == b"voxels"


def test_enumerations_are_ints_reached_unscoped():
    assert qt.QProcess.Running == 2
    assert isinstance(qt.Qt.AlignCenter, int)
    assert qt.QProcess.ProcessState.Running == qt.QProcess.Running
    assert qt.QMessageBox.Ok != True  # noqa: E712 - the trap of slicer.util's confirm functions
    label = qt.QLabel()
    label.setAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
    assert label.alignment == qt.Qt.AlignRight | qt.Qt.AlignVCenter
    label.setAlignment(0x84)
    assert label.alignment == 0x84
    label.setSizePolicy(qt.QSizePolicy.Expanding, 0)
    assert label.sizePolicy.horizontalPolicy() == qt.QSizePolicy.Expanding


def test_reserved_words_take_an_underscore():
    dialog = qt.QDialog()
    with pytest.raises(RuntimeError, match="would wait for a user"):
        dialog.exec_()
    assert qt.QEventLoop().exec_ is not None


def test_static_dialogs_would_wait_for_a_user(monkeypatch):
    with pytest.raises(RuntimeError, match="would wait for a user"):
        qt.QFileDialog.getSaveFileName(None, "Save")
    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *_: "report.txt")
    assert qt.QFileDialog.getSaveFileName(None, "Save") == "report.txt"


def test_connect_by_signature_and_by_attribute():
    button, heard = qt.QPushButton(), []
    assert button.connect("clicked()", lambda: heard.append("no argument"))
    assert button.connect("clicked(bool)", lambda checked: heard.append(checked))
    assert button.clicked.connect(lambda: heard.append("attribute"))
    button.click()
    assert heard == ["no argument", False, "attribute"]


def test_a_wrong_signature_returns_false_and_says_so(capfd):
    assert qt.QPushButton().connect("clikced()", print) is False
    assert "No such signal QPushButton::clikced()" in capfd.readouterr().err


def test_connect_to_a_slot_by_its_name():
    button, other = qt.QPushButton(), qt.QPushButton()
    other.checkable = True
    assert button.connect("clicked()", other, "toggle()")
    button.click()
    assert other.checked


def test_disconnect():
    button, heard = qt.QPushButton(), []

    def hear():
        heard.append(1)

    button.clicked.connect(hear)
    assert button.disconnect("clicked(bool)", hear)
    assert not button.disconnect("clicked(bool)", hear)
    button.click()
    assert heard == []


def test_arguments_are_cut_to_what_a_function_takes():
    box, heard = qt.QSpinBox(), []

    class Listener:
        def none(self):
            heard.append(())

        def one(self, value):
            heard.append((value,))

        def more(self, value, extra="default"):
            heard.append((value, extra))

        def all(self, *values):
            heard.append(values)

    listener = Listener()
    for slot in (listener.none, listener.one, listener.more, listener.all):
        box.connect("valueChanged(int)", slot)
    box.value = 3
    assert heard == [(), (3,), (3, "default"), (3,)]


def test_what_a_slot_raises_is_printed_and_kept(capfd):
    button = qt.QPushButton()
    button.clicked.connect(lambda: 1 / 0)
    button.click()
    assert "ZeroDivisionError" in capfd.readouterr().err
    assert [type(error) for error in SlicerHost.slotErrors] == [ZeroDivisionError]
    SlicerHost.slotErrors.clear()


def test_signals_carry_vtk_objects(scene):
    selector, heard = slicer.qMRMLNodeComboBox(), []
    selector.nodeTypes = ["vtkMRMLTextNode"]
    selector.setMRMLScene(scene)
    assert selector.connect("currentNodeChanged(vtkMRMLNode*)", heard.append)
    assert selector.connect("currentNodeChanged(bool)", heard.append)
    node = scene.AddNewNodeByClass("vtkMRMLTextNode")
    assert heard == [node, True]
    assert not selector.connect("currentNodeChanged(vtkMRMLTextNode*)", heard.append)


def test_a_process_speaks_with_its_child():
    process, ended = qt.QProcess(), []
    process.connect("finished(int,QProcess::ExitStatus)", lambda *status: ended.append(status))
    process.start("cat", [])
    assert process.waitForStarted()
    process.write(b"line\n")
    process.closeWriteChannel()
    assert SlicerHost.wait_until(lambda: ended, 10)
    assert ended == [(0, qt.QProcess.NormalExit)]
    assert process.readAllStandardOutput().data() == b"line\n"
    assert process.state() == qt.QProcess.NotRunning


def test_single_shot_is_a_function_and_not_a_property():
    heard = []
    qt.QTimer.singleShot(1, lambda: heard.append("shot"))
    assert SlicerHost.wait_until(lambda: heard, 5)
    timer = qt.QTimer()
    timer.setSingleShot(True)
    assert timer.isSingleShot()
    with pytest.raises(AttributeError):
        timer.singleShot = True


class Painted(qt.QWidget):
    """A widget of the module's own."""

    def __init__(self, parent=None):
        self.before = "set before the base class's __init__"
        qt.QWidget.__init__(self, parent)
        self.pressed = []

    def paintEvent(self, event):
        qt.QWidget.paintEvent(self, event)
        painter = qt.QPainter(self)
        painter.fillRect(self.rect, qt.QColor(255, 0, 0))
        painter.end()

    def mousePressEvent(self, event):
        self.pressed.append(event.button())

    def sizeHint(self):
        return qt.QSize(33, 44)


def test_a_qt_class_is_subclassed_with_its_virtual_functions():
    widget = Painted()
    widget.resize(20, 20)
    assert widget.grab().toImage().pixelColor(5, 5).red() == 255
    QtTest.QTest.mousePress(wrapper.unwrap(widget), QtCore.Qt.MouseButton.LeftButton)
    assert widget.pressed == [qt.Qt.LeftButton]
    outer = qt.QWidget()
    layout = qt.QVBoxLayout(outer)
    layout.addWidget(widget)
    assert layout.itemAt(0).widget() is widget
    assert layout.itemAt(0).sizeHint().width() == 33
    assert isinstance(widget, qt.QWidget)


def test_a_subclass_keeps_its_state_while_qt_owns_it():
    parent = qt.QWidget()
    Painted(parent).pressed.append("kept")
    (child,) = parent.findChildren(qt.QWidget)
    assert child.pressed == ["kept"]


def test_an_error_in_a_virtual_function_is_reported():
    class Faulty(qt.QWidget):
        def mousePressEvent(self, event):
            raise KeyError("fault")

    QtTest.QTest.mousePress(wrapper.unwrap(Faulty()), QtCore.Qt.MouseButton.LeftButton)
    assert [type(error) for error in SlicerHost.slotErrors] == [KeyError]
    SlicerHost.slotErrors.clear()


def test_an_event_filter_hears_events():
    class Filter(qt.QObject):
        def eventFilter(self, watched, event):
            heard.append((watched, event.type()))
            return event.type() == qt.QEvent.MouseButtonPress

    heard, label, watching = [], qt.QLabel(), Filter()
    label.installEventFilter(watching)
    QtTest.QTest.mousePress(wrapper.unwrap(label), QtCore.Qt.MouseButton.LeftButton)
    assert (label, qt.QEvent.MouseButtonPress) in heard


def test_a_destroyed_object_says_so():
    label = qt.QLabel("x")
    label.delete()
    assert not label
    with pytest.raises(ValueError, match="destroyed"):
        label.text  # noqa: B018


def test_values_compare_and_add_up():
    assert qt.QSize(1, 2) + qt.QSize(3, 4) == qt.QSize(4, 6)
    assert qt.QColor("#ff0000") == qt.QColor(255, 0, 0)
    assert qt.QSize(1, 2) != qt.QSize(2, 1)


def test_settings_are_the_hosts_own():
    settings = qt.QSettings()
    settings.setValue("Med2E3Slicer/device", "cpu")
    assert slicer.util.settingsValue("Med2E3Slicer/device", "auto") == "cpu"
    assert slicer.app.userSettings().value("Med2E3Slicer/device") == "cpu"
    assert slicer.app.slicerUserSettingsFilePath.startswith(slicer.app.temporaryPath)
    settings.remove("Med2E3Slicer/device")


def test_what_is_not_in_slicer_is_not_here():
    for name in ("QWebEngineView", "QSqlDatabase", "Signal", "Slot"):
        with pytest.raises(AttributeError):
            getattr(qt, name)
