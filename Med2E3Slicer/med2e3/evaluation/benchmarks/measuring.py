"""From a benchmark's rows to figures: one object that JSON can hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from med2e3.evaluation.benchmarks.items import Benchmark, Item
from med2e3.evaluation.benchmarks.running import Row
from med2e3.evaluation.bootstrap import interval, ratio
from med2e3.evaluation.closed import correct_strictly
from med2e3.evaluation.predicting import CONTROLS
from med2e3.evaluation.text_metrics import TextMetric, compare, rouge_l

Figures = dict[str, Any]

Scores = dict[str, float]


def measure_rows(
    benchmark: Benchmark,
    items: Sequence[Item],
    rows: Mapping[str, Row],
    metrics: Mapping[str, TextMetric],
) -> Figures:
    """Figures of each kind of item, their mean (each kind counts the same: "macro") and the mean
    over all items ("micro").

    A closed item is right or wrong by the published rule (``accuracy``) and by a stricter one
    (``accuracy_strict``); an open one has the text ``metrics``, ROUGE-L among them for CT-RATE
    alone, as released. Every figure has a mean and its 95 % interval from drawing volumes again.
    Items whose volume could not be read are counted in ``unread`` and in nothing else.
    """
    chosen = dict(metrics) | ({"rougeL": rouge_l} if benchmark.name == "ct-rate" else {})
    read = [item for item in items if not rows[item.identifier].fault]
    scored = [(item, _scores(benchmark, item, rows[item.identifier], chosen)) for item in read]
    kinds = list(dict.fromkeys(item.kind for item in read))
    by_kind = {
        kind: _means([(item, found) for item, found in scored if item.kind == kind])
        for kind in kinds
    }
    return {
        "benchmark": benchmark.name,
        "items": len(items),
        "volumes": len({item.volume for item in items}),
        "unread": {
            str(item.volume): rows[item.identifier].fault
            for item in items
            if rows[item.identifier].fault
        },
        "cut_texts": sum(not rows[item.identifier].ended for item in read),
        "kinds": by_kind,
        "macro": _macro(by_kind.values()),
        "micro": _means(scored),
        "controls": _controls(benchmark, read, rows),
    }


def _scores(benchmark: Benchmark, item: Item, row: Row, metrics: dict[str, TextMetric]) -> Scores:
    if item.choices:
        return {
            "accuracy": float(benchmark.marked(row.text, item.letter)),
            "accuracy_strict": float(correct_strictly(row.text, item.letter, item.choices)),
        }
    return compare(row.text, item.reference, metrics)


def _means(scored: Sequence[tuple[Item, Scores]]) -> Figures:
    """The number of items, and mean and interval of each score over those that have it."""
    names = dict.fromkeys(name for _, found in scored for name in found)
    figures: Figures = {"items": len(scored)}
    for name in names:
        sums: dict[str, list[float]] = {}
        for item, found in scored:
            if name in found:
                volume = sums.setdefault(str(item.volume), [0.0, 0.0])
                volume[0] += found[name]
                volume[1] += 1
        total, count = (sum(column) for column in zip(*sums.values(), strict=True))
        figures[name] = {
            "mean": total / count,
            "interval": interval(list(sums.values()), ratio),
        }
    return figures


def _macro(kinds: Iterable[Figures]) -> dict[str, float]:
    means: dict[str, list[float]] = {}
    for figures in kinds:
        for name, found in figures.items():
            if isinstance(found, dict):
                means.setdefault(name, []).append(found["mean"])
    return {name: sum(values) / len(values) for name, values in means.items()}


def _controls(
    benchmark: Benchmark, items: Sequence[Item], rows: Mapping[str, Row]
) -> dict[str, Figures]:
    """Accuracy of the controlled closed items as they are, and under each control."""
    found: dict[str, Figures] = {}
    for name in CONTROLS:
        asked = [item for item in items if name in rows[item.identifier].controls]
        if asked:
            pairs = [(rows[item.identifier], item.letter) for item in asked]
            found[name] = {
                "items": len(asked),
                "accuracy": sum(
                    benchmark.marked(row.controls[name], letter) for row, letter in pairs
                ) / len(asked),
                "as_it_is": sum(benchmark.marked(row.text, letter) for row, letter in pairs)
                / len(asked),
            }  # fmt: skip
    return found
