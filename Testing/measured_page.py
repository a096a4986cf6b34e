"""A page of docs/ whose table a command of the tests writes anew."""

from __future__ import annotations

import re
from pathlib import Path


def write_figures(page: Path, command: str, figures: str) -> None:
    """Put ``figures`` between the two remarks in which the page names the ``command``. Raises
    ValueError for a page that has none."""
    begin, end = (f"<!-- figures of {command}: {where} -->" for where in ("begin", "end"))
    pattern = re.compile(f"({re.escape(begin)}\n).*?({re.escape(end)})", re.DOTALL)
    text, count = pattern.subn(
        lambda found: found[1] + figures + found[2], page.read_text(encoding="utf-8")
    )
    if count != 1:
        raise ValueError(f"{page} has no place for the figures of {command}")
    page.write_text(text, encoding="utf-8")
