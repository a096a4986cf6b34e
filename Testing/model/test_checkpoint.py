"""Checkpoint folders: what loads, alike from every layout, and what is refused before it runs."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from med2e3.errors import InputError
from med2e3.inference import VolumeSession
from med2e3.model import Med2E3, load_model, model_identity, read_configuration
from med2e3.wire.messages import MODEL_MARKS
from reference import REFERENCE, needs_reference
from untrained_checkpoint import write_checkpoint


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("original") / "checkpoint"
    write_checkpoint(folder)
    return folder


@pytest.fixture
def checkpoint(original, tmp_path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(original, tmp_path / "checkpoint"))


def text_of(folder: Path | None) -> str:
    volume = torch.rand(1, 32, 256, 256, generator=torch.Generator().manual_seed(0))
    session = VolumeSession(load_model(folder), volume)
    return session.generate("Where is the nodule?", max_new_tokens=8).text


def refused(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_model(folder)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def edit_json(path: Path, **changes: object) -> None:
    content = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize("options", [
    {"llm_type": "llama"}, {"llm_type": "qwen2"}, {"llm_type": "llama", "tied": True},
    {"add_bos": True}, {"as_bin": True},
], ids=str)  # fmt: skip
def test_every_language_model_and_file_kind_loads_and_writes(tmp_path, options):
    write_checkpoint(tmp_path / "checkpoint", **options)
    assert text_of(tmp_path / "checkpoint")


def test_bin_and_safetensors_hold_the_same_model(original, tmp_path):
    write_checkpoint(tmp_path / "bin", as_bin=True)
    assert text_of(tmp_path / "bin") == text_of(original)


def test_safetensors_are_preferred(checkpoint):
    (checkpoint / "llm" / "pytorch_model.bin").write_bytes(b"never opened")
    load_model(checkpoint)


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_weights_in_several_files_load_by_their_index(original, checkpoint, suffix):
    folder = checkpoint / "llm"
    whole = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(whole)
    shards = {f"part-1.{suffix}": names[::2], f"part-2.{suffix}": names[1::2]}
    for shard, members in shards.items():
        tensors = {name: whole[name].clone() for name in members}
        if suffix == "bin":
            torch.save(tensors, folder / shard)
        else:
            save_file(tensors, folder / shard)
    weight_map = {name: shard for shard, members in shards.items() for name in members}
    stem = "pytorch_model" if suffix == "bin" else "model"
    (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert text_of(checkpoint) == text_of(original)


def test_a_shard_outside_the_folder_is_refused(checkpoint):
    folder = checkpoint / "llm"
    (folder / "model.safetensors").rename(checkpoint / "stolen.safetensors")
    index = {"weight_map": {"lm_head.weight": "../stolen.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "not to be trusted" in refused(checkpoint)


def test_the_embedded_model_is_found_and_says_what_it_is():
    identity = load_model().identity
    assert MODEL_MARKS[identity.trained_on]
    assert "emonstration model" in identity.description
    assert identity == model_identity()


def test_a_card_that_says_another_origin_is_refused(checkpoint):
    (checkpoint / "med2e3.json").write_text(json.dumps({"trained_on": "hearsay"}))
    assert "'hearsay', and this program knows nothing, synthetic, scans" in refused(checkpoint)


def test_a_checkpoint_without_a_card_learned_from_scans(checkpoint):
    (checkpoint / "med2e3.json").unlink(missing_ok=True)
    assert load_model(checkpoint, device="cpu").identity.trained_on == "scans"


def test_the_embedded_model_is_found_from_any_folder(tmp_path):
    script = "from med2e3.model import load_model; print(load_model().identity.name)"
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == load_model().identity.name


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_the_hash_can_be_checked_by_hand():
    identity = load_model().identity
    files = [
        path.relative_to(identity.folder).as_posix()
        for path in identity.folder.rglob("*")
        if path.is_file() and path.name not in ("med2e3.json", "README.md")
        and path != identity.folder / "vision3d_model" / "tokenizer_config.json"
    ]  # fmt: skip
    listing = subprocess.run(
        ["sha256sum", *sorted(files)], cwd=identity.folder, capture_output=True, check=True
    )
    again = subprocess.run(
        ["sha256sum"], input=listing.stdout, capture_output=True, text=False, check=True
    )
    assert again.stdout.split()[0].decode() == identity.sha256


def test_the_hash_changes_with_any_weight(original, checkpoint):
    path = checkpoint / "vision3d_connector" / "model.safetensors"
    tensors = load_file(path)
    tensors["text_mlp.bias"][0] += 1
    save_file(tensors, path)
    assert model_identity(checkpoint).sha256 != model_identity(original).sha256


def test_text_mlp_is_loaded(original):
    stored = load_file(original / "vision3d_connector" / "model.safetensors")["text_mlp.weight"]
    assert torch.equal(load_model(original).text_mlp.weight, stored.float())


def test_tensors_that_newer_monai_versions_add_are_ignored(original, checkpoint):
    path = checkpoint / "vision3d_model" / "model.safetensors"
    tensors = load_file(path)
    tensors["vision_encoder.blocks.0.norm_cross_attn.weight"] = torch.ones(40)
    tensors["mm_vision_proj.weight"] = torch.ones(2, 2)
    save_file(tensors, path)
    assert text_of(checkpoint) == text_of(original)


def test_progress_ends_with_all(original):
    told = []
    load_model(original, progress=lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1]


@needs_reference
def test_the_full_size_network_has_the_tensors_of_the_released_files():
    keys = json.loads((REFERENCE / "keys_fullsize.json").read_text())["files"]
    configuration = read_configuration(REFERENCE)
    llm = {
        **configuration.llm, "hidden_size": 3072, "intermediate_size": 8192, "vocab_size": 32064,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32,
        "rope_scaling": {
            "type": "longrope", "short_factor": [1.0] * 48, "long_factor": [1.0] * 48
        },
    }  # fmt: skip
    vision2d = {
        **configuration.vision2d, "hidden_size": 1024, "intermediate_size": 4096,
        "num_hidden_layers": 24, "num_attention_heads": 16,
    }  # fmt: skip
    from dataclasses import replace

    from med2e3.model.configuration import _BERT_BASE

    full = replace(
        configuration,
        llm=llm,
        vision2d=vision2d,
        vision3d=replace(
            configuration.vision3d, hidden_size=768, layers=12, heads=12, mlp_size=3072
        ),
        text=_BERT_BASE,
    )
    with torch.device("meta"):
        model = Med2E3(full)
    for part, prefix, file in (
        (model.llm, "", "llm"),
        (model.vision2d_model, "", "vision2d_model"),
        (model.vision2d_connector, "_connector.", "vision2d_connector"),
        (model.vision3d_model, "vision_encoder.", "vision3d_model"),
        (model.text_model, "language_encoder.", "vision3d_model"),
        (model.vision3d_connector, "_connector.", "vision3d_connector"),
        (model.text_mlp, "text_mlp.", "vision3d_connector"),
    ):
        stored = keys[f"{file}/pytorch_model.bin"]
        for name, parameter in part.named_parameters():
            assert stored[prefix + name] == list(parameter.shape)


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "tokenizer_config.json",
        "vision3d_model/vocab.txt",
        "llm/model.safetensors",
        "vision2d_connector/model.safetensors",
    ],
)
def test_a_missing_file_is_named(checkpoint, name):
    (checkpoint / name).unlink()
    sentence = refused(checkpoint)
    assert str((checkpoint / name).parent) in sentence
    assert "download" in sentence or "copy" in sentence


def test_a_missing_tokenizer_model_is_refused(checkpoint):
    (checkpoint / "tokenizer.model").unlink()
    assert "tokenizer" in refused(checkpoint)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_a_config_that_is_no_json_object_is_refused(checkpoint, content):
    (checkpoint / "config.json").write_bytes(content)
    assert "config.json" in refused(checkpoint)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"exp_id": 3}, "exp_id"),
        ({"vision3d_connector_type": "spatial_pooling_score14"}, "vision3d_connector_type"),
        ({"llm_config": None}, "llm_config"),
        ({"llm_config": {"model_type": "gpt2"}}, "gpt2"),
        ({"llm_max_length": "768"}, "llm_max_length"),
        ({"llm_max_length": 10**12}, "llm_max_length"),
    ],
    ids=str,
)
def test_another_configuration_is_refused_by_name(checkpoint, changes, said):
    edit_json(checkpoint / "config.json", **changes)
    assert said in refused(checkpoint)


def test_weights_that_do_not_fit_the_configuration_are_named(checkpoint):
    content = json.loads((checkpoint / "config.json").read_text())
    content["vision2d_model_config"]["intermediate_size"] = 97
    (checkpoint / "config.json").write_text(json.dumps(content))
    sentence = refused(checkpoint)
    assert "vision2d_model" in sentence
    assert "mlp.fc1" in sentence


def test_a_missing_tensor_is_named(checkpoint):
    path = checkpoint / "vision3d_connector" / "model.safetensors"
    tensors = load_file(path)
    del tensors["text_mlp.weight"]
    save_file(tensors, path)
    assert "weight" in refused(checkpoint)
    assert "vision3d_connector" in refused(checkpoint)


def test_a_tokenizer_with_more_words_than_the_model_is_refused(checkpoint):
    with (checkpoint / "vision3d_model" / "vocab.txt").open("a") as file:
        file.writelines(f"word{number}\n" for number in range(50))
    assert "tokens" in refused(checkpoint)


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
@pytest.mark.parametrize("as_bin", [False, True])
def test_a_truncated_weight_file_is_named(tmp_path, keep, as_bin):
    write_checkpoint(tmp_path / "checkpoint", as_bin=as_bin)
    (path,) = (tmp_path / "checkpoint" / "llm").iterdir()
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep) if keep < 1 else keep])
    assert str(path) in refused(tmp_path / "checkpoint")


def test_a_huge_safetensors_header_is_refused_without_memory_for_it(checkpoint):
    path = checkpoint / "llm" / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 100 * 2**30) + b"{}")
    assert str(path) in refused(checkpoint)


class RunsCode:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def with_pickle(checkpoint: Path, content: object, *, compress: bool = False) -> Path:
    """Put a weight file with a pickle of ours in the place of the language model's."""
    (checkpoint / "llm" / "model.safetensors").unlink()
    path = checkpoint / "llm" / "pytorch_model.bin"
    kind = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    pickled = io.BytesIO()
    pickle.dump(content, pickled, protocol=2)
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("archive/data.pkl", pickled.getvalue())
        archive.writestr("archive/version", "3\n")
    return path


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(checkpoint, tmp_path):
    with_pickle(checkpoint, {"lm_head.weight": RunsCode(tmp_path / "made by the pickle")})
    assert "not to be trusted" in refused(checkpoint)
    assert not (tmp_path / "made by the pickle").exists()


