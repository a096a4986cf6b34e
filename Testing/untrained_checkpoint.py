"""Write a tiny untrained checkpoint in the released layout: random weights, our own words.

The embedded demonstration model was made by ``python Testing/untrained_checkpoint.py DIR``, and the
tests make others with it. The weights are random, so the text is nonsense and the slices mean
nothing; they are scaled so that scores differ and words come out rather than single bytes.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import sentencepiece
import torch
from transformers import AddedToken, LlamaTokenizer

from med2e3.model.checkpoint import PARTS
from med2e3.model.configuration import read_configuration
from med2e3.model.med2e3 import Med2E3
from med2e3.model.saving import part_weights, save_part

_ORGANS = (
    "lungs", "heart", "aorta", "mediastinum", "pleura", "trachea", "liver", "gallbladder", "spleen",
    "pancreas", "kidneys", "adrenal glands", "stomach", "bowel", "bladder", "prostate", "uterus",
    "spine", "ribs", "pelvis", "brain", "ventricles", "skull", "thyroid", "oesophagus",
)  # fmt: skip
_FINDINGS = (
    "nodule", "mass", "cyst", "calcification", "stone", "effusion", "haemorrhage", "consolidation",
    "aneurysm", "fracture", "atelectasis", "emphysema", "thickening", "oedema", "lesion",
)  # fmt: skip
_PLACES = ("left", "right", "upper", "lower", "middle", "anterior", "posterior", "lateral")
_SENTENCES = (
    "The {organ} are clear and normal in size.",
    "There is a {finding} of {size} mm in the {place} part of the {organ}.",
    "No {finding} is seen in the {organ}.",
    "A {place} {finding} with smooth margins, unchanged, is most likely benign.",
    "Impression: {finding} of the {organ}, follow up with CT in {size} weeks is advised.",
    "Is there a {finding} in the {organ}?",
    "In which plane and phase was this scan taken: axial, coronal, sagittal, plain or venous?",
    "Which organ shows the {finding}? Choices: A. {organ} B. liver C. spleen D. none",
    "Describe the findings of this medical image.",
)


def sentences() -> Iterator[str]:
    """Some thousand sentences in a radiologist's register, for the tokenizers to learn from."""
    sizes = itertools.cycle(range(3, 48))
    places = itertools.cycle(_PLACES)
    for organ, finding in itertools.product(_ORGANS, _FINDINGS):
        for sentence in _SENTENCES:
            yield sentence.format(
                organ=organ, finding=finding, size=next(sizes), place=next(places)
            )


def write_checkpoint(
    folder: Path,
    *,
    llm_type: str = "phi3",
    seed: int = 0,
    add_bos: bool = False,
    as_bin: bool = False,
    tied: bool = False,
    card: dict[str, object] | None = None,
) -> None:
    """Write a checkpoint whose language model is of ``llm_type`` (phi3, llama, qwen2)."""
    folder.mkdir(parents=True, exist_ok=True)
    end_token, vocabulary = _write_prompt_tokenizer(folder, add_bos)
    words = _write_scoring_vocabulary(folder / "vision3d_model")
    configuration = _configuration(llm_type, vocabulary, end_token, words, tied)
    _write_json(folder / "config.json", configuration)
    if card:
        _write_json(folder / "med2e3.json", card)
    model = _random_model(folder, seed)
    for part in PARTS:
        weights = part_weights(model, part)
        if as_bin:
            (folder / part).mkdir(exist_ok=True)
            halved = {name: tensor.to(torch.bfloat16) for name, tensor in weights.items()}
            torch.save(halved, folder / part / "pytorch_model.bin")
        else:
            save_part(folder / part, weights, torch.bfloat16)


def _write_prompt_tokenizer(folder: Path, add_bos: bool) -> tuple[int, int]:
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=sentences(),
        model_writer=trained,
        vocab_size=900,
        model_type="unigram",
        byte_fallback=True,
        character_coverage=1.0,
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
    )
    (folder / "tokenizer.model").write_bytes(trained.getvalue())
    tokenizer = LlamaTokenizer(
        str(folder / "tokenizer.model"),
        add_bos_token=add_bos,
        legacy=False,
        eos_token=AddedToken("<|endoftext|>", normalized=False, special=True),
        pad_token=AddedToken("<|endoftext|>", normalized=False, special=True),
    )
    tokenizer.save_pretrained(folder)
    return tokenizer.eos_token_id, len(tokenizer)


