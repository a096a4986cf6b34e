"""Other families' checkpoints: each step is what their published code computes, and what is not
known is refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, LlamaForCausalLM, Phi3ForCausalLM

from med2e3.errors import InputError
from med2e3.inference import VolumeSession
from med2e3.model import load_model
from other_checkpoints import LAMED_TOKENS, VOLUME, image_tokens, write_lamed, write_medm_vl

QUESTION = "Is there a nodule in the lungs?"


@pytest.fixture(scope="module")
def volume():
    return torch.rand(1, *VOLUME, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def lamed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lamed") / "M3D-LaMed-Phi-3-4B"
    return folder, write_lamed(folder)


@pytest.fixture(scope="module")
def medm_vl(tmp_path_factory):
    folder = tmp_path_factory.mktemp("medm") / "MedM-VL-CT"
    return folder, write_medm_vl(folder)


@pytest.fixture(params=["M3D-LaMed", "MedM-VL"])
def family(request, lamed, medm_vl):
    return (request.param, *(lamed if request.param == "M3D-LaMed" else medm_vl))


def test_the_image_is_encoded_as_published(family, volume):
    name, folder, weights = family
    model = load_model(folder)
    assert model.configuration.family == name
    encoded = VolumeSession(model, volume).encode()
    expected = image_tokens(weights, volume[0], name)
    assert encoded.tokens_3d.shape == expected.shape
    assert torch.allclose(encoded.tokens_3d, expected, atol=2e-4)


def test_lamed_writes_what_the_published_prompt_gives(lamed, volume):
    folder, weights = lamed
    tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=False, local_files_only=True)
    ids = tokenizer(LAMED_TOKENS[0] * 256 + QUESTION, return_tensors="pt").input_ids[0]
    model = load_model(folder)
    llm: Phi3ForCausalLM = model.llm
    embedded = llm.get_input_embeddings()(ids)
    image = image_tokens(weights, volume[0], "M3D-LaMed")
    prompt = torch.cat([embedded[:1], image, embedded[257:]])
    written = VolumeSession(model, volume).generate(QUESTION, max_new_tokens=12)
    assert written.token_ids == greedy(llm, prompt, 12, tokenizer.eos_token_id)


def test_medm_vl_writes_what_the_published_prompt_gives(medm_vl, volume):
    folder, weights = medm_vl
    tokenizer = AutoTokenizer.from_pretrained(folder / "llm", use_fast=False, local_files_only=True)
    system = (
        "A chat between a curious user and an artificial intelligence assistant. The assistant "
        "gives helpful, detailed, and polite answers to the user's questions. USER: "
    )
    model = load_model(folder)
    llm: LlamaForCausalLM = model.llm
    has_begin = tokenizer("a").input_ids[0] == tokenizer.bos_token_id

    def embedded(text: str) -> torch.Tensor:
        ids = tokenizer(text).input_ids[1 if has_begin else 0 :]
        return llm.get_input_embeddings()(torch.tensor(ids))

    begin = llm.get_input_embeddings()(torch.tensor([tokenizer.bos_token_id]))
    prompt = torch.cat(
        [
            *([begin] if has_begin else []),
            embedded(system),
            image_tokens(weights, volume[0], "MedM-VL"),
            embedded(f"\n{QUESTION} ASSISTANT:"),
        ]
    )
    written = VolumeSession(model, volume).generate(QUESTION, max_new_tokens=12)
    assert written.token_ids == greedy(llm, prompt, 12, tokenizer.eos_token_id)


@torch.inference_mode()
def greedy(llm, prompt: torch.Tensor, count: int, end: int) -> list[int]:
    """Token by token, each time with the whole text."""
    written: list[int] = []
    while len(written) < count:
        embedded = prompt
        if written:
            embedded = torch.cat([prompt, llm.get_input_embeddings()(torch.tensor(written))])
        token = int(llm(inputs_embeds=embedded[None]).logits[0, -1].argmax())
        if token == end:
            break
        written.append(token)
    assert written
    return written


def test_no_slices_are_scored_and_that_is_said(family, volume):
    name, folder, _ = family
    session = VolumeSession(load_model(folder), volume)
    written = session.generate(QUESTION, max_new_tokens=4)
    assert written.attention.scores.size == 0
    with pytest.raises(InputError, match=f"scores no slices .{name} has no 2D path"):
        session.attend("nodule")


def test_lamed_knows_no_conversation_and_says_so(lamed, medm_vl, volume):
    history = [("Which plane?", "axial")]
    told = VolumeSession(load_model(lamed[0]), volume).generate(
        QUESTION, history=history, max_new_tokens=4
    )
    assert told.history_used == 0
    assert told.warnings == [
        "M3D-LaMed answers each question by itself; it was not shown the earlier turns."
    ]
    told = VolumeSession(load_model(medm_vl[0]), volume).generate(
        QUESTION, history=history, max_new_tokens=4
    )
    assert told.history_used == 1


def test_on_the_command_line(med2e3, family, tmp_path):
    name, folder, _ = family
    voxels = np.full((12, 64, 64), -1000, np.int16)
    voxels[2:10, 10:50, 10:50] = np.random.default_rng(0).integers(0, 200, (8, 40, 40))
    scan = tmp_path / "scan.npy"
    np.save(scan, voxels)
    out = tmp_path / "out"
    ended = med2e3("ask", scan, QUESTION, "--model", folder, "--max-new-tokens", 5, "--out", out)
    assert ended.returncode == 0, ended.stderr
    assert "scores no slices" in ended.stdout
    assert sorted(path.name for path in out.iterdir()) == ["answer.txt", "result.json"]
    result = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert result["slice_scores"] == []
    ended = med2e3("attend", scan, "nodule", "--model", folder)
    assert ended.returncode == 2
    assert f"{name} has no 2D path" in ended.stderr
    pdf = tmp_path / "report.pdf"
    ended = med2e3("report", scan, "--model", folder, "--max-new-tokens", 5, "--pdf", pdf)
    assert ended.returncode == 2
    assert "scores no slices" in ended.stderr
    assert not pdf.exists()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("vision_tower", "vit3d_large"),
        ("mm_projector_type", "linear"),
        ("proj_pooling_type", "sequence"),
        ("vision_select_layer", -2),
    ],
)
def test_another_kind_of_lamed_is_refused(lamed, tmp_path, setting, value):
    refused(lamed[0], tmp_path, {setting: value}, f"has {setting} = {value!r}, and of M3D-LaMed")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("lvlm_encoder_image_type", "siglip"),
        ("lvlm_encoder_image3d_type", "medmclip"),
        ("lvlm_connector_image3d_type", "attn_pooling"),
    ],
)
def test_another_kind_of_medm_vl_is_refused(medm_vl, tmp_path, setting, value):
    refused(medm_vl[0], tmp_path, {setting: value}, f"has {setting} = {value!r}, and of MedM-VL")


def test_medm_vl_without_its_language_model_says_what_to_copy(medm_vl, tmp_path):
    shutil.copytree(medm_vl[0], tmp_path / "model")
    shutil.rmtree(tmp_path / "model" / "llm")
    with pytest.raises(InputError, match=r"meta-llama/Llama-3.2-3B-Instruct.*copy that model's"):
        load_model(tmp_path / "model")


def test_an_unknown_family_is_refused(lamed, tmp_path):
    refused(lamed[0], tmp_path, {"model_type": "lamed_llama"}, "choose another checkpoint folder")


def test_weights_without_a_3d_encoder_are_refused(lamed, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(lamed[0], folder)
    index = folder / "model.safetensors.index.json"
    found = json.loads(index.read_text(encoding="utf-8"))
    found["weight_map"] = {"lm_head.weight": "model-00001-of-00002.safetensors"}
    index.write_text(json.dumps(found), encoding="utf-8")
    with pytest.raises(InputError, match=r"lacks the tensor|no 3D encoder"):
        load_model(folder)


def refused(source, tmp_path, settings: dict, said: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(source, folder)
    path = folder / "config.json"
    path.write_text(
        json.dumps({**json.loads(path.read_text(encoding="utf-8")), **settings}), encoding="utf-8"
    )
    with pytest.raises(InputError) as caught:
        load_model(folder)
    assert said in str(caught.value)
