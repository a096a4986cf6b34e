"""The client of the engine's worker: finds its Python, starts it, speaks the wire, ends it."""

from .client import EngineClient, EngineError
from .interpreter import EngineNotFoundError, WorkerCommand, findWorkerCommand
from .process import endingWorkers
from .voxels import VoxelWriter

__all__ = [
    "EngineClient",
    "EngineError",
    "EngineNotFoundError",
    "VoxelWriter",
    "WorkerCommand",
    "endingWorkers",
    "findWorkerCommand",
]
