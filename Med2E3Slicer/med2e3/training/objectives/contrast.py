"""Pictures and the texts that belong to them."""

from __future__ import annotations

import math
from collections.abc import Collection

import torch
import torch.nn.functional as functional
from torch import nn

from med2e3.model import Med2E3
from med2e3.training.objectives.objective import Objective, Outcome
from med2e3.training.pairs import pair_loss, rare_pair_loss, recall

_PATCHES_COUNT = 50
"""How much a patch counts against the whole picture. Most patches show little, so their loss is
small; at 1 and 6 small findings are seen later, and the slices learn no faster for it."""


class ContrastObjective(Objective):
    """Which text belongs to which volume and to which slice (stage 0).

    Volumes and reports: CLIP's objective, as M3D-CLIP was trained (arXiv 2404.00578): among the
    texts of a batch find that of the volume, and the other way round. M3D-CLIP holds the class
    token against the text ("class"); its tokens, which Med-2E3 reads, are then trained indirectly,
    and those of the last block not at all. "mean" takes the mean over the tokens instead.

    Slices and captions, and volumes and captions: SigLIP's (arXiv 2303.15343): each pair is right
    or wrong by itself, so that one text may be true of several slices and several texts of one; a
    pair of which nothing is known does not count. The mean over the tokens stands for a slice where
    SigLIP has a pooling head: Med-2E3 never uses that head, and the keys of TG-IS are means over
    tokens.

    Patches and names, where the records tell what a patch shows, as those of phantoms do: each
    patch is held against the names of all organs and findings, whose weights the text encoder
    gives, and a name counts like any other, however rare it is in the data. Nothing is normalised
    here, for a patch shows several things at once and cosines would let it be near to few. Encoders
    of a few million published pictures need it not; from nothing and with some thousand volumes it
    is what makes them see small things (docs/decisions/0010).

    Texts go through the network's own text encoder, by the embedding that TG-IS uses. The
    projections into a common space and the temperatures are dropped after the stage.
    """

    def __init__(self, network: Med2E3, trained: Collection[str], pooling: str) -> None:
        super().__init__(network, trained)
        self._pooling = pooling
        configuration = network.configuration
        width = configuration.text["hidden_size"]
        self.heads = nn.ModuleDict()
        self.scales = nn.ParameterDict()
        self.biases = nn.ParameterDict()
        seen = {}
        if "vision3d_model" in trained:
            seen["volume"] = seen["volume_patch"] = configuration.vision3d.hidden_size
            self.heads["report"] = _head(width, width)
            self.scales["report"] = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        if "vision2d_model" in trained:
            seen["slice"] = seen["slice_patch"] = configuration.vision2d["hidden_size"]
        for name, hidden in seen.items():
            self.heads[name] = _head(hidden, width)
            self.heads[f"{name}_text"] = _head(width, width)
            # SigLIP's own: wrong pairs are many, so begin by saying that all are. Of patches and
            # names still more are.
            scale, bias = (1 / 3, -6.0) if name.endswith("_patch") else (10.0, -4.0)
            self.scales[name] = nn.Parameter(torch.tensor(math.log(scale)))
            self.biases[name] = nn.Parameter(torch.tensor(bias))

    def forward(
        self,
        caption_ids: torch.Tensor,
        caption_mask: torch.Tensor,
        report_ids: torch.Tensor | None = None,
        report_mask: torch.Tensor | None = None,
        name_ids: torch.Tensor | None = None,
        name_mask: torch.Tensor | None = None,
        volumes: torch.Tensor | None = None,
        volume_truth: torch.Tensor | None = None,
        volume_patch_truth: torch.Tensor | None = None,
        volume_patch_shares: torch.Tensor | None = None,
        slices: torch.Tensor | None = None,
        slice_truth: torch.Tensor | None = None,
        slice_patch_truth: torch.Tensor | None = None,
        slice_patch_shares: torch.Tensor | None = None,
    ) -> Outcome:
        """``volumes`` [n, 1, slices, rows, columns] with one report each, ``slices``
        [m, rows, columns]; ``caption_ids`` [t, length], ``name_ids`` [k, length]. ``volume_truth``
        [n, t] and ``slice_truth`` [m, t] are 1 where a caption is true, -1 where it is false and 0
        where nobody knows; ``volume_patch_truth`` [n, patches, k] and ``slice_patch_truth``
        [m, patches, k] the same of their patches and the names, and ``volume_patch_shares`` and
        ``slice_patch_shares`` [k] of how many patches of the data a name is true."""
        losses: Outcome = {}
        shares: Outcome = {}
        captions = self.network.embed_texts(caption_ids, caption_mask).float()
        names = None
        if name_ids is not None:
            names = self.network.embed_texts(name_ids, name_mask).float()
        if volumes is not None and report_ids is not None:
            tokens = self.network.vision3d_model.all_tokens(volumes)
            patches = tokens[:, 1:]
            pooled = tokens[:, 0] if self._pooling == "class" else patches.mean(dim=1)
            reports = self.network.embed_texts(report_ids, report_mask)
            losses["report"], shares["report"] = self._clip_loss(pooled, reports)
            self._compare("volume", pooled, captions, volume_truth, losses, shares)
            shown = (volume_patch_truth, volume_patch_shares)
            self._name("volume_patch", patches, names, *shown, losses)
        if slices is not None:
            patches = self.network.vision2d_model(slices)
            pooled = patches.mean(dim=1)
            self._compare("slice", pooled, captions, slice_truth, losses, shares)
            shown = (slice_patch_truth, slice_patch_shares)
            self._name("slice_patch", patches, names, *shown, losses)
        outcome = {f"{name}_loss": loss.detach() for name, loss in losses.items()}
        outcome |= {f"{name}_accuracy": share for name, share in shares.items()}
        counted = [
            loss * (_PATCHES_COUNT if name.endswith("_patch") else 1)
            for name, loss in losses.items()
        ]
        return outcome | {"loss": torch.stack(counted).sum()}

    def _clip_loss(
        self, volumes: torch.Tensor, reports: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        # CLIP keeps the temperature from running away.
        scale = self.scales["report"].exp().clamp(max=100)
        with torch.autocast(volumes.device.type, enabled=False):
            logits = scale * self._common("volume", volumes) @ self._common("report", reports).T
        own = torch.arange(len(logits), device=logits.device)
        loss = (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2
        return loss, (logits.argmax(dim=1) == own).float().mean()

    def _compare(
        self,
        kind: str,
        seen: torch.Tensor,
        captions: torch.Tensor,
        truth: torch.Tensor | None,
        losses: Outcome,
        shares: Outcome,
    ) -> None:
        """Hold ``seen`` [n, hidden] against captions [t, width]: the loss of one picture over all
        its pairs, and the share of true captions that are among the likeliest of their picture, as
        many as are true of it."""
        if truth is None or not truth.any():
            return
        with torch.autocast(seen.device.type, enabled=False):
            cosines = self._common(kind, seen) @ self._common(f"{kind}_text", captions).T
        logits = self.scales[kind].exp() * cosines + self.biases[kind]
        losses[kind] = pair_loss(logits, truth)
        shares[kind] = recall(logits.detach(), truth)

    def _name(
        self,
        kind: str,
        patches: torch.Tensor,
        names: torch.Tensor | None,
        truth: torch.Tensor | None,
        shares: torch.Tensor | None,
        losses: Outcome,
    ) -> None:
        """Hold patches [n, patches, hidden] against names [k, width], each of which counts alike,
        however many patches show it."""
        if names is None or truth is None or shares is None or not truth.any():
            return
        with torch.autocast(patches.device.type, enabled=False):
            shown = self.heads[kind](patches.float().flatten(0, 1))
            products = shown @ self.heads[f"{kind}_text"](names).T
        logits = self.scales[kind].exp() * products + self.biases[kind]
        losses[kind] = rare_pair_loss(logits, truth.flatten(0, 1), shares)

    def _common(self, head: str, embedded: torch.Tensor) -> torch.Tensor:
        return functional.normalize(self.heads[head](embedded.float()), dim=-1)


def _head(width: int, common_width: int) -> nn.Sequential:
    """From an encoder into the common space.

    An encoder from nothing says nearly the same of everything. What all have in common is taken
    away first, or telling the texts apart would take most of the stage.
    """
    return nn.Sequential(
        nn.BatchNorm1d(width, affine=False, track_running_stats=False),
        nn.Linear(width, common_width, bias=False),
    )
