"""Encoders in ONNX Runtime: they compute the same, and are taken where they are faster."""

from __future__ import annotations

import json
import shutil
import threading

import pytest
import torch

from med2e3.errors import Cancelled
from med2e3.inference import VolumeSession
from med2e3.model import EMBEDDED, load_model, onnx_encoders
from med2e3.model.onnx_encoders import FOLDER, OnnxEncoder

QUESTION = "Is there a nodule in the lungs?"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The embedded model with its encoders in ONNX beside it, as the command makes them."""
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("exported") / "model"
    shutil.copytree(EMBEDDED, folder)
    done = subprocess.run(
        [sys.executable, "-m", "med2e3", "model", "onnx", folder], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert str(folder / FOLDER) in done.stdout
    return folder


@pytest.fixture
def slower_torch(monkeypatch):
    """ONNX Runtime wins each time."""
    monkeypatch.setattr(
        onnx_encoders, "seconds_of", lambda encoder, image: not isinstance(encoder, OnnxEncoder)
    )


def volume_for(model) -> torch.Tensor:
    size = model.configuration.vision3d.volume_size
    return torch.rand(1, *size, generator=torch.Generator().manual_seed(5))


def in_onnx(model) -> list[bool]:
    return [isinstance(one, OnnxEncoder) for one in (model.vision2d_model, model.vision3d_model)]


def test_the_tokens_agree_with_torch_to_a_thousandth(exported, slower_torch):
    there, here = load_model(EMBEDDED, device="cpu"), load_model(exported, device="cpu")
    assert in_onnx(here) == [True, True]
    volume = volume_for(there)
    exact, found = VolumeSession(there, volume).encode(), VolumeSession(here, volume).encode()
    for name in ("tokens_2d", "tokens_3d", "keys"):
        one, other = getattr(exact, name), getattr(found, name)
        assert (one - other).abs().max() <= 1e-3 * max(1, float(one.abs().max()))
    first, second = (VolumeSession(model, volume).generate(QUESTION) for model in (there, here))
    assert first.text == second.text
    assert first.attention.scores == pytest.approx(second.attention.scores, abs=1e-3)


def test_the_faster_one_is_taken(exported, monkeypatch):
    """Each encoder for itself."""
    times = {("vision2d", True): 1.0, ("vision2d", False): 2.0, ("vision3d", True): 2.0}

    def seconds(encoder, image):
        name = "vision2d" if image.dim() == 3 else "vision3d"
        return times.get((name, isinstance(encoder, OnnxEncoder)), 1.0)

    monkeypatch.setattr(onnx_encoders, "seconds_of", seconds)
    assert in_onnx(load_model(exported, device="cpu")) == [True, False]


def test_timing_an_encoder_gives_seconds(exported):
    model = load_model(EMBEDDED, device="cpu")
    image = torch.zeros(1, *model.configuration.vision3d.volume_size[1:])
    assert 0 < onnx_encoders.seconds_of(model.vision2d_model, image) < 60


def test_other_weights_than_they_were_made_from_are_warned_of(exported, tmp_path, caplog):
    folder = shutil.copytree(exported, tmp_path / "model")
    note = folder / FOLDER / "made_from.json"
    note.write_text(json.dumps({"sha256": "0" * 64}), encoding="utf-8")
    assert in_onnx(load_model(folder, device="cpu")) == [False, False]
    assert "other weights" in caplog.text
    assert "med2e3 model onnx" in caplog.text


def test_a_broken_file_is_warned_of_and_torch_encodes(exported, tmp_path, caplog):
    folder = shutil.copytree(exported, tmp_path / "model")
    (folder / FOLDER / "vision2d.onnx").write_bytes(b"no model")
    model = load_model(folder, device="cpu")
    assert in_onnx(model) == [False, False]
    assert "torch encodes instead" in caplog.text
    assert VolumeSession(model, volume_for(model)).encode().tokens_2d.isfinite().all()


def test_a_stop_is_heard_between_slices(exported, slower_torch):
    model = load_model(exported, device="cpu")
    stop = threading.Event()

    def stop_after_the_first(done, total):
        if done:
            stop.set()

    with pytest.raises(Cancelled):
        VolumeSession(model, volume_for(model)).encode(stop_after_the_first, stop)


def test_a_family_without_slices_is_refused(med2e3, tmp_path):
    from other_checkpoints import write_lamed

    write_lamed(tmp_path / "lamed")
    refused = med2e3("model", "onnx", tmp_path / "lamed")
    assert refused.returncode == 2
    assert "no 2D encoder" in refused.stderr


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA card here")
def test_a_card_runs_them(exported, slower_torch):
    model = load_model(exported, device="cuda")
    assert set(model.vision2d_model.providers) & set(onnx_encoders._PROVIDERS[:2])
    assert VolumeSession(model, volume_for(model)).encode().tokens_2d.isfinite().all()
