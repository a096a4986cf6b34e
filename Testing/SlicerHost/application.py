"""`slicer.app`: Slicer's application object over a real QApplication and a real MRML scene."""

from __future__ import annotations

import os
import tempfile

import slicer
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Signal, Slot
from trame_slicer.core import SlicerApp

from .ctkwidgets import ctkSettings
from .fileio import qSlicerIOManager
from .layout import qSlicerLayoutManager
from .modules import qSlicerModuleManager
from .properties import readOnly, stored

# The release that the wheel's util.py belongs to.
_MAJOR, _MINOR, _PATCH = 5, 11, 0


class qSlicerCommandOptions(QtCore.QObject):
    notConstructible = True

    runPythonAndExit = stored(bool, False)
    testingEnabled = readOnly(bool, lambda self: True)
    noMainWindow = readOnly(bool, lambda self: False)


class qSlicerApplication(QtWidgets.QApplication):
    notConstructible = True

    startupCompleted = Signal()
    renderPaused = Signal(bool)
    mrmlSceneChanged = Signal(object)
    foreignSignals = ("mrmlSceneChanged(vtkMRMLScene*)",)

    majorVersion = readOnly(int, lambda self: _MAJOR)
    minorVersion = readOnly(int, lambda self: _MINOR)
    mainApplicationMajorVersion = readOnly(int, lambda self: _MAJOR)
    mainApplicationMinorVersion = readOnly(int, lambda self: _MINOR)
    mainApplicationPatchVersion = readOnly(int, lambda self: _PATCH)
    mainApplicationName = readOnly(str, lambda self: "Slicer")
    revision = readOnly(str, lambda self: "0")
    isInstalled = readOnly(bool, lambda self: True)
    documentationBaseUrl = readOnly(str, lambda self: "https://slicer.readthedocs.io/")
    temporaryPath = readOnly(str, lambda self: self._temporary.path())
    slicerHome = readOnly(str, lambda self: self._temporary.path())
    slicerUserSettingsFilePath = readOnly(str, lambda self: self._settings.fileName())

    def __init__(self) -> None:
        self._startupEnvironment = QtCore.QProcessEnvironment.systemEnvironment()
        super().__init__(["Slicer"])
        self._temporary = QtCore.QTemporaryDir(
            os.path.join(tempfile.gettempdir(), "SlicerHost-XXXXXX")
        )
        self.setApplicationName("Slicer")
        self.setOrganizationName("SlicerHost")
        # Settings of the user's own Slicer are neither read nor written.
        QtCore.QSettings.setDefaultFormat(QtCore.QSettings.Format.IniFormat)
        QtCore.QSettings.setPath(
            QtCore.QSettings.Format.IniFormat,
            QtCore.QSettings.Scope.UserScope,
            self._temporary.path(),
        )
        self._settings = ctkSettings()
        self._options = qSlicerCommandOptions()
        self._pauses = 0

    def begin(self) -> None:
        """Make scene, logics, views and modules."""
        self._hosted = SlicerApp()
        self._scene = self._hosted.scene
        slicer.mrmlScene = self._scene
        self._layoutManager = qSlicerLayoutManager(self._scene, self._hosted.app_logic)
        self._ioManager = qSlicerIOManager(self._scene, self._hosted.app_logic)
        self._moduleManager = qSlicerModuleManager()

    @property
    def hosted(self) -> SlicerApp:
        return self._hosted

    @Slot(result=object)
    def mrmlScene(self) -> slicer.vtkMRMLScene:
        return self._scene

    @Slot(result=object)
    def applicationLogic(self) -> slicer.vtkSlicerApplicationLogic:
        return self._hosted.app_logic

    @Slot(str, result=object)
    def moduleLogic(self, name: str):
        return self._hosted.app_logic.GetModuleLogic(name)

    @Slot(result=QtCore.QObject)
    def layoutManager(self) -> QtCore.QObject:
        return self._layoutManager

    @Slot(result=QtCore.QObject)
    def moduleManager(self) -> QtCore.QObject:
        return self._moduleManager

    @Slot(result=QtCore.QObject)
    def ioManager(self) -> QtCore.QObject:
        return self._ioManager

    @Slot(result=QtCore.QObject)
    def coreIOManager(self) -> QtCore.QObject:
        return self._ioManager

    @Slot(result=QtCore.QObject)
    def commandOptions(self) -> QtCore.QObject:
        return self._options

    @Slot(result=bool)
    def testingEnabled(self) -> bool:
        return True

    @Slot(result=QtCore.QSettings)
    def settings(self) -> QtCore.QSettings:
        return self._settings

    @Slot(result=QtCore.QSettings)
    def userSettings(self) -> QtCore.QSettings:
        return self._settings

    @Slot(result=QtCore.QSettings)
    def revisionUserSettings(self) -> QtCore.QSettings:
        return self._settings

    @Slot(result=QtCore.QProcessEnvironment)
    def startupEnvironment(self) -> QtCore.QProcessEnvironment:
        return self._startupEnvironment

    @Slot(result=QtCore.QProcessEnvironment)
    def environment(self) -> QtCore.QProcessEnvironment:
        return QtCore.QProcessEnvironment.systemEnvironment()

    @Slot()
    def processEvents(self) -> None:
        QtWidgets.QApplication.processEvents()

    @Slot(QtCore.QObject, QtCore.QEvent, result=bool)
    def sendEvent(self, receiver: QtCore.QObject, event: QtCore.QEvent) -> bool:
        return QtWidgets.QApplication.sendEvent(receiver, event)

    @Slot()
    def pauseRender(self) -> None:
        self._pauses += 1
        self._layoutManager.setRenderPaused(True)
        self.renderPaused.emit(True)

    @Slot()
    def resumeRender(self) -> None:
        self._pauses = max(self._pauses - 1, 0)
        self._layoutManager.setRenderPaused(False)
        self.renderPaused.emit(self._pauses > 0)

    @Slot(bool)
    def setRenderPaused(self, paused: bool) -> None:
        self.pauseRender() if paused else self.resumeRender()

    @Slot(str)
    def openUrl(self, url: str) -> None:
        QtGui.QDesktopServices.openUrl(QtCore.QUrl(url))
