"""The attention as pictures: the best slices as the model saw them, and the score curve."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from med2e3.attention.heatmap import Heatmap, patch_heatmap
from med2e3.attention.lettering import one_line, plain_matplotlib, wrapped, write
from med2e3.attention.scores import Attention, effective_slices, has_preference, ranked
from med2e3.volume.geometry import ACQUIRED, SliceGeometry, edge_letters
from med2e3.volume.preparation import PreparedVolume
from med2e3.wire.messages import DRAFT_MARK

if TYPE_CHECKING:
    # Loaded when a picture is drawn: the worker draws none, and matplotlib takes its time.
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

SIZE = (1600, 1000)
"""Width and height of the picture in pixels."""


_DOTS_PER_INCH = 125
_SLICE_DOTS_PER_INCH = 250
_SHOWN = 3
_TITLE_LINES = 2

# Places, in fractions of the picture. A caption stands above its slice, so it needs room there.
_LEFT, _RIGHT = 0.035, 0.965
_TITLE_TOP, _FOOT_BASE, _FOOT_LINE = 0.968, 0.034, 0.022
_SLICES_TOP, _SLICES_BASE = 0.785, 0.345
_CURVE_TOP, _CURVE_BASE = 0.285, 0.135

_BACKGROUND = "#0d1014"
_BRIGHT = "#eceff2"
_MUTED = "#8e98a3"
_LINE = "#3a434d"
_BAR = "#4d6378"
_HEAT = "#ffa62b"
_HEAT_OPACITY = 0.65


def draw_attention(
    path: Path,
    prepared: PreparedVolume,
    attention: Attention,
    title: str,
    model_mark: str = "",
) -> None:
    """Write a PNG of :data:`SIZE` with the three best slices over the curve of all scores.

    The slices are shown as the model saw them, in the proportions of the patient, with the patches
    that speak for them (:func:`~med2e3.attention.heatmap.patch_heatmap`, above 0) in colour, on
    one scale for the three. ``title`` is any text; what two lines cannot hold is cut.
    ``model_mark`` is the sentence that stands with all that the model writes.
    Raises OSError where the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    geometry = prepared.geometry
    best = ranked(attention.scores)[:_SHOWN]
    heat = patch_heatmap(attention)[list(best)].clip(min=0)
    strongest = float(heat.max())
    with plain_matplotlib():
        figure = Figure(
            figsize=(SIZE[0] / _DOTS_PER_INCH, SIZE[1] / _DOTS_PER_INCH),
            dpi=_DOTS_PER_INCH,
            facecolor=_BACKGROUND,
        )
        FigureCanvasAgg(figure)  # what measures and draws the figure from here on
        _draw_head(figure, title, _summary(prepared, attention))
        for place, slice_ in enumerate(best):
            axes = _axes_of_slice(figure, place)
            _draw_slice(axes, prepared, slice_, heat[place] / (strongest or 1))
            _draw_edge_letters(axes, geometry)
            _draw_caption(axes, geometry, attention, slice_, place + 1)
        _draw_curve(figure, geometry, attention, best)
        _draw_foot(figure, strongest, model_mark)
        figure.savefig(path, format="png", dpi=_DOTS_PER_INCH)


