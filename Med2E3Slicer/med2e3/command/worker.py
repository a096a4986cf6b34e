"""``med2e3 worker``: the background process that Slicer starts."""

from __future__ import annotations

import logging
import os
import signal
import sys

import psutil

from med2e3.command.told import Debug, told


@told
def worker(debug: Debug = False) -> None:
    """Answer JSON-RPC requests on stdin until it closes (a message a line, logs on stderr)."""
    from med2e3.service.local import LocalEngine
    from med2e3.service.worker import serve, take_stdout
    from med2e3.wire.exchange import remove_stale_exchange_folders

    logging.basicConfig(stream=sys.stderr, level=logging.DEBUG if debug else logging.WARNING)
    # Ctrl+C in the terminal that started Slicer goes to the whole group; the worker ends with
    # its client and not before.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _give_way()
    replies = take_stdout()
    remove_stale_exchange_folders()
    serve(sys.stdin.buffer, replies, LocalEngine())
    # The reading thread still waits for stdin, and an ordinary exit would abort over its lock.
    logging.shutdown()
    os._exit(0)


def _give_way() -> None:
    """Let the program that the reader sees go first: the views must follow the hand, and the
    worker keeps every core busy while it encodes."""
    psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if os.name == "nt" else 10)
