"""A whole run: the records, the initial model, every stage, and the trained model with its card."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
import yaml
from torch.nn.attention import SDPBackend, sdpa_kernel

import med2e3
from med2e3.errors import InputError
from med2e3.model import LoadedModel, load_model
from med2e3.model.checkpoint import PARTS
from med2e3.model.saving import part_weights, save_part
from med2e3.training.captions import captions_of
from med2e3.training.card import write_card
from med2e3.training.folders import (
    FOLDER_OF,
    link_checkpoint,
    put_in_place,
    read_json_or_nothing,
    sha256_of,
    write_json,
    write_text,
)
from med2e3.training.initial import checkpoint_folder, volume_size, write_initial_model
from med2e3.training.plan import Plan, Stage
from med2e3.training.processes import first_process_first, once
from med2e3.training.records import Record, Records, read_records
from med2e3.training.stage import Data, train_stage
from med2e3.wire.messages import TrainedOn

_ALMOST_FULL = 2**26


def train(
    plan: Plan,
    data_folder: Path,
    out: Path,
    *,
    stages: Sequence[str] = (),
    threads: int | None = None,
    network: type[LoadedModel] = LoadedModel,
) -> Path:
    """Train what ``plan`` says and return the folder of the trained model.

    ``stages`` are the names of those to train now (all that are not finished, if none is given);
    what they go on from must be finished. A run that was killed goes on where it was: call it
    again with the same arguments. ``network`` is a variant of the network to train. Raises
    InputError for a setting, a record file or a folder that cannot be used, Med2E3Error if the loss
    is no number any more.
    """
    torch.set_num_threads(threads or plan.threads or torch.get_num_threads())
    torch.set_float32_matmul_precision(plan.matmul_precision)
    chosen = [plan.stage(name) for name in stages] or list(plan.stages)
    with _disk_is_big_enough(out):
        with first_process_first():
            data = _prepare(plan, data_folder, out)
        with _fast_attention():
            for stage in chosen:
                _run(plan, stage, out, data, network)
        if all(_note(out, stage).get("finished") for stage in plan.stages):
            with first_process_first():
                _finish(plan, _trained_on(data), out, network)
    return out / "model"


def _prepare(plan: Plan, data_folder: Path, out: Path) -> Data:
    """Records read, initial model written, everything noted down."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; --out takes a folder.")
    size = volume_size(plan.network)
    images = data_folder / plan.images
    found = {
        name: read_records(
            [data_folder / file for file in files],
            images,
            size,
            checked=out / f"checked-{name}.json",
            progress=_bar(f"looking at the {name} volumes"),
        )
        for name, files in (("train", plan.train), ("validation", plan.validation))
        if files
    }
    _note_data(plan, data_folder, out, found)
    begun = {"network": plan.network, "seed": plan.seed}
    if read_json_or_nothing(out / "begun.json") not in ({}, begun):
        raise InputError(
            f"{out} holds a run with another network or seed; choose another folder with --out."
        )
    write_text(out / "config.yaml", yaml.safe_dump(plan.values, sort_keys=False))
    write_json(out / "run.json", _versions())
    if "checkpoint" not in plan.network and not (out / "initial").is_dir():
        partial = out / f"initial.{os.getpid()}"
        good = found["train"].good
        volumes = [images / name for name in dict.fromkeys(record.volume for record in good)]
        write_initial_model(partial, plan.network, _texts(good), plan.seed, volumes)
        put_in_place(partial, out / "initial")
    write_json(out / "begun.json", begun)
    validation = found["validation"].good if "validation" in found else []
    return Data(found["train"].good, validation, images)


def _run(plan: Plan, stage: Stage, out: Path, data: Data, network: type[LoadedModel]) -> None:
    folder = out / "stages" / stage.name
    note = _note(out, stage)
    settings = {**dataclasses.asdict(stage), "after": list(stage.after),
                "network": network.__qualname__}  # fmt: skip
    if note and note.get("settings") != settings:
        raise InputError(
            f"{folder} holds this stage with other settings; remove that folder to train it anew, "
            "or choose another with --out."
        )
    if note.get("finished"):
        print(f"{stage.name}: finished before.", file=sys.stderr)
        return
    changed = _changed_before(plan, stage, out)
    root = _root(plan, out)
    start = {
        part: out / "stages" / changed[part] / "model" if part in changed else root
        for part in PARTS
    }
    once(lambda: write_json(folder / "stage.json", {"settings": settings, "finished": False}))
    result = train_stage(
        plan, stage, folder, data, start, root, out / "features", network,
        _bar(f"{stage.name}: encoding"),
    )  # fmt: skip
    changed |= {FOLDER_OF[part]: stage.name for part in stage.train}
    done = {
        "settings": settings,
        "finished": True,
        "changed": changed,
        "metrics": result.metrics,
        "answers_cut": result.cut_answers,
    }
    once(lambda: _close(folder, done))
    if result.cut_answers:
        print(
            f"{stage.name}: {len(result.cut_answers)} answers were too long for the model's length "
            f"limit and were cut (the first: {result.cut_answers[0]}).",
            file=sys.stderr,
        )


def _close(folder: Path, note: dict[str, Any]) -> None:
    write_json(folder / "stage.json", note)
    shutil.rmtree(folder / "run", ignore_errors=True)
    shutil.rmtree(folder / "start", ignore_errors=True)


