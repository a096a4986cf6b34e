"""Who somebody is: the tokens that a server knows, from a file or the environment.

A token never stands among the arguments of a program, where every user of a machine can read it,
and the server itself keeps nothing but digests.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from med2e3.errors import InputError

ENVIRONMENT_VARIABLE = "MED2E3_SERVER_TOKENS"
"""Tokens for a server, with blanks between them."""

ANYBODY = "anybody"
"""The owner of all volumes on a server without tokens."""

SHORTEST = 24
"""Characters that a token must have: short ones can be guessed."""


@dataclass(frozen=True)
class Tokens:
    """Digests of the tokens that open the server. None: it is open, which is for loopback alone."""

    digests: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.digests)

    def owner(self, token: str | None) -> str | None:
        """What the volumes of this token's user are filed under; None if the token is not known."""
        if not self.digests:
            return ANYBODY
        if not token:
            return None
        digest = _digest(token)
        # Each one is compared, whichever is right, so that time tells nothing.
        found = [known for known in self.digests if hmac.compare_digest(known, digest)]
        return found[0] if found else None


def read_tokens(file: Path | None) -> Tokens:
    """The tokens in a file (one a line; lines that begin with # are left out), or else in the
    environment. Raises :class:`~med2e3.errors.InputError`, which never quotes a token."""
    if file is None:
        found = os.environ.get(ENVIRONMENT_VARIABLE, "").split()
        where = ENVIRONMENT_VARIABLE
    else:
        where = str(file)
        try:
            _check_nobody_else_reads(file)
            lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise InputError(f"The tokens in {file} cannot be read ({reason}).") from error
        found = [line for line in lines if line and not line.startswith("#")]
        if not found:
            raise InputError(f"{file} has no token; write one a line.")
    for number, token in enumerate(found, start=1):
        if len(token) < SHORTEST or not token.isascii() or len(token.split()) != 1:
            raise InputError(
                f"Token {number} in {where} must have {SHORTEST} or more letters and digits, and "
                "no blank; make one with: python3 -c 'import secrets; print(secrets.token_hex())'"
            )
    return Tokens(tuple(dict.fromkeys(map(_digest, found))))


def _check_nobody_else_reads(file: Path) -> None:
    mode = file.stat().st_mode
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise InputError(f"Others may read the tokens in {file}; close it with: chmod 600 {file}")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
