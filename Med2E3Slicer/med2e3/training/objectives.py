"""What the network learns, one module for each objective: a batch goes in, a loss comes out.

Each wraps the network and calls its own methods, so that training and inference cannot drift apart.
Parts that do not learn in a stage are frozen and stay in evaluation mode (no dropout). The released
trainer leaves its frozen text encoder in training mode.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import torch
import torch.nn.functional as functional
from torch import nn

from med2e3.model import EncodedVolume, Med2E3

IGNORED = -100
"""The label of a token that is read and not learned."""

Outcome = dict[str, torch.Tensor]
"""``loss``, and the scalars that are logged beside it."""


class Objective(nn.Module):
    """The network, of whose parts only those in ``trained`` learn."""

    def __init__(self, network: Med2E3, trained: Collection[str]) -> None:
        super().__init__()
        self.network = network
        self._frozen = [name for name, _ in network.named_children() if name not in trained]
        for name, part in network.named_children():
            part.requires_grad_(name in trained)

    def train(self, mode: bool = True) -> Objective:
        super().train(mode)
        for name in self._frozen:
            self.network.get_submodule(name).eval()
        return self

    def gradient_checkpointing_enable(
        self, gradient_checkpointing_kwargs: dict[str, Any] | None = None
    ) -> None:
        """Compute the language model's activations again instead of keeping them."""
        self.network.llm.gradient_checkpointing_enable(
            gradient_checkpointing_kwargs or {"use_reentrant": False}
        )


class AnswerObjective(Objective):
    """The answer's next token, given volume, question and the answer so far (stages 1 and 2)."""

    def forward(
        self,
        volume_of: torch.Tensor,
        text_ids: torch.Tensor,
        text_mask: torch.Tensor,
        before: torch.Tensor,
        after: torch.Tensor,
        labels: torch.Tensor,
        volumes: torch.Tensor | None = None,
        features_2d: torch.Tensor | None = None,
        features_3d: torch.Tensor | None = None,
    ) -> Outcome:
        """``volume_of`` [n] has the number of each example's volume in the batch; ``text_ids`` and
        ``text_mask`` [n, text length] the scoring texts, padded; ``before`` [length] the tokens
        before the image, the same for all; ``after`` [n, length] those after it with the answer,
        padded on the right; ``labels`` like ``after``, :data:`IGNORED` but for the answer.

        ``volumes`` [volumes, 1, slices, rows, columns] may be absent where the encoders' features
        before the connectors are given: ``features_2d`` [volumes, slices, patches, hidden] and
        ``features_3d`` [volumes, tokens, hidden].
        """
        network = self.network
        encoded = self._encode(volumes, features_2d, features_3d)
        texts = network.embed_texts(text_ids, text_mask)
        # The scores are float32 whatever the rest is in, as they are at inference.
        with torch.autocast(texts.device.type, enabled=False):
            image = torch.stack(
                [
                    network.score(encoded[volume], text).tokens
                    for volume, text in zip(volume_of.tolist(), texts.float(), strict=True)
                ]
            )
        prompt = network.embed_prompt(before.expand(len(after), -1), image, after)
        # Padding is on the right and attention looks to the left, so no mask is needed.
        hidden = hidden_states(network.llm, inputs_embeds=prompt)
        start = prompt.shape[1] - after.shape[1]
        return next_token_loss(network.llm, hidden[:, start - 1 : -1], labels)

    def _encode(
        self,
        volumes: torch.Tensor | None,
        features_2d: torch.Tensor | None,
        features_3d: torch.Tensor | None,
    ) -> list[EncodedVolume]:
        network = self.network
        if features_3d is None:
            if volumes is None:
                raise ValueError("Either volumes or their features must be given.")
            features_3d = network.pooled_3d(volumes)
        if features_2d is None:
            if volumes is None:
                raise ValueError("Either volumes or their features must be given.")
            features_2d = network.vision2d_model(volumes.flatten(0, 2)).unflatten(
                0, (len(volumes), -1)
            )
        tokens_2d = network.vision2d_connector(features_2d).to(network.dtype)
        tokens_3d = network.vision3d_connector(features_3d).to(network.dtype)
        with torch.autocast(tokens_2d.device.type, enabled=False):
            return [network.join(*pair) for pair in zip(tokens_2d, tokens_3d, strict=True)]


class LanguageObjective(Objective):
    """The next token of a text, for a language model from nothing.

    A written description stands where the image will be. What an ordinary language model brings
    along (words, and how an answer follows from what was told) is learned here, cheaply; the
    stages with images then need to learn to see alone.
    """

    def forward(self, token_ids: torch.Tensor, labels: torch.Tensor) -> Outcome:
        """Both [n, length], padded on the right; ``labels`` as in :class:`AnswerObjective`."""
        hidden = hidden_states(self.network.llm, input_ids=token_ids)
        return next_token_loss(self.network.llm, hidden[:, :-1], labels[:, 1:])


