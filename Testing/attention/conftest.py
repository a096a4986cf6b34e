"""Scans and attention for the tests of what is shown of them."""

from __future__ import annotations

import numpy as np
import pytest

from med2e3.attention import Attention
from med2e3.volume import Scan, prepare


def attention_of_shares(shares: np.ndarray) -> Attention:
    logits = shares.sum(axis=(1, 2))
    weights = np.exp(logits - logits.max())
    return Attention(logits=logits, scores=weights / weights.sum(), patch_shares=shares)


@pytest.fixture(scope="session")
def make_attention():
    return attention_of_shares


@pytest.fixture(scope="session")
def attention() -> Attention:
    """Slice 9 before 21 before 4, each for a patch of its own, over faint noise."""
    shares = np.random.default_rng(7).normal(0, 0.002, (32, 16, 16))
    shares[9, 2, 13] += 2.0
    shares[21, 8, 8] += 1.5
    shares[4, 12, 3] += 1.0
    return attention_of_shares(shares)


@pytest.fixture(scope="session")
def make_prepared():
    """A block of noisy tissue that fills the whole scan, so that nothing is cropped."""

    def make(ijk_to_ras, shape=(24, 40, 36), plane="axial"):
        voxels = np.random.default_rng(3).integers(150, 240, shape, dtype=np.int16)
        scan = Scan(voxels, np.asarray(ijk_to_ras, dtype=np.float64), "CT")
        return prepare(scan, plane=plane, window="50,400")

    return make