def _write_scoring_vocabulary(folder: Path) -> int:
    folder.mkdir(exist_ok=True)
    counted = Counter(re.findall(r"[a-z]+", " ".join(sentences()).lower()))
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    marks = [*"0123456789.,:;?!()-/%+&'\""]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    continued = [f"##{letter}" for letter in (*letters, *"0123456789", "s", "ed", "ing", "ion")]
    words = dict.fromkeys([*special, *letters, *marks, *continued, *sorted(counted)])
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    _write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512},
    )
    return len(words)


def _configuration(
    llm_type: str, vocabulary: int, end_token: int, words: int, tied: bool
) -> dict[str, object]:
    width, hidden_2d, hidden_3d = 64, 48, 40
    llm = {
        "model_type": llm_type,
        "hidden_size": width,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "vocab_size": -(-vocabulary // 32) * 32,
        "bos_token_id": 1,
        "eos_token_id": end_token,
        "pad_token_id": end_token,
        "tie_word_embeddings": tied,
    }
    return {
        "exp_id": 4,
        "hidden_size": width,
        "llm_type": llm_type,
        "llm_max_length": 768,
        "tokenizer_use_fast": False,
        "llm_config": llm,
        "vision2d_connector_type": "mlp2x_gelu",
        "vision2d_model_type": "siglip",
        "vision2d_model_select_layer": -1,
        "vision2d_model_select_feature": "cls_patch",
        "vision2d_model_config": {
            "model_type": "siglip_vision_model",
            "hidden_size": hidden_2d,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": 256,
            "patch_size": 16,
        },
        "vision3d_connector_type": "spatial_pooling_score15_mlp2x_gelu",
        "vision3d_model_type": "m3d",
        "vision3d_model_select_layer": -1,
        "vision3d_model_select_feature": "patch",
        "vision3d_model_config": {
            "hidden_size": hidden_3d,
            "mlp_dim": 80,
            "num_layers": 2,
            "num_heads": 4,
            "img_size": [32, 256, 256],
            "patch_size": [4, 16, 16],
            "bert_config": {
                "vocab_size": words,
                "hidden_size": 64,
                "num_hidden_layers": 1,
                "num_attention_heads": 4,
                "intermediate_size": 128,
                "max_position_embeddings": 512,
                "type_vocab_size": 2,
            },
        },
    }


def _random_model(folder: Path, seed: int) -> Med2E3:
    torch.manual_seed(seed)
    model = Med2E3(read_configuration(folder))
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            # Livelier than the usual 0.02, so that slices and words differ in so thin a network.
            lively = 2.5 if "llm.model.layers" in name else 1.2
            torch.nn.init.normal_(parameter, std=lively / parameter.shape[-1] ** 0.5)
        elif "norm" in name.lower() and name.endswith("weight"):
            torch.nn.init.ones_(parameter)
        else:
            torch.nn.init.normal_(parameter, std=0.02)
    torch.nn.init.normal_(model.text_mlp.weight, std=0.6)
    with torch.no_grad():
        model.llm.get_output_embeddings().weight[~_whole_words(folder, model)] = 0
    return model


def _whole_words(folder: Path, model: Med2E3) -> torch.Tensor:
    """Which rows of the language model's head are words: nobody would read the noise of bytes."""
    tokenizer = LlamaTokenizer.from_pretrained(folder)
    pieces = tokenizer.convert_ids_to_tokens(range(tokenizer.sp_model.get_piece_size()))
    known = {f"▁{word}" for sentence in sentences() for word in re.findall("[A-Za-z]+", sentence)}
    words = torch.zeros(model.configuration.llm["vocab_size"], dtype=torch.bool)
    words[: len(pieces)] = torch.tensor([piece in known for piece in pieces])
    return words


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    write_checkpoint(
        arguments.folder,
        seed=arguments.seed,
        card={
            "name": "med2e3-untrained",
            "trained_on": "nothing",
            "description": (
                "Untrained demonstration model: its text is nonsense and its slices mean nothing."
            ),
        },
    )


if __name__ == "__main__":
    main()
