"""Loading a checkpoint folder: the released layout as it is on disk, without remote code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import nn

from med2e3.errors import InputError
from med2e3.memory import return_freed_memory
from med2e3.model.configuration import Configuration, read_configuration
from med2e3.model.families import LAMED, NAMES, PREFIXES, tokenizer_folder
from med2e3.model.identity import EMBEDDED, Card, ModelIdentity, card_of, hash_of
from med2e3.model.med2e3 import LoadedModel, Med2E3
from med2e3.model.onnx_encoders import take_faster_encoders
from med2e3.model.precision import BITS, Precision, chosen_precision, size_of
from med2e3.model.prompt import TOKENIZER_FILES, PromptTokenizer, ScoringTokenizer
from med2e3.model.quantised import HEAD_BITS, quantised, quantised_on_a_card
from med2e3.model.volume_only import LamedPromptTokenizer, VolumeOnly
from med2e3.model.weights import (
    Weights,
    assign_weights,
    brief,
    tensor_of,
    weight_files,
    weights_in,
)
from med2e3.model.widening import widen

LoadProgress = Callable[[int, int], None]
"""Told (done, total) in MiB as the files are read."""

PARTS = (
    "llm",
    "vision2d_model",
    "vision2d_connector",
    "vision3d_model",
    "vision3d_connector",
)
"""The folders of a checkpoint that hold weights."""

_MEBIBYTE = 2**20


def load_model(
    folder: Path | None = None,
    *,
    device: str = "auto",
    dtype: str = "auto",
    progress: LoadProgress = lambda done, total: None,
    network: type[LoadedModel] = LoadedModel,
) -> LoadedModel:
    """Load a checkpoint folder, or the embedded model without one.

    ``device`` is "auto" (a CUDA card if there is one), "cpu" or "cuda"; ``dtype`` one of
    :data:`med2e3.model.precision.NAMES`; ``network`` a variant of the network that the same files
    fill. Raises :class:`~med2e3.errors.InputError` that names the file that is
    missing, broken or not to be trusted, and what to do.
    """
    chosen_device = _device(device)
    folder = _checked_folder(folder)
    configuration = read_configuration(folder)
    if configuration.family in PREFIXES and network is not LoadedModel:
        raise InputError(f"A variant of Med-2E3 cannot be made of {configuration.family}.")
    prompt_tokenizer, scoring_tokenizer = _tokenizers(folder, configuration)
    parts = _parts(configuration)
    files = {part: weight_files(folder / part) for part in parts}
    advance = _Progress(
        progress, sum(path.stat().st_size for part in files.values() for path in part)
    )

    card = card_of(folder)
    sha256 = hash_of(folder, identity_files(folder), advance)

    model = _network_without_memory(folder, configuration, network)
    precision = model.precision = chosen_precision(dtype, chosen_device, size_of(model))
    for part in parts:
        _fill(model, part, files[part], chosen_device, precision)
        advance(sum(path.stat().st_size for path in files[part]))
    model.to(chosen_device)
    if precision.weights != "float32" and chosen_device.type == "cpu":
        model.map_encoders_anew = partial(_map_encoders, model, files, precision)
    model.eval()
    model.prompt_tokenizer = prompt_tokenizer
    if scoring_tokenizer:
        model.scoring_tokenizer = scoring_tokenizer
    model.identity = _identity(card, sha256, folder)
    take_faster_encoders(model, folder)
    return model


def model_identity(folder: Path | None = None) -> ModelIdentity:
    """The identity of a checkpoint folder (the embedded model's without one), weights unread but
    for their hash."""
    folder = _checked_folder(folder)
    return _identity(card_of(folder), hash_of(folder, identity_files(folder)), folder)


def _identity(card: Card, sha256: str, folder: Path) -> ModelIdentity:
    return ModelIdentity(card.name, sha256, card.trained_on, card.description, folder)


def checkpoint_size(folder: Path | None = None) -> int:
    """The bytes of a checkpoint's weights (the embedded model's without a folder).

    Raises :class:`~med2e3.errors.InputError` for the first file that is missing of those that
    loading it takes, or for tokenizers that do not fit. The weights themselves are not read.
    """
    folder = _checked_folder(folder)
    configuration = read_configuration(folder)
    _tokenizers(folder, configuration)
    files = [path for part in _parts(configuration) for path in weight_files(folder / part)]
    return sum(path.stat().st_size for path in files)


def checkpoint_memory(folder: Path | None = None) -> dict[str, int]:
    """The bytes that a checkpoint's model takes as it answers, by precision, widest first.

    Raises :class:`~med2e3.errors.InputError` for a ``config.json`` that describes no network.
    """
    folder = _checked_folder(folder)
    size = size_of(_network_without_memory(folder, read_configuration(folder)))
    return {name: size.memory_in(name) for name in BITS}


def checkpoint_precision(folder: Path | None, device: str, dtype: str) -> Precision:
    """What a name of a precision means for a checkpoint on this machine, the weights unread."""
    folder = _checked_folder(folder)
    network = _network_without_memory(folder, read_configuration(folder))
    return chosen_precision(dtype, _device(device), size_of(network))


def identity_files(folder: Path) -> list[Path]:
    """Every file that the network and its words are made of."""
    configuration = read_configuration(folder)
    named = [folder / "config.json", folder / "vision3d_model" / "vocab.txt"]
    place = tokenizer_folder(folder, configuration)
    named += [place / name for name in TOKENIZER_FILES]
    if place != folder:
        named.append(place / "config.json")
    weights = [path for part in _parts(configuration) for path in weight_files(folder / part)]
    return [path for path in named if path.is_file()] + weights


def _network_without_memory(
    folder: Path, configuration: Configuration, network: type[LoadedModel] = LoadedModel
) -> LoadedModel:
    """The network that a folder's configuration describes; its parameters have shapes alone."""
    with parameters_without_memory():
        try:
            return (VolumeOnly if configuration.family in PREFIXES else network)(configuration)
        except Exception as error:
            raise InputError(
                f"{folder / 'config.json'} describes a network that cannot be built "
                f"({brief(error)}); download or copy it again."
            ) from error


