"""Synthetic scans with a known truth, for the demo and the tests: no patient is in them."""

from med2e3.phantoms.chest import Nodule, Phantom, chest_phantom
from med2e3.phantoms.files import write_phantom

__all__ = ["Nodule", "Phantom", "chest_phantom", "write_phantom"]
