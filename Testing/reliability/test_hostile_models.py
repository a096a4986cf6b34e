"""Model folders from strangers: refused before anything of them runs or fills the memory.

Each case spoils a copy of a checkpoint and is loaded in a process of its own, with half a
gigabyte more than it begins with and a minute's time. Truncated files, pickles that run code and
the plainer faults are in ``Testing/model/test_checkpoint.py``.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import random
import shutil
import struct
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from med2e3.command.main import main
from med2e3.errors import InputError
from med2e3.inference import VolumeSession
from med2e3.model import load_model
from med2e3.model.checkpoint import PARTS
from med2e3.model.identity import EMBEDDED

TOPIC = "Hostile model files"
MEMORY = 512 * 2**20
SECONDS = 60

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits and forks of POSIX")


@pytest.fixture
def checkpoint(untrained, tmp_path) -> Path:
    """A checkpoint that a test may spoil."""
    return Path(shutil.copytree(untrained, tmp_path / "checkpoint"))


def outcome_of(folder: Path) -> tuple[str, str]:
    """("loaded", ""), ("refused", the sentence) or ("failed", the error), from another process."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_load, args=(folder, there), daemon=True)
    process.start()
    there.close()
    try:
        assert here.poll(SECONDS), "it hangs"
        return here.recv()
    except EOFError:
        process.join()
        pytest.fail(f"the process crashed with status {process.exitcode}")
    finally:
        process.kill()
        process.join()


def _load(folder: Path, answers: Any) -> None:
    import resource

    torch.set_num_threads(1)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    try:
        load_model(folder, device="cpu")
        answers.send(("loaded", ""))
    except InputError as error:
        answers.send(("refused", str(error)))
    except BaseException as error:
        answers.send(("failed", repr(error)[:500]))


def assert_refused(folder: Path, said: str) -> None:
    outcome, sentence = outcome_of(folder)
    assert outcome == "refused", sentence
    assert said in sentence
    assert "\n" not in sentence
    assert len(sentence) < 1000


def text_of(folder: Path) -> str:
    volume = torch.rand(1, 32, 256, 256, generator=torch.Generator().manual_seed(0))
    session = VolumeSession(load_model(folder, device="cpu"), volume)
    return session.generate("Where is the nodule?", max_new_tokens=8).text


def edit(path: Path, change: Callable[[dict], Any]) -> None:
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


# -- config.json -----------------------------------------------------------------------------------

_TEXT = ("vision3d_model_config", "bert_config")
CONFIGURATIONS = {
    "the question encoder is a list": (_TEXT, [1], "bert_config"),
    "a size in words": ((*_TEXT, "hidden_size"), "64", "hidden_size"),
    "a trillion positions of a question":
        ((*_TEXT, "max_position_embeddings"), 10**12,
         "max_position_embeddings"),
    "a trillion positions of a text":
        (("llm_config", "max_position_embeddings"), 10**12, "max_position_embeddings"),
    "heads of a billion": (("llm_config", "head_dim"), 2**33, "head_dim"),
    "no heads for the keys": (("llm_config", "num_key_value_heads"), 0, "num_key_value_heads"),
    "heads that do not divide": (("llm_config", "num_attention_heads"), 3, "config.json"),
    "a padding beyond the vocabulary": (("llm_config", "pad_token_id"), 10**9, "config.json"),
    "an activation of its own": (("llm_config", "hidden_act"), "__import__('os')", "config.json"),
    "a rope that is none": (("llm_config", "rope_scaling"), {"type": "longrope"}, "config.json"),
    "a volume of a billion slices":
        (("vision3d_model_config", "img_size"), [2**20, 256, 256], "img_size"),
    "layers without end": (("llm_config", "num_hidden_layers"), 10**9, "num_hidden_layers"),
    "a width of half a million": (("llm_config", "hidden_size"), 2**19, "config.json"),
}  # fmt: skip


