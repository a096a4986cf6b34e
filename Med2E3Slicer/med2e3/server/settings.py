"""What a server was started with, checked before anything starts."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from med2e3.cluster import Place
from med2e3.errors import InputError
from med2e3.server.tokens import Tokens


@dataclass(frozen=True)
class Limits:
    """How much one server takes on.

    ``waiting`` requests may wait for each replica; more are refused. ``requests_a_minute`` and
    ``volumes`` are for each user, ``minutes`` how long a volume is kept that nobody asks about,
    ``upload_bytes`` how many bytes a volume's file may have.
    """

    waiting: int = 8
    requests_a_minute: int = 120
    volumes: int = 8
    minutes: float = 30.0
    upload_bytes: int = 2 * 2**30


@dataclass(frozen=True)
class ServerSettings:
    """``host`` and ``port`` (0: any free one) say where the server listens, ``certificate`` and
    ``key`` are PEM files for TLS, ``tokens`` who may use it, ``place`` where the models work.
    Raises :class:`~med2e3.errors.InputError` for what would let in strangers."""

    host: str = "127.0.0.1"
    port: int = 8484
    place: Place = field(default_factory=Place)
    dtype: str = "auto"
    tokens: Tokens = field(default_factory=Tokens)
    certificate: Path | None = None
    key: Path | None = None
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not is_loopback(self.host) and not self.tokens:
            raise InputError(
                f"A server that listens on {self.host} can be reached by others, and would answer "
                "all of them; give tokens with --tokens FILE or MED2E3_SERVER_TOKENS, or leave "
                "--host out."
            )
        if (self.certificate is None) != (self.key is None):
            raise InputError("TLS needs both --tls-certificate and --tls-key.")
        for path in (self.certificate, self.key):
            if path is not None and not path.is_file():
                raise InputError(f"There is no file {path}; name the PEM file for TLS.")

    @property
    def is_in_the_clear(self) -> bool:
        """Whether scans may travel through a network as anyone there can read them."""
        return self.certificate is None and not is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether only programs of the same machine reach a host of this name."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
