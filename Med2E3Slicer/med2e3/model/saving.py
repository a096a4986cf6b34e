"""Writing a checkpoint folder in the released layout, the counterpart of loading one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

from med2e3.model.checkpoint import modules_of
from med2e3.model.med2e3 import Med2E3


def part_weights(
    model: Med2E3, part: str, state: Mapping[str, torch.Tensor] | None = None
) -> dict[str, torch.Tensor]:
    """The tensors of one part's folder (``llm``, ``vision2d_model`` …) by their names there.

    ``state`` is the network's state, if its own parameters do not hold it (several GPUs).
    """
    state = model.state_dict() if state is None else state
    prefixes = {id(module): name for name, module in model.named_children()}
    tied = bool(model.configuration.llm.get("tie_word_embeddings", False))
    found = {}
    for module, prefix in modules_of(model, part):
        inside = f"{prefixes[id(module)]}."
        # Buffers (rotary frequencies, positions) are computed, not stored.
        for name, _ in module.named_parameters(remove_duplicate=False):
            if not (tied and part == "llm" and name == "lm_head.weight"):
                found[prefix + name] = state[inside + name]
    return found


def save_part(folder: Path, weights: Mapping[str, torch.Tensor], dtype: torch.dtype) -> None:
    """Write one part's folder. A file that is there is replaced only by a whole one."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / "model.safetensors.partial"
    save_file(
        {
            name: tensor.detach().to("cpu", dtype).contiguous().clone()
            for name, tensor in weights.items()
        },
        partial,
        metadata={"format": "pt"},
    )
    # safetensors makes files that their owner alone may read.
    partial.chmod(0o644)
    partial.replace(folder / "model.safetensors")
