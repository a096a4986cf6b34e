"""The slices and patches that an answer depends on, where the records tell, and a loss that holds
the scores against them.

The released recipe has none of this: there the scores are learned from answers alone, by encoders
and a text encoder that millions of pictures with their texts have taught before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from med2e3.attention import split_sentences
from med2e3.phantoms.claims import findings_in
from med2e3.phantoms.cover import SEEN, Cover, most_covered
from med2e3.training.records import Record


def evidence_of(record: Record, slices: int) -> NDArray[np.bool_]:
    """[things, slices]: true on the slices of each thing, such as a finding, that the answer
    depends on. No things where it depends on the whole volume, or where nobody knows."""
    truth = record.phantom or {}
    shown = [truth["findings"][number]["slices"] for number in _findings_of(record)]
    if not shown and truth.get("asked") != "report":
        shown = [truth.get("slices", [])]
    things = [numbers for numbers in shown if 0 < len(numbers) < slices]
    masks = np.zeros((len(things), slices), dtype=bool)
    for mask, numbers in zip(masks, things, strict=True):
        mask[numbers] = True
    return masks


def patch_evidence_of(
    record: Record, cover: Cover | None, grid: tuple[int, int, int]
) -> NDArray[np.bool_]:
    """[findings, patches of the ``grid`` (slices, rows, columns)]: true on the patches that show
    each finding that the answer depends on. No findings where it depends on none, or where nobody
    knows what covers the patches. Organs fill so many patches that slices tell enough of them."""
    numbers = _findings_of(record)
    if cover is None or not numbers:
        return np.zeros((0, math.prod(grid)), dtype=bool)
    masks: NDArray[np.bool_] = most_covered(cover[numbers], grid).reshape(len(numbers), -1) >= SEEN
    return masks[masks.any(axis=1)]


def _findings_of(record: Record) -> list[int]:
    """The numbers of the findings that an answer depends on: all of them for a report."""
    truth = record.phantom or {}
    if truth.get("asked") == "report":
        return list(range(len(truth["findings"])))
    return list(truth.get("depends_on", ()))


@dataclass(frozen=True)
class ToldFinding:
    """A sentence of a report, from character ``start`` to ``end``, that tells the findings of the
    numbers ``findings``."""

    start: int
    end: int
    findings: tuple[int, ...]


def told_findings(record: Record) -> list[ToldFinding]:
    """The sentences of a phantom's report that tell findings. None of other records."""
    truth = record.phantom or {}
    if truth.get("asked") != "report":
        return []
    told = []
    for start, end in split_sentences(record.answer):
        claims = findings_in(record.answer[start:end], truth["region"])
        numbers = tuple(
            number
            for number, finding in enumerate(truth["findings"])
            if (finding["kind"], finding["organ"], finding["side"]) in claims
        )
        if numbers:
            told.append(ToldFinding(start, end, numbers))
    return told


def told_sentences(record: Record) -> list[Record]:
    """The sentences of a report that tell findings, each as a question about their slices, for a
    reader asks for the slices of a sentence too."""
    sentences = []
    for told in told_findings(record):
        sentence = record.answer[told.start : told.end]
        about = (record.phantom or {}) | {"asked": "sentence", "depends_on": list(told.findings)}
        sentences.append(replace(record, asked=sentence, question=sentence, phantom=about))
    return sentences


def even_scores(masks: torch.Tensor) -> torch.Tensor:
    """[n, slices]: the scores that share out evenly among the things of ``masks``
    [n, most things, slices], and each thing's among its slices; all alike where there is none."""
    each = masks.float()
    each = each / each.sum(dim=2, keepdim=True).clamp(min=1)
    sums = each.sum(dim=1)
    counts = masks.any(dim=2).sum(dim=1, keepdim=True)
    even = torch.full_like(sums, 1 / masks.shape[2])
    return torch.where(counts > 0, sums / counts.clamp(min=1), even)


def evidence_loss(logits: torch.Tensor, masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of ``logits`` [n, places], of slices or of patches, and ``masks`` [n, most things, places],
    false throughout where an answer has fewer things: minus the logarithm of the score that falls
    on the places of a thing, the mean over an answer's things and then over the answers that have
    one; and the share of these whose highest score lies on one of their places. Where no answer
    has any, 0 and no number (nan).

    So one slice of a finding is enough, and several findings share the score evenly.
    """
    known = masks.any(dim=2)
    of_thing = logits.float().log_softmax(dim=1)[:, None].masked_fill(~masks, -torch.inf)
    lost = -of_thing.masked_fill(~known[:, :, None], 0).logsumexp(dim=2)
    count = known.sum(dim=1)
    has = count > 0
    if not has.any():
        return logits.sum() * 0, logits.new_tensor(math.nan)
    loss = ((lost * known).sum(dim=1)[has] / count[has]).mean()
    best = logits.detach().argmax(dim=1)
    hits = masks.any(dim=1).gather(1, best[:, None])[:, 0][has]
    return loss, hits.float().mean()
