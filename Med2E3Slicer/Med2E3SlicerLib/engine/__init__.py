"""The client of the engine's worker: finds its Python, starts it, speaks the wire, ends it."""

from .client import EngineClient, EngineError
from .interpreter import EngineNotFound, WorkerCommand, findWorkerCommand
from .voxels import VoxelWriter

__all__ = [
    "EngineClient",
    "EngineError",
    "EngineNotFound",
    "VoxelWriter",
    "WorkerCommand",
    "findWorkerCommand",
]
