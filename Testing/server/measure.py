"""How many users one server holds: the table in docs/server.md.

    python Testing/server/measure.py --page docs/server.md

Each user sends a scan of their own, and then asks for report after report without a pause, on
loopback. What is told is the time to the first token, as each user waits for it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from measured_page import write_figures
from server_process import ServerProcess, opened, user
from worker_client import small_chest

USERS = (1, 2, 4, 8)
REPORTS = 12
"""By each user."""

_SECONDS_BETWEEN_READERS = 3


def scan_of(number: int) -> np.ndarray:
    voxels = small_chest()
    voxels[:, 10 : 12 + number, 10:30] = 300
    return voxels


def first_token_seconds(client: httpx.Client, volume: str) -> tuple[float, str]:
    """From the request to the first token, and the whole text."""
    started = time.perf_counter()
    first, pieces = 0.0, []
    with client.stream(
        "POST",
        f"/v1/volumes/{volume}/report",
        json={},
        headers={"Accept": "text/event-stream"},
    ) as response:
        if response.status_code != 200:
            raise SystemExit(f"status {response.status_code}: {response.read().decode()}")
        for line in response.iter_lines():
            if line == "event: token" and not first:
                first = time.perf_counter() - started
            if line.startswith('data: {"token_id"'):
                pieces.append(line)
    return first, "".join(pieces)


def measured(server: ServerProcess, users: int) -> tuple[list[float], float, bool]:
    """Times to the first token, reports a minute, and whether each user got their own text."""
    waits: list[float] = []
    texts: dict[int, set[str]] = {number: set() for number in range(users)}
    are_ready = threading.Barrier(users + 1)

    def use(number: int) -> None:
        # Readers do not come in the same second; Ray Serve needs as long to hear of a volume, and
        # then sends the next one to the replica that has fewest.
        time.sleep(_SECONDS_BETWEEN_READERS * number)
        with user(server, "") as client:
            volume = opened(client, scan_of(number))
            texts[number].add(first_token_seconds(client, volume)[1])
            are_ready.wait()
            for _ in range(REPORTS):
                seconds, text = first_token_seconds(client, volume)
                waits.append(seconds)
                texts[number].add(text)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(users)]
    for thread in threads:
        thread.start()
    are_ready.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    minutes = (time.perf_counter() - started) / 60
    return waits, users * REPORTS / minutes, all(len(found) == 1 for found in texts.values())


def row(replicas: int, users: int, server: ServerProcess) -> str:
    waits, rate, are_own = measured(server, users)
    p50, p95 = statistics.median(waits), statistics.quantiles(waits, n=20)[-1]
    own = "yes" if are_own else "NO"
    return f"| {replicas} | {users} | {p50:.2f} | {p95:.2f} | {rate:.0f} | {own} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--page", type=Path, help="the page whose table is written anew")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    rows = []
    for replicas in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            server = ServerProcess(Path(folder), "--replicas", replicas, "--rate", 100_000)
            try:
                rows += [row(replicas, users, server) for users in USERS]
            finally:
                server.end()
    table = (
        f"Reports on small scans by the embedded model, {psutil.cpu_count()} cores, load "
        f"{load:.1f} by other programs; seconds to the first token of {REPORTS} reports by each "
        "user, who ask without a pause.\n\n"
        "| replicas | users | p50 | p95 | reports a minute | same text each time |"
        "\n|---:|---:|---:|---:|---:|---|\n" + "\n".join(rows) + "\n"
    )
    print(table)
    if given.page:
        write_figures(given.page, "Testing/server/measure.py", table)


if __name__ == "__main__":
    main()
