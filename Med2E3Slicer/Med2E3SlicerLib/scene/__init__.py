"""MRML only: the volume that goes to the model, and the nodes that come of its answers."""
