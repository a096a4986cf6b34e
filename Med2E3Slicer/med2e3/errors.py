"""The faults told to the user, each as one sentence: what happened, to what, what to do."""

from __future__ import annotations

import errno
import importlib.util
import sys
from collections.abc import Mapping


class Med2E3Error(Exception):
    """A fault that ends a request. Its message is one sentence for the user (exit status 1)."""


class InputError(Med2E3Error):
    """What the user gave cannot be used: a file, a setting, a question (exit status 2)."""


class Cancelled(Med2E3Error):  # noqa: N818 - it is no error
    """The user asked to stop before there was a result."""


_WORDS_FOR_NO_MEMORY = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "failed to allocate",
    "failed to map segment",
    "bad_alloc",
    "alloc_failed",
    # What Python says of a library of C that got no memory and did not look.
    "error return without exception set",
)


def lacks_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, the processor's or a graphics card's.

    Few libraries say so with a MemoryError, and some say that a file is broken which they could not
    map. So what an error was raised from counts as well.
    """
    seen = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, MemoryError) or getattr(cause, "errno", None) == errno.ENOMEM:
            return True
        told = "" if isinstance(cause, Med2E3Error) else str(cause).lower()
        # The place for the threads' own variables is another one, and of a fixed size.
        if "static tls" not in told and any(words in told for words in _WORDS_FOR_NO_MEMORY):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def plain_sentence(error: Exception) -> str | None:
    """The sentence for an error that says by itself what happened: one of ours, a package that
    there is not, a refusal of the system. None for a fault of the program."""
    if isinstance(error, Med2E3Error):
        return str(error)
    if isinstance(error, ImportError):
        return missing_package(error)
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return f"The system refused a file or a device: {error.strerror or error}{where}."
    return None


def check_installed(needed: Mapping[str, str], what: str, extra: str) -> None:
    """Raise :class:`Med2E3Error` where a package is missing that only ``what`` needs.

    ``needed`` are the names to install by those to import, ``extra`` the one of med2e3's that
    brings them.
    """
    missing = [name for module, name in needed.items() if not importlib.util.find_spec(module)]
    if missing:
        raise Med2E3Error(
            f"{what} packages that are not installed ({', '.join(missing)}); run: "
            f"pip install 'med2e3[{extra}]'"
        )


_INSTALLED_AS = {"fpdf": "fpdf2"}
"""Packages that are installed under another name than they are imported by."""


def missing_package(error: ImportError) -> str:
    """The sentence for a package that this interpreter lacks."""
    name = (error.name or "").partition(".")[0]
    if not name or name == "med2e3":
        return f"The engine could not be loaded ({error}); install med2e3 anew."
    name = _INSTALLED_AS.get(name, name)
    return (
        f"The Python package {name} is missing or broken in {sys.executable}; install it with: "
        f'"{sys.executable}" -m pip install {name}'
    )
