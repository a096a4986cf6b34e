"""Several processes on one run (`torchrun`): who does what is done once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


def is_first() -> bool:
    """Whether this process is the only one or the first of several."""
    return int(os.environ.get("RANK", "0")) == 0


def once(work: Callable[[], None]) -> None:
    """Let the first process do something that changes files, and the others wait for it."""
    with first_process_first():
        if is_first():
            work()


@contextmanager
def first_process_first() -> Iterator[None]:
    """What the first process makes, the others find made."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    # Not at the top: only then does it begin to look for its fellows.
    from accelerate import PartialState

    processes = PartialState(cpu=not torch.cuda.is_available())
    with processes.main_process_first():
        yield
    # The first must not go on and change what the others still read.
    processes.wait_for_everyone()
