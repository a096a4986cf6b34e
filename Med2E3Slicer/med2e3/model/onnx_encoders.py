"""The two image encoders as ONNX models, for processors and cards where ONNX Runtime is faster.

``med2e3 model onnx`` writes them into the folder ``onnx`` of a checkpoint. Where that is there,
the loader times them against torch and takes the faster one, so that nobody has to know which.
They compute in float32.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from med2e3.errors import InputError, check_installed
from med2e3.model.med2e3 import LoadedModel

PACKAGES = ("onnx", "onnxruntime", "onnxscript")
"""What it takes to make them."""

FOLDER = "onnx"
_FILES = {"vision2d_model": "vision2d.onnx", "vision3d_model": "vision3d.onnx"}
_NOTE = "made_from.json"
_OPSET = 18

_PROVIDERS = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
"""What may run them, the fastest first."""

log = logging.getLogger(__name__)


class OnnxEncoder(nn.Module):
    """An encoder of the network, run by ONNX Runtime. Takes and returns what the encoder does."""

    def __init__(self, path: Path, device: torch.device) -> None:
        super().__init__()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        # Between two slices torch needs the processors that would wait for the next one.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        there = set(onnxruntime.get_available_providers())
        wanted = _PROVIDERS if device.type == "cuda" else _PROVIDERS[-1:]
        self._session: Any = onnxruntime.InferenceSession(
            path, options, providers=[name for name in wanted if name in there]
        )
        (self._input,) = (one.name for one in self._session.get_inputs())

    @property
    def providers(self) -> list[str]:
        """What runs it, by ONNX Runtime's names."""
        names: list[str] = self._session.get_providers()
        return names

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        given = {self._input: image.float().cpu().numpy()}
        return torch.from_numpy(self._session.run(None, given)[0]).to(image)


def export_encoders(
    model: LoadedModel, folder: Path, told: Callable[[str], None] = lambda name: None
) -> Path:
    """Write both encoders of a model in float32 into ``folder``/onnx and return that folder.

    ``told`` hears the name of each. Raises Med2E3Error where packages are missing, and InputError
    for a family without a 2D encoder.
    """
    check_installed({name: name for name in PACKAGES}, "Encoders in ONNX need", "onnx")
    if not model.scores_slices:
        raise InputError(
            f"{model.identity.name} has no 2D encoder, and its 3D encoder is not worth a second "
            "engine; choose a Med-2E3 model."
        )
    slices, rows, columns = model.configuration.vision3d.volume_size
    examples = {
        "vision2d_model": torch.zeros(2, rows, columns),
        "vision3d_model": torch.zeros(1, 1, slices, rows, columns),
    }
    partial, done = folder / f"{FOLDER}.partial", folder / FOLDER
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, file in _FILES.items():
        told(name)
        _export(getattr(model, name), examples[name], partial / file)
    note = {"sha256": model.identity.sha256}
    (partial / _NOTE).write_text(json.dumps(note) + "\n", encoding="utf-8")
    shutil.rmtree(done, ignore_errors=True)
    partial.rename(done)
    return done


def take_faster_encoders(model: LoadedModel, folder: Path) -> None:
    """Replace each encoder by its ONNX model in ``folder``/onnx, where there is one of this very
    checkpoint and it is faster here. A model that cannot be run is warned of, and torch's stays."""
    if not (folder / FOLDER / _NOTE).is_file() or not model.scores_slices:
        return
    try:
        note = json.loads((folder / FOLDER / _NOTE).read_text(encoding="utf-8"))
        if note["sha256"] != model.identity.sha256:
            raise ValueError("they were made from other weights")
        for name, file in _FILES.items():
            encoder = OnnxEncoder(folder / FOLDER / file, model.device)
            example = _example(model, name)
            if seconds_of(encoder, example) < seconds_of(getattr(model, name), example):
                setattr(model, name, encoder)
    except Exception as error:
        # Whatever ONNX Runtime raises: torch computes the same.
        log.warning(
            "The encoders in %s cannot be used (%s: %s); torch encodes instead. Make them again "
            "with `med2e3 model onnx`.",
            folder / FOLDER,
            type(error).__name__,
            str(error).splitlines()[0][:160] if str(error) else "",
        )


@torch.inference_mode()
def seconds_of(encoder: nn.Module, example: torch.Tensor) -> float:
    """How long an encoder takes for an image, once it is warm."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        encoder(example)
        if example.is_cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return min(times[1:])


def _example(model: LoadedModel, name: str) -> torch.Tensor:
    slices, rows, columns = model.configuration.vision3d.volume_size
    shape = (1, rows, columns) if name == "vision2d_model" else (1, 1, slices, rows, columns)
    return torch.zeros(shape, device=model.device, dtype=model.dtype)


def _export(encoder: nn.Module, example: torch.Tensor, path: Path) -> None:
    shapes = ({0: torch.export.Dim("count")},) if example.dim() == 3 else None
    # It tells of operators of other libraries that are not there, and of its own old habits.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(None), warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            encoder,
            (example,),
            path,
            input_names=["image"],
            output_names=["tokens"],
            opset_version=_OPSET,
            dynamo=True,
            dynamic_shapes=shapes,
            external_data=True,
            verbose=False,
        )
