"""What a checkpoint folder says about its network: ``config.json``, read and checked.

The released checkpoint nests the configurations of its parts in the one file at its root. Only the
configuration that was released is understood (``exp_id`` 4 of the released code); another one is
refused rather than run as something that it is not. Other families are told in
:mod:`med2e3.model.families`.
"""

from __future__ import annotations

import inspect
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from med2e3.errors import InputError

RELEASED = {
    "exp_id": 4,
    "vision2d_connector_type": "mlp2x_gelu",
    "vision2d_model_type": "siglip",
    "vision2d_model_select_layer": -1,
    "vision2d_model_select_feature": "cls_patch",
    "vision3d_connector_type": "spatial_pooling_score15_mlp2x_gelu",
    "vision3d_model_type": "m3d",
    "vision3d_model_select_layer": -1,
    "vision3d_model_select_feature": "patch",
}
"""The settings of the configuration that was released, by their names in ``config.json``."""

LANGUAGE_MODELS = ("phi3", "llama", "qwen2")
"""The ``model_type`` of language models that transformers builds and this project has tested."""

_MOST_LAYERS = 1000
_LARGEST_SIZE = 2**20
_MOST_VOXELS = 2**27
"""Beyond these no model exists; a broken or hostile file must not make us build one."""

_LARGEST_FILE = 128 * 2**20
"""No configuration or tokenizer comes near it, in bytes."""

_BERT_BASE = {
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}
"""M3D-CLIP's text encoder is BERT-base; the released ``config.json`` does not spell it out."""


@dataclass(frozen=True)
class Vision3DConfiguration:
    """The 3D vision transformer of M3D-CLIP.

    ``volume_size`` and ``patch_size`` are (slices, rows, columns) in voxels.
    """

    hidden_size: int
    layers: int
    heads: int
    mlp_size: int
    volume_size: tuple[int, int, int]
    patch_size: tuple[int, int, int]

    @property
    def grid(self) -> tuple[int, int, int]:
        """Patches in each direction; (8, 16, 16) in the released model."""
        slices, rows, columns = (
            size // patch for size, patch in zip(self.volume_size, self.patch_size, strict=True)
        )
        return slices, rows, columns

    @classmethod
    def checked(cls, found: Fields) -> Vision3DConfiguration:
        """From M3D-CLIP's own names of the settings. Raises InputError that names a wrong one."""
        configuration = cls(
            hidden_size=found.size("hidden_size"),
            layers=found.size("num_layers", _MOST_LAYERS),
            heads=found.size("num_heads"),
            mlp_size=found.size("mlp_dim"),
            volume_size=found.sizes("img_size"),
            patch_size=found.sizes("patch_size"),
        )
        if math.prod(configuration.volume_size) > _MOST_VOXELS:
            raise InputError(
                f"{found.path}: img_size {configuration.volume_size} has more than {_MOST_VOXELS} "
                "voxels, which no model sees; download or copy it again."
            )
        # TG-IS joins each slice to one group of pooled 3D tokens, so the grid must halve evenly.
        whole = all(
            size % (2 * patch) == 0
            for size, patch in zip(configuration.volume_size, configuration.patch_size, strict=True)
        )
        if not whole or configuration.hidden_size % configuration.heads:
            raise InputError(
                f"{found.path}: the sizes of the 3D encoder do not divide evenly "
                f"({configuration.volume_size} voxels in patches of {configuration.patch_size}, "
                f"{configuration.hidden_size} channels in {configuration.heads} heads)."
            )
        return configuration


@dataclass(frozen=True)
class Configuration:
    """A checkpoint's network. ``llm``, ``vision2d`` and ``text`` are what transformers builds
    its own models from; ``max_length`` counts prompt and answer in tokens of the language model.
    Other families than Med-2E3 have no 2D encoder and no text encoder.
    """

    llm: dict[str, Any]
    vision2d: dict[str, Any]
    vision3d: Vision3DConfiguration
    text: dict[str, Any]
    max_length: int
    tokenizer_is_fast: bool
    family: str = "Med-2E3"

    @property
    def width(self) -> int:
        """The language model's hidden size, into which everything is projected."""
        return int(self.llm["hidden_size"])


