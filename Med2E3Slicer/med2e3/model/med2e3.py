"""The network: two encoders, text-guided scores between slices, and a language model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, BertConfig, BertModel

from med2e3.model.configuration import Configuration, declared
from med2e3.model.identity import ModelIdentity
from med2e3.model.interslice import (
    fuse,
    patch_shares,
    pool_3d_tokens,
    slice_keys,
    slice_logits,
    slice_scores,
)
from med2e3.model.prompt import PromptTokenizer, ScoringTokenizer
from med2e3.model.vision2d import SliceEncoder
from med2e3.model.vision3d import VolumeEncoder

if TYPE_CHECKING:
    from med2e3.model.precision import Precision


@dataclass(frozen=True)
class EncodedVolume:
    """What the network knows of a volume before any question, in the language model's width.

    ``tokens_2d`` [32, 256, width], ``tokens_3d`` [256, width], ``keys`` [32, width] (float32).
    """

    tokens_2d: torch.Tensor
    tokens_3d: torch.Tensor
    keys: torch.Tensor


@dataclass(frozen=True)
class ScoredVolume:
    """What a text makes of an encoded volume.

    ``logits`` and ``scores`` [32], ``patch_shares`` [32, 16, 16], all float32, and ``tokens``
    [512, width]: the 3D tokens, then the 2D tokens fused with the scores, which stand in the
    prompt in place of the image.
    """

    logits: torch.Tensor
    scores: torch.Tensor
    patch_shares: torch.Tensor
    tokens: torch.Tensor


class Med2E3(nn.Module):
    """Med-2E3 in its released configuration (arXiv 2411.12783).

    The names of the parts are those of the checkpoint's folders, for the loader and for reading.
    """

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        self.configuration = configuration
        width = configuration.width
        text_width = configuration.text["hidden_size"]
        self.vision2d_model = SliceEncoder(configuration.vision2d)
        self.vision2d_connector = connector(configuration.vision2d["hidden_size"], width)
        self.vision3d_model = VolumeEncoder(configuration.vision3d)
        self.vision3d_connector = connector(configuration.vision3d.hidden_size, width)
        self.text_model = BertModel(BertConfig(**declared(BertConfig, configuration.text)))
        self.text_mlp = nn.Linear(text_width, width)
        self.llm = language_model(configuration.llm)

    @property
    def device(self) -> torch.device:
        return self._some_bias.device

    @property
    def dtype(self) -> torch.dtype:
        """What is computed in. Weights may be kept in less; biases are not."""
        return self._some_bias.dtype

    @property
    def _some_bias(self) -> torch.Tensor:
        return cast(torch.Tensor, self.vision3d_connector[-1].bias)

    @property
    def depth_groups(self) -> int:
        """Groups of 3D tokens along the slices, each shared by several slices: 4."""
        return self.configuration.vision3d.grid[0] // 2

    def encode_slices(self, slices: torch.Tensor) -> torch.Tensor:
        """Slices [n, rows, columns] in [0, 1] to 2D tokens [n, 256, width]."""
        tokens: torch.Tensor = self.vision2d_connector(self.vision2d_model(slices))
        return tokens

    def encode_volume(self, volume: torch.Tensor) -> torch.Tensor:
        """A volume [1, slices, rows, columns] in [0, 1] to 3D tokens [256, width]."""
        projected: torch.Tensor = self.vision3d_connector(self.pooled_3d(volume[None]))[0]
        return projected

    def pooled_3d(self, volumes: torch.Tensor) -> torch.Tensor:
        """Volumes [n, 1, slices, rows, columns] to the 3D encoder's tokens before the connector,
        averaged over 2 x 2 x 2 neighbours: [n, 256, hidden]."""
        return pool_3d_tokens(self.vision3d_model(volumes), self.configuration.vision3d.grid)

    def join(self, tokens_2d: torch.Tensor, tokens_3d: torch.Tensor) -> EncodedVolume:
        """Both encoders' tokens of one volume, with the slice keys made of them."""
        return EncodedVolume(
            tokens_2d, tokens_3d, slice_keys(tokens_2d, tokens_3d, self.depth_groups)
        )

    def embed_text(self, token_ids: torch.Tensor) -> torch.Tensor:
        """A bare question's BERT token ids [length] to its pooled embedding [text width].

        The released code pads to 512 tokens and masks the padding; without it the embedding is
        the same.
        """
        return self.embed_texts(token_ids[None])[0]

    def embed_texts(
        self, token_ids: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Several texts, [n, length], at once: [n, text width]. ``mask`` is 0 at the padding."""
        pooled: torch.Tensor = self.text_model(token_ids, attention_mask=mask).pooler_output
        return pooled

    def score(self, encoded: EncodedVolume, text_embedding: torch.Tensor) -> ScoredVolume:
        """Score the slices for a text (TG-IS) and fuse the 2D tokens with the scores."""
        text = self.text_mlp(text_embedding)
        logits = slice_logits(encoded.keys, text)
        scores = slice_scores(logits, training=self.training)
        shares = patch_shares(encoded.tokens_2d, encoded.tokens_3d, self.depth_groups, text)
        tokens = torch.cat([encoded.tokens_3d, fuse(encoded.tokens_2d, scores)])
        return ScoredVolume(logits, scores, shares, tokens)

    def embed_prompt(
        self, before: torch.Tensor, image: torch.Tensor, after: torch.Tensor
    ) -> torch.Tensor:
        """The prompt as the language model sees it: [length, width].

        ``before`` and ``after`` are token ids around the image, ``image`` [512, width]; all three
        may have a batch in front.
        """
        embed = self.llm.get_input_embeddings()
        return torch.cat([embed(before), image.to(self.dtype), embed(after)], dim=-2)


class LoadedModel(Med2E3):
    """The network with its weights, its tokenizers and its identity.

    ``scores_slices`` tells whether it has a 2D path and text-guided scores; a family without
    (:mod:`med2e3.model.volume_only`) has no ``scoring_tokenizer`` either. ``map_encoders_anew``
    gives back the memory of the encoders' weights, where they can be read from the files again.
    """

    scores_slices = True
    identity: ModelIdentity
    precision: Precision
    map_encoders_anew: Callable[[], None] = staticmethod(lambda: None)
    prompt_tokenizer: PromptTokenizer
    scoring_tokenizer: ScoringTokenizer

    def unscored(self, encoded: EncodedVolume) -> ScoredVolume:
        """What stands in the prompt of a network that scores no slices."""
        raise NotImplementedError("a network with a 2D path scores its slices")


def connector(input_width: int, width: int) -> nn.Sequential:
    """Linear, GELU, Linear: an encoder's tokens into the language model's width."""
    return nn.Sequential(nn.Linear(input_width, width), nn.GELU(), nn.Linear(width, width))


def language_model(configuration: dict[str, Any]) -> Any:
    """Any causal language model of transformers, from its configuration alone."""
    kind = CONFIG_MAPPING[configuration["model_type"]]
    config = kind(**declared(kind, configuration))
    return AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
