"""The 2D encoder: SigLIP's vision transformer, one slice at a time."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import SiglipVisionConfig, SiglipVisionModel

from med2e3.model.configuration import declared


class SliceEncoder(nn.Module):
    """SigLIP without its pooling head.

    The tokens are the last block's output before the post layer norm (the released code's
    ``hidden_states[-1]``). The blocks are called directly because transformers 4.57.0 and 4.57.1
    return the normalised output under that name. SigLIP has no class token, so every token is a
    patch.
    """

    def __init__(self, configuration: dict[str, Any]) -> None:
        super().__init__()
        settings = {**declared(SiglipVisionConfig, configuration), "vision_use_head": False}
        config = SiglipVisionConfig(**settings)
        self.vision_model = SiglipVisionModel(config).vision_model

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        """Slices [n, rows, columns] in [0, 1] to patch tokens [n, patches, hidden].

        A slice stands in all three colour channels and is *not* normalised with SigLIP's own mean
        and deviation: the released model was trained so.
        """
        pixels = slices[:, None].expand(-1, 3, -1, -1)
        embedded = self.vision_model.embeddings(pixels)
        encoded: torch.Tensor = self.vision_model.encoder(inputs_embeds=embedded)[0]
        return encoded
