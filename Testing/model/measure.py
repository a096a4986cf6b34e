"""How near other families' networks come to their published code: the table in
docs/checkpoints.md.

    python Testing/model/measure.py --page docs/checkpoints.md
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from measured_page import write_figures
from med2e3.inference import VolumeSession
from med2e3.model import load_model
from other_checkpoints import VOLUME, image_tokens, write_lamed, write_medm_vl


def row(family: str, write, folder: Path) -> str:
    weights = write(folder)
    volume = torch.rand(1, *VOLUME, generator=torch.Generator().manual_seed(0))
    encoded = VolumeSession(load_model(folder), volume).encode()
    expected = image_tokens(weights, volume[0], family)
    difference = (encoded.tokens_3d - expected).abs().max() / expected.abs().max()
    return f"| {family} | {len(expected)} | {float(difference):.0e} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--page", type=Path, help="the page whose table is written anew")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lines = [
            row("M3D-LaMed", write_lamed, Path(folder, "lamed")),
            row("MedM-VL", write_medm_vl, Path(folder, "medm-vl")),
        ]
    table = (
        "| family | image tokens in the prompt | largest difference, as a share of the largest "
        "number |\n|---|---:|---:|\n" + "\n".join(lines) + "\n"
    )
    print(table)
    if given.page:
        write_figures(given.page, "Testing/model/measure.py", table)


if __name__ == "__main__":
    main()
