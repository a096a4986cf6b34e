"""The figures of a measurement as a Markdown table."""

from __future__ import annotations

from typing import Any

_STAGES = {
    "encode": "encode, 2D and 3D",
    "score": "score the slices",
    "prefill": "read the prompt",
    "decode": "write the rest",
    "first_token": "first token, first question",
    "next_first_token": "first token, next question",
    "whole": "whole answer, first question",
}


def table(found: list[dict[str, Any]]) -> str:
    """One table for each precision, and the ratios."""
    return "\n".join(_one(figures) for figures in found)


def _one(figures: dict[str, Any]) -> str:
    ours, released = figures["ours"], figures["released"]
    limits = {"encode": "encode", "prefill": "prefill", "decode": "decode"}
    there = {
        **released,
        "encode": released.get("encode_2d", 0) + released.get("encode_3d", 0),
        "next_first_token": released.get("first_token", 0),
    }
    lines = [
        f"**{figures['dtype']}** on {figures['device']}: "
        f"{figures['products_per_second'] / 1e9:.0f} GFLOP/s in matrix products, "
        f"{figures['bytes_per_second'] / 1e9:.1f} GB/s from memory; "
        f"{figures['runs']['ours']} runs of this engine, {figures['runs']['released']} of the "
        "released way.",
        "",
        "| seconds | this engine | of the machine's limit | released way |",
        "|---|---:|---:|---:|",
    ]
    for name, label in _STAGES.items():
        limit = f"{100 * figures['limit'][limits[name]]:.0f} %" if name in limits else ""
        other = f"{there[name]:.2f}" if released else ""
        lines.append(f"| {label} | {ours[name]:.2f} | {limit} | {other} |")
    lines.append(f"| tokens a second | {ours['tokens_per_second']:.2f} | | |")
    lines += [
        "",
        "Times as fast as the released way in the same precision: "
        + ", ".join(
            f"{name.replace('_', ' ')} {ratio:.2f}" for name, ratio in figures["ratios"].items()
        )
        + "."
        if released
        else "",
        "",
    ]
    return "\n".join(lines)
