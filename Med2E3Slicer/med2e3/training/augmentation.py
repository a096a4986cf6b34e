"""Random views of a volume, with a text that stays true.

The released recipe (M3D's) turns a volume by a random multiple of 90° in the plane of its slices
(one time in two), mirrors it along each of the three axes (one time in ten each), scales its
intensities by 0.9 to 1.1 and shifts them by -0.1 to 0.1 (one time in two each). It leaves the text
as it is, so about one volume in four comes mirrored with its sides named wrongly.

Here the text follows. A turn moves the picture but leaves the body as it is: the left kidney is
still the left one. A mirror makes another body, whose left is where the right was; and it does so
whichever axis is mirrored, for a volume upside down and mirrored left to right is the same body
turned by 180° (that is why a vertically flipped film shows the wrong side too). So "left" and
"right" change places in question and answer when an odd number of axes was mirrored, in every
plane, and never for a turn. "Upper" and "anterior" belong to the body and stay.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SIDES = re.compile(r"\b(left|right)(?=\b|_)", re.IGNORECASE)


@dataclass(frozen=True)
class View:
    """How a volume is shown. ``mirrored`` tells for slices, rows and columns."""

    quarter_turns: int
    mirrored: tuple[bool, bool, bool]
    scale: float
    shift: float

    @property
    def swaps_sides(self) -> bool:
        return sum(self.mirrored) % 2 == 1

    def of_volume(self, volume: NDArray[Any]) -> NDArray[Any]:
        """A volume [1, slices, rows, columns] as this view shows it. Rows and columns must be equal
        in number. Intensities may leave [0, 1], as in the released recipe."""
        seen = self.of_places(volume)
        shown: NDArray[Any] = (seen * self.scale + self.shift).astype(volume.dtype, copy=False)
        return shown

    def of_places(self, values: NDArray[Any]) -> NDArray[Any]:
        """Anything [..., slices, rows, columns] with each value where this view shows its place."""
        seen = np.rot90(values, self.quarter_turns, axes=(-2, -1))
        return np.flip(seen, tuple(axis - 3 for axis in range(3) if self.mirrored[axis]))

    def of_slices(self, values: NDArray[Any]) -> NDArray[Any]:
        """Anything [..., slices] with the value of each slice where this view shows it."""
        return np.flip(values, -1) if self.mirrored[0] else values

    def of_text(self, text: str) -> str:
        """A text about the volume, true for this view."""
        return swap_sides(text) if self.swaps_sides else text


PLAIN = View(0, (False, False, False), 1.0, 0.0)


def random_view(random: np.random.Generator) -> View:
    """A view with the probabilities of the released recipe."""
    turns = int(random.integers(1, 4)) if random.random() < 0.5 else 0
    slices, rows, columns = (bool(random.random() < 0.1) for _ in range(3))
    scale = random.uniform(0.9, 1.1) if random.random() < 0.5 else 1.0
    shift = random.uniform(-0.1, 0.1) if random.random() < 0.5 else 0.0
    return View(turns, (slices, rows, columns), scale, shift)


def swap_sides(text: str) -> str:
    """Every left to right and every right to left, in the case in which it was written."""

    def other(found: re.Match[str]) -> str:
        word = found.group()
        swapped = "right" if word.lower() == "left" else "left"
        return swapped.upper() if word.isupper() else (
            swapped.capitalize() if word[0].isupper() else swapped
        )  # fmt: skip

    return _SIDES.sub(other, text)
