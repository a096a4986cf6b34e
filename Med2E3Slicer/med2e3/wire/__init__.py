"""What the engine's worker and its clients say to each other. Standard library only.

JSON-RPC 2.0, one message a line, UTF-8. :mod:`~med2e3.wire.messages` has the messages as
dataclasses, :mod:`~med2e3.wire.jsonrpc` turns them into lines and back, and
:mod:`~med2e3.wire.exchange` keeps the files through which voxels travel.
"""

from med2e3.wire.messages import PROTOCOL_VERSION

__all__ = ["PROTOCOL_VERSION"]
