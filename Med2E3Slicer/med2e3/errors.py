"""The faults told to the user, each as one sentence: what happened, to what, what to do."""

from __future__ import annotations

import sys


class Med2E3Error(Exception):
    """A fault that ends a request. Its message is one sentence for the user (exit status 1)."""


class InputError(Med2E3Error):
    """What the user gave cannot be used: a file, a setting, a question (exit status 2)."""


class Cancelled(Med2E3Error):  # noqa: N818 - it is no error
    """The user asked to stop before there was a result."""


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
