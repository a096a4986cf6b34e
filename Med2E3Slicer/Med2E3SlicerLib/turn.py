"""A turn of the conversation about a scan: the report, or a question with its answer."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from datetime import datetime

from slicer.i18n import tr as _

from med2e3.wire import messages

from .attention import Attention, attentionOf

REPORT = messages.REPORT
ANSWER = messages.ANSWER

STOPPED = "cancelled"
CUT = "length"

DRAFT = "draft"
REVIEWED = "reviewed"

_LONGEST_IN_CAPTION = 90


@dataclass(frozen=True)
class Request:
    """What the reader wants: a report, or the answer to a question.

    An answer ``isContinued`` from the earlier ones unless it begins a conversation. ``formerId``
    names the node of an answer that the new one shall take the place of.
    """

    kind: str
    question: str = ""
    isContinued: bool = True
    formerId: str = ""


@dataclass(frozen=True, eq=False)
class Sentence:
    """Characters ``start`` to ``end`` (exclusive) of a turn's text, as Python counts them.

    ``confidence`` (0 to 1) is the mean probability that the model gave to the tokens it took.
    ``attention`` is where the model looked for this sentence; None where nobody asked for it.
    """

    start: int
    end: int
    confidence: float
    attention: Attention | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Turn(Attention):
    """What was asked, what the model wrote, and where it looked.

    ``finishReason`` is "stop", "length" or "cancelled". ``historyUsed`` counts the earlier turns
    that the model was told, ``historyLeftOut`` those that no longer fitted. ``isContinued`` is
    false for the first turn of a conversation. ``writtenAt`` is a time in ISO 8601, ``scan`` what
    the scan was when the model saw it (:func:`scene.freshness.identityOf`).

    A reader may have edited a report: ``editedText`` is None as long as it is the model's own.
    ``reviewer`` and ``reviewedAt`` (ISO 8601) are empty until somebody has reviewed it.
    ``nodeId`` names the node that keeps the turn in the scene, empty where none does yet.
    """

    kind: str
    question: str
    text: str
    finishReason: str
    plane: str
    window: str
    writtenAt: str
    scan: dict
    modelName: str
    modelSha256: str
    modelTrainedOn: str
    warnings: tuple[str, ...] = ()
    sentences: tuple[Sentence, ...] = ()
    historyUsed: int = 0
    historyLeftOut: int = 0
    isContinued: bool = True
    editedText: str | None = None
    reviewer: str = ""
    reviewedAt: str = ""
    nodeId: str = ""

    @property
    def state(self):
        return REVIEWED if self.reviewedAt else DRAFT

    @property
    def isEdited(self):
        return self.editedText is not None

    @property
    def presentText(self):
        """The text as the reader left it."""
        return self.text if self.editedText is None else self.editedText

    def sentenceText(self, number):
        sentence = self.sentences[number]
        return self.text[sentence.start : sentence.end].strip()

    @property
    def caption(self):
        """What the attention of the whole turn is about, for the reader."""
        if self.kind == REPORT:
            return _("Looked at for the report")
        return _("Looked at for: {question}").format(question=_onOneLine(self.question))

    def sentenceCaption(self, number):
        """What the attention of one sentence is about."""
        return _("Looked at for the sentence: {sentence}").format(
            sentence=_onOneLine(self.sentenceText(number))
        )


def _onOneLine(text):
    # A model may write without an end; a caption has room for two lines.
    return textwrap.shorten(text, _LONGEST_IN_CAPTION, placeholder="…")


def now():
    """The present time in ISO 8601, with its zone."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def historyOf(turns, request):
    """What the model is to know of the conversation: the answers before a request, oldest first,
    since the conversation began. Those that were stopped, or are about another scan by now, are
    left out."""
    if request.kind != ANSWER:
        return ()
    history = []
    for turn in turns:
        if turn.kind != ANSWER:
            continue
        if turn.nodeId == request.formerId:
            isContinued = turn.isContinued
            break
        if not turn.isContinued:
            history.clear()
        if turn.finishReason != STOPPED and not turn.isStale:
            history.append(messages.Exchange(turn.question, turn.text))
    else:
        isContinued = request.isContinued
    return tuple(history) if isContinued else ()


def turnOf(answered, opened, scan, historySent):
    """The turn that two messages of the worker tell: Answered and VolumeOpened."""
    answer = answered.answer
    attention = attentionOf(answer.slice_scores, answered.patch_shares, opened)
    return Turn(
        slices=attention.slices,
        patchShares=attention.patchShares,
        heatmapToIjk=attention.heatmapToIjk,
        kind=answer.kind,
        question=answer.question if answer.kind == ANSWER else "",
        text=answer.text,
        finishReason=answer.finish_reason,
        plane=answer.plane,
        window=answer.window,
        writtenAt=now(),
        scan=scan,
        modelName=answer.model.name,
        modelSha256=answer.model.sha256,
        modelTrainedOn=answer.model.trained_on,
        warnings=answer.warnings,
        sentences=_sentencesOf(answered, opened),
        historyUsed=answer.history_used,
        historyLeftOut=historySent - answer.history_used,
    )


def _sentencesOf(answered, opened):
    sentences = answered.answer.sentences
    # The worker looks for the sentences of a report alone.
    attentions = [
        attentionOf(evidence.slice_scores, evidence.patch_shares, opened)
        for evidence in answered.sentence_attention
    ] or [None] * len(sentences)
    return tuple(
        Sentence(sentence.start, sentence.end, sentence.confidence, attention)
        for sentence, attention in zip(sentences, attentions, strict=True)
    )
