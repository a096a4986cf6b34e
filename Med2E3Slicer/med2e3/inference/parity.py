"""A checkpoint held against known figures, step by step, in float32.

``cases.safetensors`` and ``cases.json`` hold inputs and what the released code computed from them
(their format is told in the README beside them). Steps that the released code gets wrong are held
against what it computes once ``text_mlp`` is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from med2e3.errors import InputError
from med2e3.inference.generation import greedy_logits
from med2e3.inference.session import VolumeSession
from med2e3.model import LoadedModel, ScoredVolume
from med2e3.model.configuration import read_json
from med2e3.model.prompt import Prompt
from med2e3.volume import Scan, prepare

TOLERANCE = 1e-4
SCORE_TOLERANCE = 1e-5
IMAGE_TOKEN = -201
"""Marks the place of the image in the stored token ids."""


@dataclass(frozen=True)
class Row:
    """One step of one case: the largest absolute difference, and how large it may be."""

    step: str
    case: str
    difference: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        return self.difference <= self.tolerance


@torch.inference_mode()
def compare(model: LoadedModel, cases: Path) -> list[Row]:
    """Hold every step of a float32 model against the figures in ``cases`` (.safetensors).

    Raises InputError if the files are missing or no such figures.
    """
    try:
        expected = load_file(cases)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"{cases} cannot be read as known figures ({error}); give the cases.safetensors of a "
            "reference checkpoint."
        ) from None
    told = read_json(cases.with_suffix(".json"))
    try:
        rows: list[Row] = []
        volumes = {}
        for case in told["cases"]:
            name = f"case{case['index']}"
            volumes[name] = _stored_volume(expected[f"{name}.volume_stored"])
            rows += _compare_case(model, case, name, expected, volumes[name])
        if "truncation" in told:
            volume = volumes[told["truncation"]["volume"]]
            rows += _compare_truncated(model, told["truncation"], expected, volume)
    except KeyError as error:
        raise InputError(
            f"{cases} lacks {error}; give a complete cases.safetensors with its cases.json."
        ) from None
    return rows


def _compare_case(
    model: LoadedModel,
    case: dict[str, Any],
    name: str,
    expected: dict[str, torch.Tensor],
    stored: np.ndarray[Any, Any],
) -> Iterator[Row]:
    def row(step: str, found: torch.Tensor, key: str, tolerance: float = TOLERANCE) -> Row:
        return Row(step, name, _difference(found, expected[f"{name}.{key}"]), tolerance)

    volume = _prepared(stored)
    yield row("preprocessed voxels", volume[:, :, ::16, ::16][0], "preproc_sample")
    offset = volume[0, 1::4, 5::16, 9::16]
    yield row("preprocessed voxels, offset", offset, "preproc_sample_offset")

    hidden_2d = model.vision2d_model(volume[0].to(model.device))
    yield row("2D encoder", hidden_2d[::4, ::32], "siglip_hidden_sample")
    hidden_3d = model.vision3d_model(volume[None].to(model.device))[0]
    yield row("3D encoder", hidden_3d[::32], "m3d_hidden_sample")

    session = VolumeSession(model, volume)
    encoded = session.encode()
    yield row("2D tokens", encoded.tokens_2d[::4, ::16], "vision2d_tokens_sample")
    yield row("2D tokens, slice mean", encoded.tokens_2d.mean(dim=1), "vision2d_slice_mean")
    yield row("3D tokens", encoded.tokens_3d, "vision3d_tokens")

    token_ids, _ = model.scoring_tokenizer(case["question"])
    length = int(expected[f"{name}.bert_attention_mask"].sum())
    yield Row(
        "question ids", name,
        _unequal(token_ids, expected[f"{name}.bert_input_ids"][:length].tolist()), 0,
    )  # fmt: skip
    embedding = model.embed_text(torch.tensor(token_ids, device=model.device))
    yield row("text embedding", embedding, "questions_embed")
    yield row("text vector", model.text_mlp(embedding), "text_vec")

    scored = model.score(encoded, embedding)
    yield row("slice logits", scored.logits, "score_logits")
    yield row("slice scores", scored.scores, "scores", SCORE_TOLERANCE)
    share_sums = scored.patch_shares.sum(dim=(1, 2))
    yield row("slice logits, sum of patches", share_sums, "score_logits")
    yield row("fused tokens", scored.tokens, "visual_tokens")

    prompt = model.prompt_tokenizer.prompt(case["question"])
    found_ids = [*prompt.before, IMAGE_TOKEN, *prompt.after]
    yield Row("prompt ids", name, _unequal(found_ids, expected[f"{name}.input_ids"].tolist()), 0)

    wanted = expected[f"{name}.generated_ids"].tolist()
    logits = list(islice(greedy_logits(model.llm, session.embed(prompt, scored)), len(wanted)))
    yield row("first logits", logits[0], "first_logits")
    yield row("logits of all steps", torch.stack(logits), "step_logits")

    generation = session.generate(case["question"], max_new_tokens=len(wanted))
    yield Row("generated ids", name, _unequal(generation.token_ids, wanted), 0)
    yield Row("generated text", name, float(generation.text != case["generated_text"]), 0)


def _compare_truncated(
    model: LoadedModel,
    told: dict[str, Any],
    expected: dict[str, torch.Tensor],
    stored: np.ndarray[Any, Any],
) -> Iterator[Row]:
    """A question that is too long, cut as the released code cuts it: the end of the prompt goes.

    The engine itself keeps the end and cuts the question; here the released ids are fed to it.
    """
    session = VolumeSession(model, _prepared(stored))
    token_ids, _ = model.scoring_tokenizer(told["question"])
    yield Row(
        "question ids", "trunc",
        _unequal(token_ids, expected["trunc.bert_input_ids"].tolist()), 0,
    )  # fmt: skip
    embedding = model.embed_text(torch.tensor(token_ids, device=model.device))
    yield Row(
        "text embedding", "trunc",
        _difference(embedding, expected["trunc.questions_embed"]), TOLERANCE,
    )  # fmt: skip
    scored: ScoredVolume = model.score(session.encode(), embedding)
    yield Row(
        "slice scores", "trunc",
        _difference(scored.scores, expected["trunc.scores"]), SCORE_TOLERANCE,
    )  # fmt: skip
    ids = expected["trunc.input_ids"].tolist()
    place = ids.index(IMAGE_TOKEN)
    kept = told["text_tokens_kept_after_image"]
    prompt = Prompt(ids[:place], ids[place + 1 : place + 1 + kept])
    wanted = expected["trunc.generated_ids"].tolist()
    logits = list(islice(greedy_logits(model.llm, session.embed(prompt, scored)), len(wanted)))
    yield Row(
        "first logits", "trunc",
        _difference(logits[0], expected["trunc.first_logits"]), TOLERANCE,
    )  # fmt: skip
    found = [int(step.argmax()) for step in logits]
    yield Row("generated ids", "trunc", _unequal(found, wanted), 0)


def _stored_volume(stored: torch.Tensor) -> np.ndarray[Any, Any]:
    volume = stored.numpy().astype(np.float32)
    if stored.dtype == torch.uint8:
        volume /= np.float32(255)
    return volume[0] if volume.ndim == 4 else volume


def _prepared(voxels: np.ndarray[Any, Any]) -> torch.Tensor:
    # The array as it is: no reorientation, no window, as the released code takes it.
    return prepare(Scan(voxels, np.eye(4)), plane="acquired", window="none").volume


def _difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    if found.shape != expected.shape:
        return float("inf")
    return float((found.cpu().double() - expected.double()).abs().max())


def _unequal(found: list[int], expected: list[int]) -> float:
    """How many places of two lists of ids differ."""
    differing = sum(one != other for one, other in zip(found, expected, strict=False))
    return float(differing + abs(len(found) - len(expected)))
