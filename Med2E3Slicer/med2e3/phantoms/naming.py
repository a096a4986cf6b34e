"""How findings, organs and places are called in every text about a phantom."""

from __future__ import annotations

from collections.abc import Sequence

from med2e3.phantoms.findings import SIDED

_WITH_SIDES = {
    "brain": "{side} cerebral hemisphere",
    "liver": "{side} lobe of the liver",
    "skull": "{side} side of the skull",
}
"""What of a single organ lies on a side."""
PAIRED = SIDED - _WITH_SIDES.keys()
"""Organs that there is one of on each side."""
SPACES = {
    "pericardium": "pericardial",
    "peritoneum": "peritoneal",
    "pleura": "pleural",
    "subdural space": "subdural",
}
"""What nobody sees as long as it is empty, by the word for what fills it."""
OTHER_SIDE = {"left": "right", "right": "left"}

_PHASES = {"plain": "non-contrast"}
_AMOUNTS = {"consolidation": "area of consolidation", "haemorrhage": "area of haemorrhage"}
"""Kinds that cannot be counted, as they are counted."""


def name_of(organ: str, side: str = "") -> str:
    """ "left kidney", "liver", "left lobe of the liver"."""
    if not side:
        return organ
    return _WITH_SIDES.get(organ, "{side} {organ}").format(side=side, organ=organ)


def place_of(organ: str, side: str, level: str) -> str:
    """ "upper part of the left kidney", "bladder"."""
    return f"{level} part of the {name_of(organ, side)}" if level else name_of(organ, side)


def plural(organ: str) -> str:
    return f"{organ[:-1]}ies" if organ.endswith("ry") else f"{organ}s"


def both_sides(organ: str) -> str:
    """The organ as a whole, however many there are: "kidneys", "liver"."""
    return plural(organ) if organ in PAIRED else organ


def phase_name(phase: str) -> str:
    """ "non-contrast", "arterial", "portal venous"."""
    return _PHASES.get(phase, phase)


def counted(kind: str) -> str:
    """What an article can stand before: "cyst", "area of consolidation"."""
    return _AMOUNTS.get(kind, kind)


def with_article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def number_article(number: int) -> str:
    """ "an" before 8, 11, 18 and 80 to 89, as they are spoken."""
    return "an" if str(number).startswith("8") or number in (11, 18) else "a"


def capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def joined(words: Sequence[str], last: str = "and") -> str:
    """ "liver, spleen and pancreas"."""
    if len(words) == 1:
        return words[0]
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def rounded_mm(size: float) -> int:
    """A size as reports tell it, in steps of 5 mm."""
    return max(5, round(size / 5) * 5)