@pytest.mark.parametrize(("place", "value", "said"), CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_a_configuration_that_no_model_has_is_refused(checkpoint, tried, place, value, said):
    def change(content: dict) -> None:
        for name in place[:-1]:
            content = content[name]
        content[place[-1]] = value

    edit(checkpoint / "config.json", change)
    assert_refused(checkpoint, said)
    tried(
        TOPIC, "config.json with sizes and settings that no model has, up to 10^12", 1,
        "refused by the setting's name, nothing allocated",
    )  # fmt: skip


def test_settings_that_are_none_of_the_network_are_not_heard(checkpoint, tried):
    """Code or kernels from a hub, and a dictionary of a trillion labels."""
    expected = text_of(checkpoint)
    asked = {
        "auto_map": {"AutoModel": "modeling_evil.Evil", "AutoConfig": "modeling_evil.Config"},
        "attn_implementation": "evil/kernel",
        "_attn_implementation": "evil/kernel",
        "_attn_implementation_internal": "evil/kernel",
        "num_labels": 10**12,
        "quantization_config": {"quant_method": "gptq", "bits": 4},
        "torch_dtype": "evil",
        "dtype": "evil",
        "gguf_file": "evil.gguf",
    }

    def change(content: dict) -> None:
        content |= {"auto_map": asked["auto_map"], "custom_pipelines": {"evil": {"impl": "evil"}}}
        content["llm_config"] |= asked
        content["vision2d_model_config"] |= asked
        content["vision3d_model_config"]["bert_config"] |= asked

    (checkpoint / "modeling_evil.py").write_text("raise SystemExit('ran')")
    edit(checkpoint / "config.json", change)
    assert outcome_of(checkpoint) == ("loaded", "")
    assert text_of(checkpoint) == expected
    tried(
        TOPIC, "config.json that asks for code, attention kernels or quantisation of its own",
        3 * len(asked), "not heard: the known classes run, the text is the same",
    )  # fmt: skip


# -- tokenizers ------------------------------------------------------------------------------------

ELSEWHERE = "elsewhere.txt"
TOKENIZERS = {
    "a vocabulary elsewhere": ("", {"vocab_file": f"../{ELSEWHERE}"}, "vocab_file"),
    "a question vocabulary elsewhere": (
        "vision3d_model", {"vocab_file": f"../../{ELSEWHERE}"}, "vocab_file"),
    "a fast tokenizer elsewhere": (
        "", {"fast_tokenizer_files": ["../../tokenizer.4.0.0.json"]}, "fast_tokenizer_files"),
    "a sentence piece model elsewhere": (
        "", {"sp_model_kwargs": {"model_file": f"../{ELSEWHERE}"}}, "sp_model_kwargs"),
    "arguments of its own": ("", {"init_inputs": [f"../{ELSEWHERE}"]}, "init_inputs"),
    "code of its own": (
        "vision3d_model", {"auto_map": {"AutoTokenizer": ["evil.Evil", None]}}, "auto_map"),
    "a class that there is not": ("", {"tokenizer_class": "EvilTokenizer"}, "EvilTokenizer"),
    "a class that starts programs": (
        "", {"tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "mecab"},
        "BertJapaneseTokenizer"),
    "no class": ("", {"tokenizer_class": None}, "tokenizer_class"),
    "no end of a text": ("", {"eos_token": None}, "end"),
    "a word far beyond the others": (
        "", {"added_tokens_decoder": {"1000000000": {"content": "<|endoftext|>"}}}, "tokens"),
}  # fmt: skip


@pytest.mark.parametrize(("folder", "changes", "said"), TOKENIZERS.values(), ids=TOKENIZERS)
def test_a_tokenizer_that_reaches_out_or_does_not_fit_is_refused(
    checkpoint, tried, folder, changes, said
):
    (checkpoint.parent / ELSEWHERE).write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    edit(checkpoint / folder / "tokenizer_config.json", lambda content: content.update(changes))
    if changes.get("eos_token", "") is None:
        edit(checkpoint / "special_tokens_map.json", lambda content: content.pop("eos_token"))
    assert_refused(checkpoint, said)
    tried(
        TOPIC, "a tokenizer with files elsewhere, code of its own, or words that do not fit", 1,
        "refused by the setting's name, no other file read",
    )  # fmt: skip


def test_a_vocabulary_without_its_marks_is_refused(checkpoint):
    (checkpoint / "vision3d_model" / "vocab.txt").write_text("nodule\n")
    assert_refused(checkpoint, "vocab.txt")


@pytest.mark.parametrize(
    "name",
    [
        "config.json", "med2e3.json", "tokenizer_config.json", "tokenizer.model",
        "special_tokens_map.json", "added_tokens.json", "vision3d_model/vocab.txt",
        "vision3d_model/tokenizer_config.json", "llm/model.safetensors.index.json",
    ],
)  # fmt: skip
def test_a_small_file_of_a_terabyte_is_refused(checkpoint, tried, name):
    if name.endswith("index.json"):
        (checkpoint / "llm" / "model.safetensors").unlink()
    (checkpoint / name).touch()
    os.truncate(checkpoint / name, 10**12)
    assert_refused(checkpoint, Path(name).name)
    tried(TOPIC, "a configuration or tokenizer file of 1 TB", 1, "refused unread")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.model", "vision3d_model/vocab.txt"])
def test_a_pipe_in_the_place_of_a_file_is_refused(checkpoint, tried, name):
    (checkpoint / name).unlink()
    os.mkfifo(checkpoint / name)
    assert_refused(checkpoint, Path(name).name)
    tried(TOPIC, "a pipe that nobody writes to in the place of a file", 1, "refused, no hang")


# -- weights ---------------------------------------------------------------------------------------


def safetensors(header: object, content: bytes = b"") -> bytes:
    text = json.dumps(header).encode() if not isinstance(header, bytes) else header
    return struct.pack("<Q", len(text)) + text + content


def tensor(shape: object = (2, 2), offsets: object = (0, 16), dtype: str = "F32") -> dict:
    return {"lm_head.weight": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


SAFETENSORS = {
    "a header of 100 GB": struct.pack("<Q", 100 * 2**30) + b"{}",
    "a header of 2^64 bytes": struct.pack("<Q", 2**64 - 1) + b"{}",
    "a header of 200 MB, which is there": safetensors(b"{" + b" " * 200_000_000 + b"}"),
    "a header deep in brackets": safetensors(b"[" * 100_000),
    "tensors that lie beyond the end": safetensors(tensor(offsets=(0, 10**15)), bytes(16)),
    "tensors that end before they begin": safetensors(tensor(offsets=(16, 0)), bytes(16)),
    "a shape whose size overflows": safetensors(tensor(shape=(2**62, 8)), bytes(16)),
    "a shape below 0": safetensors(tensor(shape=(-2, -2)), bytes(16)),
    "numbers of an unknown kind": safetensors(tensor(dtype="F31"), bytes(16)),
    "two tensors in one place": safetensors(
        tensor() | {"other": tensor()["lm_head.weight"]}, bytes(16)
    ),
    "nothing at all": b"",
}


@pytest.mark.parametrize("content", SAFETENSORS.values(), ids=SAFETENSORS)
def test_a_safetensors_file_that_lies_is_refused(checkpoint, tried, content):
    path = checkpoint / "llm" / "model.safetensors"
    path.write_bytes(content)
    assert_refused(checkpoint, str(path))
    tried(
        TOPIC, "safetensors files that lie: headers up to 2^64 bytes, shapes that overflow, "
        "tensors that overlap or lie outside", 1, "refused by the file's name, nothing allocated",
    )  # fmt: skip


class Call:
    """Pickled as a call, whatever it is of."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def sparse(shape: torch.Size) -> torch.Tensor:
    return torch.sparse_coo_tensor(torch.zeros(2, 0, dtype=torch.long), torch.zeros(0), shape)


HEAD = torch.Size((448, 64))
BINS: dict[str, Callable[[], object]] = {
    "tensors without numbers": lambda: torch.zeros(HEAD, device="meta"),
    "tensors full of gaps": lambda: sparse(HEAD),
    "one number told to be 28 672": lambda: torch.zeros(1, 1).expand(HEAD),
    "bytes without end": lambda: Call(bytearray, 10**12),
    "no tensors but numbers": lambda: 5,
    "quantised tensors": lambda: torch.quantize_per_tensor(torch.zeros(HEAD), 1.0, 0, torch.qint8),
    "code": lambda: Call(os.mkdir, "made by the pickle"),
    "code by a name": lambda: Call(eval, "__import__('os').mkdir('made by the pickle')"),
    "a parameter that runs code":
        lambda: Call(torch._utils._rebuild_parameter, Call(os.mkdir, "made by the pickle")),
}  # fmt: skip


@pytest.mark.parametrize("make", BINS.values(), ids=BINS)
def test_a_pickle_with_anything_but_whole_tensors_is_refused(
    checkpoint, tried, make, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    folder = checkpoint / "llm"
    weights: dict[str, object] = OrderedDict(load_file(folder / "model.safetensors"))
    assert weights["lm_head.weight"].shape == HEAD
    weights["lm_head.weight"] = make()
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    assert_refused(checkpoint, str(folder / "pytorch_model.bin"))
    assert not (tmp_path / "made by the pickle").exists()
    tried(
        TOPIC, "pickled weights with code, calls, and tensors that are none or claim more than "
        "the file holds", 1, "refused by the file's name, nothing ran",
    )  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "../stolen.safetensors", "/etc/passwd", "..", "", ".safetensors/../../x.bin",
        "C:\\Windows\\x.bin", "a\0.bin", "x" * 5000 + ".bin", "\udce9.safetensors", "pipe.bin",
    ],
    ids=range(10),
)  # fmt: skip
def test_an_index_that_climbs_out_of_the_folder_is_refused(checkpoint, tried, name):
    folder = checkpoint / "llm"
    (folder / "model.safetensors").rename(checkpoint / "stolen.safetensors")
    os.mkfifo(folder / "pipe.bin")
    index = {"weight_map": {"lm_head.weight": name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert_refused(checkpoint, "model.safetensors.index.json")
    tried(TOPIC, "an index of weights that names other places", 1, "refused, nothing opened")


@pytest.mark.parametrize("number", [math.nan, math.inf])
@pytest.mark.parametrize("part", PARTS)
def test_weights_that_are_no_numbers_write_no_text(
    checkpoint, tried, capsys, monkeypatch, part, number
):
    (path,) = (checkpoint / part).glob("*.safetensors")
    tensors = load_file(path)
    save_file({name: torch.full_like(one, number) for name, one in tensors.items()}, path)
    model = load_model(checkpoint, device="cpu")
    volume = torch.rand(1, *model.configuration.vision3d.volume_size)
    with pytest.raises(InputError, match="does not compute numbers"):
        VolumeSession(model, volume).generate("Is there a mass?", max_new_tokens=4)
    monkeypatch.setattr(sys, "argv", ["med2e3", "model", "check", str(checkpoint)])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "are not numbers (the first: " in capsys.readouterr().err
    tried(TOPIC, "weights that are not a number, or infinite", 1, "a sentence, no text")


def test_a_card_is_shown_as_one_short_line(checkpoint, tried):
    card = {"name": "a\n<b>b</b>\x1b[2J" + "x" * 10_000, "description": "d\r\n" * 10_000}
    (checkpoint / "med2e3.json").write_text(json.dumps(card))
    identity = load_model(checkpoint, device="cpu").identity
    for text in (identity.name, identity.description):
        assert text.isprintable()
        assert len(text) <= 500
    tried(TOPIC, "a card with control characters and 10 000 letters", 1, "shown as one short line")


# -- bytes that fell over --------------------------------------------------------------------------

FILES = sorted(
    path.relative_to(EMBEDDED).as_posix()
    for path in EMBEDDED.rglob("*")
    if path.is_file() and path.name != "README.md"
)


@pytest.mark.parametrize(
    "times",
    [3, pytest.param(300, marks=[pytest.mark.soak, pytest.mark.timeout(7200)])],
)
@pytest.mark.parametrize("name", FILES)
def test_changed_bytes_load_or_are_refused(checkpoint, tried, name, times):
    path = checkpoint / name
    content = path.read_bytes()
    chance = random.Random(name)
    for _ in range(times):
        changed = bytearray(content)
        for _ in range(chance.choice((1, 3, 30))):
            # Most of what can be misunderstood stands at the beginning.
            place = chance.randrange(
                len(changed) if chance.random() < 0.5 else min(400, len(changed))
            )
            changed[place] = chance.randrange(256)
        path.write_bytes(changed)
        outcome, told = outcome_of(checkpoint)
        assert outcome in ("loaded", "refused"), told
        assert "\n" not in told
    tried(
        TOPIC, "files of a checkpoint with 1 to 30 changed bytes", times,
        "loaded, or refused with a sentence",
    )  # fmt: skip
