"""A volume session: one volume, encoded once, asked any number of questions."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from med2e3.attention import Attention
from med2e3.errors import Cancelled, InputError
from med2e3.inference.beginning import Beginning, take_over
from med2e3.inference.cache import RoomyCache
from med2e3.inference.generation import GrowingText, OnToken, greedy_logits
from med2e3.inference.interruption import StopSignal, stoppable
from med2e3.inference.offloading import encoders_at_hand
from med2e3.model import EncodedVolume, LoadedModel, ScoredVolume
from med2e3.model.prompt import PastTurn, Prompt

ROOM_FOR_ANSWER = 64
"""Tokens that a long question and what was said before it must leave for the answer."""

EncodeProgress = Callable[[int, int], None]
"""Told (slices done, slices of all)."""


@dataclass(frozen=True)
class Generation:
    """A text, and what the model looked at for it.

    ``token_ids`` are the text's tokens without the end token, ``token_probabilities`` (0 to 1) what
    the model gave to each, ``token_spans`` the characters [start, end) of the text that each made.
    ``finish_reason`` is "stop" (the model ended the text), "length" (no room for more) or
    "cancelled". ``timings`` are seconds for score, prefill and decode; ``warnings`` sentences for
    the user; ``history_used`` counts the newest earlier turns that the prompt held.
    """

    attention: Attention
    text: str
    token_ids: list[int]
    token_probabilities: list[float]
    token_spans: list[tuple[int, int]]
    finish_reason: str
    timings: dict[str, float]
    history_used: int = 0
    warnings: list[str] = field(default_factory=list)


class VolumeSession:
    """A prepared volume [1, slices, rows, columns] in [0, 1] and what a model makes of it.

    ``beginning`` is what the language model has read of every prompt about the volume, None until
    the first question, and again once another volume of the same model was asked about.
    """

    def __init__(self, model: LoadedModel, volume: torch.Tensor) -> None:
        self.model = model
        self.beginning: Beginning | None = None
        self._volume = volume
        self._encoded: EncodedVolume | None = None

    @torch.inference_mode()
    def encode(
        self, progress: EncodeProgress | None = None, stop: StopSignal | None = None
    ) -> EncodedVolume:
        """Run both encoders, once; later calls return the same. Raises Cancelled after ``stop``."""
        if self._encoded is None:
            with encoders_at_hand(self.model), stoppable(self.model, stop):
                self._encoded = self._encode(progress or (lambda done, total: None))
        return self._encoded

    @torch.inference_mode()
    def read_ahead(self, stop: StopSignal | None = None) -> None:
        """Let the language model read what all prompts about the volume begin with, before there is
        a question. Raises Cancelled after ``stop``."""
        if self.beginning is not None:
            return
        tokens_3d = self.encode(stop=stop).tokens_3d
        before = self.model.prompt_tokenizer.prompt("").before
        ids = torch.tensor(before, dtype=torch.long, device=self.model.device)
        shared = self.model.embed_prompt(ids, tokens_3d, ids[:0])
        with stoppable(self.model, stop):
            cache = self._drop_others()
            next(greedy_logits(self.model.llm, shared, cache))
        self._keep_beginning(Beginning(shared, cache))

    @torch.inference_mode()
    def attend(self, text: str, stop: StopSignal | None = None) -> Attention:
        """Score the slices for a text. Tokens beyond the text encoder's 512 are not read.

        Raises InputError for a model that scores no slices.
        """
        if not self.model.scores_slices:
            raise InputError(
                f"{self.model.identity.name} reads a scan as a whole and scores no slices "
                f"({self.model.configuration.family} has no 2D path); choose a Med-2E3 model."
            )
        with stoppable(self.model, stop):
            return _attention(self._score(text)[0])

    @torch.inference_mode()
    def generate(
        self,
        question: str,
        *,
        scoring_text: str | None = None,
        history: Sequence[PastTurn] = (),
        max_new_tokens: int | None = None,
        on_token: OnToken | None = None,
        stop: StopSignal | None = None,
    ) -> Generation:
        """Answer a question, greedily: the same volume, question and history give the same text.

        Prompt and answer share the model's length limit (768 tokens, 512 of them the image).
        The slices are scored for ``scoring_text`` (the question, where there is none), whatever was
        said before. ``stop`` ends the
        text between two tokens and keeps what there is; before the first token it raises Cancelled.
        """
        limit = self.model.configuration.max_length
        started = time.perf_counter()
        with stoppable(self.model, stop):
            scored, scoring_cut = self._score(scoring_text or question)
            scored_at = time.perf_counter()
            prompt, room = fit_prompt(
                self.model, question, len(scored.tokens), max_new_tokens, history
            )
            embedded = self.embed(prompt, scored)
            shared = embedded[: len(prompt.before) + len(self.encode().tokens_3d)]
            known = self.beginning if self.beginning and self.beginning.is_of(shared) else None
            writing = _Writing(self.model, min(max_new_tokens or room, room), on_token)
            cache = known.again() if known else self._drop_others()
            finish_reason = writing.run(
                embedded[known.length if known else 0 :],
                cache,
                lambda: self._keep_beginning(known or Beginning(shared.clone(), cache)),
            )
        text = writing.text
        return Generation(
            attention=_attention(scored),
            text=text.text,
            token_ids=text.token_ids,
            token_probabilities=writing.probabilities,
            token_spans=text.spans,
            finish_reason=finish_reason,
            timings={
                "score": scored_at - started,
                "prefill": writing.first_token_at - scored_at,
                "decode": time.perf_counter() - writing.first_token_at,
            },
            history_used=prompt.history_used,
            warnings=[
                *_history_warnings(self.model, len(history), prompt.history_used),
                *_length_warnings(
                    scoring_cut, prompt.question_tokens_cut, max_new_tokens, room, limit
                ),
            ],
        )

    def embed(self, prompt: Prompt, scored: ScoredVolume) -> torch.Tensor:
        """A prompt with the scored volume in its place: [length, width]."""
        before, after = (
            torch.tensor(ids, dtype=torch.long, device=self.model.device)
            for ids in (prompt.before, prompt.after)
        )
        return self.model.embed_prompt(before, scored.tokens, after)

    def _drop_others(self) -> RoomyCache:
        """A new cache, in the place of that of the volume which was asked about before."""
        take_over(self)
        self.beginning = None
        return RoomyCache(self.model.configuration.max_length)

    def _keep_beginning(self, beginning: Beginning) -> None:
        self.beginning = beginning
        take_over(self)

    def _score(self, text: str) -> tuple[ScoredVolume, int]:
        """The volume as a text scores it, and how many of the text's tokens were not read."""
        encoded = self.encode()
        if not self.model.scores_slices:
            return self.model.unscored(encoded), 0
        token_ids, cut = self.model.scoring_tokenizer(text)
        ids = torch.tensor(token_ids, device=self.model.device)
        scored = self.model.score(encoded, self.model.embed_text(ids))
        if not bool(scored.logits.isfinite().all()):
            raise _no_numbers(self.model)
        return scored, cut

    def _encode(self, progress: EncodeProgress) -> EncodedVolume:
        model = self.model
        volume = self._volume.to(model.device, model.dtype)
        slices = volume[0] if model.scores_slices else volume[0, :0]
        step = _slices_at_once(model)
        tokens_2d = []
        progress(0, len(slices))
        for first in range(0, len(slices), step):
            tokens_2d.append(model.encode_slices(slices[first : first + step]))
            progress(min(first + step, len(slices)), len(slices))
        none = volume.new_zeros(0, 0, model.configuration.width)
        return model.join(torch.cat(tokens_2d or [none]), model.encode_volume(volume))


