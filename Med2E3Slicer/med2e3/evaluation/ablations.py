"""The paper's claims in miniature: every variant trained alike, then examined alike.

A folder holds ``VARIANT/seed-N/`` for each run (the training run, and ``figures.json`` in the end)
and ``ablations.json`` with all that is done. What is there is kept, so that a call that was stopped
can be made again, for more variants or seeds too.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from med2e3.errors import InputError, Med2E3Error
from med2e3.evaluation.cases import Truth, stored_cases
from med2e3.evaluation.evaluate import evaluate_model
from med2e3.evaluation.predicting import own_text
from med2e3.evaluation.variants import FURTHER, VARIANTS, variant
from med2e3.model import load_model
from med2e3.model.checkpoint import PARTS
from med2e3.pool import process_pool
from med2e3.training import Plan, train
from med2e3.training.folders import link_checkpoint, read_json_or_nothing, sha256_of, write_json

Figures = dict[str, Any]

TRAINED_ALIKE = "answer"
"""The objective of the stages that every variant goes through; those before are shared."""

Progress = Callable[[str, int, int], None]
"""Told (what was done, how many runs are done, how many there are)."""


@dataclass(frozen=True)
class VariantResult:
    """A row of the table; ``runs`` are the figures of one seed each."""

    name: str
    label: str
    description: str
    seeds: tuple[int, ...]
    runs: tuple[Figures, ...]


@dataclass(frozen=True)
class Results:
    variants: tuple[VariantResult, ...]


@dataclass(frozen=True)
class Setup:
    """What all runs share.

    ``plan`` has the stages that the variants are trained with and begins from the stage-0
    checkpoint. ``volumes`` of the split ``test`` are examined (all if None); ``threads`` are for
    each run.
    """

    plan: Plan
    data: Path
    out: Path
    volumes: int | None = None
    threads: int | None = None


@dataclass(frozen=True)
class _Job:
    setup: Setup
    name: str
    seed: int

    @property
    def folder(self) -> Path:
        return self.setup.out / self.name / f"seed-{self.seed}"

    @property
    def figures(self) -> Path:
        return self.folder / "figures.json"

    def __str__(self) -> str:
        return f"{self.name}, seed {self.seed}"


def from_stage_0(plan: Plan, stage_0: Path, out: Path) -> Plan:
    """The plan of the ablations: the stages of ``plan`` that teach answers, from a checkpoint.

    ``stage_0`` is a checkpoint, or the folder of a training run whose stages before those are
    finished; their weights are then put together in ``out``. Raises InputError if it is neither.
    """
    stages = [stage for stage in plan.stages if stage.objective == TRAINED_ALIKE]
    if not stages:
        raise InputError("The configuration has no stage with the objective answer to train.")
    before = stages[0].after
    if not (stage_0 / "config.json").is_file():
        stage_0 = _put_together(stage_0, before, out / "stage-0")
    names = {stage.name for stage in stages}
    return dataclasses.replace(
        plan,
        network={"checkpoint": str(stage_0)},
        stages=tuple(
            dataclasses.replace(stage, after=tuple(name for name in stage.after if name in names))
            for stage in stages
        ),
    )


def run_ablations(
    setup: Setup,
    names: Sequence[str],
    seeds: Sequence[int],
    *,
    workers: int = 1,
    progress: Progress = lambda what, done, total: None,
) -> Results:
    """Train and examine each variant with each seed, and return all that is done.

    ``workers`` runs go on side by side, in a process each. Raises InputError for an unknown
    variant, and for a folder that holds runs of another data set, start or recipe.
    """
    jobs = [_Job(setup, name, seed) for seed in seeds for name in dict.fromkeys(names)]
    for name in names:
        variant(name)
    _check_folder(setup)
    missing = [job for job in jobs if not job.figures.is_file()]
    done = len(jobs) - len(missing)
    progress("begin", done, len(jobs))
    for job in _finished(missing, workers):
        done += 1
        progress(str(job), done, len(jobs))
    results = read_results(setup.out)
    write_json(
        setup.out / "ablations.json", {"variants": list(map(dataclasses.asdict, results.variants))}
    )
    return results


def read_results(out: Path) -> Results:
    """What is done in a folder of ablations, in the order of the variants' list."""
    found = []
    for name, known in (VARIANTS | FURTHER).items():
        runs = {
            int(path.parent.name.removeprefix("seed-")): json.loads(path.read_text("utf-8"))
            for path in out.glob(f"{name}/seed-*/figures.json")
        }
        if runs:
            seeds = tuple(sorted(runs))
            figures = tuple(runs[seed] for seed in seeds)
            found.append(VariantResult(name, known.label, known.description, seeds, figures))
    return Results(tuple(found))


