"""One server for most of the tests."""

from __future__ import annotations

import pytest

pytest.importorskip("ray.serve", reason="the server needs the packages of med2e3[server]")
pytest.importorskip("fastapi_offline", reason="the server needs the packages of med2e3[server]")

from server_process import TOKENS, ServerProcess


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A server with two replicas of the embedded model and three users, who may ask often."""
    process = ServerProcess(
        tmp_path_factory.mktemp("server"), "--replicas", "2", "--rate", "10000", tokens=TOKENS
    )
    yield process
    process.end()
