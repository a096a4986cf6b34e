"""Which Python runs the engine, and how its worker is started."""

import importlib.util
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import slicer.util
from slicer.i18n import tr as _

import med2e3.wire

ENVIRONMENT_VARIABLE = "MED2E3_PYTHON"

_PACKAGES = ("torch", "transformers", "safetensors", "SimpleITK", "typer")


class EngineNotFoundError(Exception):
    """No Python can run the engine; the message says what to set."""


@dataclass(frozen=True)
class WorkerCommand:
    """What to start: a program with its arguments, environment and working folder."""

    program: str
    arguments: tuple
    folder: str
    environment: dict = field(compare=False)


def findWorkerCommand(chosenPython=""):
    """The command that starts the worker.

    ``chosenPython`` is what the user set in the module. If that is empty, the environment variable
    ``MED2E3_PYTHON`` is asked, then Slicer's own Python, which can run the engine if the engine's
    packages are installed there. A Python that was named and is not there is an error, never a
    reason to try the next. Raises :class:`EngineNotFoundError`.
    """
    python = (
        _named(chosenPython, _("the setting 'Python of the engine' of Med2E3"))
        or _named(os.environ.get(ENVIRONMENT_VARIABLE, ""), ENVIRONMENT_VARIABLE)
        or _slicersOwn()
    )
    if not python:
        raise EngineNotFoundError(
            _(
                "Slicer's own Python lacks the packages of the Med2E3 engine. Install the engine "
                "into a Python of its own (the README says how in two commands) and name that "
                "Python behind the gear."
            )
        )
    folder = engineFolder()
    return WorkerCommand(
        program=python,
        arguments=("-m", "med2e3", "worker"),
        folder=folder,
        environment=_environment(folder),
    )


def engineFolder():
    """The folder that holds the package ``med2e3``: this module's own, in every layout."""
    return str(Path(med2e3.wire.__file__).parents[2])


def _named(path, where):
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


def _slicersOwn():
    # find_spec looks for top-level packages without importing them: torch stays out of Slicer.
    if any(importlib.util.find_spec(package) is None for package in _PACKAGES):
        return ""
    return shutil.which("PythonSlicer") or ""


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
