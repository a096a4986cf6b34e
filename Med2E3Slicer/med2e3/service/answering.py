"""The story of a request: scan → model volume → encoded session → answer.

The command line, the worker and the server all tell it with these functions, so the same scan and
question give the same text and the same scores on either way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from med2e3.attention import Attention, confidences, split_sentences
from med2e3.attention.arrays import array_message, array_of
from med2e3.errors import InputError
from med2e3.inference import Generation, VolumeSession
from med2e3.model.prompt import REPORT_QUESTION, without_choices
from med2e3.service.engine import Call
from med2e3.volume import PreparedVolume, Scan, prepare
from med2e3.wire.messages import (
    ANSWER,
    ATTENTION,
    REPORT,
    Answer,
    Answered,
    Exchange,
    Generate,
    ModelLoaded,
    ModelName,
    ModelSlice,
    Report,
    ScoredSlice,
    Sentence,
    SentenceAttention,
    VolumeOpened,
)

if TYPE_CHECKING:
    from med2e3.inference import StopSignal
    from med2e3.model import LoadedModel

MAX_SENTENCES = 128
"""Sentences with an attention of their own. Each takes 45 KB on the wire, and a model that has lost
its way can write a great many; what is too much joins the last."""

StageProgress = Callable[[str, int, int], None]
"""Told (stage, done, total) as a request goes on."""


@dataclass(frozen=True)
class OpenScan:
    """A scan that is prepared and encoded, ready for any number of questions."""

    prepared: PreparedVolume
    session: VolumeSession
    warnings: tuple[str, ...]
    timings: dict[str, float] = field(default_factory=dict)

    def slices(self) -> tuple[ModelSlice, ...]:
        """Where each model slice lies in the scan."""
        geometry = self.prepared.geometry
        return tuple(
            ModelSlice(
                index=float(geometry.slice_index(number)),
                ijk=_point(geometry.slice_center_ijk(number)),
                ras=_point(geometry.slice_center_ras(number)),
            )
            for number in range(geometry.size[0])
        )


def open_scan(
    model: LoadedModel,
    scan: Scan,
    plane: str,
    window: str,
    *,
    progress: StageProgress | None = None,
    stop: StopSignal | None = None,
) -> OpenScan:
    """Prepare a scan as the model wants it and encode it, once for all questions.

    Raises :class:`~med2e3.errors.InputError` for a scan that cannot be used and
    :class:`~med2e3.errors.Cancelled` once ``stop`` is set.
    """
    progress = progress or _quiet
    progress("prepare", 0, 1)
    started = time.perf_counter()
    prepared = prepare(
        scan, plane=plane, window=window, size=model.configuration.vision3d.volume_size
    )
    seconds = time.perf_counter() - started
    progress("prepare", 1, 1)
    return open_prepared(
        model,
        prepared,
        (*scan.warnings, *prepared.warnings),
        {"preprocess": seconds},
        progress=progress,
        stop=stop,
    )


def open_prepared(
    model: LoadedModel,
    prepared: PreparedVolume,
    warnings: Sequence[str],
    timings: Mapping[str, float],
    *,
    progress: StageProgress | None = None,
    stop: StopSignal | None = None,
) -> OpenScan:
    """The rest of :func:`open_scan`, for a scan that was prepared elsewhere.

    ``warnings`` are about the scan and how it was prepared, ``timings`` of the steps until then.
    """
    progress = progress or _quiet
    started = time.perf_counter()
    session = VolumeSession(model, prepared.volume)
    session.encode(progress=lambda done, total: progress("encode", done, total), stop=stop)
    seconds = time.perf_counter() - started
    return OpenScan(prepared, session, tuple(warnings), {**timings, "encode": seconds})


def generate(
    opened: OpenScan,
    kind: str = REPORT,
    question: str = "",
    max_new_tokens: int | None = None,
    *,
    history: Sequence[Exchange] = (),
    on_token: Callable[[str, int], None] | None = None,
    stop: StopSignal | None = None,
) -> Answered:
    """Write a report, or answer a question, about an open scan.

    ``history`` is what was said before, oldest first. ``on_token`` is told each piece of text and
    its token as they come. A generation that ``stop`` ends keeps what was written, with the finish
    reason "cancelled". A report's sentences are each scored as a text of their own.
    """
    if kind not in (REPORT, ANSWER):
        raise InputError(f"There is no request of the kind {kind!r}; there are report and answer.")
    if kind == ANSWER and not question.strip():
        raise InputError("The question is empty; write what you want to know about the scan.")
    if max_new_tokens is not None and max_new_tokens < 1:
        raise InputError(f"At least 1 new token must be allowed, not {max_new_tokens}.")
    text = question if question.strip() else REPORT_QUESTION
    generation = opened.session.generate(
        text,
        scoring_text=without_choices(text),
        history=[(turn.question, turn.answer) for turn in history],
        max_new_tokens=max_new_tokens,
        on_token=on_token,
        stop=stop,
    )
    sentences = _sentences(generation)
    started = time.perf_counter()
    scores_slices = opened.session.model.scores_slices
    evidence = (
        _evidence(opened, generation.text, sentences) if kind == REPORT and scores_slices else ()
    )
    timings = {**generation.timings, "evidence": time.perf_counter() - started}
    return _answered(
        opened,
        generation.attention,
        kind=kind,
        question=text,
        text=generation.text,
        token_ids=tuple(generation.token_ids),
        token_probabilities=tuple(generation.token_probabilities),
        finish_reason=generation.finish_reason,
        timings=timings,
        warnings=tuple(generation.warnings),
        sentences=sentences,
        history_used=generation.history_used,
        sentence_attention=evidence,
    )


def generate_for(opened: OpenScan, params: Generate, call: Call) -> Answered:
    """Answer the wire's ``generate`` about an open scan."""
    call.progress("prefill", 0, 1)
    return generate(
        opened,
        params.kind,
        params.question,
        params.max_new_tokens,
        history=params.history,
        on_token=call.token,
        stop=call.stop,
    )


