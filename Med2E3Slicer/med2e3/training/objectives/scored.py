"""What the objectives share that score the slices of volumes for texts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch

from med2e3.model import EncodedVolume, Med2E3, ScoredVolume
from med2e3.training.evidence import evidence_loss
from med2e3.training.objectives.objective import Objective, Outcome
from med2e3.training.words import word_loss


class ScoredObjective(Objective):
    """What objectives share that score the slices of encoded volumes for texts.

    ``patch_evidence`` is how much the right patches count beside the right slices, and ``words``
    how much it counts beside all else that the tokens look like the words of what they show.
    """

    def __init__(
        self,
        network: Med2E3,
        trained: Collection[str],
        patch_evidence: float = 0.0,
        words: float = 0.0,
    ) -> None:
        super().__init__(network, trained)
        self._patch_evidence = patch_evidence
        self._words_count = words

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

    def _score(
        self,
        encoded: Sequence[EncodedVolume],
        volume_of: torch.Tensor,
        text_ids: torch.Tensor,
        text_mask: torch.Tensor,
    ) -> list[ScoredVolume]:
        texts = self.network.embed_texts(text_ids, text_mask)
        # The scores are float32 whatever the rest is in, as they are at inference.
        with torch.autocast(texts.device.type, enabled=False):
            return [
                self.network.score(encoded[volume], text)
                for volume, text in zip(volume_of.tolist(), texts.float(), strict=True)
            ]

    def _read_words(
        self,
        outcome: Outcome,
        encoded: Sequence[EncodedVolume],
        words: Mapping[str, torch.Tensor] | None,
    ) -> Outcome:
        """``outcome`` with how much both encoders' tokens look like the words of what they show, if
        that counts: of the words ``ids`` [words] what is true of the tokens ``2d`` and ``3d``
        [volumes, tokens, words], and which are ``of_findings`` [words] alone."""
        if not self._words_count or words is None:
            return outcome
        # The tokens shall come to the words, and not the words to the tokens.
        embeddings = self.network.llm.get_input_embeddings()(words["ids"]).detach()
        tokens = {
            "2d": torch.cat([one.tokens_2d.flatten(0, 1) for one in encoded]),
            "3d": torch.cat([one.tokens_3d for one in encoded]),
        }
        found = {
            kind: word_loss(seen, embeddings, words[kind].flatten(0, 1), words["of_findings"])
            for kind, seen in tokens.items()
        }
        lost = torch.stack([loss for loss, _ in found.values()]).mean()
        shares = {f"word_{kind}_accuracy": read for kind, (_, read) in found.items()}
        return outcome | shares | {"loss": outcome["loss"] + self._words_count * lost}

    def _evidence(
        self, scored: Sequence[ScoredVolume], slices: torch.Tensor, patches: torch.Tensor | None
    ) -> Outcome:
        """How far the scores lie on ``slices`` [n, things, slices], and what each patch gives to
        them on ``patches`` [n, findings, patches], if these count."""
        loss, hits = evidence_loss(torch.stack([one.logits for one in scored]), slices)
        if patches is None:
            return {"loss": loss, "slice_accuracy": hits}
        shares = torch.stack([one.patch_shares for one in scored])
        # What the logit of a slice would be if all its patches were like this one.
        of_each = shares.flatten(1) * shares[0, 0].numel()
        of_patches, patch_hits = evidence_loss(of_each, patches)
        return {
            "loss": loss + self._patch_evidence * of_patches,
            "slice_accuracy": hits,
            "patch_accuracy": patch_hits,
        }
