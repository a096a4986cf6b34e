"""What a model says about cases and what it looked at: texts and scores, no figures yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from med2e3.evaluation.cases import Case, Query, Truth
from med2e3.inference.batch import Asked, Written, write_together
from med2e3.model import EncodedVolume, LoadedModel, ScoredVolume

REPORT_TOKENS = 256
ANSWER_TOKENS = 48
"""Longer texts are cut; no true one of a phantom comes near."""

CONTROLS = ("blank", "shuffled", "swapped")
"""A volume of zeros; the volume with its slices in another order; another patient's volume."""

GROUP = 16
"""Volumes whose questions are answered side by side at most."""

_GROUP_BYTES = 2**30


@dataclass(frozen=True, eq=False)
class Answered:
    """What a model made of one question.

    ``scores`` (32,) are the slice scores for it, ``paraphrase_scores`` those for the same question
    in other words, ``patch_shares`` [32, rows, columns] what each patch gives to the first, kept
    where the question is about findings. ``open`` and ``closed`` are None where it was not asked
    that way. ``controls`` are closed answers by the name of the control.
    """

    query: Query
    scores: NDArray[np.float64]
    paraphrase_scores: NDArray[np.float64] | None
    open: Written | None
    closed: Written | None
    controls: dict[str, Written] = field(default_factory=dict)
    patch_shares: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model made of one case."""

    truth: Truth
    report: Written
    report_scores: NDArray[np.float64]
    answers: tuple[Answered, ...]


ScoringText = Callable[[Truth, str], str]
"""(truth of a volume, question) to the text that its slices are scored for."""


def own_text(truth: Truth, question: str) -> str:
    """The question itself, as the model is made for."""
    return question


class Reader:
    """A model that looks at volumes and is asked by text, remembering the texts' embeddings."""

    def __init__(self, model: LoadedModel) -> None:
        self.model = model
        self._embedded: dict[str, torch.Tensor] = {}

    @torch.inference_mode()
    def encode(self, volume: torch.Tensor) -> EncodedVolume:
        """Both encoders over a volume [1, slices, rows, columns], once for all questions."""
        model = self.model
        volume = volume.to(model.device, model.dtype)
        if model.scores_slices:
            tokens_2d = [model.encode_slices(slices) for slices in torch.split(volume[0], 8)]
        else:
            tokens_2d = [volume.new_zeros(0, 0, model.configuration.width)]
        return model.join(torch.cat(tokens_2d), model.encode_volume(volume))

    @torch.inference_mode()
    def score(self, encoded: EncodedVolume, text: str) -> ScoredVolume:
        """The slices scored for a text, as far as the model scores any."""
        if not self.model.scores_slices:
            return self.model.unscored(encoded)
        if text not in self._embedded:
            token_ids, _ = self.model.scoring_tokenizer(text)
            ids = torch.tensor(token_ids, device=self.model.device)
            self._embedded[text] = self.model.embed_text(ids)
        return self.model.score(encoded, self._embedded[text])


def predict(
    model: LoadedModel,
    cases: Iterable[Case],
    *,
    controlled: int = 0,
    scoring_text: ScoringText = own_text,
    seed: int = 0,
) -> Iterator[Prediction]:
    """Ask a model for the report and all questions of each case, closed and open.

    The first ``controlled`` cases are asked their closed questions under each control too.
    ``scoring_text`` chooses the texts that the slices are scored for; the prompts stay as they are.
    ``seed`` draws the orders of the shuffled slices.
    """
    reader = Reader(model)
    remaining = iter(cases)
    done = 0
    while group := list(islice(remaining, _group_size(model))):
        yield from _predict_group(
            reader, group, max(0, controlled - done), scoring_text, seed + done
        )
        done += len(group)


def _group_size(model: LoadedModel) -> int:
    """As many volumes as fit into memory with their 2D tokens, two at least for swapping them."""
    configuration = model.configuration
    side: int = configuration.vision2d["image_size"] // configuration.vision2d["patch_size"]
    tokens = configuration.vision3d.volume_size[0] * side**2
    each = tokens * configuration.width * model.dtype.itemsize
    # A volume stands there in three ways: as it is, blank, and shuffled.
    return max(2, min(GROUP, _GROUP_BYTES // (3 * each)))


def _predict_group(
    reader: Reader,
    group: Sequence[Case],
    controlled: int,
    scoring_text: ScoringText,
    seed: int,
) -> list[Prediction]:
    encoded = [reader.encode(case.volume) for case in group]
    batch = _Batch(reader)
    predictions = []
    for place, case in enumerate(group):
        other = encoded[(place + 1) % len(group)] if len(group) > 1 else None
        under = controls_of(reader, case.volume, other, seed + place) if place < controlled else {}
        text = partial(scoring_text, case.truth)
        question = case.truth.report_question
        report = reader.score(encoded[place], text(question))
        predictions.append(
            Prediction(
                truth=case.truth,
                report=batch.ask(report, question, REPORT_TOKENS),
                report_scores=_numbers(report),
                answers=tuple(
                    _answer(batch, query, text, encoded[place], under)
                    for query in case.truth.queries
                ),
            )
        )
    batch.write()
    return predictions


def _answer(
    batch: _Batch,
    query: Query,
    text: Callable[[str], str],
    encoded: EncodedVolume,
    under: dict[str, EncodedVolume],
) -> Answered:
    def score(volume: EncodedVolume, question: str) -> ScoredVolume:
        return batch.reader.score(volume, text(question))

    scored = score(encoded, query.text)
    return Answered(
        query=query,
        scores=_numbers(scored),
        paraphrase_scores=_numbers(score(encoded, query.paraphrase)) if query.paraphrase else None,
        open=batch.ask(scored, query.text, ANSWER_TOKENS) if query.answer else None,
        closed=batch.ask(scored, query.closed_text, ANSWER_TOKENS) if query.closed_text else None,
        controls={
            name: batch.ask(score(other, query.text), query.closed_text, ANSWER_TOKENS)
            for name, other in under.items()
            if query.closed_text
        },
        patch_shares=scored.patch_shares.float().cpu().numpy() if query.slices else None,
    )


def controls_of(
    reader: Reader, volume: torch.Tensor, other: EncodedVolume | None, seed: int
) -> dict[str, EncodedVolume]:
    """What a question to a volume [1, slices, rows, columns] is held against, by the name of the
    control. ``other`` is another patient's volume; ``seed`` draws the order of the slices."""
    order = torch.randperm(volume.shape[1], generator=torch.Generator().manual_seed(seed))
    found = {
        "blank": reader.encode(torch.zeros_like(volume)),
        "shuffled": reader.encode(volume[:, order]),
    }
    return found if other is None else found | {"swapped": other}


class _Batch:
    """Questions that are collected, then answered side by side."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._asked: list[Asked] = []
        self._texts: list[Written] = []

    def ask(self, scored: ScoredVolume, question: str, max_new_tokens: int) -> Written:
        """Take a question in. The text is empty until :meth:`write`."""
        self._asked.append(Asked(scored, question, max_new_tokens))
        self._texts.append(Written())
        return self._texts[-1]

    def write(self) -> None:
        written = write_together(self.reader.model, self._asked)
        for promised, text in zip(self._texts, written, strict=True):
            promised.token_ids, promised.ended, promised.text = (
                text.token_ids,
                text.ended,
                text.text,
            )


def _numbers(scored: ScoredVolume) -> NDArray[np.float64]:
    scores: NDArray[np.float64] = scored.scores.double().cpu().numpy()
    return scores
