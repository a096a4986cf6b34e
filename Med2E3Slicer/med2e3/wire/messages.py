"""The messages of protocol version 6, as dataclasses.

Every request has a class for its parameters and one for its result; ``METHODS`` joins them to the
method's name. Positions are millimetres in RAS or voxel indices in the scan's IJK; matrices are
16 numbers, row by row; times are ISO 8601 with a zone. Nothing here assumes a pipe: the same
messages can travel over HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

PROTOCOL_VERSION = 6

DRAFT_MARK = "AI draft, not reviewed. Research use only, not a medical device."
"""Stands with every text and picture of the model until a person has reviewed it."""

TrainedOn = Literal["nothing", "synthetic", "scans"]
"""What a model learned from; a model that saw both synthetic CT and scans counts as synthetic."""

MODEL_MARKS: dict[TrainedOn, str] = {
    "nothing": "Written by an untrained model: the text is nonsense.",
    "synthetic": (
        "Written by a demonstration model that learned from synthetic CT alone and knows nothing "
        "of patients."
    ),
    "scans": "",
}
"""What stands with all that a model writes, reviewed or not."""

REPORT = "report"
ANSWER = "answer"
ATTENTION = "attention"


@dataclass(frozen=True)
class Initialize:
    """The first request on a connection. Another protocol version is refused, naming both."""

    protocol_version: int
    client: str = ""


@dataclass(frozen=True)
class Initialized:
    protocol_version: int
    engine_version: str


@dataclass(frozen=True)
class LoadModel:
    """Load a checkpoint folder; without ``folder`` the model that the engine brings along.

    ``device`` is "auto", "cpu" or "cuda"; ``dtype`` "auto", "float32", "bfloat16", or "int8" or
    "int4", which are the language model's weights.
    """

    folder: str | None = None
    device: str = "auto"
    dtype: str = "auto"

    def smaller(self) -> LoadModel | None:
        """The same model where it takes less memory, None where it cannot take less.

        First half the precision; then the processor, whose memory is mostly the larger one; there
        a language model of 8 bits, then of 4.
        """
        # "auto" is half the precision on a card already, and may be none on a processor.
        if self.dtype == "float32" or (self.device == "cpu" and self.dtype == "auto"):
            return replace(self, dtype="bfloat16")
        if self.device != "cpu":
            return replace(self, device="cpu", dtype="bfloat16")
        fewer = {"bfloat16": "int8", "int8": "int4"}.get(self.dtype)
        return replace(self, dtype=fewer) if fewer else None


@dataclass(frozen=True)
class ModelLoaded:
    """The model that is now in memory.

    One that does not score slices (``scores_slices``) answers with an attention of no slices, and
    refuses ``attend``.
    """

    name: str
    sha256: str
    trained_on: TrainedOn
    description: str
    device: str
    dtype: str
    scores_slices: bool = True


@dataclass(frozen=True)
class OpenVolume:
    """Prepare and encode one scan.

    ``voxels`` is the path of a ``.npy`` file with the array in (K, J, I) order, made as
    :mod:`~med2e3.wire.exchange` tells. It stays the client's file and can be removed as soon as
    the answer is there. ``ijk_to_ras`` maps (i, j, k, 1) to millimetres, parent transforms
    included. ``modality`` is the DICOM code, empty where it is not known. ``ahead`` says that
    nobody waits for it yet: then the language model also reads what every prompt begins with.
    """

    voxels: str
    ijk_to_ras: tuple[float, ...]
    modality: str = ""
    plane: str = "axial"
    window: str = "auto"
    ahead: bool = False


@dataclass(frozen=True)
class ModelSlice:
    """One slice that the model sees, in the scan.

    ``index`` is its centre counted in slices of the scan along the chosen plane (a fraction,
    since the model's 32 slices are resampled from the scan's), ``ijk`` and ``ras`` the centre.
    """

    index: float
    ijk: tuple[float, float, float]
    ras: tuple[float, float, float]


@dataclass(frozen=True)
class VolumeOpened:
    """A scan that is encoded and can be asked about.

    ``heatmap_shape`` is (slices, rows, columns) of the grid of patches that the heatmaps use,
    and ``heatmap_to_ijk`` maps that grid's (column, row, slice, 1) to the scan's IJK.
    """

    volume_id: str
    plane: str
    window: str
    slices: tuple[ModelSlice, ...]
    heatmap_shape: tuple[int, int, int]
    heatmap_to_ijk: tuple[float, ...]
    warnings: tuple[str, ...] = ()
    timings: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Exchange:
    """An earlier turn of the conversation: what was asked, and what the model answered."""

    question: str
    answer: str


@dataclass(frozen=True)
class Generate:
    """Write a report (``kind`` "report", no question needed) or answer a question ("answer").

    ``history`` are the earlier turns that the model is to know, oldest first. The oldest ones are
    left out where they do not fit into the model's length.
    """

    volume_id: str
    kind: str = REPORT
    question: str = ""
    max_new_tokens: int | None = None
    history: tuple[Exchange, ...] = ()


@dataclass(frozen=True)
class Attend:
    """Score the slices for a text, without generating anything."""

    volume_id: str
    text: str


@dataclass(frozen=True)
class ScoredSlice:
    """A model slice with its share of the attention; the scores of an answer add up to 1."""

    index: float
    ras: tuple[float, float, float]
    score: float


@dataclass(frozen=True)
class ModelName:
    name: str
    sha256: str
    trained_on: TrainedOn

    @property
    def mark(self) -> str:
        """What stands with all that this model writes."""
        return MODEL_MARKS[self.trained_on]

    @property
    def draft_mark(self) -> str:
        """The same after the mark of a text that nobody has reviewed."""
        return f"{DRAFT_MARK} {self.mark}".rstrip()


@dataclass(frozen=True)
class Sentence:
    """A sentence of a text: the characters from ``start`` to before ``end``.

    Both count Unicode code points, as Python's ``text[start:end]`` does. ``confidence`` is the mean
    probability, 0 to 1, that the model gave to the tokens of the sentence as it wrote them: how
    sure it was of its words, not how likely they are to be true.
    """

    start: int
    end: int
    confidence: float


@dataclass(frozen=True)
class Answer:
    """A report, an answer or an attention: the object that ``med2e3 … --json`` prints.

    ``token_probabilities`` has one entry for each of ``token_ids``, 0 to 1. ``finish_reason`` is
    "stop" (the model ended its text), "length" or "cancelled"; an attention has an empty text and
    ends with "stop". ``slice_scores`` and ``slices`` are empty where the model scores none.
    ``timings`` are seconds by stage. ``history_used`` counts the newest turns of the history that
    the model was shown.
    """

    kind: str
    question: str
    text: str
    token_ids: tuple[int, ...]
    token_probabilities: tuple[float, ...]
    finish_reason: str
    slice_scores: tuple[float, ...]
    slices: tuple[ScoredSlice, ...]
    plane: str
    window: str
    timings: dict[str, float]
    model: ModelName
    warnings: tuple[str, ...] = ()
    sentences: tuple[Sentence, ...] = ()
    history_used: int = 0


@dataclass(frozen=True)
class Array:
    """Numbers of an answer: little-endian float32, C order, in base64."""

    shape: tuple[int, ...]
    data: str


@dataclass(frozen=True)
class SentenceAttention:
    """The slices scored for one sentence of a report, in the fields of :class:`Answered`."""

    slice_scores: tuple[float, ...]
    slice_logits: tuple[float, ...]
    patch_shares: Array


@dataclass(frozen=True)
class Answered:
    """An answer with the numbers behind its heatmaps, on the grid that ``VolumeOpened`` describes.

    ``patch_shares`` holds each patch's exact share of its slice's logit; the shares of a slice add
    up to its entry in ``slice_logits``, and the softmax over the logits are the scores.
    ``sentence_attention`` has one entry for each of a report's sentences; other kinds have none.
    """

    answer: Answer
    slice_logits: tuple[float, ...]
    patch_shares: Array
    sentence_attention: tuple[SentenceAttention, ...] = ()


@dataclass(frozen=True)
class Report:
    """A report as it stands with its reader, to be exported.

    ``text`` is what the document will say, ``is_edited`` whether a person changed the model's
    words. It is a draft until ``reviewer`` and ``reviewed_at`` are both there. ``written_at`` is
    when the model wrote it. ``slice_scores`` and ``patch_shares`` are those of its answer, or of
    the attention that the exported pictures are to show, on the grid that ``heatmap_to_ras`` maps
    from (column, row, slice, 1) to millimetres of the scan itself: without transforms that the
    scan was put under since it was loaded.
    """

    text: str
    written_at: str
    model: ModelName
    plane: str
    window: str
    slice_scores: tuple[float, ...]
    patch_shares: Array
    heatmap_to_ras: tuple[float, ...]
    is_edited: bool = False
    reviewer: str = ""
    reviewed_at: str = ""


@dataclass(frozen=True)
class ExportDicom:
    """Write a report as DICOM objects: narrative, key objects and heatmap.

    ``series_files`` are the paths of the DICOM files that the scan was loaded from, in any order.
    Three files appear in ``folder``, which is made if need be, or none.
    """

    report: Report
    series_files: tuple[str, ...]
    folder: str


@dataclass(frozen=True)
class ExportPdf:
    """Write a report as a PDF with pictures of its best slices.

    ``volume`` is what ``open_volume`` was sent, or would be: the pictures are made from its voxels,
    and no model has to be loaded. ``title`` stands above the text, as the scan's name would.
    """

    report: Report
    volume: OpenVolume
    file: str
    title: str = ""


@dataclass(frozen=True)
class Exported:
    """The files that were written."""

    files: tuple[str, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class DescribeMachine:
    """Ask what the engine runs on. Nothing is loaded, and no network is asked."""


@dataclass(frozen=True)
class Device:
    """Where a model can run: ``kind`` is "cpu" or "cuda", memory is in bytes."""

    name: str
    kind: str
    memory_total: int
    memory_free: int


@dataclass(frozen=True)
class Machine:
    """What the engine runs on. A package that is not installed has the version null."""

    python: str
    interpreter: str
    system: str
    cpu_count: int
    devices: tuple[Device, ...]
    packages: dict[str, str | None]


@dataclass(frozen=True)
class CloseVolume:
    volume_id: str


@dataclass(frozen=True)
class Cancel:
    """Stop a request that runs or waits. Its own answer is then the error ``CANCELLED``, or, for
    text that had begun, an answer whose ``finish_reason`` is "cancelled"."""

    request_id: int


@dataclass(frozen=True)
class Cancelling:
    """Whether there was such a request to stop."""

    found: bool


@dataclass(frozen=True)
class Ping:
    """Ask whether the worker is there. It answers at once, whatever else it works at."""


@dataclass(frozen=True)
class Shutdown:
    pass


@dataclass(frozen=True)
class Done:
    pass


@dataclass(frozen=True)
class Progress:
    """Notification: how far a request is. ``stage`` is "load", "send" (bytes, to a server),
    "prepare", "encode" (slices) or "prefill"."""

    request_id: int
    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class Token:
    """Notification: the next piece of a text. The pieces of a request join to its text."""

    request_id: int
    token_id: int
    text: str


METHODS: dict[str, tuple[type[Any], type[Any]]] = {
    "initialize": (Initialize, Initialized),
    "load_model": (LoadModel, ModelLoaded),
    "open_volume": (OpenVolume, VolumeOpened),
    "generate": (Generate, Answered),
    "attend": (Attend, Answered),
    "export_dicom": (ExportDicom, Exported),
    "export_pdf": (ExportPdf, Exported),
    "describe_machine": (DescribeMachine, Machine),
    "close_volume": (CloseVolume, Done),
    "cancel": (Cancel, Cancelling),
    "ping": (Ping, Done),
    "shutdown": (Shutdown, Done),
}

NOTIFICATIONS: dict[str, type[Any]] = {"progress": Progress, "token": Token}
