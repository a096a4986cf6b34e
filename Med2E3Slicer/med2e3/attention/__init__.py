"""What the model looked at: slice scores as ranks, as a curve, and as heatmaps over the scan."""

from med2e3.attention.heatmap import patch_heatmap, slice_heatmap, write_heatmap
from med2e3.attention.picture import draw_attention, slice_pictures
from med2e3.attention.scores import Attention, effective_slices, has_preference, ranked
from med2e3.attention.sentences import confidences, split_sentences

__all__ = [
    "Attention",
    "confidences",
    "draw_attention",
    "effective_slices",
    "has_preference",
    "patch_heatmap",
    "ranked",
    "slice_heatmap",
    "slice_pictures",
    "split_sentences",
    "write_heatmap",
]