def _slices_at_once(model: LoadedModel) -> int:
    """How many slices go through the 2D encoder together: up to 8. On a CPU one of a large encoder
    fills every core, and small steps let a cancel through."""
    if model.device.type != "cpu" or not model.scores_slices:
        return _MOST_SLICES_AT_ONCE
    _depth, rows, columns = model.configuration.vision3d.grid
    numbers = rows * columns * model.configuration.vision2d["hidden_size"]
    return int(max(1, min(_MOST_SLICES_AT_ONCE, _FILLS_A_PROCESSOR // numbers)))


_MOST_SLICES_AT_ONCE = 8
_FILLS_A_PROCESSOR = 2**18
"""Numbers between two blocks of an encoder: those of one slice at the released size."""


class _Writing:
    """A text that is being written, how likely each token was, and when the first came."""

    def __init__(self, model: LoadedModel, max_new_tokens: int, on_token: OnToken | None) -> None:
        self._model = model
        self._max_new_tokens = max_new_tokens
        self._on_token = on_token or (lambda piece, token_id: None)
        self.text = GrowingText(model.prompt_tokenizer)
        self.probabilities: list[float] = []
        self.first_token_at = time.perf_counter()

    def run(self, prompt: torch.Tensor, cache: RoomyCache, on_read: Callable[[], None]) -> str:
        """Write until the end token, the length limit or a stop; returns the finish reason.

        ``prompt`` is what comes behind that which the ``cache`` holds; ``on_read`` is called once
        it is read."""
        ends = end_tokens(self._model)
        words = len(self._model.prompt_tokenizer)
        finish_reason = "length"
        try:
            for logits in greedy_logits(self._model.llm, prompt, cache):
                # Rows beyond the tokenizer pad the matrix and are no words.
                logits = logits[:words]
                token_id = int(logits.argmax())
                probability = float(logits.softmax(-1, dtype=torch.float32)[token_id])
                if not math.isfinite(probability):
                    raise _no_numbers(self._model)
                if not self.text.token_ids:
                    self.first_token_at = time.perf_counter()
                    on_read()
                if token_id in ends:
                    finish_reason = "stop"
                    break
                self.probabilities.append(probability)
                self._tell(self.text.add(token_id))
                if len(self.text.token_ids) >= self._max_new_tokens:
                    break
        except Cancelled:
            if not self.text.token_ids:
                raise
            finish_reason = "cancelled"
        self._tell(self.text.rest())
        return finish_reason

    def _tell(self, piece: str) -> None:
        if piece:
            self._on_token(piece, self.text.token_ids[-1])


def fit_prompt(
    model: LoadedModel,
    question: str,
    image_tokens: int,
    max_new_tokens: int | None,
    history: Sequence[PastTurn] = (),
) -> tuple[Prompt, int]:
    """The prompt for a question, and how many tokens the model's limit leaves for the answer."""
    room = model.configuration.max_length - image_tokens
    reserved = min(max_new_tokens or ROOM_FOR_ANSWER, ROOM_FOR_ANSWER)
    prompt = model.prompt_tokenizer.prompt(question, room - reserved, history)
    return prompt, room - len(prompt.before) - len(prompt.after)


def end_tokens(model: LoadedModel) -> set[int]:
    """The tokens that end a text: the tokenizer's, and those that the language model names."""
    stored = model.configuration.llm.get("eos_token_id")
    listed = stored if isinstance(stored, list) else [stored]
    return {model.prompt_tokenizer.end_token, *(token for token in listed if token is not None)}


def _no_numbers(model: LoadedModel) -> InputError:
    return InputError(
        f"The model {model.identity.name} does not compute numbers: its weights are damaged, or "
        f"too large for {model.precision}; examine its folder with "
        "`med2e3 model check`, or choose the precision float32."
    )


def _attention(scored: ScoredVolume) -> Attention:
    return Attention(
        logits=scored.logits.cpu().numpy(),
        scores=scored.scores.cpu().numpy(),
        patch_shares=scored.patch_shares.cpu().numpy(),
    )


def _history_warnings(model: LoadedModel, turns: int, used: int) -> list[str]:
    if used == turns:
        return []
    if not model.prompt_tokenizer.knows_history:
        family = model.configuration.family
        return [f"{family} answers each question by itself; it was not shown the earlier turns."]
    limit = model.configuration.max_length
    shown = f"only the last {used} of the {turns} earlier turns" if used else "no earlier turn"
    return [f"The model's {limit} tokens have room for {shown}; it was not shown the older ones."]


def _length_warnings(
    scoring_cut: int, question_cut: int, max_new_tokens: int | None, room: int, limit: int
) -> list[str]:
    warnings = []
    if scoring_cut:
        warnings.append(
            f"The question was cut for scoring the slices: its last {scoring_cut} word pieces were "
            "not read there; ask a shorter question."
        )
    if question_cut:
        warnings.append(
            f"The question was cut: its last {question_cut} tokens do not fit into the model's "
            f"{limit}; ask a shorter question."
        )
    if max_new_tokens is not None and max_new_tokens > room:
        warnings.append(
            f"The model's {limit} tokens leave room for {room} new ones after this prompt, so "
            f"{max_new_tokens} were not possible."
        )
    return warnings
