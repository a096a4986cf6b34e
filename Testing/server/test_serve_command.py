"""What `med2e3 serve` says where it cannot start: each is one sentence, and status 2."""

from __future__ import annotations

import socket

import pytest


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "can be reached by others"),  # noqa: S104
        (["--tls-key", "none.pem"], "both --tls-certificate and --tls-key"),
        (["--tls-key", "none.pem", "--tls-certificate", "none.pem"], "no file none.pem"),
        (["--tokens", "none"], "cannot be read"),
        (["--model", "none"], "none"),
        (["--ray-address", "nowhere"], "is no HOST:PORT"),
    ],
)
def test_what_cannot_be(med2e3, options, said):
    ended = med2e3("serve", "--port", "0", *options)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_a_port_that_is_taken(med2e3):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = med2e3("serve", "--port", str(taken.getsockname()[1]))
    assert ended.returncode == 2
    assert "choose another --port" in ended.stderr
