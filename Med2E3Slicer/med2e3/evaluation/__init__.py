"""How good a model is, and whether its attention means anything: metrics, controls, ablations."""
