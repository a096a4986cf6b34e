"""The figures of a measurement as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from med2e3.bench.measuring import Figures

_STAGES = {
    "encode": "encode, 2D and 3D",
    "score": "score the slices",
    "prefill": "read the prompt",
    "decode": "write the rest",
    "first_token": "first token, first question",
    "next_first_token": "first token, next question",
    "next_turn_first_token": "first token, next turn",
    "whole": "whole answer, first question",
    "whole_after_click": "the same from the click, the volume having been read ahead",
}

_LIMITED = ("encode", "prefill", "decode")

_RATIOS = {
    "first_answer": "whole first answer, as users get it, against the better released precision",
    "first_answer_float32": "the same, both in float32",
    "first_answer_after_click": "the same as users get it, the volume having been read before",
    "next_question_first_token": "first token of the next question, same precision",
    "encoders_onnx": "encoders in ONNX Runtime against torch, float32",
    "decode_int4": "writing with 4 bits against the released way in bfloat16",
    "decode_int4_of_bandwidth": "writing with 4 bits, as a share of what the memory allows",
}


def table(bench: Figures) -> str:
    """Everything that a bench has found."""
    parts = [_stages(bench["precisions"]), _released(bench["precisions"]), _ratios(bench["ratios"])]
    around = bench.get("around")
    if around:
        parts.append(_around(around))
    return "\n".join(parts)


def _stages(found: Sequence[Figures]) -> str:
    """A column for each precision."""
    rows = [["seconds, this engine", *(_heading(figures) for figures in found)]]
    for name, label in _STAGES.items():
        rows.append([label, *(_stage(figures, name) for figures in found)])
    rows += [
        ["tokens a second", *(f"{one['ours']['tokens_per_second']:.2f}" for one in found)],
        ["loading", *(f"{one['load']:.1f}" for one in found)],
        ["peak memory, GB", *(f"{one['memory_peak'] / 1e9:.2f}" for one in found)],
        ["the same, said beforehand", *(_expected(one) for one in found)],
        [
            "logits: error; same word",
            *(
                f"{_percent(o['logits']['error'])}; {_percent(o['logits']['same_word'])}"
                for o in found
            ),
        ],
    ]
    first = found[0]
    head = (
        f"{first['ours']['tokens']:.0f} tokens; medians of {first['runs']['ours']} runs; memory "
        f"{first['bytes_per_second'] / 1e9:.1f} GB/s; matrix products in TFLOP/s: "
        + ", ".join(f"{one['precision']} {one['products_per_second'] / 1e12:.2f}" for one in found)
        + ". In brackets: of the machine's limit.\n"
    )
    return f"{head}\n{_markdown(rows)}"


def _released(found: Sequence[Figures]) -> str:
    """The released way, and how much sooner this engine is in the same precision."""
    both = [figures for figures in found if figures["released"]]
    if not both:
        return ""
    names = {
        "encode_2d": "encode, 2D",
        "encode_3d": "encode, 3D",
        "score": "score the slices",
        "prefill": "read the prompt",
        "decode": "write the rest",
        "first_token": "first token, each question",
        "whole": "whole answer",
    }
    rows = [["seconds, the released way", *(_heading(figures) for figures in both)]]
    for name, label in names.items():
        rows.append([label, *(f"{one['released'][name]:.3g}" for one in both)])
    rows.append(["pairs of runs", *(str(one["runs"]["released"]) for one in both)])
    rows.append(["same tokens on both ways", *(_yes(one["same_tokens"]) for one in both)])
    for name in both[0]["ratios"]:
        label = f"times as fast: {name.replace('_', ' ')}"
        rows.append([label, *(f"{one['ratios'][name]:.2f}" for one in both)])
    return _markdown(rows)


def _ratios(ratios: dict[str, float | None]) -> str:
    rows = [["ratio", "", ""]]
    for name, label in _RATIOS.items():
        value = ratios[name]
        rows.append([f"`{name}`", label, "not measured" if value is None else f"{value:.2f}"])
    return _markdown(rows)


def _around(around: dict[str, Any]) -> str:
    rows = [
        ["beside the model", "seconds"],
        ["a process with the embedded model, from nothing", f"{around['cold_start']:.2f}"],
        ["a CT of 512 × 512 × 300 from its file to the model", f"{around['read_and_prepare']:.2f}"],
        ["scores to the heatmap's voxels", f"{around['scores_to_heatmap']:.4f}"],
    ]
    if around.get("encoders"):
        encoders = around["encoders"]
        rows += [
            ["both encoders by torch, float32", f"{encoders['torch']:.2f}"],
            [
                "both by ONNX Runtime (largest difference "
                f"{encoders['difference']:.0e} of the largest value)",
                f"{encoders['onnx']:.2f}",
            ],
        ]
    return _markdown(rows)


def _heading(figures: Figures) -> str:
    chosen, got = figures["dtype"], figures["precision"]
    return got if got.startswith(chosen) else f"{chosen}: {got}"


def _stage(figures: Figures, name: str) -> str:
    text = f"{figures['ours'][name]:.3g}"
    return f"{text} ({_percent(figures['limit'][name])})" if name in _LIMITED else text


def _expected(figures: Figures) -> str:
    return f"{figures['memory_expected'] / 1e9:.2f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share < 0.1 else f"{100 * share:.0f} %"


def _yes(value: bool | None) -> str:
    return {True: "yes", False: "no", None: ""}[value]


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in body), ""])
