"""Greedy generation, token by token: what the language model writes after a prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from med2e3.model.prompt import PromptTokenizer


def greedy_logits(llm: Any, prompt: torch.Tensor) -> Iterator[torch.Tensor]:
    """The logits [vocabulary] of each next token, when the most likely one is always taken.

    ``prompt`` is [length, width]. The first comes after the prompt was read; each further one
    costs one token. Endless: the caller stops.
    """
    reply = llm(inputs_embeds=prompt[None], use_cache=True, logits_to_keep=1)
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
    """Tokens to text as they come. The pieces of :meth:`add` and :meth:`rest` join to the text."""

    tokenizer: PromptTokenizer
    token_ids: list[int] = field(default_factory=list)
    text: str = ""

    def add(self, token_id: int) -> str:
        """The piece of text that a token completes; empty while a character is incomplete."""
        self.token_ids.append(token_id)
        text = self.tokenizer.decode(self.token_ids)
        # Bytes of an unfinished character decode to U+FFFD, which the next token may replace.
        if text.endswith("\N{REPLACEMENT CHARACTER}"):
            return ""
        return self._grow(text)

    def rest(self) -> str:
        """What was held back, once no more tokens come."""
        return self._grow(self.tokenizer.decode(self.token_ids))

    def _grow(self, text: str) -> str:
        piece = text.removeprefix(self.text)
        self.text = text
        return piece


OnToken = Callable[[str, int], None]
"""Told each piece of text with its token."""
