"""One stage under Hugging Face's Trainer: what it does not do by itself, and no more."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from med2e3.errors import Med2E3Error
from med2e3.training.batches import GroupedBatches, Numbers, Pick
from med2e3.training.examples import AnswerBatches, ContrastBatches, LanguageBatches
from med2e3.training.objectives import Objective
from med2e3.training.optimizers import MuonAndAdamW, is_hidden_matrix
from med2e3.training.plan import Stage

Batches = AnswerBatches | LanguageBatches | ContrastBatches

_TELL_EVERY = 30.0
"""Seconds between two lines about how it goes."""


class EpochLoader(DataLoader[Pick]):
    """A loader that the trainer can tell which epoch it is."""

    def set_epoch(self, epoch: int) -> None:
        if isinstance(self.batch_sampler, GroupedBatches):
            self.batch_sampler.set_epoch(epoch)


class StageTrainer(Trainer):
    """Batches by volume, a learning rate for each part, and an end when the loss is no number."""

    def __init__(
        self,
        stage: Stage,
        objective: Objective,
        arguments: TrainingArguments,
        batches: Batches,
        validation: Batches | None,
    ) -> None:
        self._stage = stage
        self._batches = batches
        self._validation = validation
        self._told: dict[str, list[float]] = {}
        super().__init__(
            model=objective,
            args=arguments,
            train_dataset=Numbers(len(batches.volume_names)),
            eval_dataset=Numbers(len(validation.volume_names)) if validation else None,
            callbacks=[_Teller(stage.name)],
        )
        # It would print every step.
        untyped: Any = super()
        untyped.remove_callback(PrinterCallback)

    def get_train_dataloader(self) -> DataLoader[Pick]:
        return self._loader(self._batches, self.args.per_device_train_batch_size)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader[Pick]:
        if self._validation is None:
            raise Med2E3Error("There are no validation records to evaluate on.")
        return self._loader(self._validation, self.args.per_device_eval_batch_size)

    def _loader(self, batches: Batches, size: int) -> EpochLoader:
        # In the contrast stage the other examples are what is wrong for one, so few would be easy.
        contrast = isinstance(batches, ContrastBatches)
        # Every process takes its own share, so accelerate must not share them out again.
        sampler = GroupedBatches(
            batches.volume_names,
            batches.lengths,
            size=size,
            per_volume=1 if contrast else self._stage.questions_per_volume,
            seed=self.args.seed,
            rank=self.args.process_index,
            processes=self.args.world_size,
            drop_last=contrast,
        )
        return EpochLoader(
            Numbers(len(batches.volume_names)),
            batch_sampler=sampler,
            collate_fn=batches,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory and torch.cuda.is_available(),
        )

    def create_optimizer(self) -> torch.optim.Optimizer:
        """Each part of the network with its own learning rate; no decay of biases and norms."""
        if self.optimizer is None and self._stage.optimizer == "muon":
            betas = (self.args.adam_beta1, self.args.adam_beta2)
            self.optimizer = MuonAndAdamW(self._groups(), betas, self.args.adam_epsilon)
        elif self.optimizer is None:
            kind, settings = self.get_optimizer_cls_and_kwargs(self.args)
            self.optimizer = kind(list(self._groups()), **settings)
        return self.optimizer

    def _groups(self) -> Iterator[dict[str, Any]]:
        fastest = max(self._stage.train.values())
        # Under FSDP the wrapped model has the parameters that are really updated.
        model: Any = self.model
        parameters = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        for part, rate in [*self._stage.train.items(), ("", fastest)]:
            mine = [(n, p) for n, p in parameters if _part_of(n) == part]
            muon = {
                n for n, p in mine if self._stage.optimizer == "muon" and is_hidden_matrix(n, p)
            }
            decay = self.args.weight_decay
            groups: list[dict[str, Any]] = [
                {"params": [p for n, p in mine if n in muon], "weight_decay": decay, "muon": True},
                {"params": [p for n, p in mine if n not in muon and p.ndim > 1],
                 "weight_decay": decay},
                {"params": [p for n, p in mine if n not in muon and p.ndim <= 1],
                 "weight_decay": 0.0},
            ]  # fmt: skip
            yield from (group | {"lr": rate} for group in groups if group["params"])

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> Any:
        outcome = model(**inputs)
        if model.training:
            for name, value in outcome.items():
                # A batch may have nothing that a figure could be told of.
                if name != "loss" and not math.isnan(value):
                    self._told.setdefault(name, []).append(float(value))
        return (outcome["loss"], outcome) if return_outputs else outcome["loss"]

    def training_step(self, *arguments: Any, **options: Any) -> torch.Tensor:
        loss: torch.Tensor = super().training_step(*arguments, **options)
        if not math.isfinite(float(loss)):
            raise Med2E3Error(
                f"The loss of the stage {self._stage.name} became {float(loss)} at step "
                f"{self.state.global_step + 1}; lower its learning rates (train) or give more "
                "warm-up, then run the same command again in a new --out folder."
            )
        return loss

    def prediction_step(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: Sequence[str] | None = None,
    ) -> tuple[torch.Tensor, None, None]:
        untyped: Any = self
        with torch.no_grad(), untyped.compute_loss_context_manager():
            loss = self.compute_loss(model, self._prepare_inputs(inputs))
        return loss.detach().mean(), None, None

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            logs |= {name: fmean(values) for name, values in self._told.items()}
            self._told = {}
        super().log(logs, start_time)


class _Teller(TrainerCallback):
    """A line on stderr now and then: where the stage is, and how long it will take."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._started = self._told = time.monotonic()
        self._first_step = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._started = self._told = time.monotonic()
        self._first_step = state.global_step

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        now = time.monotonic()
        done = state.global_step - self._first_step
        last = state.global_step >= state.max_steps
        evaluated = "eval_loss" in (logs or {})
        if not state.is_world_process_zero or not logs or done == 0:
            return
        if now - self._told < _TELL_EVERY and not last and not evaluated:
            return
        self._told = now
        left = (now - self._started) / done * (state.max_steps - state.global_step)
        shown = "  ".join(
            f"{name} {value:.4g}"
            for name, value in logs.items()
            if name.endswith(("loss", "accuracy"))
        )
        print(
            f"{self._stage}: step {state.global_step} of {state.max_steps}, {left / 60:.1f} min "
            f"to go  {shown}",
            file=sys.stderr,
            flush=True,
        )


def _part_of(name: str) -> str:
    """The part of the network that a parameter belongs to; "" for what is dropped afterwards."""
    names = name.split(".")
    return names[names.index("network") + 1] if "network" in names else ""
