"""Networks with the same 3D encoder and no 2D path: M3D-LaMed, and MedM-VL on M3D-CLIP.

They read a volume as a whole, so they score no slices. Everything else (prompt, generation,
conversation) is as with Med-2E3.

Sources: M3D (arXiv 2404.00578; BAAI-DCAI/M3D, ``lamed_arch.py``, ``vit.py`` and
``spatial_pooling_projector.py``); MedM-VL (arXiv 2504.04323; MSIIP/MedM-VL, ``modeling_lvlm.py``,
``m3dclip.py`` and ``spatial_pooling.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from med2e3.model.configuration import Configuration
from med2e3.model.interslice import pool_3d_tokens
from med2e3.model.med2e3 import EncodedVolume, LoadedModel, ScoredVolume, connector, language_model
from med2e3.model.prompt import PastTurn, Prompt, PromptTokenizer
from med2e3.model.vision3d import VolumeEncoder

LAMED_PATCH = "<im_patch>"
"""The token that M3D-LaMed's prompt has in each image token's place."""


class VolumeOnly(LoadedModel):
    """A 3D encoder, a connector and a language model. ``norm`` stands after the encoder's last
    block in M3D-LaMed, and is none in MedM-VL, as in Med-2E3."""

    scores_slices = False

    def __init__(self, configuration: Configuration) -> None:
        nn.Module.__init__(self)
        self.configuration = configuration
        width = configuration.vision3d.hidden_size
        self.vision3d_model = VolumeEncoder(configuration.vision3d)
        self.vision3d_norm: nn.Module = (
            nn.LayerNorm(width) if configuration.family == "M3D-LaMed" else nn.Identity()
        )
        self.vision3d_connector = connector(width, configuration.width)
        self.llm = language_model(configuration.llm)

    def pooled_3d(self, volumes: torch.Tensor) -> torch.Tensor:
        tokens = self.vision3d_norm(self.vision3d_model(volumes))
        return pool_3d_tokens(tokens, self.configuration.vision3d.grid)

    def join(self, tokens_2d: torch.Tensor, tokens_3d: torch.Tensor) -> EncodedVolume:
        return EncodedVolume(tokens_2d, tokens_3d, tokens_3d.new_zeros(0, tokens_3d.shape[-1]))

    def unscored(self, encoded: EncodedVolume) -> ScoredVolume:
        """What stands in the prompt, and no scores."""
        none = torch.zeros(0, device=self.device)
        return ScoredVolume(none, none, none.reshape(0, 0, 0), encoded.tokens_3d)


class LamedPromptTokenizer(PromptTokenizer):
    """M3D-LaMed's prompt: the beginning token, the image, the bare question.

    Its published demonstration has the question tokenised behind the image's tokens, in one text,
    and knows no conversation.
    """

    knows_history = False

    def prompt(
        self, question: str, room: int | None = None, history: Sequence[PastTurn] = ()
    ) -> Prompt:
        ids = self.whole_ids(LAMED_PATCH + question)
        place = ids.index(self.whole_ids(LAMED_PATCH)[-1])
        before, after = ids[:place], ids[place + 1 :]
        kept = len(after) if room is None else max(0, room - len(before))
        return Prompt(before, after[:kept], max(0, len(after) - kept))
