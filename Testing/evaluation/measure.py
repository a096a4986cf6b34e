"""The field's benchmarks on phantoms in their published layouts: the table in docs/benchmarks.md.

python Testing/evaluation/measure.py --page docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from evaluation.published import write_ct_rate, write_m3d
from measured_page import write_figures
from med2e3.model import EMBEDDED, read_configuration

VOLUMES = 60
OF_M3D = ("m3d-cap", "m3d-vqa-open", "m3d-vqa-closed")

_LABELS = {
    "bleu1": "BLEU-1",
    "rouge1": "ROUGE-1",
    "rougeL": "ROUGE-L",
    "meteor": "METEOR",
    "meteor_without_synonyms": "METEOR without synonyms",
    "accuracy": "right",
    "accuracy_strict": "right, strictly",
}


def examined(name: str, data: Path, out: Path) -> dict[str, Any]:
    ended = subprocess.run(
        [sys.executable, "-m", "med2e3", "evaluate", name, data, "--out", out, "--json"],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return json.loads(ended.stdout)


def rows(name: str, found: dict[str, Any]) -> list[str]:
    lines = []
    for kind, figures in found["kinds"].items():
        told = []
        for label, figure in figures.items():
            if isinstance(figure, dict):
                low, high = (100 * bound for bound in figure["interval"])
                told.append(
                    f"{_LABELS.get(label, label)} {100 * figure['mean']:.1f} ({low:.0f}–{high:.0f})"
                )
        lines.append(f"| `{name}` | {kind} | {figures['items']} | {', '.join(told)} |")
    for control, figure in found["controls"].items():
        lines.append(
            f"| `{name}` | image {control} | {figure['items']} | right "
            f"{100 * figure['accuracy']:.1f}, with the image {100 * figure['as_it_is']:.1f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--page", type=Path, help="the page whose table is written anew")
    given = parser.parse_args()
    size = read_configuration(EMBEDDED).vision3d.volume_size
    lines = ["| benchmark | kind | items | percent, with 95 % interval |", "|---|---|---:|---|"]
    with tempfile.TemporaryDirectory() as folder:
        m3d, rate = Path(folder, "m3d"), Path(folder, "ct-rate")
        write_m3d(m3d, VOLUMES, size)
        write_ct_rate(rate, VOLUMES)
        for name in (*OF_M3D, "ct-rate"):
            data = m3d if name in OF_M3D else rate
            lines += rows(name, examined(name, data, Path(folder, name)))
    table = (
        f"{VOLUMES} phantoms of the test split in M3D's layout, {VOLUMES} of the chest in "
        "CT-RATE's, the embedded model; no roberta-large, so no BERTScore.\n\n"
        + "\n".join(lines)
        + "\n"
    )
    print(table)
    if given.page:
        write_figures(given.page, "Testing/evaluation/measure.py", table)


if __name__ == "__main__":
    main()
