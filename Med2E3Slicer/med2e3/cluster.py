"""Ray for one run: an own one on this machine, quiet and closed to others, or a cluster's.

Ray's processes talk through sockets and write logs. Those of an own Ray listen on the loopback
interface alone and answer who knows a secret of this run alone; there is no dashboard, nothing is
sent to Ray's makers, and the folder of its logs, which only the user can enter, goes with the run.
A cluster is its keeper's: what listens and logs there was decided as it was started.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from med2e3.errors import InputError

_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
"""What `med2e3` sets for itself, for the processes that a cluster starts."""

_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}

_OBJECT_STORE_BYTES = 512 * 2**20
"""Room for studies that are read and wait for the model: 8 MiB each. When it is full, no more are
read until some are answered."""

_FOLDER = re.compile(r"med2e3-ray-(\d+)-.+")
_LONGEST_TEMPORARY_FOLDER = 11
"""The paths of sockets may have 107 characters, and those of Ray have 96 below the temporary
folder."""


_SECONDS_TO_ANSWER = 10


@dataclass(frozen=True)
class Shares:
    """Who gets what: processes with a model, and for each the processors and graphics cards."""

    workers: int
    threads: int
    cards: int


@dataclass(frozen=True)
class Place:
    """Where models work, and how many.

    ``workers`` is how many models are loaded (None: one for each graphics card, or else one a
    machine), ``device`` as :func:`med2e3.model.load_model` takes it, ``address`` that of a Ray
    cluster (None: this machine alone).
    """

    model_folder: Path | None = None
    device: str = "auto"
    workers: int | None = None
    address: str | None = None

    def ray(self) -> AbstractContextManager[Shares]:
        if self.address is None:
            return own_ray(self.workers, self.device)
        return joined_ray(self.address, self.workers, self.device)


@contextmanager
def own_ray(workers: int | None, device: str) -> Iterator[Shares]:
    """Start Ray on this machine and end it afterwards, with all that it wrote."""
    processors = _own_processors()
    shares = _shares([processors], _own_cards(device), workers)
    _remove_stale_folders()
    folder = Path(tempfile.mkdtemp(prefix=f"med2e3-ray-{os.getpid()}-", dir=_short_folder()))
    os.environ.update(
        _QUIET,
        # Read as Ray is imported: without it, every process of Ray listens on all interfaces.
        RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0",
        # Other users of this machine reach the loopback interface too.
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN=secrets.token_hex(32),
    )
    ray = _quiet_ray()
    try:
        with _quiet_stderr():
            ray.init(
                address="local",
                # One more than there are, rather than none to read with.
                num_cpus=max(processors, shares.workers * shares.threads + 1),
                num_gpus=shares.workers * shares.cards,
                object_store_memory=_OBJECT_STORE_BYTES,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                # Ray opens this folder to everybody, so it lies in one that is closed.
                _temp_dir=str(folder / "ray"),
            )
        yield shares
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def joined_ray(address: str, workers: int | None, device: str) -> Iterator[Shares]:
    """Join the cluster at ``address`` (HOST:PORT). Raises InputError where there is none, or where
    it has not enough processors."""
    os.environ.update(_QUIET)
    _check_somebody_listens(address)
    ray = _quiet_ray()
    try:
        with _quiet_stderr():
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"env_vars": _OFFLINE},
            )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise _no_cluster(address, " ".join(str(error).split()) or type(error).__name__) from error
    try:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        cards = 0 if device == "cpu" else sum(int(node.get("GPU", 0)) for node in nodes)
        processors = [int(node["CPU"]) for node in nodes if node.get("CPU")]
        shares = _shares(processors, cards, workers)
        if sum(processors) <= shares.workers * shares.threads:
            raise InputError(
                f"The cluster has {sum(processors)} processors, and {shares.workers} workers leave "
                "none to read with; choose fewer --workers, or add a node."
            )
        yield shares
    finally:
        ray.shutdown()


def _check_somebody_listens(address: str) -> None:
    """Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise InputError(f"--ray-address {address} is no HOST:PORT, such as 10.0.0.5:6379.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, str(error)) from error


def _no_cluster(address: str, reason: str) -> InputError:
    return InputError(
        f"There is no Ray cluster to join at {address} ({reason}); start one with "
        "`ray start --head`, or leave --ray-address out."
    )


def _shares(processors: list[int], cards: int, workers: int | None) -> Shares:
    """Share out the processors of each node, and the graphics cards of all."""
    if cards:
        if workers and workers > cards:
            raise InputError(
                f"There are {cards} graphics cards for {workers} workers; choose fewer --workers, "
                "or --device cpu."
            )
        return Shares(workers or cards, threads=1, cards=1)
    workers = workers or len(processors) or 1
    # One processor reads while the others answer.
    spare = (sum(processors) - 1) // workers
    return Shares(workers, threads=max(1, min(spare, *processors)), cards=0)


def _own_processors() -> int:
    # Those that this process may use: in a container, or under taskset, fewer than there are.
    own = psutil.Process()
    return len(own.cpu_affinity()) if hasattr(own, "cpu_affinity") else os.cpu_count() or 1


def _own_cards(device: str) -> int:
    import torch

    return 0 if device == "cpu" else torch.cuda.device_count()


def _quiet_ray() -> Any:
    import ray
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logger = logging.getLogger("ray.data")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    return ray


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Keep to itself what Ray's C++ says of its own start."""
    sys.stderr.flush()
    shown = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(shown, 2)
        os.close(shown)
        os.close(nowhere)


def _short_folder() -> str:
    usual = tempfile.gettempdir()
    if os.name == "posix" and len(usual) > _LONGEST_TEMPORARY_FOLDER:
        # The folder that is made in it is private.
        return "/tmp"  # noqa: S108  # nosec B108
    return usual


def _remove_stale_folders() -> None:
    """Remove what runs of this user left behind that were killed."""
    for folder in Path(_short_folder()).glob("med2e3-ray-*"):
        match = _FOLDER.fullmatch(folder.name)
        if match and not psutil.pid_exists(int(match.group(1))):
            shutil.rmtree(folder, ignore_errors=True)
