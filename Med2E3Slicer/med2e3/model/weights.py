"""Weight files: which there are, what is in them, and whether it fits. Nothing in them is run.

Safetensors are preferred. A ``.bin`` file is a zip archive with a pickle in it: it is opened with
torch's weights-only reader, which refuses everything but tensors.
"""

from __future__ import annotations

import pickle
import pickletools
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from med2e3.errors import InputError
from med2e3.model.configuration import read_json
from med2e3.model.widening import stays_narrow

Weights = Mapping[str, torch.Tensor]
"""Tensors by name. Those of a safetensors file come from it when they are asked for."""

_WHOLE = ("model.safetensors", "pytorch_model.safetensors", "pytorch_model.bin")
_INDEX = ("model.safetensors.index.json", "pytorch_model.bin.index.json")


def weight_files(folder: Path) -> list[Path]:
    """The files with the weights of one part of a checkpoint, one or several shards.

    Raises InputError if there are none, or the index names a file that is missing or lies outside
    the folder.
    """
    for name in _WHOLE[:2]:
        if (folder / name).is_file():
            return [folder / name]
    for name in _INDEX:
        if (folder / name).is_file():
            return _shards(folder / name)
    if (folder / _WHOLE[2]).is_file():
        return [folder / _WHOLE[2]]
    raise InputError(
        f"{folder} has no weights (neither {_WHOLE[0]} nor {_WHOLE[2]}); download or copy the "
        "checkpoint again."
    )


def read_weights(path: Path, *, apart: bool = False) -> Weights:
    """The tensors in a weight file, mapped into memory rather than copied; ``apart``, each for
    itself, so that its memory goes with it.

    Raises InputError for a file that is truncated, holds anything but tensors, or is compressed.
    """
    return _MappedFile(path, apart) if path.suffix == ".safetensors" else _read_bin(path)


def weights_in(files: Iterable[Path], prefix: str = "", *, apart: bool = False) -> Weights:
    """The tensors of several files whose names begin with ``prefix``, by the rest of their names.

    ``apart`` and errors as with :func:`read_weights`.
    """
    return _OfSeveralFiles([read_weights(path, apart=apart) for path in files], prefix)


