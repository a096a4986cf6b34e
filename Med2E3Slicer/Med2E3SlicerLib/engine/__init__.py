"""The client of the engine: finds its Python, starts its worker and commands, ends them."""

from .client import ENGINE_ENDED, ENGINE_LOST, EngineClient, EngineError
from .interpreter import (
    EngineNotFoundError,
    PackagesMissingError,
    WorkerCommand,
    findWorkerCommand,
)
from .packages import InstallationError, installPackages, missingPackages
from .process import endingWorkers
from .tool import EngineTool
from .voxels import VoxelWriter

__all__ = [
    "ENGINE_ENDED",
    "ENGINE_LOST",
    "EngineClient",
    "EngineError",
    "EngineNotFoundError",
    "EngineTool",
    "InstallationError",
    "PackagesMissingError",
    "VoxelWriter",
    "WorkerCommand",
    "endingWorkers",
    "findWorkerCommand",
    "installPackages",
    "missingPackages",
]
