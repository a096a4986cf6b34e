"""A study that ends its process is begun twice, and no third time.

Ray begins work again whose process was killed (for lack of memory, mostly, or by a fault in a
library of C). That is right for the work that was hit by chance, and endless for the study that
was the reason. The processes that know of each other's ends are all gone by then, so each try is
a file until it has ended.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from med2e3.errors import Med2E3Error

MOST_TRIES = 2


class Tries:
    """The tries of a run that have not ended, in a folder that all of its processes see."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def trying(self, name: str, step: str) -> Iterator[None]:
        """Hold a try for as long as the process lives. ``step`` is "read", "answered" or
        "written".

        Raises :class:`~med2e3.errors.Med2E3Error` where as many were begun as may be, and none
        of them ended.
        """
        file = self._begin(f"{step}-{name}")
        if file is None:
            raise Med2E3Error(
                f"The system ended the process {MOST_TRIES} times as the study was {step}, mostly "
                "for lack of memory; try it alone with `med2e3 report`, or with fewer --workers."
            )
        try:
            yield
        finally:
            file.unlink(missing_ok=True)

    def _begin(self, name: str) -> Path | None:
        for number in range(MOST_TRIES):
            file = self._folder / f"{name}.{number}"
            try:
                with open(file, "x", encoding="ascii") as begun:
                    begun.write(str(os.getpid()))
                return file
            except FileExistsError:
                continue
        return None
