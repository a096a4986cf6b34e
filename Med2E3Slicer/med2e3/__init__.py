"""Med-2E3: reports and answers about a 3D scan, with the slices that the model looked at.

Importing this package loads nothing but the standard library, so that 3D Slicer's own process
can import :mod:`med2e3.wire` without the engine's dependencies.
"""

__version__ = "0.1.0"
