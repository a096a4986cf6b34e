"""What a training run shall do: a YAML file, read and checked before anything costs time."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from med2e3.errors import InputError
from med2e3.training.asked import ASKED
from med2e3.training.exercises import EXERCISES

OBJECTIVES = ("answer", "contrast", "evidence", "ideal", "language", "words")

TRAINABLE = (
    "llm",
    "vision2d_model",
    "vision2d_connector",
    "vision3d_model",
    "vision3d_connector",
    "text_model",
    "text_mlp",
)
"""The parts of the network that a stage may train: its modules by their names."""

_DEEPEST = 10
"""How many files may extend one another."""

_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Stage:
    """One run of the trainer: some parts learn, all others stay as they are.

    ``train`` has the peak learning rate of each part that learns, ``after`` the stages whose parts
    it goes on from (the initial model if there are none), ``trainer`` arguments of
    :class:`transformers.TrainingArguments` by their own names.

    ``questions_per_volume`` questions about one volume share a batch, so that its encoders run once
    for them. ``slices_per_volume`` and ``texts_per_volume`` are how many slices and captions of a
    volume the contrast stage draws, and ``pooling`` ("mean" or "class") what of the 3D encoder it
    holds against a text. ``exercises`` are the shares of what the language stage reads that only
    drill looking something up, by kind (:data:`med2e3.training.exercises.EXERCISES`), and
    ``asked``, there and in the stages that answer, the shares of kinds of records that shall come
    more often than the data has them (:data:`med2e3.training.asked.ASKED`). In the stages that
    answer (objectives "answer" and "ideal"), ``letter_weight`` is how many other tokens the letter
    counts that an answer begins with, and ``finding_weight`` how many each token does of a report's
    sentences that tell findings (both 1 as released); ``choices``, there and in the language stage,
    how much it counts that the choices of closed questions are judged where they stand, see
    :mod:`med2e3.training.choices`. Where there are images, ``evidence`` is how much it counts that
    the scores lie on the slices that the answer depends on; ``patch_evidence``, there and in the
    evidence stage, how much it counts beside the slices that the patches which make up their scores
    show the findings; and ``words``, there too, that the tokens of what a patch shows look like the
    words for it, see :mod:`med2e3.training.words` (all 0 as released).
    ``lora`` has peft's ``LoraConfig`` arguments; then the language model learns through adapters,
    which are merged into its weights in the end. ``optimizer`` is "adamw" (or what ``trainer``
    names) or "muon", see :mod:`med2e3.training.optimizers`.
    """

    name: str
    objective: str
    train: dict[str, float]
    after: tuple[str, ...] = ()
    questions_per_volume: int = 1
    slices_per_volume: int = 8
    texts_per_volume: int = 16
    pooling: str = "mean"
    exercises: dict[str, float] = field(default_factory=dict)
    asked: dict[str, float] = field(default_factory=dict)
    letter_weight: int = 1
    finding_weight: int = 1
    evidence: float = 0.0
    patch_evidence: float = 0.0
    choices: float = 0.0
    words: float = 0.0
    augment: bool = False
    cache_features: bool = False
    lora: dict[str, Any] | None = None
    optimizer: str = "adamw"
    trainer: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """A whole run. ``network`` describes the initial model, see :mod:`med2e3.training.initial`.

    ``train`` and ``validation`` are record files, ``images`` the folder of their volumes, all
    relative to the data folder. ``weights`` is the precision of the final model's files.
    ``matmul_precision`` is torch's for float32: "medium" lets CPUs with bfloat16 units use them.
    """

    name: str
    description: str
    network: dict[str, Any]
    stages: tuple[Stage, ...]
    train: tuple[str, ...]
    validation: tuple[str, ...]
    images: str
    seed: int
    threads: int | None
    matmul_precision: str
    weights: str
    values: dict[str, Any]

    def stage(self, name: str) -> Stage:
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise InputError(
            f"There is no stage {name!r}; there are {', '.join(s.name for s in self.stages)}."
        )


def read_plan(path: Path, settings: Sequence[str] = ()) -> Plan:
    """Read a configuration file. ``settings`` change single values: "stages.tune.augment=true".

    A file that ``extends`` another holds only what differs from it. Raises InputError that names
    the setting that is missing, unknown or wrong.
    """
    values = _read(path)
    for setting in settings:
        _change(values, setting)
    return _plan(_numbers(values), path)


def _read(path: Path, depth: int = 0) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"There is no configuration file {path}; give one with --config."
        ) from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML ({_one_line(error)}); correct it.") from None
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no settings; see configs/phantom.yaml for an example.")
    extended = values.pop("extends", None)
    if extended is None:
        return values
    if depth > _DEEPEST:
        raise InputError(f"{path} extends files that extend it; take one `extends` out.")
    return _merged(_read(path.parent / str(extended), depth + 1), values)


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Tables are merged entry by entry, stages by their names, a new one before the one that
    follows it; all else is replaced, and what is null is taken out."""
    merged = dict(base)
    for name, value in changes.items():
        before = merged.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            merged[name] = _merged(before, value)
        elif name == "stages" and isinstance(before, list) and isinstance(value, list):
            merged[name] = _merged_stages(before, [one for one in value if isinstance(one, dict)])
        elif value is None:
            merged.pop(name, None)
        else:
            merged[name] = value
    return merged


