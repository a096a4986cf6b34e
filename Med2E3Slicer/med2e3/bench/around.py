"""What is measured beside a model's stages: a cold start, the scan's way to the model and the
scores' way back, the encoders in ONNX Runtime, and whether anything grows with the questions."""

from __future__ import annotations

import importlib.util
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import torch
from tqdm import tqdm

from med2e3.attention import slice_heatmap
from med2e3.bench.measuring import QUESTIONS, Figures
from med2e3.inference import VolumeSession
from med2e3.model import load_model
from med2e3.model.onnx_encoders import PACKAGES, OnnxEncoder, export_encoders, seconds_of
from med2e3.volume import prepare, read_scan

_SCAN = (300, 512, 512)
"""Slices, rows and columns of a large CT of the chest."""


def cold_start(times: int) -> float:
    """Seconds from nothing to a worker's process that has the embedded model loaded, the median."""
    command = [sys.executable, "-c", "from med2e3.model import load_model; load_model()"]
    return _median(lambda: subprocess.run(command, check=True), times)  # noqa: S603


def scan_to_model(times: int) -> Figures:
    """Seconds for reading a NIfTI file of 300 slices of 512 x 512, and for windowing and resizing
    it; and for the heatmap of an answer about it, the medians."""
    import nibabel

    random = np.random.default_rng(0)
    voxels = random.integers(-1024, 2000, _SCAN[::-1], dtype=np.int16)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.nii"
        nibabel.save(nibabel.Nifti1Image(voxels, np.diag([-0.7, -0.7, 1.0, 1.0])), path)
        del voxels
        seconds = _median(lambda: prepare(read_scan(path), plane="axial", window="lung"), times)
        prepared = prepare(read_scan(path), plane="axial", window="lung")
    model = load_model()
    size = model.configuration.vision3d.volume_size
    small = torch.nn.functional.interpolate(prepared.volume[None], size)[0]
    attention = VolumeSession(model, small).attend(QUESTIONS[0])
    return {
        "read_and_prepare": seconds,
        "scores_to_heatmap": _median(lambda: slice_heatmap(attention), times),
    }


def encoders(folder: Path | None, told: Callable[[str], None]) -> Figures | None:
    """Seconds for all slices and the volume, by torch and by ONNX Runtime, both in float32.

    The ONNX models are written for it, for a while. None without the packages that it takes, and
    for a family without a 2D encoder.
    """
    if not all(map(importlib.util.find_spec, PACKAGES)):
        told("encoders in ONNX Runtime are not measured: pip install 'med2e3[onnx]'")
        return None
    told("encoders, torch and ONNX Runtime")
    model = load_model(folder, device="cpu", dtype="float32")
    if not model.scores_slices:
        return None
    slices, rows, columns = model.configuration.vision3d.volume_size
    images = {
        "vision2d_model": torch.rand(1, rows, columns),
        "vision3d_model": torch.rand(1, 1, slices, rows, columns),
    }
    with tempfile.TemporaryDirectory() as temporary:
        place = export_encoders(model, Path(temporary))
        found: Figures = {"torch": 0.0, "onnx": 0.0, "difference": 0.0}
        for name, image in images.items():
            encoder = getattr(model, name)
            other = OnnxEncoder(place / f"{name.removesuffix('_model')}.onnx", model.device)
            count = slices if name == "vision2d_model" else 1
            found["torch"] += count * seconds_of(encoder, image)
            found["onnx"] += count * seconds_of(other, image)
            with torch.inference_mode():
                exact = encoder(image)
                apart = float((exact - other(image)).abs().max() / exact.abs().max())
            found["difference"] = max(found["difference"], apart)
    return found


def growth(folder: Path | None, dtype: str, questions: int) -> Figures:
    """Seconds to the first token and bytes of memory at each of many questions about one volume."""
    model = load_model(folder, device="cpu", dtype=dtype)
    size = model.configuration.vision3d.volume_size
    volume = torch.rand(1, *size, generator=torch.Generator().manual_seed(0))
    session = VolumeSession(model, volume)
    process = psutil.Process()
    started = time.perf_counter()
    session.encode()
    encode = time.perf_counter() - started
    found: Figures = {"encode": encode, "first_token": [], "resident_bytes": []}
    for number in tqdm(range(questions), desc="questions", disable=None):
        written = session.generate(f"{QUESTIONS[number % 2]} ({number})", max_new_tokens=8)
        found["first_token"].append(written.timings["score"] + written.timings["prefill"])
        found["resident_bytes"].append(process.memory_info().rss)
    return found


def _median(work: Callable[[], object], times: int) -> float:
    found = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return statistics.median(found)
