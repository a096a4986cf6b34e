"""Reading back what a report claims to have found: the rule behind the figures on findings.

It is made for the reports of this package and for what a model that has learned from them writes:
other case, a word too many or too few, a full stop that is missing. What is negated ("no cyst in
the liver", "free of", "is not seen") is no claim.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from med2e3.phantoms.findings import FINDINGS
from med2e3.phantoms.naming import plural

Claim = tuple[str, str, str]
"""(kind, organ, side); side is "left", "right" or ""."""

_OTHER_KIND_WORDS = {
    "bleed": "haemorrhage", "bleeding": "haemorrhage", "hemorrhage": "haemorrhage",
    "calculi": "stone", "calculus": "stone", "tumour": "mass", "tumor": "mass",
}  # fmt: skip
_OTHER_ORGAN_WORDS = {
    "aortic": "aorta", "cerebral": "brain", "femoral": "femur", "hepatic": "liver",
    "ovarian": "ovary", "pancreatic": "pancreas", "pleural": "pleura", "prostatic": "prostate",
    "pulmonary": "lung", "renal": "kidney", "splenic": "spleen", "uterine": "uterus",
    "cerebral hemisphere": "brain", "iliac": "iliac artery",
    "pericardial": "pericardium", "peritoneal": "peritoneum", "subdural": "subdural space",
    "vertebra": "spine", "vertebral": "spine",
}  # fmt: skip
_SIDES = {
    "left": ("left",), "right": ("right",), "both": ("left", "right"),
    "bilateral": ("left", "right"),
}  # fmt: skip
_NEGATIONS = frozenset({"absent", "excluded", "negative", "neither", "no", "nor", "not", "without"})
_TAKEN_BACK = re.compile(r"(absent|excluded|not (evident|found|identified|noted|present|seen))\b")
"""What negates the words before it."""
_NOT_ANEW = _NEGATIONS | {"and", "evidence", "for", "nor", "of", "or"}
"""After these an article goes on with what is negated: "no evidence of a cyst or a stone"."""
_SHOWS = frozenset({"contains", "demonstrates", "has", "have", "show", "shows"})
_REACH = 5
"""How many words lie between an organ and its side at most: "left upper part of the brain"."""

_MISSING_STOP = re.compile(r"(?<=[a-z0-9]) +(?=A |[A-Z][a-z])")
"""Where a sentence begins without one before it; "CT" begins none."""
_CLAUSE_END = re.compile(r"[.;:!?\n]+|\b(?:but|except|however|impression|whereas|while)\b")
_TECHNIQUE = re.compile(r"\bwithout (?:intravenous )?contrast|\bnon-contrast")
"""This negates nothing that follows, should the full stop be missing."""


@dataclass(frozen=True)
class _Mention:
    """A kind or an organ, and the words (from ``start`` up to ``stop``) that name it."""

    start: int
    stop: int
    kind: str = ""
    organ: str = ""


def findings_in(report: str, region: str) -> frozenset[Claim]:
    """The findings that a report claims, each once.

    ``region`` (one of :data:`~med2e3.phantoms.phantom.REGIONS`) is what the scan shows: a kind that
    is told without an organ, and occurs in one organ of the region alone, is taken to be in that
    one. A finding in an organ of another region is a claim like any other.
    """
    claims: set[Claim] = set()
    text = _TECHNIQUE.sub(" ", _MISSING_STOP.sub(". ", report).lower())
    for clause in _CLAUSE_END.split(text):
        words = re.findall(r"[a-z]+|\d+|,", clause)
        mentions = list(_mentions(words))
        asserted = _asserted(words)
        for part in _parts(words, mentions, asserted):
            claims.update(_claims(part, words, mentions, region))
    return frozenset(claims)


def _phrases() -> dict[tuple[str, ...], tuple[str, str]]:
    """Word by word, all names of (kind, "") and of ("", organ)."""
    kinds = {kind for organs in FINDINGS.values() for found in organs.values() for kind in found}
    organs = {organ for organs in FINDINGS.values() for organ in organs}
    names = {name: (kind, "") for kind in kinds for name in (kind, *_plurals(kind))}
    names |= {word: (kind, "") for word, kind in _OTHER_KIND_WORDS.items() if kind in kinds}
    names |= {
        name: ("", organ) for organ in organs for name in (organ, plural(organ), *_plurals(organ))
    }
    names |= {word: ("", organ) for word, organ in _OTHER_ORGAN_WORDS.items() if organ in organs}
    return {tuple(re.findall("[a-z]+", name)): meant for name, meant in names.items()}


def _plurals(noun: str) -> tuple[str, ...]:
    return f"{noun}s", f"{noun}es", f"{noun[:-1]}ies"


_PHRASES = _phrases()
_LONGEST = max(map(len, _PHRASES))


def _mentions(words: list[str]) -> Iterator[_Mention]:
    place = 0
    while place < len(words):
        for length in range(_LONGEST, 0, -1):
            meant = _PHRASES.get(tuple(words[place : place + length]))
            if meant:
                yield _Mention(place, place + length, *meant)
                place += length
                break
        else:
            place += 1


def _asserted(words: list[str]) -> list[bool]:
    """For each word whether it is said to be so, and not negated."""
    asserted: list[bool] = []
    negated = False
    for place, word in enumerate(words):
        rest = " ".join(words[place : place + 2])
        if _TAKEN_BACK.match(rest):
            asserted = [False] * place
        if word in _NEGATIONS or rest == "free of":
            negated = True
        elif negated and _begins_anew(words, place):
            negated = False
        asserted.append(not negated)
    return asserted


def _begins_anew(words: list[str], place: int) -> bool:
    """Whether a new sentence seems to begin, though its full stop is missing."""
    word, following = words[place], words[place + 1 : place + 10]
    if word in ("a", "an"):
        return words[place - 1] not in _NOT_ANEW
    if word == "the":
        return bool(_SHOWS & set(following)) and "," not in following[:2]
    return word == "there" or (word.isdigit() and following[:1] == ["mm"])


def _parts(
    words: list[str], mentions: list[_Mention], asserted: list[bool]
) -> Iterator[list[_Mention]]:
    """What is asserted, divided where a list goes on with another kind in another organ."""
    part: list[_Mention] = []
    for place, mention in enumerate(mentions):
        if not asserted[mention.start]:
            if part:
                yield part
            part = []
            continue
        if _complete(part) and _complete(mentions[place:]):
            listed = {"and", ","} & set(words[part[-1].stop : mention.start])
            if listed or (not _leads(part, words) and _begins_item(mentions[place:], words)):
                yield part
                part = []
        part.append(mention)
    if part:
        yield part


def _complete(mentions: list[_Mention]) -> bool:
    return any(mention.kind for mention in mentions) and any(mention.organ for mention in mentions)


def _claims(
    part: list[_Mention], words: list[str], mentions: list[_Mention], region: str
) -> Iterator[Claim]:
    organs = [mention for mention in part if mention.organ]
    for kind in (mention for mention in part if mention.kind):
        before = [organ for organ in organs if organ.stop <= kind.start]
        after = [organ for organ in organs if organ.start >= kind.stop]
        outside = [m for m in mentions if m.organ and m.stop <= kind.start]
        if before and (_modifies(before[-1], kind, words) or not after or _leads(part, words)):
            organ = before[-1]
        elif after:
            organ = after[0]
        elif outside:
            organ = outside[-1]
        else:
            home = [organ for organ, kinds in FINDINGS[region].items() if kind.kind in kinds]
            if len(home) == 1:
                yield from ((kind.kind, home[0], side) for side in _sides(kind, words, mentions))
            continue
        sides = _sides(organ, words, mentions)
        if sides == ("",):
            sides = _sides(kind, words, mentions)
        yield from ((kind.kind, organ.organ, side) for side in sides)


def _modifies(organ: _Mention, kind: _Mention, words: list[str]) -> bool:
    """Whether they are one name, as in "a left renal cyst"."""
    place = organ.start - 1
    while place >= 0 and words[place] in _SIDES:
        place -= 1
    return organ.stop == kind.start and (place < 0 or words[place] not in ("in", "of", "the"))


def _begins_item(rest: list[_Mention], words: list[str]) -> bool:
    """Whether another finding begins: "mass in the liver", "left renal cyst"."""
    return bool(rest[0].kind) or (
        len(rest) > 1 and bool(rest[1].kind) and _modifies(rest[0], rest[1], words)
    )


def _leads(part: list[_Mention], words: list[str]) -> bool:
    """Whether the organ comes first and its findings follow: "the liver shows a cyst"."""
    return not _begins_item(part, words)


def _sides(mention: _Mention, words: list[str], mentions: list[_Mention]) -> tuple[str, ...]:
    """The sides that the words before an organ or a kind tell, else those after it, else ("",)."""
    taken = {place for other in mentions for place in range(other.start, other.stop)}
    for places in (
        range(mention.start - 1, max(-1, mention.start - 1 - _REACH), -1),
        range(mention.stop, min(len(words), mention.stop + _REACH)),
    ):
        found: tuple[str, ...] = ()
        for place in places:
            if (
                place in taken
                or words[place] == ","
                or (found and words[place] != "and" and words[place] not in _SIDES)
            ):
                break
            if not found and words[place] == "and":
                break
            found = (*found, *_SIDES.get(words[place], ()))
        if found:
            return found
    return ("",)
