"""Tiny checkpoints of other families, as their publishers lay them out, tensor by tensor.

Nothing here comes from the engine: the names of files, settings and tensors are those of the
published code (BAAI-DCAI/M3D, MSIIP/MedM-VL), and the numbers are random.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, Phi3Config, Phi3ForCausalLM

EMBEDDED = Path(__file__).parents[1] / "Med2E3Slicer" / "med2e3" / "embedded"

WIDTH, HIDDEN, MLP, LAYERS, HEADS = 48, 24, 40, 2, 12
VOLUME, PATCH = (32, 256, 256), (4, 16, 16)
PATCHES = 8 * 16 * 16
LAMED_TOKENS = ["<im_patch>", "<bx_start>", "<bx_end>", "[SEG]"]


def write_lamed(folder: Path, seed: int = 0) -> dict[str, torch.Tensor]:
    """A folder as GoodBaiBai88/M3D-LaMed-Phi-3-4B; returns its tensors."""
    tokens = _write_tokenizer(folder, LAMED_TOKENS)
    llm = {**_llm_sizes(tokens), "eos_token_id": _end_token(folder)}
    settings = {
        "architectures": ["LamedPhi3ForCausalLM"],
        "model_type": "lamed_phi3",
        "auto_map": {"AutoModelForCausalLM": "modeling_lamed_phi3.LamedPhi3ForCausalLM"},
        **llm,
        "image_channel": 1,
        "image_size": list(VOLUME),
        "patch_size": list(PATCH),
        "vision_tower": "vit3d",
        "vision_select_layer": -1,
        "vision_select_feature": "patch",
        "mm_hidden_size": HIDDEN,
        "mm_projector_type": "spp",
        "proj_layer_type": "mlp",
        "proj_layer_num": 2,
        "proj_pooling_type": "spatial",
        "proj_pooling_size": 2,
        "segmentation_module": "segvol",
        "seg_token_id": tokens - 1,
        "tie_word_embeddings": False,
    }
    _write_json(folder / "config.json", settings)
    torch.manual_seed(seed)
    weights = {
        **Phi3ForCausalLM(Phi3Config(**llm)).state_dict(),
        **_prefixed("model.vision_tower.vision_tower.", _vision_tower(with_norm=True)),
        **_prefixed("model.mm_projector.projector.", _projector()),
        # Its masks are not drawn here.
        "model.seg_projector.0.weight": torch.randn(WIDTH, WIDTH),
    }
    _save_shards(folder, weights)
    return weights


def write_medm_vl(folder: Path, seed: int = 0) -> dict[str, torch.Tensor]:
    """A folder as MedM-VL writes one on M3D-CLIP, with its language model's description and words
    copied into ``llm/``; returns its tensors."""
    tokens = _write_tokenizer(folder / "llm", [])
    llm = {**_llm_sizes(tokens), "eos_token_id": _end_token(folder / "llm")}
    _write_json(folder / "llm" / "config.json", {"model_type": "llama", **llm})
    settings = {
        "architectures": ["LVLMForConditionalGeneration"],
        "model_type": "lvlm",
        "lvlm_llm_type": "llama",
        "lvlm_llm_name_or_path": "meta-llama/Llama-3.2-3B-Instruct",
        "lvlm_llm_max_length": 1024,
        "lvlm_llm_padding_side": "right",
        "lvlm_encoder_image_type": None,
        "lvlm_encoder_image3d_type": "m3dclip",
        "lvlm_encoder_image3d_name_or_path": "GoodBaiBai88/M3D-CLIP",
        "lvlm_encoder_image3d_select_layer": -1,
        "lvlm_encoder_image3d_select_feature": "patch",
        "lvlm_connector_image3d_type": "spatial_pooling",
        "lvlm_connector_image3d_name": "mlp2x_gelu",
        "hidden_size": WIDTH,
    }
    _write_json(folder / "config.json", settings)
    torch.manual_seed(seed)
    weights = {
        **_prefixed("llm.", LlamaForCausalLM(LlamaConfig(**llm)).state_dict()),
        **_prefixed("encoder_image3d.encoder.vision_encoder.", _vision_tower(with_norm=True)),
        "encoder_image3d.encoder.language_encoder.pooler.dense.bias": torch.randn(HIDDEN),
        **_prefixed("connector_image3d.connector.", _projector()),
    }
    _save_shards(folder, weights)
    return weights


def image_tokens(weights: dict[str, torch.Tensor], volume: torch.Tensor, family: str):
    """What the published code makes of a volume [32, 256, 256], step by step: [256, WIDTH]."""
    tower, projector = {
        "M3D-LaMed": ("model.vision_tower.vision_tower.", "model.mm_projector.projector."),
        "MedM-VL": ("encoder_image3d.encoder.vision_encoder.", "connector_image3d.connector."),
    }[family]

    def weight(name: str, prefix: str = tower) -> torch.Tensor:
        return weights[prefix + name]

    grid = [size // patch for size, patch in zip(VOLUME, PATCH, strict=True)]
    rows = torch.stack(
        [
            volume[d * 4 : d * 4 + 4, h * 16 : h * 16 + 16, w * 16 : w * 16 + 16].reshape(-1)
            for d in range(grid[0])
            for h in range(grid[1])
            for w in range(grid[2])
        ]
    )
    patches = rows @ weight("patch_embedding.patch_embeddings.1.weight").T
    patches = patches + weight("patch_embedding.patch_embeddings.1.bias")
    patches = patches + weight("patch_embedding.position_embeddings")[0]
    x = torch.cat([weight("cls_token")[0], patches])
    for layer in range(LAYERS):
        block = f"blocks.{layer}."
        normed = _norm(x, weight(block + "norm1.weight"), weight(block + "norm1.bias"))
        query, key, value = (normed @ weight(block + "attn.qkv.weight").T).chunk(3, dim=-1)
        heads = []
        for head in range(HEADS):
            part = slice(head * HIDDEN // HEADS, (head + 1) * HIDDEN // HEADS)
            scores = query[:, part] @ key[:, part].T / (HIDDEN // HEADS) ** 0.5
            heads.append(scores.softmax(-1) @ value[:, part])
        attended = torch.cat(heads, -1) @ weight(block + "attn.out_proj.weight").T
        x = x + attended + weight(block + "attn.out_proj.bias")
        normed = _norm(x, weight(block + "norm2.weight"), weight(block + "norm2.bias"))
        hidden = normed @ weight(block + "mlp.linear1.weight").T
        hidden = torch.nn.functional.gelu(hidden + weight(block + "mlp.linear1.bias"))
        x = x + hidden @ weight(block + "mlp.linear2.weight").T + weight(block + "mlp.linear2.bias")
    if family == "M3D-LaMed":
        # Its tower hands on the last feature, which is behind the final norm.
        x = _norm(x, weight("norm.weight"), weight("norm.bias"))
    cube = x[1:].T.reshape(1, HIDDEN, *grid)
    pooled = torch.nn.functional.avg_pool3d(cube, 2, 2).reshape(HIDDEN, -1).T
    first = pooled @ weight("0.weight", projector).T + weight("0.bias", projector)
    first = torch.nn.functional.gelu(first)
    return first @ weight("2.weight", projector).T + weight("2.bias", projector)


def _norm(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.layer_norm(x, (HIDDEN,), weight, bias)


def _vision_tower(with_norm: bool) -> dict[str, torch.Tensor]:
    tensors = {
        "cls_token": torch.randn(1, 1, HIDDEN),
        "patch_embedding.position_embeddings": torch.randn(1, PATCHES, HIDDEN),
        "patch_embedding.patch_embeddings.1.weight": torch.randn(HIDDEN, 4 * 16 * 16) / 30,
        "patch_embedding.patch_embeddings.1.bias": torch.randn(HIDDEN),
    }
    for layer in range(LAYERS):
        block = {
            "norm1.weight": torch.rand(HIDDEN) + 0.5,
            "norm1.bias": torch.randn(HIDDEN),
            "attn.qkv.weight": torch.randn(3 * HIDDEN, HIDDEN) / 5,
            "attn.out_proj.weight": torch.randn(HIDDEN, HIDDEN) / 5,
            "attn.out_proj.bias": torch.randn(HIDDEN),
            "norm2.weight": torch.rand(HIDDEN) + 0.5,
            "norm2.bias": torch.randn(HIDDEN),
            "mlp.linear1.weight": torch.randn(MLP, HIDDEN) / 5,
            "mlp.linear1.bias": torch.randn(MLP),
            "mlp.linear2.weight": torch.randn(HIDDEN, MLP) / 5,
            "mlp.linear2.bias": torch.randn(HIDDEN),
        }
        tensors |= _prefixed(f"blocks.{layer}.", block)
    if with_norm:
        tensors |= {"norm.weight": torch.rand(HIDDEN) + 0.5, "norm.bias": torch.randn(HIDDEN)}
    return tensors


def _projector() -> dict[str, torch.Tensor]:
    return {
        "0.weight": torch.randn(WIDTH, HIDDEN) / 5,
        "0.bias": torch.randn(WIDTH),
        "2.weight": torch.randn(WIDTH, WIDTH) / 7,
        "2.bias": torch.randn(WIDTH),
    }


def _llm_sizes(vocabulary: int) -> dict[str, object]:
    return {
        "vocab_size": vocabulary,
        "hidden_size": WIDTH,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 2048,
        "initializer_range": 0.3,
        "pad_token_id": 0,
    }


def _write_tokenizer(folder: Path, further: list[str]) -> int:
    """The embedded model's words, and further tokens; how many there are."""
    tokenizer = AutoTokenizer.from_pretrained(
        EMBEDDED, use_fast=False, local_files_only=True, add_bos_token=True
    )
    tokenizer.add_special_tokens({"additional_special_tokens": further})
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    return max(tokenizer.get_vocab().values()) + 1


def _end_token(folder: Path) -> int:
    return AutoTokenizer.from_pretrained(folder, use_fast=False, local_files_only=True).eos_token_id


def _prefixed(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _save_shards(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    names = list(weights)
    files = {
        "model-00001-of-00002.safetensors": names[: len(names) // 2],
        "model-00002-of-00002.safetensors": names[len(names) // 2 :],
    }
    for file, held in files.items():
        save_file({name: weights[name].contiguous() for name in held}, folder / file)
    index = {name: file for file, held in files.items() for name in held}
    _write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": index})


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_lamed(Path(sys.argv[1]))
