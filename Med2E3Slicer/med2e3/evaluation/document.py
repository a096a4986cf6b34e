"""``docs/evaluation.md`` and ``docs/ablations.md``: the results' tables and figures, written from
their JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from med2e3.evaluation import figures
from med2e3.evaluation.ablations import Results
from med2e3.evaluation.table import (
    ATTENTION_COLUMNS,
    CLOSED_COLUMNS,
    OPEN_COLUMNS,
    REPORT_COLUMNS,
    Column,
    cell,
    markdown,
)
from med2e3.phantoms.questions import QUESTION_TYPES

Figures = dict[str, Any]

REFERENCE = "tg-is"
"""The variant that the others are held against."""

_BARS = (
    REPORT_COLUMNS[0],
    REPORT_COLUMNS[3],
    replace(CLOSED_COLUMNS[-1], label="closed accuracy, mean"),
)


def write_document(folder: Path, evaluation: Figures) -> Path:
    """Write ``evaluation.md`` and ``images/evaluation-*.png`` into a folder; returns the page."""
    images = folder / "images"
    sections = [_head(evaluation), _abilities(evaluation)]
    sections.append(_attention(evaluation, images))
    sections.append(_faithfulness(evaluation, images))
    sections.append(_controls(evaluation))
    return _write(folder / "evaluation.md", "\n".join(sections))


def write_ablations(folder: Path, ablations: Results) -> Path:
    """Write ``ablations.md`` and its image into a folder; returns the page."""
    return _write(folder / "ablations.md", _ablations(ablations, folder / "images"))


def _write(page: Path, text: str) -> Path:
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text, encoding="utf-8")
    return page


def _head(found: Figures) -> str:
    model = found["model"]
    named = f"`{model['name']}` (sha256 `{model['sha256'][:12]}…`)"
    chance = (
        " **It is untrained: the figures are those of chance.**"
        if model["trained_on"] == "nothing"
        else ""
    )
    return f"""# How good is the model, and does its attention mean anything?

Measured on synthetic CT whose truth is known exactly, {found["volumes"]} volumes that no model has
learned from ({found["negative_volumes"]} of them without a finding), {found["questions"]} questions
worded as none in training. The model is {named}.{chance}
Nothing here tells how a model reads patients. This page is made by `med2e3 evaluate document`;
intervals are 95 % bootstrap intervals over volumes. All figures are in percent unless they say
otherwise.
"""


def _abilities(found: Figures) -> str:
    intervals = found["intervals"]["closed_accuracy"]
    rows = [
        "| " + " | ".join(["", *QUESTION_TYPES, "mean"]) + " |",
        "|---|" + "--:|" * (len(QUESTION_TYPES) + 1),
        _row("released rule", found["closed_accuracy"]),
        _row("95 % interval", {kind: _interval(pair) for kind, pair in intervals.items()}),
        _row("stricter rule", found["closed_accuracy_strict"]),
        _row("commonest answer, image unseen", found["commonest_answer"]),
    ]
    names = list(found["report_scores"])
    open_rows = [
        "| " + " | ".join(["", *names]) + " |",
        "|---|" + "--:|" * len(names),
        "| report | " + " | ".join(_percent(found["report_scores"][name]) for name in names) + " |",
        *(
            f"| {kind} | "
            + " | ".join(_percent(found["open_scores"][kind][name]) for name in names)
            + " |"
            for kind in (*QUESTION_TYPES, "mean")
        ),
    ]
    f1, false = found["intervals"]["finding_f1"], found["intervals"]["false_finding_rate"]
    return f"""## Questions and reports

Closed questions, four choices. By the released rule an answer is right if the right letter with a
full stop stands anywhere in it; by the stricter rule it must begin with that letter or be that
choice.

{_lines(rows)}
Open answers and reports against the true text:

