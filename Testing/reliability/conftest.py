"""Workers in processes of their own."""

from __future__ import annotations

import contextlib

import pytest


@pytest.fixture
def new_worker(tmp_path):
    """Starts workers, with the embedded model and an open volume if they are to be ready, and ends
    them after the test."""
    with contextlib.ExitStack() as workers:
        yield lambda ready=True: workers.enter_context(_running_worker(tmp_path, ready))


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    """A worker that is ready, which the tests of a module share: they leave it so."""
    with _running_worker(tmp_path_factory.mktemp("worker"), True) as client:
        yield client


@contextlib.contextmanager
def _running_worker(folder, ready):
    from med2e3.wire import PROTOCOL_VERSION, messages
    from worker_client import WorkerClient, make_ready, small_chest

    client = WorkerClient(folder)
    try:
        client.ask("initialize", messages.Initialize(PROTOCOL_VERSION, "test"))
        yield make_ready(client, small_chest()) if ready else client
    finally:
        client.end()
