"""One stage from its start model to its checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import TrainingArguments

from med2e3.errors import InputError
from med2e3.model import LoadedModel, load_model
from med2e3.model.saving import part_weights, save_part
from med2e3.training.attention import write_out_attention
from med2e3.training.evidence import evidence_of, told_sentences
from med2e3.training.examples import (
    AnswerBatches,
    ContrastBatches,
    Grid,
    LanguageBatches,
    Volumes,
)
from med2e3.training.features import Features, cached_features
from med2e3.training.folders import FOLDER_OF, link_checkpoint, read_json_or_nothing
from med2e3.training.objectives import (
    AnswerObjective,
    ContrastObjective,
    EvidenceObjective,
    IdealObjective,
    LanguageObjective,
    Objective,
    WordsObjective,
)
from med2e3.training.plan import Plan, Stage
from med2e3.training.processes import first_process_first, once
from med2e3.training.records import Progress, Record
from med2e3.training.texts import Texts
from med2e3.training.trainer import Batches, StageTrainer
from med2e3.training.words import tells_words

_STATE = "trainer_state.json"
"""What the trainer writes last into a checkpoint, so that one without it was cut short."""


@dataclass(frozen=True)
class Data:
    """What a stage learns from, and the folder of the volumes."""

    train: Sequence[Record]
    validation: Sequence[Record]
    images: Path


@dataclass(frozen=True)
class Result:
    """What a stage came to: the last metrics, and which answers were too long."""

    metrics: dict[str, float]
    cut_answers: list[str]


def train_stage(
    plan: Plan,
    stage: Stage,
    folder: Path,
    data: Data,
    start: dict[str, Path],
    root: Path,
    features: Path,
    network: type[LoadedModel],
    progress: Progress,
) -> Result:
    """Train a stage in ``folder`` and leave a complete checkpoint in ``folder/model``.

    ``start`` has the checkpoint that each part begins from, ``root`` the one with configuration and
    tokenizers. A stage that was killed goes on from its last saved step.
    """
    once(lambda: link_checkpoint(folder / "start", root, start))
    model = load_model(folder / "start", device="cpu", dtype="float32", network=network)
    for parameter in model.parameters():
        # Files may be mapped into memory, and training changes what it holds.
        parameter.data = parameter.data.clone()
    arguments = _arguments(plan, stage, folder, bool(data.validation))
    torch.manual_seed(plan.seed)
    objective = _objective(stage, model)
    if arguments.use_cpu:
        write_out_attention(model)
    if stage.lora:
        _add_adapters(model, stage.lora)
    batches = [
        _batches(plan, stage, model, records, data.images, features, stage.augment and first,
                 progress)
        for first, records in ((True, data.train), (False, data.validation))
        if records
    ]  # fmt: skip
    trainer = StageTrainer(
        stage, objective, arguments, batches[0], batches[1] if len(batches) > 1 else None
    )
    with first_process_first():
        last = _last_whole_checkpoint(folder / "run")
    with sdpa_kernel(SDPBackend.MATH) if arguments.use_cpu else nullcontext():
        trainer.train(resume_from_checkpoint=last)
    _save(stage, model, trainer, folder, root, start)
    metrics = _last_metrics(trainer.state.log_history)
    return Result(metrics, sorted({name for one in batches for name in one.cut_answers}))


def _arguments(plan: Plan, stage: Stage, folder: Path, validated: bool) -> TrainingArguments:
    fixed: dict[str, Any] = {
        "output_dir": str(folder / "run"),
        "logging_dir": str(folder / "metrics"),
        "seed": plan.seed,
        "learning_rate": max(stage.train.values()),
        # Tied weights and frozen parts make the trainer's own safetensors fail.
        "save_safetensors": False,
        "remove_unused_columns": False,
        "disable_tqdm": True,
        "logging_nan_inf_filter": False,
    }
    defaults: dict[str, Any] = {
        "lr_scheduler_type": "cosine",
        "optim": "adamw_torch_fused",
        "logging_steps": 1,
        "save_strategy": "steps",
        "save_steps": 500,
        "save_total_limit": 1,
        "eval_strategy": "epoch" if validated else "no",
        "report_to": ["tensorboard"],
        "use_cpu": not torch.cuda.is_available(),
        "dataloader_pin_memory": torch.cuda.is_available(),
    }
    taken = fixed.keys() & stage.trainer.keys()
    if taken:
        raise InputError(
            f"The stage {stage.name} sets {', '.join(sorted(taken))} under trainer, which the run "
            "itself sets; remove it."
        )
    given = {**defaults, **stage.trainer, **fixed}
    if not validated:
        given["eval_strategy"] = "no"
    try:
        return TrainingArguments(**given)
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(
            f"The stage {stage.name} has a trainer setting that transformers does not take: {error}"
        ) from error


def _objective(stage: Stage, model: LoadedModel) -> Objective:
    if stage.objective == "language":
        return LanguageObjective(model, stage.train, stage.choices)
    if stage.objective == "contrast":
        return ContrastObjective(model, stage.train, stage.pooling)
    if stage.objective == "evidence":
        return EvidenceObjective(model, stage.train, stage.patch_evidence, stage.words)
    if stage.objective == "words":
        return WordsObjective(model, stage.train)
    if stage.objective == "ideal":
        return IdealObjective(model, stage.train, stage.choices)
    return AnswerObjective(
        model, stage.train, stage.evidence, stage.patch_evidence, stage.choices, stage.words
    )


def _batches(
    plan: Plan,
    stage: Stage,
    model: LoadedModel,
    records: Sequence[Record],
    images: Path,
    features: Path,
    augment: bool,
    progress: Progress,
) -> Batches:
    texts = Texts(model)
    volumes = Volumes(images, plan.seed, augment)
    if stage.objective == "language":
        return LanguageBatches(
            records,
            texts,
            plan.seed,
            stage.exercises,
            choices=bool(stage.choices),
            asked=stage.asked,
        )
    if stage.objective == "contrast":
        return ContrastBatches(
            records,
            texts,
            volumes,
            seed=plan.seed,
            slices_per_volume=stage.slices_per_volume,
            texts_per_volume=stage.texts_per_volume,
            patches_3d=model.configuration.vision3d.grid
            if "vision3d_model" in stage.train
            else None,
            patches_2d=_patches_2d(model) if "vision2d_model" in stage.train else None,
        )
    kept: dict[str, Features] = {}
    ideal = stage.objective == "ideal"
    if stage.cache_features:
        with first_process_first():
            kept = _features(stage, model, records, images, features, progress)
    evidence = stage.objective == "evidence"
    slices = model.configuration.vision3d.volume_size[0]
    if evidence:
        told = [sentence for record in records for sentence in told_sentences(record)]
        records = [one for one in (*records, *told) if len(evidence_of(one, slices))]
        if not records:
            raise InputError(
                f"The stage {stage.name} needs records that tell the slices an answer depends on "
                "(phantom.slices), and there are none; make the data with `med2e3 phantom "
                "dataset`, or take the stage out."
            )
    if ideal:
        records = [record for record in records if tells_words(record)]
    return AnswerBatches(
        records,
        texts,
        volumes,
        kept.get("2d"),
        kept.get("3d"),
        letter_weight=stage.letter_weight,
        finding_weight=stage.finding_weight,
        choices=bool(stage.choices),
        evidence_slices=slices if evidence or ideal or stage.evidence else None,
        evidence_grid=_patches_2d(model) if stage.patch_evidence else None,
        word_grids=_token_grids(model)
        if stage.words or stage.objective in ("ideal", "words")
        else None,
        images=not ideal,
        asked=stage.asked,
    )


def _token_grids(model: LoadedModel) -> tuple[Grid, Grid]:
    """Of the 2D tokens of a volume and of its 3D tokens, which stand for 2 x 2 x 2 patches."""
    depth, height, width = model.configuration.vision3d.grid
    slices = model.configuration.vision3d.volume_size[0]
    return (slices, *_patches_2d(model)), (depth // 2, height // 2, width // 2)


def _patches_2d(model: LoadedModel) -> tuple[int, int]:
    side = model.configuration.vision2d["image_size"] // model.configuration.vision2d["patch_size"]
    return side, side


def _features(
    stage: Stage,
    model: LoadedModel,
    records: Sequence[Record],
    images: Path,
    folder: Path,
    progress: Progress,
) -> dict[str, Features]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    names = {record.volume for record in records}
    # Different volumes make another file, so that train and validation do not replace each other.
    folder = folder / f"{len(names)}"
    kept = {}
    if "vision3d_model" not in stage.train:
        encoder = model.vision3d_model.to(device)
        kept["3d"] = cached_features(
            folder, "vision3d", encoder, lambda volume: model.pooled_3d(volume.to(device)),
            images, list(names), progress=progress,
        )  # fmt: skip
    if "vision2d_model" not in stage.train:
        slices_encoder = model.vision2d_model.to(device)
        kept["2d"] = cached_features(
            folder, "vision2d", slices_encoder,
            lambda volume: slices_encoder(volume[0, 0].to(device))[None],
            images, list(names), progress=progress,
        )  # fmt: skip
    return kept


def _add_adapters(model: LoadedModel, settings: dict[str, Any]) -> None:
    from peft import LoraConfig, get_peft_model

    try:
        model.llm = get_peft_model(model.llm, LoraConfig(task_type="CAUSAL_LM", **settings))
    except (TypeError, ValueError) as error:
        raise InputError(f"The lora settings cannot be used: {error}") from error


def _last_whole_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that was written to its end; others are removed."""
    found = []
    for path in folder.glob("checkpoint-*"):
        if read_json_or_nothing(path / _STATE):
            found.append((int(path.name.rpartition("-")[2]), path))
        else:
            shutil.rmtree(path)
    return str(max(found)[1]) if found else None


def _save(
    stage: Stage,
    model: LoadedModel,
    trainer: StageTrainer,
    folder: Path,
    root: Path,
    start: dict[str, Path],
) -> None:
    if stage.lora:
        model.llm = model.llm.merge_and_unload()
    state = None
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        whole = trainer.accelerator.get_state_dict(trainer.model_wrapped)
        state = {name.removeprefix("network."): tensor for name, tensor in whole.items()}
    if not trainer.is_world_process_zero():
        return
    trained = {FOLDER_OF[name] for name in stage.train}
    partial = folder / "model.partial"
    link_checkpoint(
        partial, root, {part: path for part, path in start.items() if part not in trained}
    )
    for part in trained:
        save_part(partial / part, part_weights(model, part, state), torch.float32)
    shutil.rmtree(folder / "model", ignore_errors=True)
    partial.rename(folder / "model")


def _last_metrics(history: list[dict[str, float]]) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for entry in history:
        metrics |= {
            name: round(value, 6)
            for name, value in entry.items()
            if name.endswith(("loss", "accuracy"))
        }
    return metrics
