"""Too little memory, a full disk, very many questions, a very large scan."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import psutil
import pytest
import torch

from limits import ARE_POSSIBLE, little_memory
from med2e3.errors import InputError, lacks_memory
from med2e3.wire import PROTOCOL_VERSION, jsonrpc, messages
from med2e3.wire.messages import LoadModel
from reliability.record import tried
from worker_client import WorkerClient, short_question, small_chest

MEGABYTE = 1024 * 1024
MEMORY_FOR_A_SCAN = 600 * MEGABYTE
"""What the worker may take of its own to read one, however large it is."""

FULL_CARD_WORKER = Path(__file__).with_name("full_card_worker.py")
MATRIX = tuple(np.diag([-1.0, -1.0, 3.0, 1.0]).ravel())


@pytest.fixture
def scan_file(tmp_path) -> Path:
    path = tmp_path / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(small_chest().T, np.diag([2.0, 2.0, 5.0, 1.0])), path)
    return path


def caused_by(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


CUDA_IS_FULL = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 GiB of "
    "which 1.05 GiB is free."
)
PROCESSOR_IS_FULL = (
    "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you "
    "tried to allocate 4294967296 bytes. Error code 12 (Cannot allocate memory)"
)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError(CUDA_IS_FULL),
        RuntimeError(PROCESSOR_IS_FULL),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("unable to mmap 4096 bytes from file </m>: Cannot allocate memory (12)"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        caused_by(InputError("m is not a complete file"), RuntimeError(PROCESSOR_IS_FULL)),
    ],
    ids=repr,
)
def test_a_lack_of_memory_is_told_from_whatever_says_so(error):
    assert lacks_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        InputError("There is no file out of memory.nii; look at its name."),
        ImportError("libgomp.so.1: cannot allocate memory in static TLS block"),
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"),
    ],
    ids=repr,
)
def test_another_error_is_no_lack_of_memory(error):
    assert not lacks_memory(error)


ON_THE_PROCESSOR = [("cpu", "bfloat16"), ("cpu", "int8"), ("cpu", "int4")]


@pytest.mark.parametrize(
    ("device", "dtype", "steps"),
    [
        ("auto", "auto", ON_THE_PROCESSOR),
        ("cuda", "float32", [("cuda", "bfloat16"), *ON_THE_PROCESSOR]),
        ("cuda", "auto", ON_THE_PROCESSOR),
        ("cpu", "auto", ON_THE_PROCESSOR),
        ("cpu", "float32", ON_THE_PROCESSOR),
        ("cpu", "bfloat16", ON_THE_PROCESSOR[1:]),
        ("cpu", "int4", []),
    ],
)
def test_each_setting_has_a_next_smaller_one_until_there_is_none(device, dtype, steps):
    setting = LoadModel("/models/m", device, dtype)
    found = []
    while (setting := setting.smaller()) is not None:
        assert setting.folder == "/models/m"
        found.append((setting.device, setting.dtype))
    assert found == steps


# -- memory ----------------------------------------------------------------------------------------


def test_a_full_graphics_card_is_told_and_the_next_smaller_setting_works(tmp_path):
    client = WorkerClient(tmp_path, [sys.executable, str(FULL_CARD_WORKER), "worker"])
    try:
        client.ask("initialize", messages.Initialize(PROTOCOL_VERSION, "test"))
        smaller = LoadModel().smaller()

        def assert_full(method: str, params: object) -> None:
            error = client.refusal(method, params)
            assert error.code == jsonrpc.OUT_OF_MEMORY, error
            assert "not enough memory" in error.message
            assert "bfloat16" in error.message

        assert_full("load_model", LoadModel())
        assert client.ask("load_model", smaller).dtype == smaller.dtype
        path = client.write_voxels(small_chest())
        volume = "open_volume", messages.OpenVolume(str(path), MATRIX, "CT")
        assert_full(*volume)
        client.volume = client.ask(*volume)
        assert_full(*short_question(client))
        # The scan was given up with all else that can be made again.
        assert client.refusal(*short_question(client)).code == jsonrpc.NOT_READY
        client.volume = client.ask(*volume)
        assert client.ask(*short_question(client)).answer.token_ids
    finally:
        client.end()
    tried(
        "Resources",
        "a graphics card that is full (injected) in load, encode and generate",
        3,
        "a sentence, the memory given back, and the next smaller setting answers",
    )


def run_under(limits: dict[str, int], *arguments: object) -> subprocess.CompletedProcess:
    """The command with limits of the module ``resource``."""
    import resource

    def limit() -> None:
        for name, size in limits.items():
            resource.setrlimit(getattr(resource, name), (size, size))

    return subprocess.run(
        [sys.executable, "-m", "med2e3", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONUTF8": "1"},
        preexec_fn=limit,
    )


on_linux = pytest.mark.skipif(not ARE_POSSIBLE, reason="limits of Linux")


@on_linux
def test_too_little_memory_for_the_libraries_ends_the_worker_with_a_sentence(new_worker):
    client = new_worker(ready=False)
    with little_memory(client.process.pid, 200 * MEGABYTE):
        error = client.refusal("load_model", LoadModel())
    assert error.code == jsonrpc.OUT_OF_MEMORY
    # Libraries that were loaded by half are of no use any more.
    assert client.process.wait(timeout=10) == 0
    assert "Traceback" not in client.complaints()
    assert new_worker().volume.volume_id
    tried(
        "Resources",
        "no memory for the libraries of the engine (ulimit)",
        1,
        "a sentence; the worker ends and another one starts whole",
    )


@on_linux
def test_too_little_memory_for_a_scan_leaves_the_worker_alive(worker):
    path = worker.write_voxels(small_chest())
    volume = "open_volume", messages.OpenVolume(str(path), MATRIX, "CT")
    with little_memory(worker.process.pid, 0):
        assert worker.refusal(*volume).code == jsonrpc.OUT_OF_MEMORY
    worker.volume = worker.ask(*volume)
    assert worker.ask(*short_question(worker)).answer.token_ids
    tried(
        "Resources",
        "no memory for a scan (ulimit)",
        1,
        "a sentence, and the same worker reads the scan once there is memory",
    )


@on_linux
def test_the_command_line_tells_what_takes_less_memory(scan_file):
    ended = run_under({"RLIMIT_AS": 600 * MEGABYTE}, "report", scan_file)
    assert ended.returncode == 1
    assert ended.stderr == (
        "There is not enough memory; close other programs, or choose --device cpu --dtype "
        "bfloat16.\n"
    )
    tried("Resources", "no memory on the command line (ulimit)", 1, "a sentence, status 1")


def write_large_volume(path: Path, slices: int) -> Path:
    """Voxels (slices, 512, 512) in float32, a slice at a time."""
    voxels = np.lib.format.open_memmap(path, "w+", np.float32, (slices, 512, 512))
    random = np.random.default_rng(0)
    for number in range(slices):
        voxels[number] = -1000
        voxels[number, 60:450, 40:470] = random.normal(40, 60, (390, 430))
    voxels.flush()
    return path


@on_linux
@pytest.mark.parametrize("slices", [100, pytest.param(1000, marks=pytest.mark.soak)])
def test_a_very_large_volume_takes_no_more_memory_than_a_small_one(worker, tmp_path, slices):
    path = write_large_volume(tmp_path / "large.npy", slices)
    for plane in ("axial", "coronal", "sagittal"):
        volume = messages.OpenVolume(str(path), MATRIX, "CT", plane)
        # The file is mapped, and what is mapped counts; but it is no memory of the worker's own.
        with little_memory(worker.process.pid, path.stat().st_size + MEMORY_FOR_A_SCAN):
            worker.volume = worker.ask("open_volume", volume)
            assert worker.ask(*short_question(worker)).answer.token_ids
    path.unlink()
    tried(
        "Resources",
        f"a volume of 512 × 512 × {slices} in float32, in each plane",
        3,
        f"read with less than {MEMORY_FOR_A_SCAN // MEGABYTE} MB of the worker's memory",
    )


@pytest.mark.parametrize("questions", [20, pytest.param(200, marks=pytest.mark.soak)])
def test_many_questions_take_no_more_memory_and_no_more_handles(worker, questions):
    process = psutil.Process(worker.process.pid)

    def ask(count: int) -> tuple[int, int]:
        for number in range(count):
            assert worker.ask(*short_question(worker, f"What is in slice {number}?")).answer.text
        handles = process.num_handles() if os.name == "nt" else process.num_fds()
        return process.memory_full_info().uss, handles

    memory, handles = ask(10)
    memory_after, handles_after = ask(questions)
    assert memory_after - memory < 20 * MEGABYTE
    assert handles_after == handles
    tried(
        "Resources",
        "questions in a row to one worker",
        questions,
        "less than 20 MB more memory, no more file handles",
    )


@pytest.mark.parametrize("scans", [8, pytest.param(40, marks=pytest.mark.soak)])
def test_scans_in_a_row_take_no_more_memory(worker, scans):
    process = psutil.Process(worker.process.pid)
    used = []
    for _ in range(scans):
        worker.volume = worker.open_volume(small_chest())
        worker.ask(*short_question(worker))
        used.append(process.memory_full_info().uss)
    # Four are kept; from then on the oldest one goes.
    assert used[-1] - used[4] < 20 * MEGABYTE
    tried("Resources", "scans in a row to one worker", scans, "less than 20 MB more memory")


# -- the disk ------------------------------------------------------------------------------------


@on_linux
def test_a_full_disk_leaves_no_half_results(scan_file, tmp_path):
    out = tmp_path / "out"
    ended = run_under({"RLIMIT_FSIZE": 20_000}, "report", scan_file, "--out", out)
    assert ended.returncode == 2
    assert "could not be written" in ended.stderr
    assert "File too large" in ended.stderr
    assert "free some space" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == [scan_file.name]
    tried(
        "Resources",
        "a full disk while `--out` is written",
        1,
        "a sentence; the text is on the screen; no file or half of one",
    )
