"""Which Python runs the engine, and how its worker and its commands are started."""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import slicer.util
from slicer.i18n import tr as _

import med2e3.wire

from .packages import missingPackages

ENVIRONMENT_VARIABLE = "MED2E3_PYTHON"


class EngineNotFoundError(Exception):
    """No Python can run the engine; the message says what to set."""


class PackagesMissingError(EngineNotFoundError):
    """Slicer's own Python would run the engine and lacks ``packages`` (names)."""

    def __init__(self, packages):
        super().__init__(
            _(
                "Slicer's own Python lacks packages of the Med2E3 engine ({packages}). Behind the "
                "gear, install them, or name another Python that has the engine."
            ).format(packages=", ".join(packages))
        )
        self.packages = packages


@dataclass(frozen=True)
class WorkerCommand:
    """What to start: a program with its arguments, environment and working folder."""

    program: str
    arguments: tuple
    folder: str
    environment: dict = field(compare=False)


def findWorkerCommand(preferences):
    """The command that starts the worker, be its model on this computer or on a server.

    Raises :class:`EngineNotFoundError`.
    """
    if preferences.usesServer:
        return _serverCommand(preferences)
    return engineCommand(findPython(preferences.python), "-m", "med2e3", "worker")


def _serverCommand(preferences):
    if not preferences.serverAddress:
        raise EngineNotFoundError(
            _(
                "The engine is to be on a server, and no address is set. Behind the gear, write "
                "the server's address, or choose 'On this computer'."
            )
        )
    arguments = ["-m", "med2e3.remote", preferences.serverAddress]
    if preferences.tokenFile:
        arguments += ["--token-file", preferences.tokenFile]
    # It needs no package, so Slicer's own Python will do as it is.
    return engineCommand(namedPython(preferences.python) or slicersPython(), *arguments)


def findPython(chosenPython=""):
    """The Python that runs the engine.

    ``chosenPython`` is what the user set in the module. If that is empty, the environment variable
    ``MED2E3_PYTHON`` is asked, then Slicer's own Python, which can run the engine if the engine's
    packages are installed there. A Python that was named and is not there is an error, never a
    reason to try the next. Raises :class:`EngineNotFoundError`.
    """
    named = namedPython(chosenPython)
    if named:
        return named
    missing = missingPackages()
    if missing:
        raise PackagesMissingError(missing)
    return slicersPython()


def namedPython(chosenPython=""):
    """The Python that the user or the environment names, "" if neither does.

    Raises :class:`EngineNotFoundError` if it is not there.
    """
    return _found(chosenPython, _("the setting 'Python of the engine' of Med2E3")) or _found(
        os.environ.get(ENVIRONMENT_VARIABLE, ""), ENVIRONMENT_VARIABLE
    )


def slicersPython():
    """Slicer's own Python, whatever it has installed. Raises :class:`EngineNotFoundError`."""
    python = shutil.which("PythonSlicer")
    if not python:
        raise EngineNotFoundError(
            _(
                "Slicer's own Python (PythonSlicer) was not found. Behind the gear, name another "
                "Python that has the Med2E3 engine installed."
            )
        )
    return python


def engineCommand(python, *arguments):
    """What starts a Python with the engine's package where it finds it."""
    folder = engineFolder()
    return WorkerCommand(python, arguments, folder, _environment(folder))


def engineFolder():
    """The folder that holds the package ``med2e3``: this module's own, in every layout."""
    return str(Path(med2e3.wire.__file__).parents[2])


def _found(path, where):
    path = path.strip()
    if not path:
        return ""
    found = shutil.which(os.path.expanduser(path))
    if not found:
        raise EngineNotFoundError(
            _(
                "There is no program {path}, which {where} names. Choose the Python that has the "
                "Med2E3 engine installed."
            ).format(path=path, where=where)
        )
    return found


def _environment(folder):
    # Not Slicer's own environment: its libraries would be loaded by another Python.
    environment = dict(slicer.util.startupEnvironment())
    environment.pop("PYTHONHOME", None)
    environment.update(
        PYTHONPATH=folder,
        PYTHONUTF8="1",
        PYTHONUNBUFFERED="1",
        HF_HUB_OFFLINE="1",
        TRANSFORMERS_OFFLINE="1",
    )
    return environment
