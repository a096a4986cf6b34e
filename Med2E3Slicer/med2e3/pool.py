"""Processes that share a long piece of work, and that end with the process that began them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch


def process_pool(workers: int, threads: int = 1) -> ProcessPoolExecutor:
    """A pool whose processes compute with ``threads`` threads each."""
    # Not forked: torch's threads would not live on in the child.
    return ProcessPoolExecutor(
        workers, get_context("spawn"), initializer=_begin, initargs=(threads,)
    )


def _begin(threads: int) -> None:
    # The parent process hears Ctrl-C, and ends the pool.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.set_num_threads(threads)
    # A parent that was killed ends nothing, and a pool waits for its next task for ever.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
