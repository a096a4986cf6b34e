"""The figures of ``docs/evaluation.md``, drawn from the results' JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from med2e3.attention.lettering import one_line, plain_matplotlib
from med2e3.evaluation.table import Cell, Column, cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Figures = dict[str, Any]

_DOTS_PER_INCH = 150
_INK = "#22303c"
_MUTED = "#7b8894"
_GRID = "#e3e8ec"
_PLAIN = "#9fb1c1"
_FAINT = "#cfd8df"
_ACCENT = "#d9791c"
_SECOND = "#3f6f8f"
_SHADE = "#f6d9b8"


def draw_ablations(
    path: Path,
    rows: Sequence[tuple[str, Sequence[Figures]]],
    columns: Sequence[Column],
    highlighted: str,
) -> None:
    """A bar for each variant, a panel for each column, a dot for each seed, the spread as a line.

    The bar of ``highlighted`` has another colour, and a line at its height runs through the panel.
    """
    with plain_matplotlib():
        figure = _figure(3.1 * len(columns) + 2.2, 0.42 * len(rows) + 1.1)
        panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
        places = np.arange(len(rows))[::-1]
        for axes, column in zip(panels, columns, strict=True):
            _style(axes, column.label, grid="x")
            for place, (label, runs) in zip(places, rows, strict=True):
                found = cell(runs, column)
                if found is not None:
                    _draw_bar(axes, place, found, column, label == highlighted)
            # Room behind the bars for their values.
            axes.margins(x=0.25)
            axes.set_xlim(left=0)
            axes.set_yticks(places, [label for label, _ in rows])
        _save(figure, path)


def draw_attention(path: Path, attention: Figures) -> None:
    """Hit@1, Hit@3 and AUROC of each question type that has findings, beside the baselines."""
    kinds = [kind for kind, found in attention.items() if found["questions"]]
    sources = {"model": _ACCENT, "Gaussian": _SECOND, "random": _PLAIN, "uniform": _FAINT}
    with plain_matplotlib():
        figure = _figure(10.5, 3.3)
        panels = figure.subplots(1, 3, sharey=True)
        for axes, (name, label) in zip(
            panels, (("hit1", "Hit@1"), ("hit3", "Hit@3"), ("auroc", "AUROC")), strict=True
        ):
            _style(axes, label, grid="y")
            for number, (source, colour) in enumerate(sources.items()):
                values = [
                    100 * (found if source == "model" else found[source.lower()])[name]
                    for found in (attention[kind] for kind in kinds)
                ]
                places = np.arange(len(kinds)) + (number - 1.5) * 0.2
                axes.bar(places, values, width=0.19, color=colour, label=source, zorder=2)
            axes.set_xticks(np.arange(len(kinds)), kinds)
            axes.set_ylim(0, 105)
        panels[0].set_ylabel("%", color=_MUTED)
        figure.legend(
            *panels[0].get_legend_handles_labels(),
            loc="outside lower center", ncols=4, frameon=False, labelcolor=_INK, fontsize=9,
        )  # fmt: skip
        _save(figure, path)


def draw_score_curves(path: Path, example: Figures, most: int = 6) -> None:
    """The slice scores for several questions about one volume; the finding's slices are shaded."""
    questions = example["questions"][:most]
    with plain_matplotlib():
        rows = -(-len(questions) // 2)
        figure = _figure(10.5, 1.75 * rows + 0.4)
        panels = figure.subplots(rows, 2, sharex=True, squeeze=False).ravel()
        for axes, asked in zip(panels, questions, strict=False):
            scores = np.asarray(asked["scores"])
            _style(axes, _shortened(asked["question"], 62), grid="y")
            for slice_ in asked["slices"]:
                axes.axvspan(slice_ - 0.5, slice_ + 0.5, color=_SHADE, lw=0, zorder=0)
            axes.bar(np.arange(len(scores)), scores, width=0.8, color=_SECOND, zorder=2)
            axes.axhline(1 / len(scores), color=_MUTED, lw=0.8, ls=(0, (4, 3)), zorder=3)
            axes.set_xlim(-0.7, len(scores) - 0.3)
            axes.set_ylim(0, max(1.5 * scores.max(), 2.2 / len(scores)))
            written, true = (_shortened(asked[name], 52) for name in ("written", "true"))
            axes.text(
                0.99, 0.96, written if written == true else f"{written}\ntrue: {true}",
                transform=axes.transAxes, ha="right", va="top", fontsize=8, color=_INK,
                parse_math=False, in_layout=False, zorder=4,
                bbox={"facecolor": "white", "alpha": 0.8, "lw": 0, "pad": 2},
            )  # fmt: skip
        for axes in panels[len(questions) :]:
            axes.set_visible(False)
        for axes in panels[-2:]:
            axes.set_xlabel("model slice", color=_MUTED, fontsize=9)
        _save(figure, path)


def draw_intervals(path: Path, kinds: dict[str, Figures], labels: dict[str, str]) -> None:
    """A panel for each figure, a dot with its interval for each kind of question that has it."""
    names = list(
        dict.fromkeys(name for found in kinds.values() for name in found if name in labels)
    )
    with plain_matplotlib():
        figure = _figure(2.6 * len(names) + 1.6, 0.42 * len(kinds) + 1.0)
        panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
        places = dict(zip(kinds, range(len(kinds))[::-1], strict=True))
        for axes, name in zip(panels, names, strict=True):
            _style(axes, labels[name], grid="x")
            for kind, place in places.items():
                if name in kinds[kind]:
                    _draw_interval(axes, place, kinds[kind][name])
            # A little more than all, so that dots at the ends are whole.
            axes.set_xlim(-4, 104)
            axes.set_ylim(-0.6, len(kinds) - 0.4)
            axes.set_xticks([0, 50, 100])
            axes.set_yticks(list(places.values()), list(places))
        _save(figure, path)


def draw_perturbation(path: Path, faithfulness: Figures) -> None:
    """The answer's log-probability as slices leave and as they come, by score and at random."""
    steps = faithfulness["steps"]
    with plain_matplotlib():
        figure = _figure(8.5, 3.1)
        panels = figure.subplots(1, 2, sharey=True)
        for axes, kind in zip(panels, ("deletion", "insertion"), strict=True):
            _style(axes, kind.capitalize(), grid="y")
            for name, label, colour in (
                ("by_score", "best slices first", _ACCENT),
                ("random", "random order", _SECOND),
            ):
                axes.plot(
                    range(len(steps)), faithfulness[kind][name]["curve"],
                    color=colour, lw=2, marker="o", ms=4, label=label,
                )  # fmt: skip
            axes.set_xticks(range(len(steps)), [str(step) for step in steps])
            verb = "removed" if kind == "deletion" else "present"
            axes.set_xlabel(f"slices {verb}", color=_MUTED, fontsize=9)
        panels[0].set_ylabel("log-probability of the true answer", color=_MUTED, fontsize=9)
        panels[1].legend(frameon=False, labelcolor=_INK, fontsize=9)
        _save(figure, path)


def _draw_bar(axes: Axes, place: int, found: Cell, column: Column, highlighted: bool) -> None:
    scale = 100 if column.percent else 1
    mean, spread = scale * found.mean, scale * found.spread
    colour = _ACCENT if highlighted else _PLAIN
    axes.barh(place, mean, height=0.66, color=colour, zorder=2)
    if highlighted:
        axes.axvline(mean, color=_ACCENT, lw=0.8, ls=(0, (4, 3)), zorder=1)
    if len(found.values) > 1:
        axes.errorbar(mean, place, xerr=spread, color=_INK, lw=1.2, capsize=2.5, zorder=4)
        values = scale * np.asarray(found.values)
        axes.scatter(values, np.full(len(values), place), s=9, color="white", edgecolor=_INK,
                     linewidth=0.7, zorder=5)  # fmt: skip
    end = max(mean + spread, *(scale * np.asarray(found.values)))
    axes.annotate(f"{mean:.1f}", (end, place), (7, 0), textcoords="offset points", va="center",
                  fontsize=8.5, color=_INK, bbox={"facecolor": "white", "lw": 0, "pad": 1},
                  zorder=3)  # fmt: skip


def _draw_interval(axes: Axes, place: int, found: Figures) -> None:
    mean = 100 * found["mean"]
    if found["interval"] is not None:
        axes.plot([100 * end for end in found["interval"]], [place, place], color=_SECOND, lw=2)
    axes.plot([mean], [place], marker="o", ms=6, color=_ACCENT, zorder=3)
    axes.text(mean, place + 0.16, f"{mean:.1f}", ha="center", va="bottom", fontsize=8.5, color=_INK)


def _shortened(text: str, most: int) -> str:
    """A text on one line, cut at a space where it is too long."""
    return textwrap.shorten(one_line(text), most, placeholder=" …")


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _style(axes: Axes, title: str, grid: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, color=_INK, parse_math=False)
    axes.grid(axis=grid, color=_GRID, lw=0.8, zorder=0)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=9, labelcolor=_INK)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the version of matplotlib in it, the same results make the same file.
    figure.savefig(path, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
