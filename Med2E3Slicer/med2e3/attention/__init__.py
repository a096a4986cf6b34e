"""What the model looked at: slice scores as ranks, as a curve, and as heatmaps over the scan."""

from med2e3.attention.heatmap import patch_heatmap, slice_heatmap, write_heatmap
from med2e3.attention.picture import draw_attention
from med2e3.attention.scores import Attention, effective_slices, has_preference, ranked

__all__ = [
    "Attention",
    "draw_attention",
    "effective_slices",
    "has_preference",
    "patch_heatmap",
    "ranked",
    "slice_heatmap",
    "write_heatmap",
]
