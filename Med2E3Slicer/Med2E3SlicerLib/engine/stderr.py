"""What of the engine's stderr may be kept: where in the code it failed, and the kind of error.

Messages can hold paths, and paths can hold names of patients. So nothing is cut out of the lines;
they are made anew of the parts that cannot hold any.
"""

import re

_FRAME = re.compile(r'\s*File "(?P<path>[^"]+)", line (?P<line>\d+), in (?P<function>[\w<>]+)')
_ERROR = re.compile(r"(?P<error>(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Warning|Exit))\b")
_TOLD = re.compile(r"(?P<level>WARNING|ERROR|CRITICAL):(?P<logger>[\w.]+):")


def withoutPrivateParts(line):
    """The place in the code, the kind of error, or the level and source of a logged line that a
    line of stderr tells; "" if it tells none of them."""
    frame = _FRAME.match(line)
    if frame:
        return f"{_place(frame['path'])}:{frame['line']} {frame['function']}"
    told = _TOLD.match(line)
    if told:
        return f"{told['level']} of {told['logger']}"
    error = _ERROR.match(line)
    return error["error"] if error else ""


def _place(path):
    """A file of an installed package or of the engine, from that package on."""
    parts = re.split(r"[\\/]", path)
    for root, start in (("site-packages", 1), ("dist-packages", 1), ("med2e3", 0)):
        if root in parts:
            # The last one: a folder further up may have the same name.
            return "/".join(parts[len(parts) - 1 - parts[::-1].index(root) + start :])
    return "Python"
