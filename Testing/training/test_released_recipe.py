"""The released recipe (configs/m3d*.yaml) through both stages, on pretrained parts of tiny size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, SiglipConfig, SiglipModel

from med2e3.errors import InputError
from med2e3.inference import VolumeSession
from med2e3.model import Med2E3, load_model
from med2e3.model.configuration import read_configuration
from med2e3.training import read_plan, train
from training.small import SIZE, write_data
from untrained_checkpoint import write_checkpoint

CONFIGS = Path(__file__).parents[2] / "configs"
TINY = {
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}


def write_pretrained(folder: Path) -> None:
    """What one downloads for the recipe, in the hub's layouts: Phi-3, SigLIP, M3D-CLIP."""
    write_checkpoint(folder / "any", llm_type="phi3")
    ours = read_configuration(folder / "any").llm
    llm = AutoModelForCausalLM.from_config(AutoConfig.for_model(**ours))
    llm.save_pretrained(folder / "phi3")
    for name in ("tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"):
        (folder / "phi3" / name).write_bytes((folder / "any" / name).read_bytes())
    vision = {**TINY, "image_size": SIZE[1], "patch_size": 8}
    SiglipModel(
        SiglipConfig(text_config={**TINY, "vocab_size": 50}, vision_config=vision)
    ).save_pretrained(folder / "siglip")
    clip = {
        "hidden_size": 20, "mlp_dim": 32, "num_layers": 1, "num_heads": 2,
        "img_size": list(SIZE), "patch_size": [2, 8, 8],
    }  # fmt: skip
    text = json.loads((folder / "any" / "config.json").read_text())["vision3d_model_config"]
    clip["bert_config"] = text["bert_config"]
    config = json.loads((folder / "any" / "config.json").read_text())
    config["vision3d_model_config"] = clip
    config["vision2d_model_config"] |= {"image_size": SIZE[1], "patch_size": 8}
    (folder / "any" / "config.json").write_text(json.dumps(config))
    network = Med2E3(read_configuration(folder / "any"))
    (folder / "clip").mkdir()
    for name in ("vocab.txt", "tokenizer_config.json"):
        source = folder / "any" / "vision3d_model" / name
        (folder / "clip" / name).write_bytes(source.read_bytes())
    (folder / "clip" / "config.json").write_text(json.dumps(clip))
    tensors = {
        prefix + name: tensor.detach().clone()
        for part, prefix in (
            (network.vision3d_model, "vision_encoder."),
            (network.text_model, "language_encoder."),
        )
        for name, tensor in part.named_parameters()
    }
    save_file(tensors, folder / "clip" / "model.safetensors")


def settings(folder: Path) -> list[str]:
    """What must differ from the recipe for tiny parts on a CPU, and nothing else."""
    return [
        f"network.llm.pretrained={folder / 'phi3'}",
        f"network.vision2d.pretrained={folder / 'siglip'}",
        f"network.vision3d.pretrained={folder / 'clip'}",
        "data.train=[train.json]",
        "data.validation=[]",
        "trainer.dataloader_num_workers=0",
        "trainer.use_cpu=true",
        "threads=1",
    ]


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained")
    write_pretrained(folder)
    write_data(folder / "data", volumes=4)
    return folder


@pytest.mark.parametrize("name", ["m3d", "m3d-lora", "m3d-cpu"])
def test_the_recipe_runs_through_both_stages_and_loads_again(pretrained, tmp_path, name):
    plan = read_plan(CONFIGS / f"{name}.yaml", settings(pretrained))
    train(plan, pretrained / "data", tmp_path)
    model = load_model(tmp_path / "model", device="cpu")
    assert VolumeSession(model, torch.rand(1, *SIZE)).generate("What?", max_new_tokens=3).text
    # The 3D encoder and the text encoder are those that came, and the language model is not.
    came = load_file(pretrained / "clip" / "model.safetensors")
    kept = load_file(tmp_path / "model" / "vision3d_model" / "model.safetensors")
    assert all(torch.equal(kept[key], came[key].bfloat16()) for key in kept)
    begun = load_file(tmp_path / "initial" / "llm" / "model.safetensors")
    assert torch.equal(
        begun["lm_head.weight"],
        load_file(pretrained / "phi3" / "model.safetensors")["lm_head.weight"],
    )
    tuned = load_file(tmp_path / "stages" / "tune" / "model" / "llm" / "model.safetensors")
    layer = "model.layers.0.self_attn.qkv_proj.weight"
    assert not torch.equal(begun[layer], tuned[layer])


def test_batches_and_rates_are_those_of_the_released_scripts():
    for name, gpus in (("m3d", 1), ("m3d-lora", 1), ("m3d-fsdp", 2)):
        align, tune = read_plan(CONFIGS / f"{name}.yaml").stages
        for stage, size, epochs in ((align, 64, 3), (tune, 128, 4)):
            trainer = stage.trainer
            per_step = trainer["per_device_train_batch_size"] * gpus
            assert per_step * trainer["gradient_accumulation_steps"] == size
            assert trainer["num_train_epochs"] == epochs
        assert set(align.train.values()) == {1e-4}
        assert tune.train["vision2d_model"] == 5e-5


def test_a_pretrained_part_that_is_not_there_is_named(pretrained, tmp_path):
    given = [*settings(pretrained), "network.llm.pretrained=nowhere"]
    with pytest.raises(InputError, match=r"network.llm.pretrained names the folder nowhere"):
        train(read_plan(CONFIGS / "m3d.yaml", given), pretrained / "data", tmp_path)