class ContrastObjective(Objective):
    """Which text belongs to which volume and to which slice (stage 0).

    Volumes and texts: CLIP's objective, as M3D-CLIP was trained (arXiv 2404.00578): among the texts
    of a batch find that of the volume, and the other way round. M3D-CLIP holds the class token
    against the text ("class"); its tokens, which Med-2E3 reads, are then trained indirectly, and
    those of the last block not at all. "mean" takes the mean over the tokens instead.

    Slices and texts: SigLIP's (arXiv 2303.15343): each pair of slice and text is right or wrong by
    itself, so that one text may be true of several slices. The mean over the tokens stands for a
    slice where SigLIP has a pooling head: Med-2E3 never uses that head, and the keys of TG-IS are
    means over tokens.

    Texts go through the network's own text encoder, by the embedding that TG-IS uses. The
    projections into a common space and the temperatures are dropped after the stage.
    """

    def __init__(
        self, network: Med2E3, trained: Collection[str], pooling: str, texts_in_batch: int
    ) -> None:
        super().__init__(network, trained)
        self._pooling = pooling
        configuration = network.configuration
        width = configuration.text["hidden_size"]
        self.heads = nn.ModuleDict()
        self.temperatures = nn.ParameterDict()
        if "vision3d_model" in trained:
            self.heads["volume"] = _head(configuration.vision3d.hidden_size, width)
            self.heads["volume_text"] = _head(width, width)
            self.temperatures["volume"] = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        if "vision2d_model" in trained:
            self.heads["slice"] = _head(configuration.vision2d["hidden_size"], width)
            self.heads["slice_text"] = _head(width, width)
            self.temperatures["slice"] = nn.Parameter(torch.tensor(math.log(10.0)))
            # As many wrong pairs as texts come with each right one: begin by saying so.
            self.bias = nn.Parameter(torch.tensor(-math.log(max(2, texts_in_batch))))

    def forward(
        self,
        text_ids: torch.Tensor | None = None,
        text_mask: torch.Tensor | None = None,
        volumes: torch.Tensor | None = None,
        slices: torch.Tensor | None = None,
        slice_text_ids: torch.Tensor | None = None,
        slice_text_mask: torch.Tensor | None = None,
        matches: torch.Tensor | None = None,
    ) -> Outcome:
        """``volumes`` [n, 1, slices, rows, columns] with one text each, ``slices``
        [m, rows, columns] with one text each; ``matches`` [m, m] tells which texts are true of
        which slices."""
        outcome: Outcome = {}
        losses = []
        if volumes is not None and text_ids is not None:
            loss, right = self._volume_loss(volumes, text_ids, text_mask)
            outcome |= {"volume_loss": loss.detach(), "volume_accuracy": right}
            losses.append(loss)
        if slices is not None and slice_text_ids is not None and matches is not None:
            loss, right = self._slice_loss(slices, slice_text_ids, slice_text_mask, matches)
            outcome |= {"slice_loss": loss.detach(), "slice_accuracy": right}
            losses.append(loss)
        outcome["loss"] = torch.stack(losses).sum()
        return outcome

    def _volume_loss(
        self, volumes: torch.Tensor, text_ids: torch.Tensor, text_mask: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = self.network.vision3d_model.all_tokens(volumes)
        pooled = tokens[:, 0] if self._pooling == "class" else tokens[:, 1:].mean(dim=1)
        seen = functional.normalize(self.heads["volume"](pooled).float(), dim=-1)
        read = self._read("volume_text", text_ids, text_mask)
        # CLIP keeps the temperature from running away.
        scale = self.temperatures["volume"].exp().clamp(max=100)
        logits = scale * seen @ read.T
        own = torch.arange(len(logits), device=logits.device)
        loss = (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2
        return loss, (logits.argmax(dim=1) == own).float().mean()

    def _slice_loss(
        self,
        slices: torch.Tensor,
        text_ids: torch.Tensor,
        text_mask: torch.Tensor | None,
        matches: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        pooled = self.network.vision2d_model(slices).mean(dim=1)
        seen = functional.normalize(self.heads["slice"](pooled).float(), dim=-1)
        read = self._read("slice_text", text_ids, text_mask)
        logits = self.temperatures["slice"].exp() * seen @ read.T + self.bias
        signs = matches.to(logits.dtype) * 2 - 1
        loss = -functional.logsigmoid(signs * logits).sum() / len(slices)
        best = matches.gather(1, logits.argmax(dim=1, keepdim=True))
        return loss, best.float().mean()

    def _read(
        self, head: str, text_ids: torch.Tensor, text_mask: torch.Tensor | None
    ) -> torch.Tensor:
        embedded = self.network.embed_texts(text_ids, text_mask)
        return functional.normalize(self.heads[head](embedded).float(), dim=-1)


def hidden_states(llm: Any, **inputs: torch.Tensor) -> torch.Tensor:
    """The language model's last hidden states [n, length, width]."""
    hidden: torch.Tensor = llm.get_decoder()(**inputs, use_cache=False).last_hidden_state
    return hidden


def next_token_loss(llm: Any, hidden: torch.Tensor, labels: torch.Tensor) -> Outcome:
    """The mean loss over all labelled tokens, and the share of them that was the likeliest.

    ``hidden`` [n, length, width] is what stood before each label. The vocabulary's logits are made
    for labelled tokens alone, a small part of all.
    """
    learned = labels != IGNORED
    logits = llm.get_output_embeddings()(hidden[learned]).float()
    wanted = labels[learned]
    return {
        "loss": functional.cross_entropy(logits, wanted),
        "token_accuracy": (logits.argmax(dim=-1) == wanted).float().mean().detach(),
    }


def _head(width: int, common_width: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, common_width, bias=False))
