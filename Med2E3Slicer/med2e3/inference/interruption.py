"""Stopping the network from another thread: noticed before each transformer block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from torch import nn

from med2e3.errors import Cancelled
from med2e3.model import Med2E3
from med2e3.model.onnx_encoders import OnnxEncoder


class StopSignal(Protocol):
    """What the network asks whether to go on; a threading.Event is one."""

    def is_set(self) -> bool: ...


@contextmanager
def stoppable(model: Med2E3, stop: StopSignal | None) -> Iterator[None]:
    """Let ``stop`` end whatever the network computes inside, by raising Cancelled.

    At full size on a CPU an encoder or the prompt takes tens of seconds; a block of it takes one.
    """
    if stop is None:
        yield
        return

    def look(block: nn.Module, arguments: Any) -> None:
        if stop.is_set():
            raise Cancelled("The request was cancelled.")

    hooks = [block.register_forward_pre_hook(look) for block in _blocks(model)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _blocks(model: Med2E3) -> Iterator[nn.Module]:
    """Every layer of a stack of layers: transformers and this project keep them in ModuleLists."""
    for module in model.modules():
        if isinstance(module, nn.ModuleList):
            yield from module
        elif isinstance(module, OnnxEncoder):
            # ONNX Runtime is not interrupted in the midst of an image.
            yield module
