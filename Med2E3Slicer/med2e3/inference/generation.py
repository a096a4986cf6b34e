"""Greedy generation, token by token: what the language model writes after a prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from med2e3.model.prompt import PromptTokenizer


def greedy_logits(llm: Any, prompt: torch.Tensor, cache: Any = None) -> Iterator[torch.Tensor]:
    """The logits [vocabulary] of each next token, when the most likely one is always taken.

    ``prompt`` is [length, width], without what the ``cache`` holds of it already. The first comes
    after the prompt was read; each further one costs one token. Endless: the caller stops.
    """
    reply = llm(inputs_embeds=prompt[None], past_key_values=cache, use_cache=True, logits_to_keep=1)
    while True:
        logits = reply.logits[0, -1]
        yield logits
        reply = llm(
            input_ids=logits.argmax().view(1, 1),
            past_key_values=reply.past_key_values,
            use_cache=True,
        )


@dataclass
class GrowingText:
    """Tokens to text as they come. The pieces of :meth:`add` and :meth:`rest` join to the text.

    ``spans`` has, for each token whose text is there, the characters [start, end) of it; tokens
    that make a character together share them.
    """

    tokenizer: PromptTokenizer
    token_ids: list[int] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    _pieces: list[str] = field(default_factory=list)
    _length: int = 0
    _window: int = 0
    """The first of the tokens that are decoded again: those of the last piece, then the new ones.
    What a token adds depends on what stands before it (a space, the bytes of a character), but not
    on more than that, so the time for a text grows with its length and not with its square."""

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def add(self, token_id: int) -> str:
        """The piece of text that a token completes; empty while a character is incomplete."""
        self.token_ids.append(token_id)
        # Bytes of an unfinished character decode to U+FFFD, which the next token may replace.
        return self._grow(unless_it_ends_in="\N{REPLACEMENT CHARACTER}")

    def rest(self) -> str:
        """What was held back, once no more tokens come."""
        piece = self._grow()
        self._append_spans(0)
        return piece

    def _grow(self, unless_it_ends_in: str | None = None) -> str:
        told = len(self.spans)
        before = self.tokenizer.decode(self.token_ids[self._window : told])
        now = self.tokenizer.decode(self.token_ids[self._window :])
        if len(now) <= len(before) or (unless_it_ends_in and now.endswith(unless_it_ends_in)):
            return ""
        piece = now[len(before) :]
        self._pieces.append(piece)
        self._append_spans(len(piece))
        # A window that begins with nothing but blanks would lose them: they are dropped in front.
        if self.tokenizer.decode(self.token_ids[told:]).strip():
            self._window = told
        return piece

    def _append_spans(self, characters: int) -> None:
        span = (self._length, self._length + characters)
        self._length += characters
        self.spans += [span] * (len(self.token_ids) - len(self.spans))


OnToken = Callable[[str, int], None]
"""Told each piece of text with its token."""
