"""Other ways to bring the slices' 2D tokens into the prompt, for the ablations.

Each is the network with another ``score`` and all else the same, so that it is trained, saved and
loaded like it. Where the released code has the ablation (MSIIP/Med-2E3, ``modeling_medmllm.py``),
its ``exp_id`` is named.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from med2e3.errors import InputError
from med2e3.model import EncodedVolume, LoadedModel, ScoredVolume
from med2e3.model.interslice import TEMPERATURE, fuse, slice_scores


class _TextFree(LoadedModel):
    """A network whose text scores nothing: every slice counts as :meth:`weights` says."""

    def weights(self, encoded: EncodedVolume) -> torch.Tensor:
        """The slices' scores [slices], whose sum is 1."""
        slices = len(encoded.tokens_2d)
        return torch.full((slices,), 1 / slices, device=encoded.tokens_2d.device)

    def visual_tokens(self, encoded: EncodedVolume, scores: torch.Tensor) -> torch.Tensor:
        """What stands in the prompt in place of the image."""
        return torch.cat([encoded.tokens_3d, fuse(encoded.tokens_2d, scores)])

    def score(self, encoded: EncodedVolume, text_embedding: torch.Tensor) -> ScoredVolume:
        scores = self.weights(encoded)
        slices, patches, _ = encoded.tokens_2d.shape
        logits = scores.log()
        shares = (logits / patches)[:, None].expand(slices, patches)
        side = int(patches**0.5)
        tokens = self.visual_tokens(encoded, scores)
        return ScoredVolume(logits, scores, shares.reshape(slices, side, side), tokens)


class VolumeOnly(_TextFree):
    """The 3D tokens alone, as M3D-LaMed has them (exp_id 0)."""

    def visual_tokens(self, encoded: EncodedVolume, scores: torch.Tensor) -> torch.Tensor:
        return encoded.tokens_3d


class SlicesOnly(LoadedModel):
    """The 2D tokens alone, fused by TG-IS (exp_id 7: its keys still hold the 3D tokens)."""

    def score(self, encoded: EncodedVolume, text_embedding: torch.Tensor) -> ScoredVolume:
        scored = super().score(encoded, text_embedding)
        return replace(scored, tokens=scored.tokens[-encoded.tokens_2d.shape[1] :])


class Average(_TextFree):
    """3D tokens, and the mean of the slices' 2D tokens (exp_id 1)."""


class AverageOnly(_TextFree):
    """The mean of the slices' 2D tokens alone: no 3D encoder and no text."""

    def visual_tokens(self, encoded: EncodedVolume, scores: torch.Tensor) -> torch.Tensor:
        return fuse(encoded.tokens_2d, scores)


class Maximum(_TextFree):
    """3D tokens, and of each 2D token's channels the largest over the slices (exp_id 1)."""

    def visual_tokens(self, encoded: EncodedVolume, scores: torch.Tensor) -> torch.Tensor:
        return torch.cat([encoded.tokens_3d, encoded.tokens_2d.amax(dim=0)])


class RandomScores(_TextFree):
    """3D tokens, and 2D tokens fused with the softmax of normal random numbers (exp_id 1)."""

    def weights(self, encoded: EncodedVolume) -> torch.Tensor:
        numbers = torch.randn(len(encoded.tokens_2d), device=encoded.tokens_2d.device)
        return numbers.softmax(dim=0)


class GaussianPrior(_TextFree):
    """3D tokens, and 2D tokens fused with a bell on the middle slices, sigma N / 6 (exp_id 1)."""

    def weights(self, encoded: EncodedVolume) -> torch.Tensor:
        slices = len(encoded.tokens_2d)
        offsets = torch.arange(slices, device=encoded.tokens_2d.device) - (slices - 1) / 2
        weights = torch.exp(-((offsets / (slices / 6)) ** 2) / 2)
        return weights / weights.sum()


class TextGuided(LoadedModel):
    """TG-IS as released (exp_id 4)."""


class TopThree(LoadedModel):
    """TG-IS, then the three best slices alone, a third each.

    A choice has no gradient, so backwards the scores count as if they had not been cut (the
    straight-through estimator). In the released code, which has the choice in comments, nothing
    would teach the scores.
    """

    def score(self, encoded: EncodedVolume, text_embedding: torch.Tensor) -> ScoredVolume:
        scored = super().score(encoded, text_embedding)
        soft = slice_scores(scored.logits)
        hard = torch.zeros_like(soft).scatter(0, soft.topk(3).indices, 1 / 3)
        return _rescored(encoded, scored, hard + soft - soft.detach())