def slice_pictures(
    prepared: PreparedVolume, attention: Attention, count: int = _SHOWN
) -> Iterator[bytes]:
    """The best slices one by one, best first, as PNGs of their own: with the patches that speak for
    them in colour, on one scale for all, and the patient's directions at the edges."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    best = ranked(attention.scores)[:count]
    heat = patch_heatmap(attention)[list(best)].clip(min=0)
    for place, slice_ in enumerate(best):
        with plain_matplotlib():
            figure = Figure(figsize=(2.8, 2.8), dpi=_SLICE_DOTS_PER_INCH, facecolor=_BACKGROUND)
            FigureCanvasAgg(figure)
            axes = figure.add_axes((0.09, 0.09, 0.82, 0.82))
            _draw_slice(axes, prepared, slice_, heat[place] / (float(heat.max()) or 1))
            _draw_edge_letters(axes, prepared.geometry)
            picture = BytesIO()
            figure.savefig(picture, format="png", dpi=_SLICE_DOTS_PER_INCH)
        yield picture.getvalue()


def _draw_head(figure: Figure, title: str, summary: str) -> None:
    text = write(figure, _LEFT, _TITLE_TOP, "", color=_BRIGHT, size=16, va="top")

    def fits(line: str) -> bool:
        text.set_text(line)
        return text.get_window_extent().width <= (_RIGHT - _LEFT) * SIZE[0]

    lines = wrapped(one_line(title), _TITLE_LINES, fits)
    text.set_text("\n".join(lines))
    below = _TITLE_TOP - 0.023 - 0.035 * len(lines)
    write(figure, _LEFT, below, summary, color=_MUTED, size=10.5, va="center")


def _summary(prepared: PreparedVolume, attention: Attention) -> str:
    plane = prepared.geometry.plane
    number, slices = effective_slices(attention.scores), attention.scores.size
    parts = (
        "plane as acquired" if plane == ACQUIRED else f"{plane} plane",
        f"window {prepared.window.name}",
        f"attention worth {number:.1f} of {slices} slices"
        if has_preference(attention.scores)
        else f"no clear preference among the {slices} slices",
    )
    return "   ·   ".join(parts)


def _axes_of_slice(figure: Figure, place: int) -> Axes:
    width = (_RIGHT - _LEFT) / _SHOWN
    gap = 0.04  # for the letters at the left and right edges
    return figure.add_axes(
        (_LEFT + place * width + gap / 2, _SLICES_BASE, width - gap, _SLICES_TOP - _SLICES_BASE)
    )


def _draw_slice(axes: Axes, prepared: PreparedVolume, slice_: int, strength: Heatmap) -> None:
    """A slice of the model's volume, and ``strength`` (rows, columns), 0 to 1, as colour on it."""
    volume = prepared.volume[0]
    black, white = 0.0, 1.0
    if prepared.window.keeps_values:
        black, white = float(volume.min()), float(volume.max())
    _, rows, columns = prepared.geometry.size
    extent = (-0.5, columns - 0.5, rows - 0.5, -0.5)
    axes.imshow(
        volume[slice_].numpy(),
        cmap="gray",
        vmin=black,
        vmax=white,
        extent=extent,
        interpolation="bilinear",
    )
    axes.imshow(_colours(strength), extent=extent, interpolation="bilinear")
    _, row_mm, column_mm = prepared.geometry.voxel_spacing_mm
    axes.set_aspect(row_mm / column_mm)
    axes.set_axis_off()


def _colours(strength: Heatmap) -> NDArray[np.float32]:
    """(rows, columns, 4): one colour, the more opaque the stronger."""
    from matplotlib.colors import to_rgb

    colours = np.empty((*strength.shape, 4), dtype=np.float32)
    colours[..., :3] = to_rgb(_HEAT)
    colours[..., 3] = _HEAT_OPACITY * strength
    return colours


def _draw_edge_letters(axes: Axes, geometry: SliceGeometry) -> None:
    # Outside of the picture, where they hide nothing.
    edges = (((0, 0.5), (-9, 0)), ((1, 0.5), (9, 0)), ((0.5, 1), (0, 9)), ((0.5, 0), (0, -9)))
    for letter, (edge, offset) in zip(edge_letters(geometry), edges, strict=True):
        _note(axes, letter, edge, offset, color=_BRIGHT, size=10, va="center")


def _draw_caption(
    axes: Axes, geometry: SliceGeometry, attention: Attention, slice_: int, rank: int
) -> None:
    index, score = geometry.slice_index(slice_), attention.scores[slice_]
    line = f"slice {index:.1f}    score {score:.3f}"
    where = "   ".join(
        f"{_side(axis, millimetres)} {abs(millimetres):.1f}"
        for axis, millimetres in enumerate(geometry.slice_center_ras(slice_))
    )
    _note(axes, f"{where} mm", (0.5, 1), (0, 20), color=_MUTED, size=9)
    caption = _note(axes, line, (0.5, 1), (6, 34), color=_BRIGHT, size=11)
    _note(
        axes,
        str(rank),
        (0, 0.5),
        (-11, 0),
        xycoords=caption,
        color=_HEAT,
        size=12,
        va="center",
    )


