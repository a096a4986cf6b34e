"""The model card: what a trained model is, and what it learned from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from med2e3.model.identity import CARD
from med2e3.training.folders import write_json, write_text
from med2e3.training.plan import Plan
from med2e3.wire.messages import TrainedOn

_LIMITS: dict[TrainedOn, str] = {
    "nothing": "",
    "synthetic": """
**The training data are synthetic CT.** The model is for demonstrations and for tests. It knows
nothing of patients: what it writes about a scan of a person means nothing.
""",
    "scans": "",
}


def write_card(
    folder: Path,
    plan: Plan,
    trained_on: TrainedOn,
    metrics: dict[str, dict[str, float]],
    data: dict[str, Any],
    run: dict[str, Any],
) -> None:
    """Write the card that programs read (``med2e3.json``) and the one for people (``README.md``).

    ``metrics`` are the last of each stage, ``data`` and ``run`` what the run noted down.
    """
    write_json(
        folder / CARD,
        {"name": plan.name, "trained_on": trained_on, "description": plan.description},
    )
    counts = "\n".join(
        f"| {name} | {found['volumes']:,} | {found['records']:,} | {len(found['left_out']):,} |"
        for name, found in data.items()
        if name != "files"
    )
    files = "\n".join(f"- `{name}`: sha256 `{value}`" for name, value in data["files"].items())
    stages = "\n".join(
        f"| {stage.name} | {stage.objective} | "
        f"{', '.join(f'{part} ({rate:g})' for part, rate in stage.train.items())} | "
        f"{', '.join(f'{name} {value:.4g}' for name, value in metrics[stage.name].items())} |"
        for stage in plan.stages
    )
    made_with = ", ".join(f"{name} {value}" for name, value in run.items() if value)
    write_text(
        folder / "README.md",
        f"""# {plan.name}

{plan.description}
{_LIMITS[trained_on]}
Research use only, not a medical device. Made by `med2e3 train`; the configuration of the run is in
`config.yaml` of its folder. Architecture: Med-2E3 (arXiv 2411.12783), in the released layout.

## Data

| set | volumes | questions and answers | left out |
|---|---|---|---|
{counts}

{files}

## Training

| stage | objective | what learned (learning rate) | last metrics |
|---|---|---|---|
{stages}

Seed {plan.seed}; {made_with}. Weights in {plan.weights}.
""",
    )