class LateScores(LoadedModel):
    """TG-IS, whose scores begin to learn with the language model.

    While that is frozen in training, all slices count alike: a language model that cannot read
    images yet would send the scores to where the image disturbs it least.
    """

    def score(self, encoded: EncodedVolume, text_embedding: torch.Tensor) -> ScoredVolume:
        scored = super().score(encoded, text_embedding)
        if not self.training or any(one.requires_grad for one in self.llm.parameters()):
            return scored
        return _rescored(encoded, scored, torch.full_like(scored.scores, 1 / len(scored.scores)))


class Temperature1(LoadedModel):
    """TG-IS with logits that are not divided by 5, so that few slices can stand out."""

    def score(self, encoded: EncodedVolume, text_embedding: torch.Tensor) -> ScoredVolume:
        scored = super().score(encoded, text_embedding)
        logits = scored.logits * TEMPERATURE
        scored = replace(scored, logits=logits, patch_shares=scored.patch_shares * TEMPERATURE)
        return _rescored(encoded, scored, slice_scores(logits, training=self.training))


class SliceKeys(LoadedModel):
    """TG-IS with keys of a slice's own 2D tokens, without the 3D tokens that eight slices share."""

    temperature = TEMPERATURE

    def score(self, encoded: EncodedVolume, text_embedding: torch.Tensor) -> ScoredVolume:
        slices, patches, _ = encoded.tokens_2d.shape
        # A key is the mean of its tokens, so a logit is the sum of what each token gives.
        of_tokens = encoded.tokens_2d.float() @ self.text_mlp(text_embedding).float()
        of_tokens = of_tokens / (patches * self.temperature)
        logits = of_tokens.sum(dim=1)
        scores = slice_scores(logits, training=self.training)
        side = int(patches**0.5)
        shares = of_tokens.view(slices, side, side)
        tokens = torch.cat([encoded.tokens_3d, fuse(encoded.tokens_2d, scores)])
        return ScoredVolume(logits, scores, shares, tokens)


class SharpSliceKeys(SliceKeys):
    """Keys of a slice's own 2D tokens, and logits that are not divided by 5."""

    temperature = 1.0


def _rescored(encoded: EncodedVolume, scored: ScoredVolume, scores: torch.Tensor) -> ScoredVolume:
    tokens = torch.cat([encoded.tokens_3d, fuse(encoded.tokens_2d, scores)])
    return replace(scored, scores=scores, tokens=tokens)


@dataclass(frozen=True)
class Variant:
    """A row of the ablation table. ``other_text``: the slices are scored for another question;
    ``evidence``: what the stages that answer count for scores on the slices of the answer."""

    label: str
    network: type[LoadedModel]
    other_text: bool = False
    evidence: float = 0.0

    @property
    def description(self) -> str:
        """What it is, in a sentence."""
        said = (self.network.__doc__ or "").split("\n\n")[0].replace("\n    ", " ")
        if self.other_text:
            return f"{said[:-1]}, trained and examined with another question's text: a control."
        if self.evidence:
            return f"{said[:-1]}, whose scores are also taught the slices that answers depend on."
        return said


VARIANTS = {
    "3d-only": Variant("3D only", VolumeOnly),
    "2d-only": Variant("2D only", SlicesOnly),
    "average": Variant("3D + 2D average", Average),
    "maximum": Variant("3D + 2D maximum", Maximum),
    "random": Variant("3D + 2D random scores", RandomScores),
    "gaussian": Variant("3D + 2D Gaussian prior", GaussianPrior),
    "tg-is": Variant("TG-IS", TextGuided),
    "tg-is-top3": Variant("TG-IS, top 3", TopThree),
    "tg-is-other-text": Variant("TG-IS, another question's text", TextGuided, other_text=True),
}
"""The ablations of the paper's claims, by the names of the command line."""

FURTHER = {
    "tg-is-taught": Variant("TG-IS, scores taught", TextGuided, evidence=0.2),
    "tg-is-late": Variant("TG-IS, scores later", LateScores),
    "2d-average": Variant("2D average only", AverageOnly),
    "tg-is-t1": Variant("TG-IS, temperature 1", Temperature1),
    "tg-is-2d-keys": Variant("TG-IS, 2D keys", SliceKeys),
    "tg-is-2d-keys-t1": Variant("TG-IS, 2D keys, temperature 1", SharpSliceKeys),
}
"""What the analysis of the ablations suggests, beside the faithful ones."""


def variant(name: str) -> Variant:
    """A variant by its name. Raises InputError that lists them."""
    known = VARIANTS | FURTHER
    if name not in known:
        raise InputError(f"There is no variant {name!r}; there are {', '.join(known)}.")
    return known[name]
