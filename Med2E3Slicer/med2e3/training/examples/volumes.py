"""The volumes of a data set as a batch sees them."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from med2e3.errors import InputError
from med2e3.phantoms.cover import Cover
from med2e3.training.augmentation import PLAIN, View, random_view
from med2e3.training.records import Record, open_volume

Grid = tuple[int, int, int]
"""How many slices, rows and columns of patches, or of tokens, a volume has."""


class Volumes:
    """The volumes of a data set, each seen as seed and epoch say if they are augmented."""

    def __init__(self, images: Path, seed: int, augment: bool) -> None:
        self._images = images
        self._seed = seed
        self._augment = augment

    def view(self, volume: str, epoch: int) -> View:
        if not self._augment:
            return PLAIN
        # The same for all questions about a volume in an epoch: they share one encoding.
        return random_view(np.random.default_rng((self._seed, epoch, zlib.crc32(volume.encode()))))

    def open(self, name: str) -> NDArray[Any]:
        """A file of the data set as it is, mapped into memory."""
        try:
            return open_volume(self._images / name)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self._images / name} cannot be read any more ({error}); put it back and run the "
                "same command again to go on."
            ) from error

    def load(self, volume: str, view: View) -> NDArray[np.float32]:
        """[1, slices, rows, columns], float32."""
        found = np.asarray(self.open(volume), dtype=np.float32)
        return found if view is PLAIN else view.of_volume(found)

    def cover(self, record: Record, view: View) -> Cover | None:
        """What each patch of a record's volume shows, where that is known."""
        truth = record.phantom or {}
        if "cover" not in truth:
            return None
        return view.of_places(self.open(truth["cover"]))