def attend(opened: OpenScan, text: str, *, stop: StopSignal | None = None) -> Answered:
    """Score the slices of an open scan for a text, and write nothing."""
    if not text.strip():
        raise InputError("The text to score the slices for is empty.")
    started = time.perf_counter()
    attention = opened.session.attend(text, stop)
    return _answered(
        opened,
        attention,
        kind=ATTENTION,
        question=text,
        text="",
        token_ids=(),
        token_probabilities=(),
        finish_reason="stop",
        timings={"score": time.perf_counter() - started},
        warnings=(),
    )


def model_loaded(model: LoadedModel) -> ModelLoaded:
    """What a client is told of the model that will answer it."""
    identity = model.identity
    return ModelLoaded(
        name=identity.name,
        sha256=identity.sha256,
        trained_on=identity.trained_on,
        description=identity.description,
        device=str(model.device),
        dtype=str(model.precision),
        scores_slices=model.scores_slices,
    )


def volume_opened(opened: OpenScan, volume_id: str) -> VolumeOpened:
    """What a client is told of a scan that is open under an id."""
    geometry = opened.prepared.geometry
    return VolumeOpened(
        volume_id=volume_id,
        plane=geometry.plane,
        window=opened.prepared.window.name,
        slices=opened.slices(),
        heatmap_shape=geometry.overlay_size,
        heatmap_to_ijk=_floats(geometry.overlay_to_ijk.ravel()),
        warnings=opened.warnings,
        timings=opened.timings,
    )


def report_of(prepared: PreparedVolume, answered: Answered) -> Report:
    """A report that was just written, as it can be exported: a draft that nobody has edited."""
    answer = answered.answer
    to_ras = prepared.geometry.overlay_to_ras
    return Report(
        text=answer.text,
        written_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        model=answer.model,
        plane=answer.plane,
        window=answer.window,
        slice_scores=answer.slice_scores,
        patch_shares=answered.patch_shares,
        heatmap_to_ras=_floats(to_ras.ravel()),
    )


def attention_of(answered: Answered) -> Attention:
    """The numbers behind an answer's heatmaps, as arrays."""
    return Attention(
        logits=np.asarray(answered.slice_logits),
        scores=np.asarray(answered.answer.slice_scores),
        patch_shares=array_of(answered.patch_shares),
    )


def _answered(
    opened: OpenScan,
    attention: Attention,
    *,
    timings: dict[str, float],
    warnings: tuple[str, ...],
    sentence_attention: tuple[SentenceAttention, ...] = (),
    **answer: Any,
) -> Answered:
    scores = _floats(attention.scores)
    identity = opened.session.model.identity
    return Answered(
        answer=Answer(
            slice_scores=scores,
            slices=tuple(
                ScoredSlice(index=place.index, ras=place.ras, score=score)
                for place, score in zip(opened.slices() if scores else (), scores, strict=True)
            ),
            plane=opened.prepared.geometry.plane,
            window=opened.prepared.window.name,
            timings={**opened.timings, **timings},
            model=ModelName(identity.name, identity.sha256, identity.trained_on),
            warnings=(*opened.warnings, *warnings),
            **answer,
        ),
        slice_logits=_floats(attention.logits),
        patch_shares=array_message(attention.patch_shares),
        sentence_attention=sentence_attention,
    )


def _sentences(generation: Generation) -> tuple[Sentence, ...]:
    spans = split_sentences(generation.text)
    if len(spans) > MAX_SENTENCES:
        spans = (*spans[: MAX_SENTENCES - 1], (spans[MAX_SENTENCES - 1][0], spans[-1][1]))
    sure = confidences(spans, generation.token_spans, generation.token_probabilities)
    return tuple(
        Sentence(start, end, confidence)
        for (start, end), confidence in zip(spans, sure, strict=True)
    )


def _evidence(
    opened: OpenScan, text: str, sentences: tuple[Sentence, ...]
) -> tuple[SentenceAttention, ...]:
    # A report that was cancelled has its evidence too: the stop signal that ended it is not asked.
    evidence = []
    for sentence in sentences:
        attention = opened.session.attend(text[sentence.start : sentence.end])
        evidence.append(
            SentenceAttention(
                slice_scores=_floats(attention.scores),
                slice_logits=_floats(attention.logits),
                patch_shares=array_message(attention.patch_shares),
            )
        )
    return tuple(evidence)


def _floats(values: NDArray[np.floating[Any]]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _point(values: Any) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third


def _quiet(stage: str, done: int, total: int) -> None:
    """The listener of those who do not want to be told."""