def test_a_compressed_weight_file_is_refused(checkpoint):
    with_pickle(checkpoint, {}, compress=True)
    assert "compressed" in refused(checkpoint)


def test_a_bin_of_the_old_pickle_format_is_refused(checkpoint, tmp_path):
    (checkpoint / "llm" / "model.safetensors").unlink()
    path = checkpoint / "llm" / "pytorch_model.bin"
    path.write_bytes(pickle.dumps(RunsCode(tmp_path / "made by the pickle")))
    assert str(path) in refused(checkpoint)
    assert not (tmp_path / "made by the pickle").exists()


def test_a_tokenizer_that_asks_for_remote_code_is_refused(checkpoint):
    edit_json(checkpoint / "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Evil", None]})
    assert "auto_map" in refused(checkpoint)


def test_a_language_model_that_asks_for_remote_code_runs_the_known_class_instead(
    original, checkpoint
):
    content = json.loads((checkpoint / "config.json").read_text())
    content["llm_config"]["auto_map"] = {"AutoModelForCausalLM": "modeling_evil.Evil"}
    (checkpoint / "config.json").write_text(json.dumps(content))
    (checkpoint / "modeling_evil.py").write_text("raise SystemExit('ran')")
    assert text_of(checkpoint) == text_of(original)


def test_no_such_folder(tmp_path):
    assert str(tmp_path / "nowhere") in refused(tmp_path / "nowhere")


@pytest.mark.parametrize(("option", "value"), [("device", "tpu"), ("dtype", "float8")])
def test_unknown_devices_and_precisions_are_refused(option, value):
    with pytest.raises(InputError, match=value):
        load_model(**{option: value})
