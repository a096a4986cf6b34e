"""Figures as people say them."""

from slicer.i18n import tr as _

_GIGABYTE = 1e9


def timeInWords(seconds):
    """A time: in seconds below two minutes, else in minutes."""
    if seconds < 120:
        return _("{number} seconds").format(number=max(10, int(round(seconds, -1))))
    return _("{number} minutes").format(number=round(seconds / 60))


def sizeInWords(size):
    """Bytes, in gigabytes."""
    return _("{number} GB").format(number=f"{size / _GIGABYTE:.1f}")
