"""Memory that was freed and is not given back."""

from __future__ import annotations

import ctypes
import sys


def return_freed_memory() -> None:
    """Give the system back what was freed. glibc keeps the holes between what is still in use,
    which after many large tensors of many sizes are gigabytes."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim:
        trim(0)
