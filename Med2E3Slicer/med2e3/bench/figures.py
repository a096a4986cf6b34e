"""Figures of a bench: what the seconds go into, and that nothing grows with the questions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from med2e3.attention.lettering import plain_matplotlib
from med2e3.bench.measuring import Figures

_STAGES = {
    "encode": ("encode", "#3f6f8f"),
    "score": ("score", "#d9791c"),
    "prefill": ("read the prompt", "#7fa6bf"),
    "decode": ("write", "#cfd8df"),
}
_INK, _GRID = "#22303c", "#e3e8ec"
_DOTS_PER_INCH = 150


def draw_stages(path: Path, found: Sequence[Figures]) -> None:
    """A bar for each way and precision, divided by stages."""
    from matplotlib.figure import Figure

    rows = [(f"{figures['precision']}", figures["ours"]) for figures in found]
    rows += [
        (f"the released way, {figures['precision']}", _with_encode(figures["released"]))
        for figures in found
        if figures["released"]
    ]
    with plain_matplotlib():
        figure = Figure(figsize=(8, 0.45 * len(rows) + 1.2), layout="constrained")
        axes = figure.subplots()
        for place, (_label, seconds) in enumerate(reversed(rows)):
            left = 0.0
            for stage, (label, color) in _STAGES.items():
                axes.barh(
                    place, seconds[stage], left=left, color=color, height=0.62,
                    label=label if place == 0 else None,
                )  # fmt: skip
                left += seconds[stage]
            axes.text(left, place, f"  {left:.3g} s", va="center", color=_INK, fontsize=9)
        axes.set_yticks(range(len(rows)), [label for label, _ in reversed(rows)])
        axes.set_xlabel("seconds of a first answer")
        axes.margins(x=0.12)
        axes.set_xlim(left=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", color=_GRID)
        axes.set_axisbelow(True)
        figure.legend(loc="outside lower center", ncols=len(_STAGES), frameon=False)
        figure.savefig(path, dpi=_DOTS_PER_INCH)


def draw_growth(path: Path, found: Figures) -> None:
    """Seconds to the first token and memory, question by question."""
    from matplotlib.figure import Figure

    numbers = range(1, len(found["first_token"]) + 1)
    with plain_matplotlib():
        figure = Figure(figsize=(8, 3), layout="constrained")
        left, right = figure.subplots(1, 2)
        seconds = found["first_token"]
        left.plot(numbers, [1000 * one for one in seconds], ".", color="#3f6f8f", ms=4)
        left.axhline(1000 * found["encode"], color="#d9791c", lw=1)
        left.text(numbers[-1], 1000 * found["encode"], "encoding, once ", ha="right", va="bottom",
                  color="#d9791c", fontsize=9)  # fmt: skip
        left.set_ylabel("milliseconds to the first token")
        right.plot(numbers, [one / 1e6 for one in found["resident_bytes"]], color="#3f6f8f", lw=1.5)
        right.set_ylabel("megabytes in memory")
        for axes in (left, right):
            _low, high = axes.get_ylim()
            axes.set_ylim(0, 1.15 * high)
            axes.set_xlabel("question about the same volume")
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(color=_GRID)
        figure.savefig(path, dpi=_DOTS_PER_INCH)


def _with_encode(released: dict[str, float]) -> dict[str, float]:
    return {**released, "encode": released["encode_2d"] + released["encode_3d"]}
