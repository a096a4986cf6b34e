"""``med2e3 model download`` against a small hub on this machine, with the faults of networks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from command.hub import MODEL, TOKENIZER, Hub, serving
from med2e3.download import RECORD, part_folder
from reliability.record import tried

WEIGHTS = "llm/pytorch_model.bin"
MEGABYTE = 1_000_000
# The hub's client writes 10 MiB at a time.
SIZE, BREAK = 24 * MEGABYTE, 14 * MEGABYTE


def released_files() -> dict[tuple[str, str], bytes]:
    weights = np.random.default_rng(0).integers(0, 256, SIZE, np.uint8).tobytes()
    return {
        (MODEL, "config.json"): b"{}",
        (MODEL, "tokenizer.model"): b"words" * 1000,
        (MODEL, WEIGHTS): weights,
        (MODEL, "README.md"): b"is not needed",
        (TOKENIZER, "vocab.txt"): b"[PAD]\n",
        (TOKENIZER, "pytorch_model.bin"): b"is not needed either",
    }


@pytest.fixture
def hub():
    with serving(Hub(released_files())) as hub:
        yield hub


def download(hub: Hub, folder: Path, *options: str, before=None, **environment: str):
    return subprocess.run(
        [sys.executable, "-m", "med2e3", "model", "download", str(folder), "--yes", *options],
        capture_output=True,
        text=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        env=_environment(**{"HF_ENDPOINT": hub.address, **environment}),
        preexec_fn=before,
    )


def _environment(**more: str) -> dict[str, str]:
    proxies = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    inherited = {key: value for key, value in os.environ.items() if key.lower() not in proxies}
    return {**inherited, "PYTHONUTF8": "1", **more}


def assert_whole(hub: Hub, folder: Path) -> None:
    assert (folder / WEIGHTS).read_bytes() == hub.files[MODEL, WEIGHTS]
    assert (folder / "vision3d_model" / "vocab.txt").read_bytes() == b"[PAD]\n"
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "config.json", "tokenizer.model", WEIGHTS, "vision3d_model/vocab.txt", RECORD,
    }  # fmt: skip
    assert not part_folder(folder).exists()


def ranges_of_the_weights(hub: Hub) -> list[str]:
    return [asked for method, path, asked in hub.asked if method == "GET" and WEIGHTS in path]


def test_what_is_needed_arrives_with_a_record_of_its_hashes(hub, tmp_path):
    folder = tmp_path / "Modèle 1"
    ended = download(hub, folder, "--json")
    assert ended.returncode == 0, ended.stderr
    assert_whole(hub, folder)
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    assert told[-1] == {"folder": str(folder)}
    assert told[-2]["stage"] == "verify"
    assert told[-2]["done"] == told[-2]["total"] > SIZE
    record = json.loads((folder / RECORD).read_text())
    (weights,) = [file for file in record["files"] if file["path"] == WEIGHTS]
    assert len(weights["sha256"]) == 64
    again = download(hub, folder)
    assert again.returncode == 2
    assert "already" in again.stderr


def test_a_connection_that_breaks_is_taken_up_where_it_broke(hub, tmp_path):
    hub.broken_after = [BREAK]
    ended = download(hub, tmp_path / "model")
    assert ended.returncode == 0, ended.stderr
    assert_whole(hub, tmp_path / "model")
    first, second = ranges_of_the_weights(hub)
    assert first == ""
    assert 0 < int(second.removeprefix("bytes=").rstrip("-")) <= BREAK


def test_a_download_that_is_stopped_goes_on_later(hub, tmp_path):
    hub.broken_after, hub.held = [BREAK], threading.Event()
    folder = tmp_path / "model"
    arguments = ["model", "download", str(folder), "--yes", "--json", "--stop-with-stdin"]
    process = subprocess.Popen(
        [sys.executable, "-m", "med2e3", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(HF_ENDPOINT=hub.address),
    )
    for line in process.stdout:
        if json.loads(line)["done"] >= 10 * MEGABYTE:
            break
    started = time.monotonic()
    process.stdin.close()
    assert process.wait(timeout=10) != 0
    assert time.monotonic() - started < 5
    process.stdout.close()
    assert not folder.exists()
    assert part_folder(folder).is_dir()

    ended = download(hub, folder)
    assert ended.returncode == 0, ended.stderr
    assert_whole(hub, folder)
    assert int(ranges_of_the_weights(hub)[-1].removeprefix("bytes=").rstrip("-")) >= 10 * MEGABYTE


@pytest.mark.parametrize("name", ["../climbed.json", "llm/../../climbed.json", "/climbed.json"])
def test_a_hub_that_names_a_file_outside_is_refused(hub, tmp_path, tried, name):
    hub.files[MODEL, name] = b"{}"
    ended = download(hub, tmp_path / "model")
    assert ended.returncode == 2
    assert "HF_ENDPOINT" in ended.stderr
    assert list(tmp_path.rglob("*.json")) == []
    tried("Hostile model files", "a hub that names files outside of the folder", 1, "refused")


def test_a_file_with_another_hash_is_refused_and_removed(hub, tmp_path, tried):
    folder = tmp_path / "model"
    hub.sent_instead[WEIGHTS] = bytes(SIZE)
    ended = download(hub, folder)
    assert ended.returncode == 2
    assert WEIGHTS in ended.stderr
    assert "hash" in ended.stderr
    assert not folder.exists()
    assert not (part_folder(folder) / WEIGHTS).exists()
    hub.sent_instead.clear()
    ended = download(hub, folder)
    assert ended.returncode == 0, ended.stderr
    assert_whole(hub, folder)
    tried("Hostile model files", "a downloaded file with another sha256", 1, "refused and removed")


def test_a_small_file_with_another_content_is_refused_too(hub, tmp_path):
    hub.sent_instead["config.json"] = b"[]"
    ended = download(hub, tmp_path / "model")
    assert ended.returncode == 2
    assert "config.json" in ended.stderr
    assert not (tmp_path / "model").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files there")
def test_a_disk_that_takes_no_more_is_told(hub, tmp_path):
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (12 * MEGABYTE, 12 * MEGABYTE))

    folder = tmp_path / "model"
    ended = download(hub, folder, before=limit)
    assert ended.returncode == 2
    assert "disk" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not folder.exists()
    assert download(hub, folder).returncode == 0
    assert_whole(hub, folder)
    tried(
        "Resources",
        "a full disk while a model is downloaded",
        1,
        "a sentence; no folder of the model's name; the next download goes on and is whole",
    )


def test_a_proxy_is_honoured(hub, tmp_path):
    ended = download(
        hub, tmp_path / "model", HTTP_PROXY=hub.address, HF_ENDPOINT="http://hub.invalid"
    )
    assert ended.returncode == 0, ended.stderr
    assert_whole(hub, tmp_path / "model")
    assert all(path.startswith("http://hub.invalid/") for _method, path, _range in hub.asked)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_certificates_of_ones_own_network_are_honoured(tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    with serving(Hub(released_files()), certificate=(certificate, key)) as hub:
        ended = download(hub, tmp_path / "model")
        assert ended.returncode == 2
        assert "REQUESTS_CA_BUNDLE" in ended.stderr
        ended = download(hub, tmp_path / "model", REQUESTS_CA_BUNDLE=str(certificate))
        assert ended.returncode == 0, ended.stderr
        assert_whole(hub, tmp_path / "model")


def test_a_hub_that_cannot_be_reached_is_told(tmp_path):
    ended = download(Hub({}, address="http://127.0.0.1:9"), tmp_path / "model")
    assert ended.returncode == 2
    assert "HTTPS_PROXY" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_mirror_without_the_model_is_told(hub, tmp_path):
    hub.files.clear()
    ended = download(hub, tmp_path / "model")
    assert ended.returncode == 2
    assert "mirror" in ended.stderr
    assert not (tmp_path / "model").exists()


def test_only_what_was_downloaded_can_be_removed(hub, tmp_path):
    def remove(folder: Path):
        return subprocess.run(
            [sys.executable, "-m", "med2e3", "model", "remove", str(folder), "--yes"],
            capture_output=True,
            text=True,
            env=_environment(),
        )

    own = tmp_path / "own"
    own.mkdir()
    (own / "config.json").write_text("{}")
    assert remove(own).returncode == 2
    assert (own / "config.json").is_file()

    hub.sent_instead["config.json"] = b"[]"
    assert download(hub, tmp_path / "half").returncode == 2
    assert remove(tmp_path / "half").returncode == 0
    hub.sent_instead.clear()
    assert download(hub, tmp_path / "whole").returncode == 0
    assert remove(tmp_path / "whole").returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["own"]
