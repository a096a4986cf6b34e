"""How a command ends: status 0, or one sentence on stderr with status 2 (input) or 1 (fault)."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from med2e3.errors import Cancelled, InputError, lacks_memory, plain_sentence
from med2e3.wire.messages import LoadModel

Command = TypeVar("Command", bound=Callable[..., Any])

_DEBUG = "MED2E3_DEBUG"


def _remember_debug(wanted: bool) -> bool:
    if wanted:
        os.environ[_DEBUG] = "1"
    return wanted


Debug = Annotated[
    bool,
    typer.Option(
        "--debug",
        callback=_remember_debug,
        is_eager=True,
        help="Show the stack trace of a fault.",
    ),
]


def told(command: Command) -> Command:
    """A command whose errors end as a sentence; with ``--debug`` they keep their stack trace."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        try:
            return command(*arguments, **options)
        except (typer.Exit, typer.Abort):
            raise
        except (KeyboardInterrupt, Cancelled):
            _end("Stopped.", 130)
        except Exception as error:
            _tell(error, options)

    return run  # type: ignore[return-value]


def _tell(error: Exception, options: dict[str, Any]) -> NoReturn:
    """End the command with the sentence for an error."""
    if isinstance(error, BrokenPipeError):
        # The reader of our output has seen enough (`med2e3 … | head`).
        sys.stderr.close()
        raise typer.Exit(1) from None
    if lacks_memory(error):
        _end(f"There is not enough memory; {_cure_for_memory(options)}.", 1)
    sentence = plain_sentence(error) or (
        f"The engine failed ({type(error).__name__}: {error}); "
        "run the command again with --debug for the details."
    )
    _end(sentence, 2 if isinstance(error, InputError) else 1)


def _cure_for_memory(options: dict[str, Any]) -> str:
    """What helps a command with these options: the next smaller setting of its model."""
    if "device" not in options or "dtype" not in options:
        return "close other programs"
    smaller = LoadModel(None, options["device"].value, options["dtype"].value).smaller()
    if smaller is None:
        return "close other programs, or choose a smaller model"
    return f"close other programs, or choose --device {smaller.device} --dtype {smaller.dtype}"


def _end(sentence: str, status: int) -> NoReturn:
    if os.environ.get(_DEBUG) == "1" and status != 130:
        raise
    print(sentence, file=sys.stderr)
    raise typer.Exit(status)