{_lines(open_rows)}
Findings in the reports, as (finding, organ, side): F1 **{_percent(found["finding_f1"])}**
({_interval(f1)}), precision {_percent(found["finding_precision"])}, recall
{_percent(found["finding_recall"])}. Volumes without a finding that were given one:
**{_percent(found["false_finding_rate"])}** ({_interval(false)}).
"""


def _attention(found: Figures, images: Path) -> str:
    attention = found["attention"]
    columns = ("hit1", "hit3", "auroc", "mass_ratio", "effective_slices", "paraphrase_correlation")
    rows = [
        "| | scores | Hit@1 | Hit@3 | AUROC | mass ratio | effective slices | paraphrases |",
        "|---|---|" + "--:|" * len(columns),
    ]
    for kind, of_kind in attention.items():
        sources = {"model": of_kind}
        if of_kind["questions"]:
            sources |= {name: of_kind[name] for name in ("gaussian", "random", "uniform")}
        for source, values in sources.items():
            shown = [
                _percent(values.get(name)) if number < 3 else _number(values.get(name))
                for number, name in enumerate(columns)
            ]
            label = f"{kind} ({of_kind['questions']})" if source == "model" else ""
            rows.append("| " + " | ".join([label, source, *shown]) + " |")
    patches = ", ".join(
        f"{kind} {_percent(of_kind['patch_hit1'])} (by chance {_percent(of_kind['patch_chance'])})"
        for kind, of_kind in attention.items()
        if of_kind.get("patch_hit1") is not None
    )
    in_plane = ""
    if patches:
        in_plane = f"""
In plane: of all patches of 16 by 16 pixels of all slices, the one that gives most to the scores
shows the finding asked about, in per cent of the questions: {patches}.

"""
    figures.draw_attention(images / "evaluation-attention.png", attention)
    curves = ""
    if found["examples"]:
        example = max(found["examples"], key=lambda one: len(one["questions"]))
        figures.draw_score_curves(images / "evaluation-scores.png", example)
        curves = (
            "\nScores for questions about one volume. The slices of the finding that is asked "
            "about are shaded,\nthe dashed line is an even share.\n\n"
            "![Slice scores for questions about one volume](images/evaluation-scores.png)\n"
        )
    return f"""## Where it looks

Slice scores (TG-IS) against the slices that the findings asked about lie in; in brackets how many
questions have such slices. Hit@1: the best slice cuts the finding. Mass ratio: the finding's share
of the score over its share of the slices (1 is chance). Effective slices: exp of the entropy, out
of 32. Paraphrases: Spearman's correlation between the scores for two wordings of a question.

{_lines(rows)}{in_plane}
![Hit@1, Hit@3 and AUROC by question type](images/evaluation-attention.png)
{curves}"""


def _faithfulness(found: Figures, images: Path) -> str:
    perturbed, randomised = found["faithfulness"], found["randomised_weights"]
    if not perturbed["questions"]:
        return ""
    figures.draw_perturbation(images / "evaluation-perturbation.png", perturbed)
    areas = [
        "| mean log-probability | best slices first | random order |",
        "|---|--:|--:|",
        *(
            f"| {kind} | {perturbed[kind]['by_score']['area']:.3f} | "
            f"{perturbed[kind]['random']['area']:.3f} |"
            for kind in ("deletion", "insertion")
        ),
    ]
    labels = {
        "untouched": "as trained",
        "text_mlp": "`text_mlp` shuffled",
        "text": "`text_mlp` and text encoder shuffled",
        "text_and_2d": "these and the 2D encoder shuffled",
    }
    rows = [
        "| weights | Hit@1 | AUROC | correlation with the trained scores |",
        "|---|--:|--:|--:|",
        *(
            f"| {label} | {_percent(randomised[name]['hit1'])} | "
            f"{_percent(randomised[name]['auroc'])} | "
            f"{_number(randomised[name]['rank_correlation'])} |"
            for name, label in labels.items()
        ),
    ]
    return f"""## Does the answer depend on it?

Slices leave the fused 2D tokens (deletion) or come into them from none (insertion), by their scores
or in a random order, and the true answer's log-probability is taken each time
({perturbed["questions"]} closed questions about findings). The 3D tokens stay. If the scores mean
something, deletion by score lies below the random order and insertion above.

