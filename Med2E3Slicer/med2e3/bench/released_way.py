"""A question answered as the released code does it, for comparison.

Written from its description (MSIIP/Med-2E3, ``modeling_medmllm.py``): the volume is encoded anew
for every question, all slices at once; the question is padded to 512 tokens for scoring; the whole
prompt is read each time; attention is written out; everything runs in one precision.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from med2e3.inference.generation import greedy_logits
from med2e3.inference.session import VolumeSession, fit_prompt
from med2e3.model import LoadedModel
from med2e3.model.vision3d import SelfAttention

_PADDED_TO = 512


@contextmanager
def eager(model: LoadedModel) -> Iterator[None]:
    """Let the network attend with products written out, and put back what it had."""
    llm = model.llm.config._attn_implementation
    vision = model.vision2d_model.vision_model.config._attn_implementation
    blocks = [one for one in model.vision3d_model.modules() if isinstance(one, SelfAttention)]
    attend = blocks[0].attend
    model.llm.set_attn_implementation("eager")
    model.vision2d_model.vision_model.config._attn_implementation = "eager"
    for block in blocks:
        block.attend = _written_out
    try:
        yield
    finally:
        model.llm.set_attn_implementation(llm)
        model.vision2d_model.vision_model.config._attn_implementation = vision
        for block in blocks:
            block.attend = attend


@torch.inference_mode()
def answer(model: LoadedModel, volume: torch.Tensor, question: str, tokens: int) -> dict[str, Any]:
    """Seconds of each stage of an answer of ``tokens`` tokens, ``first_token`` from the beginning,
    and the ``token_ids``. ``volume`` is [1, slices, rows, columns]."""
    clock = _Clock()
    session = VolumeSession(model, volume)
    volume = volume.to(model.device, model.dtype)
    tokens_2d = clock("encode_2d", lambda: model.encode_slices(volume[0]))
    tokens_3d = clock("encode_3d", lambda: model.encode_volume(volume))
    encoded = model.join(tokens_2d, tokens_3d)
    scored = clock("score", lambda: model.score(encoded, _embed_padded(model, question)))
    prompt, _ = fit_prompt(model, question, len(scored.tokens), tokens)
    writing = greedy_logits(model.llm, session.embed(prompt, scored))
    words = len(model.prompt_tokenizer)
    first = clock("prefill", lambda: int(next(writing)[:words].argmax()))
    first_token = sum(clock.seconds.values())
    rest = clock("decode", lambda: [int(next(writing)[:words].argmax()) for _ in range(tokens - 1)])
    return {
        **clock.seconds,
        "first_token": first_token,
        "whole": sum(clock.seconds.values()),
        "token_ids": [first, *rest],
    }


def _embed_padded(model: LoadedModel, question: str) -> torch.Tensor:
    ids, _ = model.scoring_tokenizer(question)
    longest = min(_PADDED_TO, model.configuration.text["max_position_embeddings"])
    padded = torch.zeros(1, longest, dtype=torch.long, device=model.device)
    padded[0, : len(ids)] = torch.tensor(ids)
    mask = torch.zeros_like(padded)
    mask[0, : len(ids)] = 1
    return model.embed_texts(padded, mask)[0]


def _written_out(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    weights = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    attended: torch.Tensor = weights.softmax(dim=-1) @ value
    return attended


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, stage: str, work):  # type: ignore[no-untyped-def]
        started = time.perf_counter()
        found = work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.seconds[stage] = time.perf_counter() - started
        return found
