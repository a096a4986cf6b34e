"""What a machine runs out of: a disk that takes no more, and memory that is used up.

The system itself sets the limits to a process that runs already, which Linux alone can. Standard
library only, since the tests of the module use it too.
"""

import contextlib
import sys
from pathlib import Path

ARE_POSSIBLE = sys.platform == "linux"


@contextlib.contextmanager
def full_disk(size=0, process_id=0):
    """No file of a process (this one, if none is named) can grow beyond ``size`` bytes."""
    import resource

    with _limited(resource.RLIMIT_FSIZE, size, process_id):
        yield


@contextlib.contextmanager
def little_memory(process_id, spare=0):
    """A process can take ``spare`` bytes more than it has, as `ulimit -v` counts."""
    import resource

    pages = int(Path(f"/proc/{process_id}/statm").read_text(encoding="ascii").split()[0])
    taken = pages * resource.getpagesize()
    with _limited(resource.RLIMIT_AS, taken + spare, process_id):
        yield


@contextlib.contextmanager
def _limited(kind, size, process_id):
    import resource

    before = resource.prlimit(process_id, kind)
    resource.prlimit(process_id, kind, (size, before[1]))
    try:
        yield
    finally:
        # The process may have ended.
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(process_id, kind, before)
