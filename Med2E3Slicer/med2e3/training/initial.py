"""The model that a run begins with: a checkpoint, pretrained parts, or nothing.

``network`` in the configuration is either ``checkpoint: DIR``, or a table of parts. Each of
``llm``, ``vision2d`` (SigLIP) and ``vision3d`` (M3D-CLIP, with its text encoder) is either
``{pretrained: DIR}``, a folder as the Hugging Face hub has it, or the sizes of a part from nothing
with random weights. A language model from nothing gets a tokenizer that is trained on the records'
own texts, and a text encoder from nothing their words.
"""

from __future__ import annotations

import io
import json
import random
import re
import shutil
import string
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from torch import nn
from transformers import AddedToken, LlamaTokenizer, SiglipVisionConfig

from med2e3.errors import InputError
from med2e3.model import Med2E3
from med2e3.model.checkpoint import PARTS
from med2e3.model.configuration import RELEASED, read_configuration, read_json
from med2e3.model.prompt import SYSTEM, TOKENIZER_FILES
from med2e3.model.saving import part_weights, save_part
from med2e3.model.weights import assign_weights, weight_files, weights_in
from med2e3.training.whitening import whiten_patches

_LINES = 100_000
"""Lines that a tokenizer learns from at most."""

_BERT_FILES = ("vocab.txt", "tokenizer_config.json", "special_tokens_map.json")