class _OfSeveralFiles(Mapping[str, torch.Tensor]):
    def __init__(self, files: Iterable[Weights], prefix: str) -> None:
        self._places = {
            name.removeprefix(prefix): (file, name)
            for file in files
            for name in file
            if name.startswith(prefix)
        }

    def __getitem__(self, name: str) -> torch.Tensor:
        file, full_name = self._places[name]
        return file[full_name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def tensor_of(weights: Weights, name: str, shape: torch.Size, source: Path) -> torch.Tensor:
    """One tensor. Raises InputError if it is missing, has another shape or is no floating point."""
    if name not in weights:
        raise InputError(
            f"{source} lacks the tensor {name}; it is not complete or belongs to another "
            "model: download or copy it again."
        )
    tensor = weights[name]
    if tensor.shape != shape:
        raise InputError(
            f"{source}: the tensor {name} has the shape {tuple(tensor.shape)}, and "
            f"config.json asks for {tuple(shape)}; both must come from one checkpoint."
        )
    if not tensor.is_floating_point():
        raise InputError(
            f"{source}: the tensor {name} is of the type {tensor.dtype}, not floating "
            "point; quantised checkpoints cannot be read."
        )
    return tensor


def assign_weights(
    module: nn.Module,
    weights: Weights,
    source: Path,
    *,
    device: torch.device,
    dtype: torch.dtype,
    optional: Callable[[str], bool] = lambda name: False,
) -> None:
    """Put weights into a module whose parameters have no memory yet.

    Each must be there with its shape; ``optional`` tells which may be missing. Tensors that the
    module has no place for are ignored (stored heads that are not used, tensors that newer MONAI
    versions add). They become ``dtype``, but for those that stay as narrow as they are
    (:mod:`med2e3.model.widening`). Raises InputError that names the first tensor that is missing or
    does not fit.
    """
    state = {}
    for name, place in _parameters(module).items():
        if name not in weights and optional(name):
            continue
        tensor = tensor_of(weights, name, place.shape, source)
        kept = tensor.dtype if stays_narrow(module, name) and tensor.itemsize < 4 else dtype
        state[name] = tensor.to(device=device, dtype=kept)
    module.load_state_dict(state, strict=False, assign=True)
    for parameter in module.parameters():
        parameter.requires_grad_(False)


def _parameters(module: nn.Module) -> Mapping[str, torch.Tensor]:
    return dict(module.named_parameters(remove_duplicate=False))


def _shards(index: Path) -> list[Path]:
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise InputError(f"{index} names no weight files; download or copy it again.")
    shards = []
    for name in sorted(set(map(str, names.values()))):
        suffix = Path(name).suffix
        if name != Path(name).name or suffix not in (".safetensors", ".bin") or len(name) > 200:
            raise InputError(
                f"{index} names {name!r:.200}, which is no weight file beside it; this "
                "checkpoint is not to be trusted."
            )
        if not (index.parent / name).is_file():
            raise InputError(
                f"{index.parent / name} is missing, and {index.name} asks for it; download or "
                "copy it again."
            )
        shards.append(index.parent / name)
    return shards


class _MappedFile(Mapping[str, torch.Tensor]):
    """The tensors of a safetensors file. They share one map of the file, or, ``apart``, have one
    each: then what was read of the file leaves the memory with its tensor, and a model that is
    loaded in another precision never has the whole file in memory beside it."""

    def __init__(self, path: Path, apart: bool) -> None:
        self._path = path
        self._apart = apart
        self._file = self._opened()
        self._names = frozenset(self._file.keys())

    def __getitem__(self, name: str) -> torch.Tensor:
        if name not in self._names:
            raise KeyError(name)
        file = self._opened() if self._apart else self._file
        try:
            tensor: torch.Tensor = file.get_tensor(name)
        except (SafetensorError, ValueError, OSError) as error:
            raise self._incomplete(error) from None
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _opened(self) -> Any:
        try:
            # Its end closes the file: the tensors that share its map may need it till then.
            opened: Any = safe_open(self._path, framework="pt")
            return opened.__enter__()
        except (SafetensorError, ValueError, OSError) as error:
            raise self._incomplete(error) from None

    def _incomplete(self, error: Exception) -> InputError:
        return InputError(
            f"{self._path} is not a complete safetensors file ({brief(error)}); download or "
            "copy it again."
        )


def _read_bin(path: Path) -> Weights:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            compressed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
            # Read before torch reads it: its reader allows calls that fill the memory.
            other = None if compressed else _other_than_tensors(archive)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError):
        raise InputError(
            f"{path} is not a complete PyTorch weight file; download or copy it again."
        ) from None
    if compressed:
        # torch never writes such a file, and one of a few bytes could fill the memory.
        raise InputError(
            f"{path} is compressed, which no PyTorch weight file is; it is not to be trusted."
        )
    if other:
        raise _not_tensors(path, other)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError:
        raise _not_tensors(path, "what torch's reader refuses") from None
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, AttributeError, TypeError) as e:
        raise InputError(
            f"{path} is not a complete PyTorch weight file ({brief(e)}); download or copy it again."
        ) from None
    if not isinstance(found, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in found.items()
    ):
        raise InputError(f"{path} holds no table of tensors; download or copy it again.")
    if not all(map(_is_whole, found.values())):
        raise InputError(
            f"{path} has tensors that claim more numbers than the file holds; this file is not to "
            "be trusted."
        )
    return found


_OF_TENSORS = re.compile(
    r"collections OrderedDict|torch (\w+Storage|Size)|torch\._utils _rebuild_(tensor_v2|parameter)"
)
"""What torch.save writes the names of, for a table of plain tensors."""

_LARGEST_PICKLE = 2**27


def _other_than_tensors(archive: zipfile.ZipFile) -> str | None:
    """The first thing that the pickle of a weight file names besides the parts of plain tensors.

    Raises ValueError for an archive that is none of torch's.
    """
    pickles = [entry for entry in archive.infolist() if entry.filename.endswith("/data.pkl")]
    if len(pickles) != 1 or pickles[0].file_size > _LARGEST_PICKLE:
        raise ValueError("it has no single table of tensors")
    for code, argument, _place in pickletools.genops(archive.read(pickles[0])):
        if code.name == "GLOBAL" and not _OF_TENSORS.fullmatch(str(argument)):
            return str(argument)
        if code.name in ("STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4"):
            return code.name
    return None


def _not_tensors(path: Path, what: str) -> InputError:
    return InputError(
        f"{path} holds something else than tensors ({what:.80}), which might be code, and was not "
        "opened; this file is not to be trusted."
    )


def _is_whole(tensor: torch.Tensor) -> bool:
    # Steps of 0 make one number look like any count of them.
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def brief(error: Exception) -> str:
    """What a library says of an error, on one line of a sentence."""
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__
