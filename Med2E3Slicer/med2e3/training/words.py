"""Tokens of patches that look like words: what each patch shows, as a description would call it.

The language model has learned to look things up in descriptions. If the tokens that stand in the
prompt for the image point, among its own embeddings, to the words of what they show, it can read an
image as it reads a description, and has not to learn that again from answers. The released recipe
has none of this.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from med2e3.errors import InputError
from med2e3.phantoms.cover import SEEN, Cover, most_covered
from med2e3.phantoms.naming import name_of, phase_name
from med2e3.training.augmentation import PLAIN, View
from med2e3.training.pairs import rare_pair_loss
from med2e3.training.records import Record

if TYPE_CHECKING:
    from med2e3.training.texts import Texts


FINDING = 6
"""How many times as loud as the words of organs those of findings are. Among a patch's organs they
would tell neither which of them has the finding nor, fused with other slices, that there is one."""

_NOISE = 0.3
"""The standard deviation of what connectors tell of words that are not shown, as measured after the
stage that teaches them."""

_ODDS_COUNT = 3
"""How much what is told of findings counts beside what is told of organs: at 1 calcifications and
masses are heard less well, at 10 organs are."""

_RAREST = 3e-4
"""A finding's word that is true of fewer tokens of a batch counts as if it were true of this share
of them: many batches have no nodule, and each token there would count the more for it."""

_SLACK = 0.1
"""How far ideal tokens may miss the products that they shall have, to stay short where there are
about as many words as dimensions."""


class PatchWords:
    """The words of what the patches of synthetic volumes show, as tokens of the language model:
    ``ids`` [words], those of all volumes, and ``of_findings`` [words], whether a word is said of
    findings alone."""

    def __init__(self, records: Sequence[Record], texts: Texts) -> None:
        self._texts = texts
        truths = {record.volume: record.phantom for record in records if tells_words(record)}
        if not truths:
            raise InputError(
                "Words of what patches show need records that tell it (phantom.cover), and there "
                "are none; make the data with `med2e3 phantom dataset`, or take words out, or "
                "the stage that needs them."
            )
        known = [truth or {} for truth in truths.values()]
        findings = {text for truth in known for text in _words_of_findings(truth)}
        others = {text for truth in known for text in (*truth["organs"], _words_of_whole(truth))}
        # Augmentation swaps the sides.
        others.add("left right")
        ids_of_findings, ids_of_others = (
            {int(number) for text in said for number in texts.plain(text)}
            for said in (findings, others)
        )
        self.ids = np.array(sorted(ids_of_findings | ids_of_others))
        self.of_findings = ~np.isin(self.ids, list(ids_of_others))
        self._columns = {int(number): column for column, number in enumerate(self.ids)}

    def truth(
        self, record: Record, cover: Cover | None, grid: tuple[int, int, int], view: View = PLAIN
    ) -> NDArray[np.int8]:
        """[patches, words] of a ``grid`` of patches (slices, rows, columns) of a record's volume:
        how loud a word is where a patch shows what has it (1, or :data:`FINDING` where that is a
        finding), -1 where it does not, 0 where nobody knows.

        ``cover`` is as of :func:`~med2e3.phantoms.cover.cover_of`, None where nobody knows. The
        words of the whole volume (plane, phase, region) are true of every patch that shows
        something."""
        patches = math.prod(grid)
        if cover is None or not tells_words(record):
            return np.zeros((patches, len(self.ids)), np.int8)
        known = record.phantom or {}
        shown = most_covered(cover, grid).reshape(len(cover), patches)
        truth = np.full((patches, len(self.ids)), -1, np.int8)
        things: dict[int, list[int]] = {}
        for number, text in enumerate((*_words_of_findings(known), *known["organs"])):
            for column in self._columns_of(text, view):
                things.setdefault(column, []).append(number)
        findings = len(known["findings"])
        for column, numbers in things.items():
            most = shown[numbers].max(axis=0)
            truth[:, column] = np.where(most >= SEEN, 1, np.where(most == 0, -1, 0))
            of_findings = [number for number in numbers if number < findings]
            if of_findings:
                truth[shown[of_findings].max(axis=0) >= SEEN, column] = FINDING
        columns = self._columns_of(_words_of_whole(known), view)
        # Words may have a piece in common with what is louder.
        seen = (shown.max(axis=0) >= SEEN).astype(np.int8)
        truth[:, columns] = np.maximum(truth[:, columns], seen[:, None])
        return truth

    def _columns_of(self, text: str, view: View) -> list[int]:
        return [self._columns[int(number)] for number in self._texts.plain(view.of_text(text))]


def loudness(truth: torch.Tensor) -> torch.Tensor:
    """How loud each word shall be of what tokens show: ``truth`` as of :class:`PatchWords`, with 0
    for what is not shown, and a half where nobody knows."""
    return torch.where(truth > 0, truth, (truth + 1) / 2).float()


def half_heard(shown: torch.Tensor) -> torch.Tensor:
    """``shown`` [n, tokens, words] (how loud each word shall be) as connectors tell it, drawn anew
    at each call: they are not sure of findings, and tell them the quieter for it, each token by
    itself, down to the loudness of an organ; and some of every word is in every token."""
    quiet = 1 - torch.rand_like(shown[..., :1]) * (1 - 1 / FINDING)
    return torch.where(shown > 1, shown * quiet, shown) + _NOISE * torch.randn_like(shown)


def ideal_tokens(shown: torch.Tensor, embeddings: torch.Tensor) -> torch.Tensor:
    """Tokens off which nothing but what they show can be read: [..., width].

    ``shown`` [..., words] is how loud each word shall be, 0 for those of what a token does not
    show, and ``embeddings`` [words, width] are the words'. The product of a token with the
    embedding of a word of loudness 1 is that of an embedding with itself, as far as there is room
    for it, and with those of the others it is as their loudness is.
    """
    # Equations are solved in float32 whatever the rest is in.
    with torch.autocast(embeddings.device.type, enabled=False):
        embeddings = embeddings.float()
        products = embeddings.square().sum(dim=1).mean()
        among = embeddings.T @ embeddings
        among.diagonal().add_(_SLACK * products)
        # Solved once for each word instead of once for each token, of which there are many more.
        of_words: torch.Tensor = torch.linalg.solve(among, products * embeddings.T).T
        return shown.float() @ of_words


def word_loss(
    tokens: torch.Tensor, embeddings: torch.Tensor, truth: torch.Tensor, of_findings: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """How far ``tokens`` [n, width] are from telling what they show as ideal ones would; and the
    share of the words shown that can be read off them.

    ``embeddings`` [words, width], ``truth`` [n, words] and ``of_findings`` [words] as of
    :class:`PatchWords`. Three parts are added up, each as a share of what a token that tells
    nothing would lose: the distance between how loud the words of organs and of the volume are and
    :func:`loudness`; what is told of findings, which counts the most; and all that is no word. A
    finding is rare and seldom sure, so how loud its words are is taken for the log odds that it is
    there, 0 to :data:`FINDING` for -6 to 6: the distance would teach to tell what is large and
    sure, and next to nothing of the rest.
    What nobody knows of a token does not count. Where that is all of them, 0 and no number (nan).
    """
    known = (truth != 0).any(dim=1)
    if not known.any():
        return tokens.sum() * 0, tokens.new_tensor(math.nan)
    # In float32 whatever the rest is in.
    with torch.autocast(tokens.device.type, enabled=False):
        return _word_loss(tokens[known].float(), embeddings.float(), truth[known], of_findings)


def _word_loss(
    tokens: torch.Tensor, embeddings: torch.Tensor, truth: torch.Tensor, of_findings: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    length = embeddings.square().sum(dim=1).mean()
    told = tokens @ embeddings.T / length
    wanted = loudness(truth)
    # Token by token, or what quiet ones have beside words would be lost beside loud ones.
    no_word = (tokens - ideal_tokens(told, embeddings)).square().sum(dim=1)
    rest = no_word / ideal_tokens(wanted, embeddings).square().sum(dim=1).clamp(min=length)
    missed = torch.where(of_findings, told.clamp(max=0), told - wanted).square()[truth != 0].sum()
    odds = _log_odds(told[:, of_findings], truth[:, of_findings])
    organs = missed / wanted[:, ~of_findings].square().sum().clamp(min=1)
    lost = rest.mean() + organs + _ODDS_COUNT * odds
    read = (told.detach() > wanted / 2)[truth > 0].float().mean()
    return lost, read


def _log_odds(told: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """How far words that only findings have are from telling how likely each finding is."""
    # Quieter than silent is no better.
    heard = torch.where(truth > 0, told, told.clamp(min=0))
    shares = (truth > 0).sum(dim=0) / (truth != 0).sum(dim=0).clamp(min=1)
    # Where a word is true of none or of all a constant would lose nothing, and any answer a bit.
    return rare_pair_loss(12 / FINDING * heard - 6, truth, shares.clamp(_RAREST, 1 - _RAREST))


def tells_words(record: Record) -> bool:
    """Whether a record tells what each patch of its volume shows."""
    return "cover" in (record.phantom or {})


def _words_of_findings(truth: dict[str, Any]) -> list[str]:
    """What a description calls each finding. The cover has the findings first, then the organs."""
    return [
        f"{finding['kind']} {name_of(finding['organ'], finding['side'])} {finding['level']}".strip()
        for finding in truth["findings"]
    ]


def _words_of_whole(truth: dict[str, Any]) -> str:
    return f"{truth['plane']} {phase_name(truth['phase'])} {truth['region']}"