def write_initial_model(
    folder: Path,
    network: dict[str, Any],
    texts: Sequence[str],
    seed: int,
    volumes: Sequence[Path] = (),
) -> None:
    """Write the checkpoint that ``network`` describes. ``texts`` are what tokenizers learn from,
    ``volumes`` what encoders from nothing will see, and begin by whitening.

    Raises InputError that names the setting or the file that is missing or wrong.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("llm", "vision2d", "vision3d"):
        if not isinstance(network.get(name), dict):
            raise InputError(
                f"The configuration lacks network.{name}: give its sizes, or pretrained: DIR "
                "(or network.checkpoint alone)."
            )
    lines = _lines(texts)
    configuration = {
        **RELEASED,
        "llm_max_length": network.get("max_length", 768),
        "tokenizer_use_fast": bool(network.get("fast_tokenizer", False)),
        "llm_config": _llm(folder, network, lines),
        "vision2d_model_config": _vision2d(network),
        "vision3d_model_config": _vision3d(folder / "vision3d_model", network, lines),
    }
    configuration["hidden_size"] = configuration["llm_config"].get("hidden_size")
    configuration["llm_type"] = configuration["llm_config"].get("model_type")
    (folder / "config.json").write_text(json.dumps(configuration, indent=2) + "\n", "utf-8")
    torch.manual_seed(seed)
    model = Med2E3(read_configuration(folder))
    _initialise(model)
    new = [name for name in ("vision2d", "vision3d") if "pretrained" not in network[name]]
    if new and volumes:
        whiten_patches(model, new, volumes, torch.Generator().manual_seed(seed))
    _fill_pretrained(model, network)
    for part in PARTS:
        save_part(folder / part, part_weights(model, part), torch.float32)


def volume_size(network: dict[str, Any]) -> tuple[int, int, int]:
    """What the model that ``network`` describes takes: slices, rows, columns."""
    if "checkpoint" in network:
        return read_configuration(checkpoint_folder(network)).vision3d.volume_size
    part = network.get("vision3d", {})
    pretrained = pretrained_folder(part, "vision3d")
    size = (
        read_json(pretrained / "config.json").get("img_size")
        if pretrained
        else network.get("volume_size")
    )
    if not isinstance(size, list) or not all(isinstance(n, int) for n in size) or len(size) != 3:
        raise InputError(
            "The configuration lacks network.volume_size: three numbers, [slices, rows, columns]."
        )
    return size[0], size[1], size[2]


def checkpoint_folder(network: dict[str, Any]) -> Path:
    """The folder that ``network.checkpoint`` names."""
    folder = Path(str(network["checkpoint"])).expanduser()
    if not folder.is_dir():
        raise InputError(f"network.checkpoint names the folder {folder}, which is not there.")
    return folder


def pretrained_folder(part: dict[str, Any], name: str) -> Path | None:
    """The folder of a pretrained part, None for one from nothing."""
    if "pretrained" not in part:
        return None
    folder = Path(str(part["pretrained"])).expanduser()
    if not folder.is_dir():
        raise InputError(
            f"network.{name}.pretrained names the folder {folder}, which is not there; download "
            f"the model and give its folder (--set network.{name}.pretrained=DIR)."
        )
    return folder


def _lines(texts: Sequence[str]) -> list[str]:
    lines = sorted(set(texts))
    if len(lines) > _LINES:
        lines = random.Random(0).sample(lines, _LINES)  # noqa: S311 - no secret
    return lines


def _llm(folder: Path, network: dict[str, Any], lines: list[str]) -> dict[str, Any]:
    part: dict[str, Any] = network["llm"]
    pretrained = pretrained_folder(part, "llm")
    if pretrained is not None:
        for name in TOKENIZER_FILES:
            if (pretrained / name).is_file():
                shutil.copyfile(pretrained / name, folder / name)
        return {**read_json(pretrained / "config.json"), **_without(part, "pretrained")}
    end_token, size = _write_prompt_tokenizer(folder, lines, _vocabulary(network, "prompt", 2000))
    return {
        # Rows in multiples of 32 suit every matrix unit; those beyond the words stay unused.
        "vocab_size": -(-size // 32) * 32,
        "bos_token_id": 1,
        "eos_token_id": end_token,
        "pad_token_id": end_token,
        **part,
    }


def _vision2d(network: dict[str, Any]) -> dict[str, Any]:
    part: dict[str, Any] = network["vision2d"]
    pretrained = pretrained_folder(part, "vision2d")
    if pretrained is None:
        return {
            "model_type": "siglip_vision_model",
            "image_size": volume_size(network)[1],
            **part,
        }
    found = read_json(pretrained / "config.json")
    found = found.get("vision_config", found)
    # Values that are SigLIP's defaults are left out in published files.
    spelled: dict[str, Any] = SiglipVisionConfig(**found).to_dict()
    return {**spelled, **_without(part, "pretrained")}


def _vision3d(folder: Path, network: dict[str, Any], lines: list[str]) -> dict[str, Any]:
    part: dict[str, Any] = network["vision3d"]
    folder.mkdir(exist_ok=True)
    pretrained = pretrained_folder(part, "vision3d")
    if pretrained is not None:
        for name in _BERT_FILES:
            if (pretrained / name).is_file():
                shutil.copyfile(pretrained / name, folder / name)
        return {**read_json(pretrained / "config.json"), **_without(part, "pretrained")}
    text: dict[str, Any] = dict(network.get("text", {}))
    words = _write_scoring_vocabulary(folder, lines, _vocabulary(network, "scoring", 4000))
    return {
        "img_size": list(volume_size(network)),
        **part,
        "bert_config": {"vocab_size": words, "type_vocab_size": 2, **text},
    }


def _vocabulary(network: dict[str, Any], name: str, default: int) -> int:
    return int(network.get("vocabulary", {}).get(name, default))


def _without(table: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key != name}


def _write_prompt_tokenizer(folder: Path, lines: list[str], size: int) -> tuple[int, int]:
    """Train a sentencepiece model; returns the end token and the number of tokens.

    By byte pairs, as Llama's and Phi's. Of so few words the unigram model keeps half in pieces, the
    commonest among them ("le", "f", "t"), and all that is learned of a word is then to be learned
    of its letters, which other words have too.
    """
    template = [f"{SYSTEM} USER: ASSISTANT:"] * max(1, len(lines) // 50)
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*lines, *template]),
        model_writer=trained,
        vocab_size=size,
        model_type="bpe",
        byte_fallback=True,
        split_digits=True,
        character_coverage=1.0,
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
    )
    (folder / "tokenizer.model").write_bytes(trained.getvalue())
    end = AddedToken("<|endoftext|>", normalized=False, special=True)
    tokenizer = LlamaTokenizer(
        str(folder / "tokenizer.model"),
        add_bos_token=False,
        legacy=False,
        eos_token=end,
        pad_token=end,
    )
    tokenizer.save_pretrained(folder)
    return tokenizer.eos_token_id, len(tokenizer)


def _write_scoring_vocabulary(folder: Path, lines: Iterable[str], size: int) -> int:
    """Write BERT's vocabulary: the commonest words, and letters for all others."""
    counted = Counter(word for line in lines for word in re.findall(r"[^\W\d_]+", line.lower()))
    letters = sorted({*string.ascii_lowercase, *(letter for word in counted for letter in word)})
    signs = sorted({*"0123456789.,:;?!()-/%+&'\"×°"})
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [*special, *letters, *signs, *(f"##{sign}" for sign in [*letters, *"0123456789"])]
    commonest = [word for word, _ in sorted(counted.items(), key=lambda item: (-item[1], item[0]))]
    vocabulary = list(dict.fromkeys([*pieces, *commonest]))[:size]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
    return len(vocabulary)


def _initialise(model: Med2E3) -> None:
    """What transformers and torch do not initialise by themselves."""
    nn.init.trunc_normal_(model.vision3d_model.cls_token, std=0.02)
    nn.init.trunc_normal_(model.vision3d_model.patch_embedding.position_embeddings, std=0.02)
    # As the released code begins.
    nn.init.normal_(model.text_mlp.weight, std=0.02)
    nn.init.zeros_(model.text_mlp.bias)


def _fill_pretrained(model: Med2E3, network: dict[str, Any]) -> None:
    modules: dict[str, list[tuple[nn.Module, str]]] = {
        "llm": [(model.llm, "")],
        "vision2d": [(model.vision2d_model, "")],
        "vision3d": [
            (model.vision3d_model, "vision_encoder."),
            (model.text_model, "language_encoder."),
        ],
    }
    for name, places in modules.items():
        folder = pretrained_folder(network[name], name)
        if folder is None:
            continue
        files = weight_files(folder)
        for module, prefix in places:
            assign_weights(
                module,
                weights_in(files, prefix),
                files[0],
                device=torch.device("cpu"),
                dtype=torch.float32,
                optional=lambda key: key == "lm_head.weight",
            )
    model.llm.tie_weights()
