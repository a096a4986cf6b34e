"""``python -m med2e3.remote URL``: the worker whose model is on a server.

It needs nothing that Slicer's own Python does not have. The token comes from a file or from
``MED2E3_SERVER_TOKEN``.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from pathlib import Path

from med2e3.errors import InputError
from med2e3.remote.engine import RemoteEngine
from med2e3.remote.server import Server, token_from
from med2e3.service.worker import serve, take_stdout
from med2e3.wire.exchange import remove_stale_exchange_folders


def main() -> None:
    parser = argparse.ArgumentParser("med2e3.remote", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("url", metavar="URL", help="such as https://ct.example.org:8484")
    parser.add_argument("--token-file", metavar="FILE", type=Path, help="who you are")
    given = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    # Ctrl+C in the terminal that started Slicer is not meant for the worker.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        engine = RemoteEngine(Server(given.url, token_from(given.token_file)))
    except InputError as error:
        sys.exit(str(error))
    replies = take_stdout()
    remove_stale_exchange_folders()
    serve(sys.stdin.buffer, replies, engine)
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    main()
