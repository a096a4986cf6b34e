"""Put the rows that `make soak` kept into the table of docs/reliability.md.

    python Testing/reliability/report.py ROWS docs/reliability.md

Only what stands between the two marks is replaced; the rest of the page is written by hand.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

from reliability.record import TOPICS

BEGIN = "<!-- table of `make soak`: begin -->"
END = "<!-- table of `make soak`: end -->"


def table(rows: Iterable[dict]) -> str:
    """The table in Markdown: rows with the same words are added up, topics in their order."""
    totals: dict[tuple[str, str, str], int] = {}
    for row in rows:
        key = row["topic"], row["what"], row["outcome"]
        totals[key] = totals.get(key, 0) + row["times"]
    lines = ["| topic | what was tried | how often | what came out |", "|---|---|---:|---|"]
    for topic, what, outcome in sorted(totals, key=lambda key: TOPICS.index(key[0])):
        times = f"{totals[topic, what, outcome]:,}".replace(",", " ")
        cells = (topic, what, times, outcome)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def with_table(page: str, rows: Iterable[dict]) -> str:
    """The page with a new table. Raises ValueError if it lacks one of the marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The page lacks the marks {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n{table(rows)}\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=Path)
    parser.add_argument("page", type=Path)
    arguments = parser.parse_args()
    lines = arguments.rows.read_text(encoding="utf-8").splitlines()
    page = arguments.page.read_text(encoding="utf-8")
    arguments.page.write_text(with_table(page, map(json.loads, lines)), encoding="utf-8")


if __name__ == "__main__":
    main()