def results_of(path: Path) -> Results:
    """The results in an ``ablations.json``."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["variants"]
        return Results(
            tuple(
                VariantResult(**{**row, "seeds": tuple(row["seeds"]), "runs": tuple(row["runs"])})
                for row in rows
            )
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is not what `med2e3 evaluate phantom --ablations` writes ({error})."
        ) from error


class OtherTexts:
    """For each question about a volume the text of another question, the same one each time.

    A control: trained and examined with it, a network can gain nothing from what the text says.
    Which text it is hangs on volume and question, so no question has a code of its own.
    """

    def __init__(self, questions: Sequence[str]) -> None:
        self._questions = sorted(set(questions))
        if len(self._questions) < 2:
            raise InputError("The data set has one question alone, and no other text to score for.")

    def __call__(self, truth: Truth, question: str) -> str:
        return self.of(truth.identifier, question)

    def of(self, volume: str, question: str) -> str:
        digest = hashlib.sha256(f"{volume} {question}".encode()).digest()
        place = int.from_bytes(digest[:8], "big") % len(self._questions)
        other = self._questions[place]
        # The next one, should it be the question itself.
        return other if other != question else self._questions[place - 1]


def _run(job: _Job) -> _Job:
    """Train and examine one variant with one seed."""
    setup, chosen = job.setup, variant(job.name)
    plan = dataclasses.replace(setup.plan, seed=job.seed)
    if chosen.evidence:
        plan = _with_evidence(plan, chosen.evidence)
    scoring_text = own_text
    if chosen.other_text:
        plan, scoring_text = _with_other_texts(plan, setup)
    _share_features(setup.out, job.folder)
    folder = train(plan, setup.data, job.folder, threads=setup.threads, network=chosen.network)
    torch.manual_seed(job.seed)  # for random scores
    model = load_model(folder, network=chosen.network)
    size = model.configuration.vision3d.volume_size
    cases = stored_cases(setup.data, "test", size, count=setup.volumes)
    figures = evaluate_model(
        model, cases, controlled=0, examined=0, scoring_text=scoring_text, seed=job.seed
    )
    write_json(job.figures, figures)
    return job


def _with_evidence(plan: Plan, count: float) -> Plan:
    stages = tuple(dataclasses.replace(stage, evidence=count) for stage in plan.stages)
    return dataclasses.replace(plan, stages=stages)


def _with_other_texts(plan: Plan, setup: Setup) -> tuple[Plan, OtherTexts]:
    """The plan with record files in which every question is scored for another's text."""
    folder = setup.out.absolute() / "other-texts"
    questions = [
        record["question"]
        for file in plan.train
        for record in json.loads((setup.data / file).read_text(encoding="utf-8"))
    ]
    others = OtherTexts(questions)

    def rewritten(file: str) -> str:
        records = json.loads((setup.data / file).read_text(encoding="utf-8"))
        for record in records:
            volume = Path(record["vision3d"]).stem
            record["question"] = others.of(volume, record["question"])
        write_json(folder / file, records)
        return str(folder / file)

    changed = dataclasses.replace(
        plan,
        train=tuple(map(rewritten, plan.train)),
        validation=tuple(map(rewritten, plan.validation)),
    )
    return changed, others


def _share_features(out: Path, folder: Path) -> None:
    """Frozen encoders are the same in all runs, and so are their features on disk."""
    features = out.absolute() / "features"
    features.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "features").exists():
        (folder / "features").symlink_to(features, target_is_directory=True)


def _finished(jobs: Sequence[_Job], workers: int) -> Iterator[_Job]:
    """Run the jobs; each comes when it is done."""
    if not jobs:
        return
    # The first one makes the features that the others share.
    yield _run(jobs[0])
    if min(workers, len(jobs) - 1) <= 1:
        yield from map(_run, jobs[1:])
        return
    pool = process_pool(workers)
    try:
        yield from pool.map(_run, jobs[1:])
    except BrokenProcessPool as error:
        raise Med2E3Error(
            "A process that trained a variant has ended, perhaps for want of memory; run the "
            "command again with fewer --workers: what is done is kept."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _check_folder(setup: Setup) -> None:
    """Note down what all runs share, or refuse a folder with runs of something else."""
    files = [*setup.plan.train, *setup.plan.validation, "test.json"]
    for file in files:
        if not (setup.data / file).is_file():
            raise InputError(
                f"There is no {setup.data / file}; make a data set with `med2e3 phantom dataset`."
            )
    stage_0 = Path(setup.plan.network["checkpoint"])
    shared = {
        "stage_0": {
            part: sha256_of(path)
            for part in PARTS
            for path in sorted((stage_0 / part).glob("*.safetensors"))
        },
        "stages": json.loads(json.dumps([dataclasses.asdict(one) for one in setup.plan.stages])),
        "data": {file: sha256_of(setup.data / file) for file in files},
        "volumes": setup.volumes,
    }
    path = setup.out / "setup.json"
    if read_json_or_nothing(path) not in ({}, shared):
        raise InputError(
            f"{setup.out} holds ablations of another data set, start or recipe; choose another "
            "folder with --out."
        )
    write_json(path, shared)


def _put_together(run: Path, stages: Sequence[str], folder: Path) -> Path:
    """A checkpoint of what several finished stages of a run have learned."""
    if not (run / "initial").is_dir():
        raise InputError(
            f"{run} is neither a checkpoint nor the folder of a training run; give one with "
            "--stage0."
        )
    source = dict.fromkeys(PARTS, run / "initial")
    for name in stages:
        note = read_json_or_nothing(run / "stages" / name / "stage.json")
        if not note.get("finished"):
            raise InputError(
                f"The stage {name} is not finished in {run}; train it first "
                f"(`med2e3 train … --stage {name}`)."
            )
        source |= {
            part: run / "stages" / stage / "model" for part, stage in note["changed"].items()
        }
    if not folder.is_dir():
        partial = folder.with_name(f"{folder.name}.{os.getpid()}")
        link_checkpoint(partial, run / "initial", source)
        partial.rename(folder)
    return folder
