"""A benchmark's figures as one HTML file, with everything it shows inside."""

from __future__ import annotations

import base64
import html
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from med2e3.evaluation.benchmarks.items import Benchmark, Item
from med2e3.evaluation.benchmarks.running import Row
from med2e3.evaluation.figures import draw_intervals

Figures = dict[str, Any]

LABELS = {
    "accuracy": "Accuracy",
    "accuracy_strict": "Accuracy, strict rule",
    "bleu1": "BLEU-1",
    "rouge1": "ROUGE-1",
    "rougeL": "ROUGE-L",
    "meteor": "METEOR",
    "meteor_without_synonyms": "METEOR without synonyms",
    "bertscore_f1": "BERTScore F1",
}
_EXAMPLES = 12
_SHORT = 60

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #22303c; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .35rem .8rem .35rem 0;
border-bottom: 1px solid #e3e8ec; vertical-align: top } th { font-weight: 600 } td.n { font-variant-numeric: tabular-nums;
white-space: nowrap } small { color: #7b8894 } .mark { background: #f6d9b8; padding: .4rem .8rem; border-radius: .3rem }
img { max-width: 100% } .wrong { color: #b3261e }
"""  # noqa: E501


def write_page(
    path: Path,
    benchmark: Benchmark,
    figures: Figures,
    items: Sequence[Item],
    rows: Mapping[str, Row],
) -> None:
    """Write the page. ``figures`` are those of ``measure_rows`` with the model's identity and its
    mark. The examples show texts of the data set: the page belongs where the data may be."""
    model = figures["model"]
    parts = [
        f"<h1>{_escaped(benchmark.title)}</h1>",
        f"<p>{_escaped(model['name'])}, sha256 <code>{model['sha256'][:16]}</code>; "
        f"{figures['items']:,} items on {figures['volumes']:,} volumes.</p>",
        f'<p class="mark">{_escaped(figures["mark"])}</p>' if figures["mark"] else "",
        _plot(figures),
        "<h2>Figures</h2>",
        _table(figures),
        _controls(figures["controls"]),
        _unread(figures["unread"]),
        _examples(benchmark, items, rows),
    ]
    body = "\n".join(part for part in parts if part)
    path.write_text(
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8">'
        f"<title>{_escaped(benchmark.title)}</title><style>{_STYLE}</style>\n{body}\n</html>\n",
        encoding="utf-8",
    )


def _plot(figures: Figures) -> str:
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "figures.png"
        draw_intervals(picture, figures["kinds"], LABELS)
        told = base64.b64encode(picture.read_bytes()).decode()
    return f'<img alt="Each figure with its interval" src="data:image/png;base64,{told}">'


def _table(figures: Figures) -> str:
    names = list(figures["macro"])
    rows = [
        [kind, f"{found['items']:,}", *(_cell(found.get(name)) for name in names)]
        for kind, found in figures["kinds"].items()
    ]
    macro = (f"{100 * figures['macro'][name]:.1f}" for name in names)
    rows.append(["mean of the kinds", "", *macro])
    micro = figures["micro"]
    rows.append(["all items", f"{micro['items']:,}", *(_cell(micro.get(name)) for name in names)])
    head = ["", "items", *(LABELS.get(name, name) + ", %" for name in names)]
    note = "In brackets the 95 % interval from drawing volumes again, 1,000 times."
    return f"{_rows(head, rows)}<p><small>{note}</small></p>"


def _cell(found: Figures | None) -> str:
    if found is None:
        return ""
    if found["interval"] is None:
        return f"{100 * found['mean']:.1f}"
    low, high = found["interval"]
    return f"{100 * found['mean']:.1f} <small>({100 * low:.1f} to {100 * high:.1f})</small>"


def _controls(controls: Mapping[str, Figures]) -> str:
    if not controls:
        return ""
    told = {
        "blank": "an empty volume",
        "shuffled": "slices in another order",
        "swapped": "another patient's volume",
    }
    rows = [
        [told[name], f"{found['items']:,}", f"{100 * found['as_it_is']:.1f}",
         f"{100 * found['accuracy']:.1f}"]
        for name, found in controls.items()
    ]  # fmt: skip
    return "<h2>Does it need the image?</h2>" + _rows(
        ["the same questions to", "items", "as it is, %", "then, %"], rows
    )


def _unread(unread: Mapping[str, str]) -> str:
    if not unread:
        return ""
    rows = [[_escaped(Path(volume).name), _escaped(fault)] for volume, fault in unread.items()]
    return "<h2>Volumes that could not be read</h2>" + _rows(["volume", "why"], rows)


def _examples(benchmark: Benchmark, items: Sequence[Item], rows: Mapping[str, Row]) -> str:
    read = [item for item in items if not rows[item.identifier].fault]
    step = max(1, len(read) // _EXAMPLES)
    lines = []
    for item in read[::step][:_EXAMPLES]:
        text = rows[item.identifier].text
        true = f"{item.letter}. {item.choices[item.letter]}" if item.choices else item.reference
        wrong = item.choices and not benchmark.marked(text, item.letter)
        written = f'<span class="wrong">{_escaped(text)}</span>' if wrong else _escaped(text)
        lines.append([_escaped(item.asked), written, _escaped(true)])
    return "<h2>Examples</h2>" + _rows(["asked", "written", "true"], lines)


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table. The cells are HTML; short ones behind the first do not wrap."""
    names = "".join(f"<th>{name}</th>" for name in head)
    lines = "".join(f"<tr>{''.join(map(_cell_of, range(len(row)), row))}</tr>" for row in rows)
    return f"<table><tr>{names}</tr>{lines}</table>"


def _cell_of(number: int, content: str) -> str:
    return (
        f'<td class="n">{content}</td>'
        if number and len(content) < _SHORT
        else (f"<td>{content}</td>")
    )


def _escaped(text: str) -> str:
    return html.escape(text)
