"""A checkpoint in the released layout and dimensions, with random weights: 8.7 GB that take as long
as the released ones. Its words are the embedded model's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch

from med2e3.model import EMBEDDED, LoadedModel
from med2e3.model.checkpoint import PARTS, parameters_without_memory
from med2e3.model.configuration import RELEASED, read_configuration
from med2e3.model.prompt import TOKENIZER_FILES
from med2e3.model.saving import part_weights, save_part

_LLM = {
    "model_type": "phi3",
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "vocab_size": 32064,
    "max_position_embeddings": 4096,
    "pad_token_id": 0,
    "tie_word_embeddings": False,
}
_VISION_2D = {
    "model_type": "siglip_vision_model",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 256,
    "patch_size": 16,
}
_VISION_3D = {
    "hidden_size": 768,
    "mlp_dim": 3072,
    "num_layers": 12,
    "num_heads": 12,
    "img_size": [32, 256, 256],
    "patch_size": [4, 16, 16],
}
"""The released dimensions (``config.json`` of shiym2000/Med-2E3-M3D)."""

_DEVIATION = 0.02


def write_full_size(folder: Path, told: Callable[[str], None] = lambda part: None) -> Path:
    """Write it, unless it is there. ``told`` hears of each part. Returns the folder."""
    if (folder / "config.json").is_file():
        return folder
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "vision3d_model").mkdir(parents=True)
    for name in TOKENIZER_FILES:
        if (EMBEDDED / name).is_file():
            shutil.copy(EMBEDDED / name, partial)
    for path in (EMBEDDED / "vision3d_model").iterdir():
        if path.suffix != ".safetensors":
            shutil.copy(path, partial / "vision3d_model")
    configuration = {
        **RELEASED,
        "hidden_size": _LLM["hidden_size"],
        "llm_type": "phi3",
        "llm_max_length": 768,
        "tokenizer_use_fast": False,
        "llm_config": _LLM,
        "vision2d_model_config": _VISION_2D,
        "vision3d_model_config": _VISION_3D,
    }
    card = {
        "name": "full-size-random",
        "trained_on": "nothing",
        "description": "Random weights in the released dimensions, to measure with.",
    }
    for name, content in (("config.json", configuration), ("med2e3.json", card)):
        (partial / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    with parameters_without_memory():
        model = LoadedModel(read_configuration(partial))
    state = _RandomState(model)
    for part in PARTS:
        told(part)
        save_part(partial / part, part_weights(model, part, state), torch.bfloat16)
    partial.rename(folder)
    return folder


class _RandomState(Mapping[str, torch.Tensor]):
    """Random numbers for every parameter, made when they are asked for."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._shapes = {name: one.shape for name, one in model.named_parameters()}
        self._generator = torch.Generator().manual_seed(0)

    def __getitem__(self, name: str) -> torch.Tensor:
        shape = self._shapes[name]
        if len(shape) == 1 and "norm" in name and name.endswith("weight"):
            return torch.ones(shape, dtype=torch.bfloat16)
        numbers = torch.empty(shape, dtype=torch.bfloat16)
        return numbers.normal_(0, _DEVIATION, generator=self._generator)

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)
