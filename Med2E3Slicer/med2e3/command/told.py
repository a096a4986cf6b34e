"""How a command ends: status 0, or one sentence on stderr with status 2 (input) or 1 (fault)."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from med2e3.errors import Cancelled, InputError, Med2E3Error, missing_package

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
        except InputError as error:
            _end(str(error), 2)
        except BrokenPipeError:
            # The reader of our output has seen enough (`med2e3 … | head`).
            sys.stderr.close()
            raise typer.Exit(1) from None
        except ImportError as error:
            _end(missing_package(error), 1)
        except MemoryError:
            _end("There is not enough memory; close other programs or choose --dtype bfloat16.", 1)
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            _end(f"The system refused a file or a device: {error.strerror or error}{where}.", 1)
        except Exception as error:
            if isinstance(error, Med2E3Error):
                _end(str(error), 1)
            _end(
                f"The engine failed ({type(error).__name__}: {error}); "
                "run the command again with --debug for the details.",
                1,
            )

    return run  # type: ignore[return-value]


def _end(sentence: str, status: int) -> None:
    if os.environ.get(_DEBUG) == "1" and status != 130:
        raise
    print(sentence, file=sys.stderr)
    raise typer.Exit(status)