def read_configuration(folder: Path) -> Configuration:
    """Read ``config.json`` of a checkpoint folder. Raises InputError that names what is wrong."""
    from med2e3.model.families import NAMES, read_family

    path = folder / "config.json"
    values = read_json(path)
    if values.get("model_type") in NAMES:
        return read_family(folder, values)
    found = Fields(values, path)
    for name, value in RELEASED.items():
        if found.get(name) != value:
            raise InputError(
                f"{path} has {name} = {found.get(name)!r}, and only the released configuration of "
                f"Med-2E3 ({name} = {value!r}) can be run; choose another checkpoint folder."
            )
    llm = checked_llm(found.part("llm_config"))
    vision2d = found.part("vision2d_model_config")
    for name in ("hidden_size", "intermediate_size", "num_attention_heads", "patch_size"):
        vision2d.size(name)
    vision2d.size("num_hidden_layers", _MOST_LAYERS)
    vision3d = Vision3DConfiguration.checked(found.part("vision3d_model_config"))
    slices, rows, columns = vision3d.volume_size
    if vision2d.size("image_size") != rows or rows != columns:
        raise InputError(
            f"{path}: the 2D encoder's image_size ({vision2d.get('image_size')}) and the 3D "
            f"encoder's img_size ({slices} x {rows} x {columns}) do not fit together."
        )
    text = _text(found.part("vision3d_model_config"))
    return Configuration(
        llm=llm,
        vision2d=vision2d.values,
        vision3d=vision3d,
        text=text,
        max_length=found.size("llm_max_length"),
        tokenizer_is_fast=bool(found.get("tokenizer_use_fast", False)),
    )


def checked_llm(llm: Fields) -> dict[str, Any]:
    """A language model's configuration whose sizes are sane. Raises InputError."""
    if llm.get("model_type") not in LANGUAGE_MODELS:
        raise InputError(
            f"{llm.path} asks for a language model of the type {llm.get('model_type')!r}; "
            f"there are {', '.join(LANGUAGE_MODELS)}."
        )
    for name in ("hidden_size", "intermediate_size", "vocab_size", "num_attention_heads"):
        llm.size(name)
    llm.size("num_hidden_layers", _MOST_LAYERS)
    for name in ("num_key_value_heads", "head_dim", "max_position_embeddings"):
        if llm.get(name) is not None:
            llm.size(name)
    return llm.values


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a checkpoint. Raises InputError that names the file."""
    check_small_file(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{path} is missing; give the folder of a complete Med-2E3 checkpoint "
            "(`med2e3 model download DIR` gets the released one)."
        ) from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError):
        raise InputError(
            f"{path} is not JSON, perhaps cut short; download or copy it again."
        ) from None
    if not isinstance(found, dict):
        raise InputError(f"{path} holds no JSON object; download or copy it again.")
    return found


def check_small_file(path: Path) -> None:
    """Raise InputError for what would hang or fill the memory if it were read: a thing that is no
    file, or larger than a configuration or a tokenizer can be. A missing file passes."""
    if not path.exists():
        return
    if not path.is_file():
        raise InputError(f"{path} is no file; download or copy the checkpoint again.")
    if path.stat().st_size > _LARGEST_FILE:
        raise InputError(
            f"{path} has {path.stat().st_size / 2**20:.0f} MB, and no file of its kind has more "
            f"than {_LARGEST_FILE // 2**20}; this checkpoint is not to be trusted."
        )


def declared(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    """The settings that a configuration class of transformers declares for its network.

    The others are not for a network that is built here: they name code, attention kernels and
    quantisations to fetch from a hub, or labels by the trillion.
    """
    return {name: values[name] for name in inspect.signature(kind).parameters if name in values}


def _text(found: Fields) -> dict[str, Any]:
    given = found.get("bert_config", {})
    if not isinstance(given, dict):
        raise InputError(f"{found.path}: bert_config must be an object, not {given!r:.60}.")
    text = Fields(_BERT_BASE | given, found.path)
    for name in _BERT_BASE:
        text.size(name, _MOST_LAYERS if name == "num_hidden_layers" else _LARGEST_SIZE)
    return text.values


@dataclass(frozen=True)
class Fields:
    """A JSON object of a file, whose fields are asked for with their kind."""

    values: dict[str, Any]
    path: Path

    def get(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, default)

    def part(self, name: str) -> Fields:
        if not isinstance(self.get(name), dict):
            raise InputError(f"{self.path} lacks {name}; download or copy it again.")
        return Fields(self.get(name), self.path)

    def size(self, name: str, largest: int = _LARGEST_SIZE) -> int:
        return self._checked(name, self.get(name), largest)

    def sizes(self, name: str) -> tuple[int, int, int]:
        value = self.get(name)
        if not isinstance(value, list) or len(value) != 3:
            raise InputError(f"{self.path}: {name} must be three numbers, not {value!r:.60}.")
        slices, rows, columns = (self._checked(name, entry, _LARGEST_SIZE) for entry in value)
        return slices, rows, columns

    def _checked(self, name: str, value: Any, largest: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= largest:
            raise InputError(
                f"{self.path}: {name} must be a whole number from 1 to {largest}, not "
                f"{value!r:.60}."
            )
        return value
