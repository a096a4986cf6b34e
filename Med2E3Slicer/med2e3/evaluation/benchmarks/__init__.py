"""The field's own benchmarks: their published files, a run that can be resumed, figures, a page."""
