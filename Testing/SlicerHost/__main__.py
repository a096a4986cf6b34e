"""`python -m SlicerHost check`: status 0 if the host can start here, else 1 and what is missing."""

from __future__ import annotations

import sys

from . import check


def main(arguments: list[str]) -> int:
    if arguments != ["check"]:
        print("usage: python -m SlicerHost check", file=sys.stderr)
        return 2
    found = check.problems()
    for sentence in found:
        print(sentence, file=sys.stderr)
    return 1 if found else 0


sys.exit(main(sys.argv[1:]))