{_lines(areas)}
![The true answer's log-probability as slices leave and come](images/evaluation-perturbation.png)

With the weights of what scores shuffled, the scores must lose their meaning:

{_lines(rows)}"""


def _controls(found: Figures) -> str:
    controls = found["controls"]
    if not controls["volumes"]:
        return ""
    labels = {
        "untouched": "the volume itself",
        "blank": "a volume of zeros",
        "shuffled": "its slices in another order",
        "swapped": "another patient's volume",
    }
    rows = [
        "| " + " | ".join(["", *QUESTION_TYPES, "mean"]) + " |",
        "|---|" + "--:|" * (len(QUESTION_TYPES) + 1),
        *(_row(label, controls[name]) for name, label in labels.items()),
    ]
    return f"""## Does it need the image?

Closed accuracy on {controls["volumes"]} volumes when the model is shown something else. Guessing is
right in 25 % of four even choices; *commonest answer* above tells what is right without looking.

{_lines(rows)}"""


def _ablations(results: Results, images: Path) -> str:
    rows = [(one.label, one.runs) for one in results.variants]
    reference = next((one for one in results.variants if one.name == REFERENCE), None)
    columns = (*REPORT_COLUMNS, *OPEN_COLUMNS)
    label = reference.label if reference else ""
    figures.draw_ablations(images / "evaluation-ablations.png", rows, _BARS, label)
    what = "\n".join(
        f"- **{one.label}** (`{one.name}`): {one.description}" for one in results.variants
    )
    counts = sorted({len(one.runs) for one in results.variants})
    seeds = " or ".join(map(str, counts)) + (" seed" if counts == [1] else " seeds")
    volumes = reference.runs[0]["volumes"] if reference else results.variants[0].runs[0]["volumes"]
    return f"""# The paper's claims in miniature

Every row is trained from the same stage-0 network on the same data for the same steps, with
{seeds}, and measured on the same {volumes} test volumes: mean ± standard deviation over the seeds,
the best of a column in bold. All figures are in percent but for the effective slices and the mass
ratio. Small networks on synthetic CT: nothing here tells how large ones read patients. This page is
made by `med2e3 evaluate document --ablations`.

{what}

![Report BLEU-1, finding F1 and closed accuracy of each variant](images/evaluation-ablations.png)

Reports, and open answers (mean over the question types):

{markdown(rows, columns)}
Closed accuracy:

{markdown(rows, CLOSED_COLUMNS)}
Attention:

{markdown(rows, ATTENTION_COLUMNS)}
{_claims(results)}"""


def _claims(results: Results) -> str:
    """TG-IS held against each other variant: relative in the reports, in points in the answers."""
    runs = {one.name: one for one in results.variants}
    if REFERENCE not in runs or len(runs) < 2:
        return ""
    rows = [
        "| TG-IS against | BLEU-1, relative | finding F1, relative | closed accuracy, points |",
        "|---|--:|--:|--:|",
    ]
    for name, one in runs.items():
        if name != REFERENCE:
            shown = [_gain(runs[REFERENCE].runs, one.runs, column) for column in _BARS]
            rows.append(f"| {one.label} | {shown[0][0]} | {shown[1][0]} | {shown[2][1]} |")
    claim = (
        "The paper claims +14 % in reports and +5 % in answers over the best 3D model before it."
    )
    return f"{claim}\n\n{_lines(rows)}"


def _gain(mine: Sequence[Figures], other: Sequence[Figures], column: Column) -> tuple[str, str]:
    """(relative in percent, in points) as texts."""
    first, second = cell(mine, column), cell(other, column)
    if first is None or second is None:
        return "–", "–"
    points = 100 * (first.mean - second.mean)
    relative = f"{points / second.mean:+.1f} %" if second.mean else "–"
    return relative, f"{points:+.1f}"


def _row(label: str, values: dict[str, Any]) -> str:
    shown = [
        value if isinstance(value, str) else _percent(value)
        for value in (values[kind] for kind in (*QUESTION_TYPES, "mean"))
    ]
    return f"| {label} | " + " | ".join(shown) + " |"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _interval(pair: Sequence[float] | None) -> str:
    return "–" if pair is None else f"{100 * pair[0]:.1f} to {100 * pair[1]:.1f}"


def _lines(rows: Sequence[str]) -> str:
    return "\n".join(rows) + "\n"
