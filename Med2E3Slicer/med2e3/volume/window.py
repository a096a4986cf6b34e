"""Which voxel values become black and which white.

The model was trained on 8-bit pictures from an online atlas (M3D-Cap), each stack shown as a
radiologist had windowed it, so Hounsfield units are windowed the same way before it sees them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from med2e3.errors import InputError
from med2e3.volume.scan import Scan

PRESETS: dict[str, tuple[float, float]] = {
    "lung": (-600, 1500),
    "mediastinum": (50, 350),
    "abdomen": (50, 400),
    "bone": (400, 1800),
    "brain": (40, 80),
}
"""Centre and width in Hounsfield units, as radiological practice has them."""

_PERCENTILES = (0.5, 99.5)
_SAMPLES = 2_000_000

_LEAST_WHITE = 0.5
"""A picture from 0 to 1 gets at least as bright as this somewhere; a map of diffusion in mm²/s,
say, lies in the same range and would be black."""


@dataclass(frozen=True)
class Window:
    """The voxel values that become 0 (``lower``) and 1 (``upper``); what lies beyond is clipped.

    ``name`` is a text that gives this window again when it is asked for, ``description`` says in
    words what was chosen and why, ``warnings`` what to think of it. The window "none" has no
    bounds: values go in as they are.
    """

    name: str
    lower: float
    upper: float
    description: str
    warnings: tuple[str, ...] = ()

    @property
    def keeps_values(self) -> bool:
        return self.name == "none"

    @property
    def background(self) -> float:
        """Voxels up to this value are black, and the crop leaves their margins out."""
        return 0.0 if self.keeps_values else self.lower


def choose_window(text: str, scan: Scan) -> Window:
    """The window that ``text`` asks for, for one scan.

    ``text`` is "auto", "none", a name of :data:`PRESETS`, or "C,W": centre and width in the
    scan's own values (Hounsfield units for CT).

    "auto" depends on the voxels and the modality alone, so a scan gets the same window from a file
    and from Slicer. For CT it is the soft tissue window, which shows most organs, vessels and
    fluid, but neither lungs nor bone (which windows the training pictures are shown in is not
    published). Pictures that were windowed before (8 bits, or fractions from 0 to 1) keep their
    grey values. All else goes from the 0.5th to the 99.5th percentile, which single bright voxels
    cannot move.

    Raises :class:`~med2e3.errors.InputError` for a text that is none of these, and for a preset
    on a scan that has no Hounsfield units.
    """
    wanted = text.strip().lower()
    if wanted == "auto":
        return _automatic(scan)
    if wanted == "none":
        return _unchanged(scan)
    if wanted in PRESETS:
        return _preset(wanted, scan)
    return _centre_and_width(wanted)


def check_window(text: str) -> None:
    """Refuse a text that asks for no window, before there is a scan. Raises InputError."""
    wanted = text.strip().lower()
    if wanted not in ("auto", "none", *PRESETS):
        _centre_and_width(wanted)


def _automatic(scan: Scan) -> Window:
    voxels = scan.voxels
    if voxels.dtype == np.uint8:
        return _between(0, 255, "the grey values of an 8-bit picture as they are, from 0 to 255")
    sample = _sample(voxels)
    if voxels.dtype.kind == "f" and sample.min() >= 0 and _LEAST_WHITE <= sample.max() <= 1:
        return _unchanged(scan)
    if scan.modality == "CT" or (not scan.modality and _has_hounsfield_units(sample)):
        centre, width = PRESETS["abdomen"]
        warnings: tuple[str, ...] = ()
        if not scan.modality:
            warnings = (
                "The scan does not say what it is; its values are those of a CT (air and tissue), "
                "so it was windowed as one.",
            )
        return Window(
            f"{centre:g},{width:g}",
            centre - width / 2,
            centre + width / 2,
            f"soft tissue, centre {centre:g} and width {width:g} HU, in which lungs are black "
            "and bone is white; for lungs, bone or brain choose their own window",
            warnings,
        )
    lower, upper = (float(value) for value in np.percentile(sample, _PERCENTILES))
    if lower == upper:
        # Nearly all voxels are alike; what differs is all there is to see, and may be so little
        # that the sample does not hold it.
        lower, upper = float(voxels.min()), float(voxels.max())
    window = _between(
        lower, upper, f"the scan's own values from {lower:g} to {upper:g} (its 0.5th and 99.5th "
        "percentile)"
    )  # fmt: skip
    if scan.modality:
        return window
    warning = (
        "The scan does not say what it is, and its values are not those of a CT, on which the "
        "model was trained: what it says about another kind of scan is not to be relied on."
    )
    return replace(window, warnings=(warning,))


def _preset(name: str, scan: Scan) -> Window:
    warnings: tuple[str, ...] = ()
    if scan.modality and scan.modality != "CT":
        raise InputError(
            f"The window {name!r} is in Hounsfield units, which a scan of the modality "
            f"{scan.modality} does not have; choose auto, or C,W in the scan's own values."
        )
    if not scan.modality and not _has_hounsfield_units(_sample(scan.voxels)):
        warnings = (
            f"The window {name!r} is in Hounsfield units, and neither the scan's header nor its "
            "values say that it has them; choose auto if the slices look wrong.",
        )
    centre, width = PRESETS[name]
    return Window(
        name,
        centre - width / 2,
        centre + width / 2,
        f"{name}, centre {centre:g} and width {width:g} HU",
        warnings,
    )


def _unchanged(scan: Scan) -> Window:
    sample = _sample(scan.voxels)
    lowest, highest = float(sample.min()), float(sample.max())
    warnings: tuple[str, ...] = ()
    if lowest < 0 or highest > 1:
        warnings = (
            f"The voxel values went in unchanged, from {lowest:g} to {highest:g}; the model knows "
            "values from 0 to 1, so choose a window unless you meant this.",
        )
    return Window("none", -math.inf, math.inf, "none, the voxel values as they are", warnings)


def _centre_and_width(text: str) -> Window:
    try:
        centre, width = (float(part) for part in text.split(","))
    except ValueError:
        centre, width = math.nan, math.nan
    if not (math.isfinite(centre) and math.isfinite(width) and width > 0):
        raise InputError(
            f"There is no window {text!r}; choose auto, none, {', '.join(PRESETS)}, or a centre "
            "and a width above 0 such as 40,400."
        )
    return Window(
        _name(centre, width),
        centre - width / 2,
        centre + width / 2,
        f"centre {centre:g} and width {width:g}",
    )


def _between(lower: float, upper: float, description: str) -> Window:
    centre, width = (lower + upper) / 2, upper - lower
    return Window(_name(centre, width), lower, upper, description)


def _name(centre: float, width: float) -> str:
    """What :func:`choose_window` makes exactly these numbers of again."""
    return f"{centre!r},{width!r}".replace(".0,", ",").removesuffix(".0")


def _sample(voxels: NDArray[Any]) -> NDArray[Any]:
    """Voxels on an even grid, enough for stable percentiles and few enough for any machine."""
    step = max(1, math.ceil((voxels.size / _SAMPLES) ** (1 / 3)))
    return voxels[::step, ::step, ::step]


def _has_hounsfield_units(sample: NDArray[Any]) -> bool:
    """Whether there are air and soft tissue at the values that Hounsfield units give them."""

    def share(lower: float, upper: float) -> float:
        return np.count_nonzero((sample >= lower) & (sample <= upper)) / sample.size

    # The last keeps out phase images, whose values spread evenly over both signs.
    return share(-1100, -700) >= 0.01 and share(-200, 300) >= 0.05 and share(1500, math.inf) <= 0.05
