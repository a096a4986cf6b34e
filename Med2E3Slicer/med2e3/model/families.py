"""Checkpoints of other families that share Med-2E3's parts, as their publishers lay them out.

A family is known by ``model_type`` in ``config.json``. Nothing of its own code is run, and what its
files do not tell is asked for in a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from med2e3.errors import InputError
from med2e3.model.configuration import (
    Configuration,
    Fields,
    Vision3DConfiguration,
    checked_llm,
    read_json,
)
from med2e3.model.weights import weight_files, weights_in

LAMED, MEDM_VL = "lamed_phi3", "lvlm"

NAMES = {LAMED: "M3D-LaMed", MEDM_VL: "MedM-VL"}
"""The families by their ``model_type``."""

_HEADS = 12
"""M3D-CLIP's encoder has 12 heads at every width that was published; no file tells it."""

_M3D_CLIP_SIZE = ([32, 256, 256], [4, 16, 16])

_LAMED_SETTINGS = {
    "vision_tower": "vit3d",
    "vision_select_layer": -1,
    "vision_select_feature": "patch",
    "mm_projector_type": "spp",
    "proj_layer_type": "mlp",
    "proj_layer_num": 2,
    "proj_pooling_type": "spatial",
    "proj_pooling_size": 2,
    "image_channel": 1,
}

_MEDM_VL_SETTINGS = {
    "lvlm_encoder_image_type": None,
    "lvlm_encoder_image3d_type": "m3dclip",
    "lvlm_encoder_image3d_select_layer": -1,
    "lvlm_encoder_image3d_select_feature": "patch",
    "lvlm_connector_image3d_type": "spatial_pooling",
    "lvlm_connector_image3d_name": "mlp2x_gelu",
}

_LAMED_LENGTH = 512 + 256
"""Its tokenizer holds 512 tokens, image included, and its demonstration writes 256 more."""

PREFIXES = {
    "M3D-LaMed": {
        "vision3d_model": "model.vision_tower.vision_tower.",
        "vision3d_norm": "model.vision_tower.vision_tower.norm.",
        "vision3d_connector": "model.mm_projector.projector.",
        "llm": "",
    },
    "MedM-VL": {
        "vision3d_model": "encoder_image3d.encoder.vision_encoder.",
        "vision3d_connector": "connector_image3d.connector.",
        "llm": "llm.",
    },
}
"""Where the parts of a network lie among the tensors of its one folder of weights."""


def read_family(folder: Path, values: Mapping[str, Any]) -> Configuration:
    """The configuration of a checkpoint whose ``model_type`` is one of :data:`NAMES`.

    Raises InputError that names the setting or the file that is missing or not known.
    """
    found = Fields(dict(values), folder / "config.json")
    return _lamed(folder, found) if values["model_type"] == LAMED else _medm_vl(folder, found)


def tokenizer_folder(folder: Path, configuration: Configuration) -> Path:
    """Where the language model's tokenizer lies."""
    return folder / "llm" if configuration.family == NAMES[MEDM_VL] else folder


def _lamed(folder: Path, found: Fields) -> Configuration:
    _check(found, _LAMED_SETTINGS, NAMES[LAMED])
    llm = checked_llm(Fields({**found.values, "model_type": "phi3"}, found.path))
    return _configuration(
        folder, LAMED, llm, found.get("image_size"), found.get("patch_size"), _LAMED_LENGTH
    )


def _medm_vl(folder: Path, found: Fields) -> Configuration:
    _check(found, _MEDM_VL_SETTINGS, NAMES[MEDM_VL])
    path = folder / "llm" / "config.json"
    if not path.is_file():
        raise InputError(
            f"{found.path} names the language model {found.get('lvlm_llm_name_or_path')!r:.100} "
            f"and does not describe it; copy that model's config.json and tokenizer files into "
            f"{folder / 'llm'}."
        )
    llm = checked_llm(Fields(read_json(path), path))
    return _configuration(folder, MEDM_VL, llm, *_M3D_CLIP_SIZE, found.size("lvlm_llm_max_length"))


def _check(found: Fields, settings: Mapping[str, Any], name: str) -> None:
    for setting, value in settings.items():
        if found.get(setting) != value:
            raise InputError(
                f"{found.path} has {setting} = {found.get(setting)!r:.60}, and of {name} only "
                f"{setting} = {value!r} can be run; choose another checkpoint folder."
            )


def _configuration(
    folder: Path, kind: str, llm: dict[str, Any], volume: Any, patch: Any, max_length: int
) -> Configuration:
    path = folder / "config.json"
    shapes = _shapes(folder, PREFIXES[NAMES[kind]]["vision3d_model"])
    try:
        hidden = shapes["cls_token"][-1]
        layers = len({name.split(".")[1] for name in shapes if name.startswith("blocks.")})
        mlp = shapes["blocks.0.mlp.linear1.weight"][0]
    except (KeyError, IndexError):
        raise InputError(
            f"The weights in {folder} hold no 3D encoder of M3D-CLIP; download or copy the "
            "checkpoint again."
        ) from None
    vision3d = Vision3DConfiguration.checked(
        Fields(
            {
                "hidden_size": hidden,
                "num_layers": layers,
                "num_heads": _HEADS,
                "mlp_dim": mlp,
                "img_size": volume,
                "patch_size": patch,
            },
            path,
        )
    )
    return Configuration(
        llm=llm,
        vision2d={},
        vision3d=vision3d,
        text={},
        max_length=max_length,
        tokenizer_is_fast=False,
        family=NAMES[kind],
    )


def _shapes(folder: Path, prefix: str) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in weights_in(weight_files(folder), prefix).items()}