def _draw_curve(
    figure: Figure, geometry: SliceGeometry, attention: Attention, best: tuple[int, ...]
) -> None:
    scores = np.asarray(attention.scores, dtype=np.float64)
    places = np.array([geometry.slice_index(slice_) for slice_ in range(scores.size)])
    step = abs(places[1] - places[0])
    even = 1 / scores.size
    axes = figure.add_axes(
        (_LEFT + 0.035, _CURVE_BASE, _RIGHT - _LEFT - 0.1, _CURVE_TOP - _CURVE_BASE),
        facecolor=_BACKGROUND,
    )
    colours = [_HEAT if slice_ in best else _BAR for slice_ in range(scores.size)]
    axes.bar(places, scores, width=0.82 * step, color=colours)
    for rank, slice_ in enumerate(best, start=1):
        top = (places[slice_], scores[slice_])
        _note(axes, str(rank), top, (0, 4), xycoords="data", color=_HEAT, size=11)
    axes.axhline(even, color=_MUTED, linewidth=0.8, linestyle=(0, (4, 4)))
    _note(
        axes,
        "even share",
        (1, even),
        (6, 0),
        xycoords=("axes fraction", "data"),
        color=_MUTED,
        size=9,
        ha="left",
        va="center",
    )
    axes.set_xlim(places.min() - step, places.max() + step)
    # Twice the even share at least: nearly even scores shall look even.
    axes.set_ylim(0, max(2 * even, 1.2 * scores.max()))
    axes.locator_params(axis="x", integer=True, nbins=16)
    axes.locator_params(axis="y", nbins=3)
    axes.set_ylabel("score", color=_MUTED, size=9.5)
    axes.tick_params(colors=_MUTED, labelsize=9, length=0)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(_LINE)
    _draw_directions(axes, geometry, places)


def _draw_directions(axes: Axes, geometry: SliceGeometry, places: NDArray[np.float64]) -> None:
    """The axis's name between the patient's directions at its two ends."""
    centres = geometry.slice_centers_ras()
    way = centres[places.argmax()] - centres[places.argmin()]
    axis = int(np.abs(way).argmax())
    for end, letter in ((0, _side(axis, -way[axis])), (1, _side(axis, way[axis]))):
        _note(axes, letter, (end, 0), (0, -28), color=_BRIGHT, size=10)
    name = "slice of the scan, counted from 0"
    _note(axes, name, (0.5, 0), (0, -28), color=_MUTED, size=9.5)


def _draw_foot(figure: Figure, strongest: float, model_mark: str) -> None:
    # A patch that adds x to the logit multiplies its slice's score by exp(x), before all are scaled
    # to the sum 1. The factor tells faint heat from strong, which the colours cannot.
    meaning = (
        "In colour: what raises a slice's score above the average slice's; "
        f"the strongest patch × {np.exp(strongest):.3f}"
    )
    write(figure, _LEFT, _FOOT_BASE, DRAFT_MARK, color=_HEAT, size=9.5)
    write(figure, _LEFT, _FOOT_BASE - _FOOT_LINE, model_mark, color=_HEAT, size=9.5)
    write(figure, _RIGHT, _FOOT_BASE, meaning, color=_MUTED, size=9.5, ha="right")


def _note(
    axes: Axes,
    text: str,
    place: tuple[float, float],
    offset: tuple[float, float],
    *,
    xycoords: Any = "axes fraction",
    **looks: Any,
) -> Annotation:
    """A text at a distance in points from a place in the axes."""
    looks = {"ha": "center", **looks}
    return axes.annotate(
        text, place, offset, xycoords=xycoords, textcoords="offset points", **looks
    )


def _side(axis: int, value: float) -> str:
    """The patient's side that millimetres on an RAS axis lie on: R or L, A or P, S or I."""
    # What is rounded to 0.0 shall not change its letter with the last bit.
    return "RAS"[axis] if value > -0.05 else "LPI"[axis]