def _changed_before(plan: Plan, stage: Stage, out: Path) -> dict[str, str]:
    """Which stage each part's weights come from, for the parts that were trained before."""
    changed: dict[str, str] = {}
    for name in stage.after:
        note = _note(out, plan.stage(name))
        if not note.get("finished"):
            raise InputError(
                f"The stage {stage.name} goes on from {name}, which is not finished in {out}; "
                f"train it first (--stage {name})."
            )
        for part, source in note["changed"].items():
            if changed.setdefault(part, source) != source:
                raise InputError(
                    f"The stages {changed[part]} and {source} both trained {part}, and "
                    f"{stage.name} cannot go on from both; let one come after the other."
                )
    return changed


def _note(out: Path, stage: Stage) -> dict[str, Any]:
    return read_json_or_nothing(out / "stages" / stage.name / "stage.json")


def _root(plan: Plan, out: Path) -> Path:
    return checkpoint_folder(plan.network) if "checkpoint" in plan.network else out / "initial"


def _trained_on(data: Data) -> TrainedOn:
    """Synthetic as soon as any of it is: whoever reads the model's text must be warned."""
    return "synthetic" if any(record.phantom for record in data.train) else "scans"


def _finish(plan: Plan, trained_on: TrainedOn, out: Path, network: type[LoadedModel]) -> None:
    """The last stage's model in the precision of the plan, with its card."""
    last = out / "stages" / plan.stages[-1].name / "model"
    if (out / "model").is_dir():
        return
    partial = out / f"model.{os.getpid()}"
    link_checkpoint(partial, last, {})
    model = load_model(last, device="cpu", dtype="float32", network=network)
    for part in PARTS:
        save_part(partial / part, part_weights(model, part), getattr(torch, plan.weights))
    write_card(
        partial,
        plan,
        trained_on,
        {stage.name: _note(out, stage)["metrics"] for stage in plan.stages},
        read_json_or_nothing(out / "data.json"),
        read_json_or_nothing(out / "run.json"),
    )
    put_in_place(partial, out / "model")


def _texts(records: Sequence[Record]) -> list[str]:
    """All texts that a tokenizer shall know the words of."""
    by_volume: dict[str, list[Record]] = {}
    texts = []
    for record in records:
        by_volume.setdefault(record.volume, []).append(record)
        texts += [record.asked, record.question, record.answer]
        texts.append((record.phantom or {}).get("description", ""))
    texts += [caption.text for said in by_volume.values() for caption in captions_of(said)]
    return [text for text in texts if text]


def _note_data(plan: Plan, data_folder: Path, out: Path, found: dict[str, Records]) -> None:
    fingerprints = {file: sha256_of(data_folder / file) for file in (*plan.train, *plan.validation)}
    before = read_json_or_nothing(out / "data.json").get("files", fingerprints)
    if before != fingerprints:
        raise InputError(
            f"The records in {data_folder} are not those that the run in {out} began with; choose "
            "another folder with --out."
        )
    counts = {
        name: {
            "records": len(records.good),
            "volumes": len({record.volume for record in records.good}),
            "left_out": [dataclasses.asdict(bad) for bad in records.bad],
        }
        for name, records in found.items()
    }
    write_json(out / "data.json", {"files": fingerprints, **counts})
    for name, records in found.items():
        for bad in records.bad[:20]:
            print(f"Left out: {bad.identifier}: {bad.reason}.", file=sys.stderr)
        if records.bad:
            print(
                f"{len(records.bad)} of {len(records.bad) + len(records.good)} {name} records were "
                f"left out; {out / 'data.json'} names them all.",
                file=sys.stderr,
            )


def _versions() -> dict[str, Any]:
    return {
        "med2e3": med2e3.__version__,
        "revision": _revision(),
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "threads": torch.get_num_threads(),
    }


def _revision() -> str:
    """The git revision of the code, with "+changes" if it was changed; empty outside of git."""
    try:
        told = [_git("rev-parse", "HEAD"), _git("status", "--porcelain", "--", ".")]
    except (OSError, subprocess.SubprocessError):
        return ""
    return told[0] + ("+changes" if told[1] else "")


def _git(*words: str) -> str:
    ended = subprocess.run(  # noqa: S603
        ["git", *words],  # noqa: S607 - the user's own git
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return ended.stdout.strip()


@contextmanager
def _fast_attention() -> Iterator[None]:
    """On a CPU, attention as plain products: at these lengths torch's fused kernel for CPUs takes
    three times as long backwards, and does not use the matrix units of new CPUs."""
    if torch.cuda.is_available():
        yield
        return
    with sdpa_kernel(SDPBackend.MATH):
        yield


@contextmanager
def _disk_is_big_enough(out: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if not _is_full(error, out):
            raise
        raise InputError(
            f"The disk of {out} is full; free some space and run the same command again: it goes "
            "on from the last saved step."
        ) from error


def _is_full(error: Exception, out: Path) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    # torch and safetensors tell nothing but that writing failed.
    folder = next((path for path in (out, *out.absolute().parents) if path.is_dir()), out)
    return "writ" in str(error) and shutil.disk_usage(folder).free < _ALMOST_FULL


def _bar(what: str) -> Any:
    """A counter on stderr, for a terminal alone."""
    if not sys.stderr.isatty():
        return lambda done, total: None

    def show(done: int, total: int) -> None:
        end = "\n" if done == total else ""
        print(f"\r{what}: {done} of {total}", end=end, file=sys.stderr, flush=True)

    return show