def _fill(
    model: Med2E3, part: str, files: list[Path], device: torch.device, precision: Precision
) -> None:
    """Put the weights of one part's folder where they belong."""
    for module, prefix in modules_of(model, part):
        is_language_model = module is model.llm
        # What becomes something else is read once, and shall not stay in memory for the rest.
        becomes_other = precision.weights == "float32" or (is_language_model and precision.bits)
        weights = weights_in(files, prefix, apart=bool(becomes_other))
        if is_language_model and precision.bits:
            _quantise(module, weights, files[0], device, precision)
        if precision.keeps_narrow:
            widen(module, precision.dtype, few_rows_stay_narrow=is_language_model)
        assign_weights(
            module,
            weights,
            files[0],
            device=device,
            dtype=precision.dtype,
            optional=_may_be_tied(model.configuration) if is_language_model else lambda name: False,
        )
        if is_language_model and not precision.bits:
            model.llm.tie_weights()


def _map_encoders(model: Med2E3, files: Mapping[str, list[Path]], precision: Precision) -> None:
    """Map the weights of both encoders anew. Nothing of them is in memory then."""
    for part in files:
        for module, prefix in modules_of(model, part):
            if module in (getattr(model, "vision2d_model", None), model.vision3d_model):
                weights = weights_in(files[part], prefix)
                device = torch.device("cpu")
                assign_weights(
                    module, weights, files[part][0], device=device, dtype=precision.dtype
                )


def _quantise(
    llm: Any, weights: Weights, source: Path, device: torch.device, precision: Precision
) -> None:
    """Replace the linear layers of a language model by such of fewer bits, one after the other, so
    that no more than one is in memory as it was."""
    head = llm.get_output_embeddings()
    for name in [name for name, one in llm.named_modules() if isinstance(one, nn.Linear)]:
        layer = llm.get_submodule(name)
        stored = f"{name}.weight"
        if layer is head and stored not in weights:
            stored = "model.embed_tokens.weight"
        weight = tensor_of(weights, stored, layer.weight.shape, source)
        bias = None
        if layer.bias is not None:
            bias = tensor_of(weights, f"{name}.bias", layer.bias.shape, source)
        bits = HEAD_BITS if layer is head else precision.bits or HEAD_BITS
        if device.type == "cuda":
            smaller = quantised_on_a_card(weight, bias, bits)
        else:
            smaller = quantised(weight, bias, bits, precision.dtype)
        llm.set_submodule(name, smaller)
        del weight
        return_freed_memory()


