"""The colours of heat: a few maps whose brightness rises all the way, and one for two signs."""

from dataclasses import dataclass

import numpy as np

COLOR_MAPS = ("Embers", "Inferno", "Viridis")
"""The maps to choose from. Of each, the order of the colours is seen by everybody, colour-blind
or not. Embers, unlike Inferno, begins with a colour that shows on a black background."""

NUMBER_OF_COLORS = 256

_STOPS = {
    "Embers": (
        (0.13, 0.03, 0.30),
        (0.39, 0.07, 0.37),
        (0.62, 0.13, 0.39),
        (0.79, 0.21, 0.30),
        (0.91, 0.34, 0.23),
        (0.96, 0.51, 0.18),
        (0.99, 0.68, 0.22),
        (1.00, 0.82, 0.40),
        (1.00, 0.95, 0.60),
    ),
    # Every sixteenth colour of the maps that go by these names (matplotlib's, CC0).
    "Inferno": (
        (0.00, 0.00, 0.01),
        (0.04, 0.03, 0.14),
        (0.13, 0.05, 0.29),
        (0.24, 0.04, 0.40),
        (0.34, 0.06, 0.43),
        (0.44, 0.10, 0.43),
        (0.54, 0.14, 0.42),
        (0.64, 0.17, 0.38),
        (0.74, 0.22, 0.33),
        (0.82, 0.28, 0.27),
        (0.89, 0.35, 0.19),
        (0.95, 0.45, 0.12),
        (0.98, 0.56, 0.04),
        (0.99, 0.68, 0.07),
        (0.98, 0.80, 0.21),
        (0.95, 0.92, 0.41),
        (0.99, 1.00, 0.65),
    ),
    "Viridis": (
        (0.27, 0.00, 0.33),
        (0.28, 0.10, 0.42),
        (0.28, 0.18, 0.48),
        (0.26, 0.25, 0.52),
        (0.23, 0.32, 0.55),
        (0.20, 0.39, 0.56),
        (0.17, 0.45, 0.56),
        (0.15, 0.51, 0.56),
        (0.13, 0.57, 0.55),
        (0.12, 0.63, 0.53),
        (0.16, 0.68, 0.50),
        (0.25, 0.74, 0.45),
        (0.37, 0.79, 0.38),
        (0.52, 0.83, 0.29),
        (0.68, 0.86, 0.19),
        (0.85, 0.89, 0.10),
        (0.99, 0.91, 0.14),
    ),
}

# Cyan and blue against, orange and yellow for: apart for red-green blindness too, both ends bright.
_TWO_SIGNS = (
    (0.55, 0.93, 1.00),
    (0.20, 0.67, 0.95),
    (0.13, 0.40, 0.82),
    (0.16, 0.19, 0.50),
    (0.18, 0.10, 0.22),
    (0.50, 0.13, 0.16),
    (0.85, 0.31, 0.10),
    (0.98, 0.58, 0.10),
    (1.00, 0.88, 0.45),
)


@dataclass(frozen=True)
class HeatScale:
    """What is drawn in which colour. ``low`` and ``high`` are the heat in the first and in the
    last of ``colors`` (256, 4), red, green, blue and opacity from 0 to 1."""

    low: float
    high: float
    colors: np.ndarray

    def colorsOf(self, heat):
        """(…, 4): the colours of an array of heat of any shape (…)."""
        share = (np.asarray(heat) - self.low) / (self.high - self.low)
        return self.colors[np.clip(share * NUMBER_OF_COLORS, 0, NUMBER_OF_COLORS - 1).astype(int)]


def scaleOfOneSign(high, colorMap, threshold):
    """From 0, which is never drawn, to ``high``; ``threshold`` is the share of ``high`` (0 to 1)
    from which heat is drawn."""
    shares = np.linspace(0, 1, NUMBER_OF_COLORS)
    return HeatScale(0.0, high, _withOpacity(_STOPS[colorMap], shares >= max(threshold, 1e-9)))


def scaleOfTwoSigns(high, threshold):
    """From ``-high`` to ``high``, alike on both sides of 0; ``threshold`` as for one sign."""
    shares = np.abs(np.linspace(-1, 1, NUMBER_OF_COLORS))
    return HeatScale(-high, high, _withOpacity(_TWO_SIGNS, shares >= threshold))


def _withOpacity(stops, isDrawn):
    places = np.linspace(0, 1, len(stops))
    shares = np.linspace(0, 1, NUMBER_OF_COLORS)
    channels = [np.interp(shares, places, channel) for channel in zip(*stops, strict=True)]
    return np.stack([*channels, isDrawn.astype(float)], axis=1)
