"""The network at work: a volume session, streamed generation, stopping, and parity."""

from med2e3.inference.interruption import StopSignal
from med2e3.inference.session import Generation, VolumeSession

__all__ = ["Generation", "StopSignal", "VolumeSession"]