def modules_of(model: Med2E3, part: str) -> list[tuple[nn.Module, str]]:
    """Which modules a part's folder holds, each with the prefix of its tensors' names there."""
    prefixes = PREFIXES.get(model.configuration.family)
    if prefixes:
        return [(getattr(model, name), prefix) for name, prefix in prefixes.items()]
    return {
        "llm": [(model.llm, "")],
        "vision2d_model": [(model.vision2d_model, "")],
        "vision2d_connector": [(model.vision2d_connector, "_connector.")],
        "vision3d_model": [
            (model.vision3d_model, "vision_encoder."),
            (model.text_model, "language_encoder."),
        ],
        # The released loader reads the first alone, so its slice scores stay random.
        "vision3d_connector": [
            (model.vision3d_connector, "_connector."),
            (model.text_mlp, "text_mlp."),
        ],
    }[part]


def _may_be_tied(configuration: Configuration) -> Callable[[str], bool]:
    tied = bool(configuration.llm.get("tie_word_embeddings", False))
    return lambda name: tied and name == "lm_head.weight"


def _parts(configuration: Configuration) -> tuple[str, ...]:
    """The folders with weights. Other families have them in the root."""
    return ("",) if configuration.family in PREFIXES else PARTS


def _tokenizers(
    folder: Path, configuration: Configuration
) -> tuple[PromptTokenizer, ScoringTokenizer | None]:
    """The language model's tokenizer and, in Med-2E3, the question encoder's."""
    kind = LamedPromptTokenizer if configuration.family == NAMES[LAMED] else PromptTokenizer
    prompt = kind(tokenizer_folder(folder, configuration), configuration.tokenizer_is_fast)
    _check_vocabulary(folder, len(prompt), configuration.llm["vocab_size"], "language model")
    if configuration.family in PREFIXES:
        return prompt, None
    text = configuration.text
    scoring = ScoringTokenizer(folder / "vision3d_model", text["max_position_embeddings"])
    _check_vocabulary(folder, scoring.size, text["vocab_size"], "question encoder")
    return prompt, scoring


def _check_vocabulary(folder: Path, count: int, size: int, what: str) -> None:
    if count > size:
        raise InputError(
            f"The tokenizer of the {what} in {folder} has {count} tokens and the {what} only "
            f"{size}; both must come from one checkpoint."
        )


def _checked_folder(folder: Path | None) -> Path:
    if folder is None:
        folder = EMBEDDED
    if not folder.is_dir():
        raise InputError(
            f"There is no checkpoint folder {folder}; give the folder that holds config.json, "
            "or none for the embedded model."
        )
    return folder


def _device(name: str) -> torch.device:
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"There is no device {name!r}; choose auto, cpu or cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "The device cuda cannot be used, for torch sees no CUDA card (`med2e3 doctor` tells "
            "what it sees); choose cpu or auto."
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


@contextmanager
def parameters_without_memory() -> Iterator[None]:
    """Modules built inside have parameters with shapes but no memory, and spend no time on random
    values; buffers (rotary frequencies, positions) are computed as always."""
    register = nn.Module.register_parameter

    def register_on_meta(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if parameter is not None:
            parameter = nn.Parameter(parameter.detach().to("meta"), requires_grad=False)
        register(module, name, parameter)

    with mock.patch.object(nn.Module, "register_parameter", register_on_meta):
        yield


class _Progress:
    """Bytes that were read, told on in MiB. Each file is read twice: hashed, then loaded."""

    def __init__(self, listener: LoadProgress, size: int) -> None:
        self._listener = listener
        self._total = max(1, 2 * size // _MEBIBYTE)
        self._done = 0

    def __call__(self, size: int) -> None:
        self._done += size
        self._listener(min(self._done // _MEBIBYTE, self._total), self._total)
