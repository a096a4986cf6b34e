"""What the user prefers on this computer, whatever the scene: kept in Slicer's settings."""

import qt
import slicer.util

_GROUP = "Med2E3Slicer/"


class Preferences:
    """``python`` runs the engine, ``modelFolder`` holds the checkpoint (both paths, empty for
    the default), ``device`` is "auto", "cpu" or "cuda", and ``precision`` "auto", "float32",
    "bfloat16", "int8" or "int4". ``isSetUp`` tells whether the user has chosen a model, be it the
    default. ``readsAhead`` tells whether a scan is read as soon as it is chosen.

    ``usesServer`` tells that the engine is on a server, at ``serverAddress``; ``tokenFile`` is the
    path of the file with the user's token, which itself is never kept here."""

    DEVICES = ("auto", "cpu", "cuda")
    PRECISIONS = ("auto", "float32", "bfloat16", "int8", "int4")

    @property
    def python(self):
        return slicer.util.settingsValue(_GROUP + "python", "")

    @python.setter
    def python(self, path):
        _write("python", path)

    @property
    def modelFolder(self):
        return slicer.util.settingsValue(_GROUP + "modelFolder", "")

    @modelFolder.setter
    def modelFolder(self, path):
        _write("modelFolder", path)

    @property
    def device(self):
        return slicer.util.settingsValue(_GROUP + "device", "auto")

    @device.setter
    def device(self, device):
        _write("device", device)

    @property
    def precision(self):
        return slicer.util.settingsValue(_GROUP + "precision", "auto")

    @precision.setter
    def precision(self, precision):
        _write("precision", precision)

    @property
    def readsAhead(self):
        return slicer.util.settingsValue(_GROUP + "readsAhead", True, converter=slicer.util.toBool)

    @readsAhead.setter
    def readsAhead(self, readsAhead):
        qt.QSettings().setValue(_GROUP + "readsAhead", readsAhead)

    @property
    def usesServer(self):
        return _isSet("usesServer")

    @usesServer.setter
    def usesServer(self, usesServer):
        qt.QSettings().setValue(_GROUP + "usesServer", usesServer)

    @property
    def serverAddress(self):
        return slicer.util.settingsValue(_GROUP + "serverAddress", "")

    @serverAddress.setter
    def serverAddress(self, address):
        _write("serverAddress", address)

    @property
    def tokenFile(self):
        return slicer.util.settingsValue(_GROUP + "tokenFile", "")

    @tokenFile.setter
    def tokenFile(self, path):
        _write("tokenFile", path)

    @property
    def isSetUp(self):
        return _isSet("isSetUp")

    @isSetUp.setter
    def isSetUp(self, isSetUp):
        qt.QSettings().setValue(_GROUP + "isSetUp", isSetUp)


def _isSet(name):
    return slicer.util.settingsValue(_GROUP + name, False, converter=slicer.util.toBool)


def _write(name, value):
    qt.QSettings().setValue(_GROUP + name, value.strip())
