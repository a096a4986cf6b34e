"""What the network learns, one module for each objective: a batch goes in, a loss comes out.

Each wraps the network and calls its own methods, so that training and inference cannot drift apart.
Parts that do not learn in a stage are frozen and stay in evaluation mode (no dropout). The released
trainer leaves its frozen text encoder in training mode.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as functional
from torch import nn

from med2e3.model import EncodedVolume, Med2E3, ScoredVolume
from med2e3.training.choices import ChoiceJudge
from med2e3.training.evidence import even_scores, evidence_loss
from med2e3.training.pairs import pair_loss, rare_pair_loss, recall
from med2e3.training.words import half_heard, ideal_tokens, loudness, word_loss

IGNORED = -100
"""The label of a token that is read and not learned."""

Outcome = dict[str, torch.Tensor]
"""``loss``, and the scalars that are logged beside it."""

_PATCHES_COUNT = 50
"""How much a patch counts against the whole picture. Most patches show little, so their loss is
small; at 1 and 6 small findings are seen later, and the slices learn no faster for it."""


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


class EvidenceObjective(ScoredObjective):
    """The slices that an answer depends on, given volume and question: TG-IS by itself.

    For a network from nothing, whose scores would otherwise be learned from answers alone, while
    the answers need the scores to be learned at all.
    """

    def forward(
        self,
        volume_of: torch.Tensor,
        text_ids: torch.Tensor,
        text_mask: torch.Tensor,
        evidence: torch.Tensor,
        patch_evidence: torch.Tensor | None = None,
        words: Mapping[str, torch.Tensor] | None = None,
        volumes: torch.Tensor | None = None,
        features_2d: torch.Tensor | None = None,
        features_3d: torch.Tensor | None = None,
        **_: torch.Tensor,
    ) -> Outcome:
        """As :class:`AnswerObjective`; ``evidence`` [n, things, slices] and ``patch_evidence``
        [n, findings, patches] as of :func:`~med2e3.training.evidence.evidence_of` and
        :func:`~med2e3.training.evidence.patch_evidence_of`, false where there are fewer."""
        encoded = self._encode(volumes, features_2d, features_3d)
        scored = self._score(encoded, volume_of, text_ids, text_mask)
        outcome = self._evidence(scored, evidence, patch_evidence)
        return self._read_words(outcome, encoded, words)


class WordsObjective(ScoredObjective):
    """Tokens that look like the words of what they show, with nothing said of slices or answers:
    what variants of the fusion may share without having learned to fuse."""

    def __init__(self, network: Med2E3, trained: Collection[str]) -> None:
        super().__init__(network, trained, words=1.0)

    def forward(
        self,
        words: Mapping[str, torch.Tensor],
        volumes: torch.Tensor | None = None,
        features_2d: torch.Tensor | None = None,
        features_3d: torch.Tensor | None = None,
        **_: torch.Tensor,
    ) -> Outcome:
        """As :class:`AnswerObjective`."""
        encoded = self._encode(volumes, features_2d, features_3d)
        return self._read_words({"loss": encoded[0].tokens_3d.new_zeros(())}, encoded, words)


class AnswerObjective(ScoredObjective):
    """The answer's next token, given volume, question and the answer so far (stages 1 and 2).

    ``evidence`` is how much it counts beside that the scores lie on the slices that the answer
    depends on, where that is known, and ``choices`` that the choices of closed questions are
    judged; both 0 as released.
    """

    def __init__(
        self,
        network: Med2E3,
        trained: Collection[str],
        evidence: float = 0.0,
        patch_evidence: float = 0.0,
        choices: float = 0.0,
        words: float = 0.0,
    ) -> None:
        super().__init__(network, trained, patch_evidence, words)
        self._evidence_counts = evidence
        self.choices = JudgedChoices(network, choices) if choices else None

    def forward(
        self,
        volume_of: torch.Tensor,
        text_ids: torch.Tensor,
        text_mask: torch.Tensor,
        before: torch.Tensor,
        after: torch.Tensor,
        labels: torch.Tensor,
        weights: torch.Tensor | None = None,
        evidence: torch.Tensor | None = None,
        patch_evidence: torch.Tensor | None = None,
        choice_ends: torch.Tensor | None = None,
        right_choice: torch.Tensor | None = None,
        words: Mapping[str, torch.Tensor] | None = None,
        volumes: torch.Tensor | None = None,
        features_2d: torch.Tensor | None = None,
        features_3d: torch.Tensor | None = None,
    ) -> Outcome:
        """``volume_of`` [n] has the number of each example's volume in the batch; ``text_ids`` and
        ``text_mask`` [n, text length] the scoring texts, padded; ``before`` [length] the tokens
        before the image, the same for all; ``after`` [n, length] those after it with the answer,
        padded on the right; ``labels`` like ``after``, :data:`IGNORED` but for the answer, and
        ``weights`` how much each of them counts, if not all alike; ``evidence`` and
        ``patch_evidence`` as of :class:`EvidenceObjective`, and ``choice_ends`` (places in
        ``after``) and ``right_choice`` as of :class:`~med2e3.training.choices.ChoiceJudge`, if they
        count; ``words`` has ``ids`` and ``of_findings`` [words], and ``2d`` and ``3d`` [volumes,
        tokens, words] as of :class:`~med2e3.training.words.PatchWords`, if they do.

        ``volumes`` [volumes, 1, slices, rows, columns] may be absent where the encoders' features
        before the connectors are given: ``features_2d`` [volumes, slices, patches, hidden] and
        ``features_3d`` [volumes, tokens, hidden].
        """
        network = self.network
        encoded = self._encode(volumes, features_2d, features_3d)
        scored = self._score(encoded, volume_of, text_ids, text_mask)
        image = torch.stack([one.tokens for one in scored])
        outcome = answer_loss(
            network, image, before, after, labels, weights, self.choices, choice_ends, right_choice
        )
        outcome = self._read_words(outcome, encoded, words)
        if evidence is None:
            return outcome
        found = self._evidence(scored, evidence, patch_evidence)
        return outcome | found | {"loss": outcome["loss"] + self._evidence_counts * found["loss"]}


class IdealObjective(Objective):
    """The answer's next token, given what encoders that see all would tell of the volume.

    For a language model from nothing. A description has its words one after another; the tokens of
    an image show several things each, and where. To write a report from that is learned here,
    without any encoder, from what is known to be in each patch. It learns from what is half heard,
    for no encoder will ever be sure of all. ``choices`` as of :class:`AnswerObjective`.
    """

    def __init__(self, network: Med2E3, trained: Collection[str], choices: float = 0.0) -> None:
        super().__init__(network, trained)
        self.choices = JudgedChoices(network, choices) if choices else None

    def forward(
        self,
        volume_of: torch.Tensor,
        before: torch.Tensor,
        after: torch.Tensor,
        labels: torch.Tensor,
        evidence: torch.Tensor,
        words: Mapping[str, torch.Tensor],
        weights: torch.Tensor | None = None,
        choice_ends: torch.Tensor | None = None,
        right_choice: torch.Tensor | None = None,
        **_: torch.Tensor,
    ) -> Outcome:
        """As :class:`AnswerObjective`. The scores lie evenly on the things that an answer depends
        on, and on all slices where it depends on none."""
        network = self.network
        scores = even_scores(evidence)
        shown_2d, shown_3d = (loudness(words[kind]) for kind in ("2d", "3d"))
        if self.training:
            shown_2d, shown_3d = half_heard(shown_2d), half_heard(shown_3d)
        slices, count = scores.shape[1], shown_2d.shape[2]
        of_slices = shown_2d.view(len(shown_2d), slices, -1, count)[volume_of]
        shown = torch.cat([shown_3d[volume_of], torch.einsum("ns,nspw->npw", scores, of_slices)], 1)
        embeddings = network.llm.get_input_embeddings()(words["ids"]).detach()
        image = ideal_tokens(shown, embeddings)
        return answer_loss(
            network, image, before, after, labels, weights, self.choices, choice_ends, right_choice
        )


class LanguageObjective(Objective):
    """The next token of a text, for a language model from nothing.

    A written description stands where the image will be. What an ordinary language model brings
    along (words, and how an answer follows from what was told) is learned here, cheaply; the
    stages with images then need to learn to see alone. ``choices`` as of :class:`AnswerObjective`.
    """

    def __init__(self, network: Med2E3, trained: Collection[str], choices: float = 0.0) -> None:
        super().__init__(network, trained)
        self.choices = JudgedChoices(network, choices) if choices else None

    def forward(
        self,
        token_ids: torch.Tensor,
        labels: torch.Tensor,
        weights: torch.Tensor,
        choice_ends: torch.Tensor | None = None,
        right_choice: torch.Tensor | None = None,
    ) -> Outcome:
        """All but the last [n, length], padded on the right; ``labels`` as in
        :class:`AnswerObjective`, ``weights`` how much each of them counts."""
        llm = self.network.llm
        hidden = hidden_states(llm, input_ids=token_ids)
        outcome = next_token_loss(llm, hidden.last[:, :-1], labels[:, 1:], weights[:, 1:])
        if self.choices and choice_ends is not None:
            outcome = self.choices(outcome, hidden, choice_ends, right_choice)
        return outcome


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


class JudgedChoices(nn.Module):
    """Beside an outcome, how well the choices of closed questions are judged half-way through the
    language model; ``counts`` is how much."""

    def __init__(self, network: Med2E3, counts: float) -> None:
        super().__init__()
        self._counts = counts
        self.judge = ChoiceJudge(network.configuration.width)

    def forward(
        self, outcome: Outcome, hidden: HiddenStates, ends: torch.Tensor, right: torch.Tensor
    ) -> Outcome:
        """``outcome`` with what :class:`~med2e3.training.choices.ChoiceJudge` adds to it."""
        lost, found = self.judge(hidden.middle, ends, right)
        loss = outcome["loss"] + self._counts * lost
        return outcome | {"loss": loss, "choice_accuracy": found}


@dataclass(frozen=True)
class HiddenStates:
    """What the language model holds of each token, both [n, length, width]: after all its layers,
    and after the first half of them (one layer less than half of an odd number)."""

    last: torch.Tensor
    middle: torch.Tensor


def hidden_states(llm: Any, **inputs: torch.Tensor) -> HiddenStates:
    """Run the language model without its head."""
    found = llm.get_decoder()(**inputs, use_cache=False, output_hidden_states=True)
    # The first of these is before any layer.
    return HiddenStates(found.last_hidden_state, found.hidden_states[len(found.hidden_states) // 2])


def answer_loss(
    network: Med2E3,
    image: torch.Tensor,
    before: torch.Tensor,
    after: torch.Tensor,
    labels: torch.Tensor,
    weights: torch.Tensor | None,
    choices: JudgedChoices | None,
    choice_ends: torch.Tensor | None,
    right_choice: torch.Tensor | None,
) -> Outcome:
    """How well the answers in ``after`` [n, length] are told from the tokens ``image``
    [n, tokens, width], and their choices judged if there is a judge; the rest as of
    :class:`AnswerObjective`."""
    prompt = network.embed_prompt(before.expand(len(after), -1), image, after)
    # Padding is on the right and attention looks to the left, so no mask is needed.
    hidden = hidden_states(network.llm, inputs_embeds=prompt)
    start = prompt.shape[1] - after.shape[1]
    outcome = next_token_loss(network.llm, hidden.last[:, start - 1 : -1], labels, weights)
    if choices and choice_ends is not None:
        outcome = choices(outcome, hidden, choice_ends + start, right_choice)
    return outcome


def next_token_loss(
    llm: Any, hidden: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None = None
) -> Outcome:
    """The mean loss over all labelled tokens, and the share of them that was the likeliest.

    ``hidden`` [n, length, width] is what stood before each label; ``weights`` [n, length] tell how
    much each counts in both, where they do not count alike. The vocabulary's logits are made for
    labelled tokens alone, a small part of all.
    """
    learned = labels != IGNORED
    logits = llm.get_output_embeddings()(hidden[learned]).float()
    wanted = labels[learned]
    shares = torch.ones_like(wanted, dtype=torch.float32) if weights is None else weights[learned]
    shares = shares / shares.sum()
    right = (logits.argmax(dim=-1) == wanted).float()
    return {
        "loss": functional.cross_entropy(logits, wanted, reduction="none") @ shares,
        "token_accuracy": (right @ shares).detach(),
    }


def _head(width: int, common_width: int) -> nn.Sequential:
    """From an encoder into the common space.

    An encoder from nothing says nearly the same of everything. What all have in common is taken
    away first, or telling the texts apart would take most of the stage.
    """
    return nn.Sequential(
        nn.BatchNorm1d(width, affine=False, track_running_stats=False),
        nn.Linear(width, common_width, bias=False),
    )
