"""Many texts at a time, for evaluation: the same texts as one by one, in a fraction of the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from med2e3.inference.session import end_tokens, fit_prompt
from med2e3.model import LoadedModel, ScoredVolume

CACHE_BYTES = 2**30
"""How much the language model may keep of all texts that are written side by side."""


@dataclass(frozen=True, eq=False)
class Asked:
    """A question to a scored volume.

    The volume may have been scored for another text: as in M3D, the choices of a closed question
    stand in the prompt and do not score.
    """

    scored: ScoredVolume
    question: str
    max_new_tokens: int | None = None


@dataclass
class Written:
    """A text of the model. ``ended`` is false where a length limit cut it."""

    token_ids: list[int] = field(default_factory=list)
    ended: bool = False
    text: str = ""


@torch.inference_mode()
def write_together(model: LoadedModel, asked: Sequence[Asked]) -> list[Written]:
    """Answer questions about any volumes greedily, side by side.

    The texts are those of :meth:`~med2e3.inference.VolumeSession.generate`. As many are written at
    a time as :data:`CACHE_BYTES` allow.
    """
    plans = [_Plan.of(model, one) for one in asked]
    texts: list[Written] = []
    while len(texts) < len(plans):
        first = len(texts)
        longest = max(plan.length for plan in plans[first:])
        count = max(1, CACHE_BYTES // (longest * _cache_bytes_of_token(model)))
        texts += _write(model, plans[first : first + count])
    return texts


def _write(model: LoadedModel, plans: Sequence[_Plan]) -> list[Written]:
    """All texts at once; a row leaves the batch with its last token."""
    ends = end_tokens(model)
    rows = _Rows(model, [plan.prompt for plan in plans])
    texts = [Written() for _ in plans]
    writing = list(range(len(plans)))
    while writing:
        going_on = []
        for row, token_id in enumerate(rows.next_tokens()):
            text, plan = texts[writing[row]], plans[writing[row]]
            if token_id in ends:
                text.ended = True
                continue
            text.token_ids.append(token_id)
            if len(text.token_ids) < plan.most_tokens:
                going_on.append(row)
        writing = [writing[row] for row in going_on]
        rows.go_on(going_on)
    for text in texts:
        text.text = model.prompt_tokenizer.decode(text.token_ids)
    return texts


@dataclass(frozen=True, eq=False)
class _Plan:
    """A prompt [length, width], and how many tokens may follow it."""

    prompt: torch.Tensor
    most_tokens: int

    @classmethod
    def of(cls, model: LoadedModel, asked: Asked) -> _Plan:
        image, limit = asked.scored.tokens, asked.max_new_tokens
        prompt, room = fit_prompt(model, asked.question, len(image), limit)
        return cls(_embed(model, prompt.before, image, prompt.after), min(limit or room, room))

    @property
    def length(self) -> int:
        return len(self.prompt) + self.most_tokens


def _cache_bytes_of_token(model: LoadedModel) -> int:
    """What the language model keeps of a token: a key and a value in each layer."""
    config = model.llm.config
    heads = config.num_key_value_heads or config.num_attention_heads
    width = config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * width * model.dtype.itemsize)


@torch.inference_mode()
def log_probabilities(
    model: LoadedModel, asked: Sequence[Asked], answers: Sequence[str]
) -> list[float]:
    """The natural logarithm of the chance that each question gets its answer and nothing more."""
    prompts, answer_ids = [], []
    for one, answer in zip(asked, answers, strict=True):
        tokens = model.prompt_tokenizer.answer(one.question, answer)
        prompt, _ = fit_prompt(model, one.question, len(one.scored.tokens), len(tokens))
        prompts.append(_embed(model, prompt.before, one.scored.tokens, prompt.after + tokens))
        answer_ids.append(tokens)
    longest = max(map(len, answer_ids))
    rows = _Rows(model, prompts, keep=longest + 1)
    found = []
    for logits, tokens in zip(rows.logits.float().log_softmax(dim=-1), answer_ids, strict=True):
        # Filled up at the left, so every answer ends at the end.
        before = logits[-1 - len(tokens) : -1]
        found.append(float(before[range(len(tokens)), tokens].sum()))
    return found


class _Rows:
    """A batch of prompts in the language model, and what it says next in each."""

    def __init__(self, model: LoadedModel, prompts: Sequence[torch.Tensor], keep: int = 1) -> None:
        self._model = model
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=model.device)
        longest = int(lengths.max())
        embedded = torch.zeros(
            len(prompts), longest, prompts[0].shape[1], device=model.device, dtype=model.dtype
        )
        for row, prompt in zip(embedded, prompts, strict=True):
            row[longest - len(prompt) :] = prompt
        places = torch.arange(longest, device=model.device) - (longest - lengths)[:, None]
        self._seen = (places >= 0).long()
        self._lengths = lengths
        reply = model.llm(
            inputs_embeds=embedded,
            attention_mask=self._seen,
            position_ids=places.clamp(min=0),
            use_cache=True,
            logits_to_keep=keep,
        )
        self.logits: torch.Tensor = reply.logits
        self._cache: Any = reply.past_key_values
        self._token_ids = torch.empty(0)

    def next_tokens(self) -> list[int]:
        """The most likely next token of each row."""
        # Rows beyond the tokenizer pad the matrix and are no words.
        words = len(self._model.prompt_tokenizer)
        self._token_ids = self.logits[:, -1, :words].argmax(dim=-1)
        chosen: list[int] = self._token_ids.tolist()
        return chosen

    def go_on(self, rows: Sequence[int]) -> None:
        """Read the next tokens of some rows, and forget the other rows."""
        if not rows:
            return
        if len(rows) < len(self._lengths):
            kept = torch.tensor(rows, device=self._model.device)
            self._cache.batch_select_indices(kept)
            self._seen, self._lengths = self._seen[kept], self._lengths[kept]
            self._token_ids = self._token_ids[kept]
        self._seen = torch.cat([self._seen, self._seen.new_ones(len(rows), 1)], dim=1)
        reply = self._model.llm(
            input_ids=self._token_ids[:, None],
            attention_mask=self._seen,
            position_ids=self._lengths[:, None],
            past_key_values=self._cache,
            use_cache=True,
        )
        self.logits, self._cache = reply.logits, reply.past_key_values
        self._lengths = self._lengths + 1


def _embed(
    model: LoadedModel, before: list[int], image: torch.Tensor, after: list[int]
) -> torch.Tensor:
    first, last = (
        torch.tensor(ids, dtype=torch.long, device=model.device) for ids in (before, after)
    )
    return model.embed_prompt(first, image, last)
