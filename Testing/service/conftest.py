"""Workers for the tests of the service."""

from __future__ import annotations

import numpy as np
import pytest

from med2e3.wire import PROTOCOL_VERSION, messages
from worker_client import WorkerClient, make_ready, small_chest


@pytest.fixture
def new_client(tmp_path):
    """Starts workers and ends them after the test."""
    clients = []

    def start(greet: bool = True) -> WorkerClient:
        client = WorkerClient(tmp_path)
        clients.append(client)
        if greet:
            client.ask("initialize", messages.Initialize(PROTOCOL_VERSION, "test"))
        return client

    yield start
    for client in clients:
        client.end()


@pytest.fixture(scope="module")
def ready(tmp_path_factory, chest):
    """A worker with the embedded model and an open volume, which the tests of a module share."""
    client = WorkerClient(tmp_path_factory.mktemp("worker"))
    client.ask("initialize", messages.Initialize(PROTOCOL_VERSION, "test"))
    yield make_ready(client, chest)
    client.end()


@pytest.fixture
def ready_to_end(new_client, chest):
    """The same for a test that ends its worker."""
    return make_ready(new_client(), chest)


@pytest.fixture(scope="session")
def chest() -> np.ndarray:
    return small_chest()