def _merged_stages(
    base: list[dict[str, Any]], changes: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    merged = list(base)
    place = len(merged)
    for stage in reversed(changes):
        names = [one.get("name") for one in merged]
        if stage.get("name") in names:
            place = names.index(stage["name"])
            merged[place] = _merged(merged[place], stage)
        else:
            merged.insert(place, stage)
    return merged


def _plan(values: dict[str, Any], path: Path) -> Plan:
    found = _Settings(values, path, "")
    data = found.part("data")
    common = found.get("trainer", dict, {})
    optimizer = found.choice("optimizer", ("adamw", "muon"), "adamw")
    stages = [
        _stage(_Settings(entry, path, f"stages[{number}]."), common, optimizer)
        for number, entry in enumerate(found.get("stages", list))
        if isinstance(entry, dict) or found.wrong(f"stages[{number}]", "a table")
    ]
    _check_order(stages, found)
    plan = Plan(
        name=found.get("name", str),
        description=found.get("description", str),
        network=found.get("network", dict),
        stages=tuple(stages),
        train=tuple(data.get("train", list)),
        validation=tuple(data.get("validation", list, [])),
        images=data.get("images", str, "."),
        seed=found.get("seed", int, 0),
        threads=found.get("threads", int, 0) or None,
        matmul_precision=found.choice("matmul_precision", ("highest", "high", "medium"), "highest"),
        weights=found.choice("weights", ("float32", "bfloat16", "float16"), "bfloat16"),
        values=values,
    )
    found.get("trainer", dict, {})
    data.done()
    found.done()
    return plan


def _stage(found: _Settings, common: dict[str, Any], optimizer: str) -> Stage:
    rates = found.get("train", dict)
    for part, rate in rates.items():
        if part not in TRAINABLE:
            found.wrong("train", f"some of the parts {', '.join(TRAINABLE)}, not {part}")
        if not isinstance(rate, float | int) or rate <= 0:
            found.wrong(f"train.{part}", "a learning rate above 0")
    stage = Stage(
        name=found.get("name", str),
        objective=found.choice("objective", OBJECTIVES),
        train={part: float(rate) for part, rate in rates.items()},
        after=tuple(found.get("after", list, [])),
        questions_per_volume=found.count("questions_per_volume", 1),
        slices_per_volume=found.count("slices_per_volume", 8),
        texts_per_volume=found.count("texts_per_volume", 16),
        pooling=found.choice("pooling", ("mean", "class"), "mean"),
        exercises=found.shares("exercises", EXERCISES),
        asked=found.shares("asked", ASKED),
        letter_weight=found.count("letter_weight", 1),
        finding_weight=found.count("finding_weight", 1),
        evidence=found.share("evidence", 0.0),
        patch_evidence=found.share("patch_evidence", 0.0),
        choices=found.share("choices", 0.0),
        words=found.share("words", 0.0),
        augment=found.get("augment", bool, False),
        cache_features=found.get("cache_features", bool, False),
        lora=found.get("lora", dict, {}) or None,
        optimizer=found.choice("optimizer", ("adamw", "muon"), optimizer),
        trainer={**common, **found.get("trainer", dict, {})},
    )
    found.done()
    if not stage.train:
        found.wrong("train", "at least one part with its learning rate")
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", stage.name):
        found.wrong("name", "letters, digits, - and _, for a folder gets it")
    if stage.augment and stage.cache_features:
        found.wrong("cache_features", "off where augment is on, for then no volume comes twice")
    if sum(stage.asked.values()) >= 1:
        found.wrong("asked", "shares that leave something over for all else that the data asks")
    if stage.lora and "llm" not in stage.train:
        found.wrong("lora", "absent where llm is not trained")
    needed = {
        "contrast": {"vision2d_model", "vision3d_model"},
        "evidence": set(TRAINABLE) - {"llm"},
        "ideal": {"llm"},
        "language": {"llm"},
        "answer": set(TRAINABLE),
        "words": set(TRAINABLE) - {"llm", "text_model", "text_mlp"},
    }[stage.objective]
    if not needed & set(stage.train):
        found.wrong("train", f"one of {', '.join(sorted(needed))} for this objective")
    return stage


def _check_order(stages: list[Stage], found: _Settings) -> None:
    if not stages:
        found.wrong("stages", "a list of at least one stage")
    known: set[str] = set()
    for stage in stages:
        for name in stage.after:
            if name not in known:
                found.wrong(f"after of the stage {stage.name}", f"an earlier stage, not {name!r}")
        if stage.name in known:
            found.wrong("stages", f"a list with different names, not {stage.name} twice")
        known.add(stage.name)


class _Settings:
    """A table of the file, whose entries are asked for with their kind and their default."""

    def __init__(self, values: dict[str, Any], path: Path, where: str) -> None:
        self._values = values
        self._path = path
        self._where = where
        self._asked: set[str] = set()

    def get(self, name: str, kind: type, default: Any = None) -> Any:
        self._asked.add(name)
        value = self._values.get(name)
        if value is None:
            value = default
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            kinds = {
                str: "a text", int: "a whole number", list: "a list", dict: "a table",
                bool: "true or false",
            }  # fmt: skip
            self.wrong(name, kinds[kind])
        return value

    def count(self, name: str, default: int) -> int:
        value: int = self.get(name, int, default)
        if value < 1:
            self.wrong(name, "1 or more")
        return value

    def share(self, name: str, default: float) -> float:
        value = self._values.get(name, default)
        self._asked.add(name)
        if not _is_share(value):
            self.wrong(name, "a share from 0 to 1")
        return float(value)

    def shares(self, name: str, kinds: Collection[str]) -> dict[str, float]:
        """A share of each kind; what they leave over is of none."""
        value = self.get(name, dict, {})
        if not all(kind in kinds and _is_share(share) for kind, share in value.items()) or (
            sum(value.values()) > 1 + 1e-9
        ):
            self.wrong(name, f"shares from 0 to 1 of {', '.join(kinds)}, together at most 1")
        return {kind: float(share) for kind, share in value.items()}

    def choice(self, name: str, choices: tuple[str, ...], default: str | None = None) -> str:
        value: str = self.get(name, str, default)
        if value not in choices:
            self.wrong(name, f"one of {', '.join(choices)}, not {value!r}")
        return value

    def part(self, name: str) -> _Settings:
        return _Settings(self.get(name, dict), self._path, f"{self._where}{name}.")

    def done(self) -> None:
        for name in self._values.keys() - self._asked:
            raise InputError(
                f"{self._path}: there is no setting {self._where}{name}; "
                f"there are {', '.join(sorted(self._asked))}."
            )

    def wrong(self, name: str, wanted: str) -> bool:
        raise InputError(f"{self._path}: {self._where}{name} must be {wanted}.")


def _is_share(value: Any) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool) and 0 <= value <= 1


def _change(values: dict[str, Any], setting: str) -> None:
    name, equals, text = setting.partition("=")
    if not equals:
        raise InputError(f"--set takes NAME=VALUE, such as seed=1, not {setting!r}.")
    *tables, last = name.split(".")
    place: Any = values
    for table in tables:
        if isinstance(place, list):
            named = [entry for entry in place if entry.get("name") == table]
            place = named[0] if named else None
        elif isinstance(place, dict):
            place = place.setdefault(table, {})
        if not isinstance(place, dict | list):
            raise InputError(f"--set {setting}: there is no {table} in the configuration.")
    if not isinstance(place, dict):
        raise InputError(f"--set {setting}: {name} is no single setting.")
    place[last] = yaml.safe_load(text)


def _numbers(value: Any) -> Any:
    """YAML takes 1e-3 for a text, because it has no point; everyone means a number."""
    if isinstance(value, dict):
        return {name: _numbers(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_numbers(entry) for entry in value]
    if isinstance(value, str) and "e" in value.lower() and _NUMBER.fullmatch(value):
        return float(value)
    return value


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
