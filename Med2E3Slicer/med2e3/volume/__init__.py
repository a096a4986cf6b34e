"""Scans: reading them, where their voxels lie, and what the model sees of them."""

from med2e3.volume.checking import check_voxels
from med2e3.volume.geometry import PLANES, SliceGeometry
from med2e3.volume.preparation import MODEL_SIZE, PreparedVolume, prepare
from med2e3.volume.reading import Series, list_series, read_scan
from med2e3.volume.scan import Scan
from med2e3.volume.window import PRESETS, Window, check_window, choose_window

__all__ = [
    "MODEL_SIZE",
    "PLANES",
    "PRESETS",
    "PreparedVolume",
    "Scan",
    "Series",
    "SliceGeometry",
    "Window",
    "check_voxels",
    "check_window",
    "choose_window",
    "list_series",
    "prepare",
    "read_scan",
]
