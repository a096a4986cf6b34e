"""Plain text in matplotlib figures: any characters, no markup, no settings of the user's."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

FONT = "DejaVu Sans"
"""Comes with matplotlib: Latin, Greek, Cyrillic, Arabic and many signs."""

_FONTS_FOR_MORE_SCRIPTS = (
    "Noto Sans CJK JP",
    "Hiragino Sans",
    "Yu Gothic",
    "Microsoft YaHei",
    "Malgun Gothic",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "Arial Unicode MS",
)
"""Matplotlib's own font has no Chinese, Japanese or Korean; most systems have one of these."""

_LONGEST = 1000


@contextmanager
def plain_matplotlib() -> Iterator[None]:
    """Draw with matplotlib's defaults and with fonts for many scripts, whatever the user has set.

    A character that no font has becomes a box, without a word on stderr. That holds for the regular
    weight alone: matplotlib logs every font that has no bold.
    """
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        for message in ("Glyph .* missing from", "Matplotlib currently does not support"):
            warnings.filterwarnings("ignore", message=message)
        matplotlib.rcdefaults()
        matplotlib.rcParams["font.family"] = [FONT, *fonts_for_more_scripts()]
        yield


def fonts_for_more_scripts() -> list[str]:
    """The families installed here that have what :data:`FONT` lacks."""
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    return [name for name in _FONTS_FOR_MORE_SCRIPTS if name in installed]


def write(figure: Figure, x: float, y: float, text: str, **looks: Any) -> Text:
    """Put a text at a place (fractions of the figure), its characters as they are."""
    # parse_math: a dollar sign is a dollar sign, not the beginning of a formula.
    return figure.text(x, y, text, parse_math=False, **looks)


def one_line(text: str) -> str:
    """A text without line breaks and without characters that cannot be drawn."""
    words = " ".join(text[:_LONGEST].split())
    return "".join(character for character in words if character.isprintable())


def wrapped(text: str, most_lines: int, fits: Callable[[str], bool]) -> list[str]:
    """A text in lines that fit, broken at spaces where there are some; a cut ends in "…"."""
    lines: list[str] = []
    while text and len(lines) < most_lines - 1:
        line = _longest_start(text, fits)
        if len(line) < len(text) and " " in line:
            line = line[: line.rindex(" ") + 1]
        lines.append(line.strip())
        text = text[len(line) :].strip()
    if not fits(text):
        text = _longest_start(text, lambda start: fits(start + "…")).rstrip() + "…"
    return [*lines, text] if text else lines


def _longest_start(text: str, fits: Callable[[str], bool]) -> str:
    """The longest beginning of a text that fits, at least one character."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(text[:middle]) else (low, middle - 1)
    return text[:low]
