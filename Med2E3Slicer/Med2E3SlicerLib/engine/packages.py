"""The engine's packages in Slicer's own Python: what is missing, and its installation.

By Slicer's conventions: PyTorch comes from the extension of that name, which chooses the build for
the graphics card; the others are listed in ``Resources/requirements.txt`` as ranges and go through
``slicer.packaging`` where this Slicer has it. Nothing here runs unless the user asked for it.
"""

import importlib.metadata
import importlib.util
import re
from pathlib import Path

import slicer.util
from slicer.i18n import tr as _

TORCH = "torch"
_TORCH_RANGE = ">=2.4"
# Reports are written without them.
_FOR_EXPORTS = ("pydicom", "highdicom", "fpdf2", "uharfbuzz")
REQUIREMENTS = Path(__file__).parents[2] / "Resources" / "requirements.txt"


class InstallationError(Exception):
    """The packages could not be installed; the message says what to do."""


def missingPackages():
    """The names of the packages without which Slicer's own Python cannot run the engine, of those
    that it lacks. Nothing is imported."""
    needed = (name for name in _names(_requirements()) if name not in _FOR_EXPORTS)
    return [name for name in (TORCH, *needed) if not _isInstalled(name)]


def installPackages():
    """Install what is missing into Slicer's own Python, with the progress that Slicer shows.

    Blocks, as Slicer's own installation does. Ask the user first. Raises
    :class:`InstallationError`.
    """
    if not _isInstalled(TORCH):
        _installTorch()
    try:
        from slicer import packaging
    except ImportError:
        # Slicer before 5.11.
        _withPip(lambda: slicer.util.pip_install(_requirements()))
        return
    # The button asked already. What Slicer brings along stays as it is.
    _withPip(
        lambda: packaging.pip_ensure(
            packaging.load_requirements(str(REQUIREMENTS)),
            prompt_install=False,
            requester="Med2E3",
        )
    )


def _installTorch():
    try:
        import PyTorchUtils
    except ImportError:
        raise InstallationError(
            _(
                "PyTorch comes from Slicer's extension 'PyTorch', which is not installed. Install "
                "it in the Extensions Manager, restart Slicer, and press this button again."
            )
        ) from None
    # None if the user declined, or nothing came of it.
    torch = PyTorchUtils.PyTorchUtilsLogic().installTorch(
        askConfirmation=True, torchVersionRequirement=_TORCH_RANGE
    )
    if torch is None:
        raise InstallationError(_("PyTorch was not installed, so the engine cannot run yet."))


def _withPip(install):
    try:
        install()
    except Exception as error:
        raise InstallationError(
            _(
                "The packages could not be installed ({reason}). Slicer's Python console shows "
                "what pip said; a Python of its own for the engine, named behind the gear, cannot "
                "clash with other extensions."
            ).format(reason=type(error).__name__)
        ) from error


def _requirements():
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _names(requirements):
    return [re.match(r"[\w.-]+", requirement).group() for requirement in requirements]


def _isInstalled(name):
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        # Some packages of Slicer's own have no metadata. find_spec imports no top-level package.
        return importlib.util.find_spec(name) is not None
    return True
