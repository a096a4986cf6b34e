"""A radiologist's report of a phantom, and the same truth as a list.

A report has 3 to 7 short sentences: how the scan was made, what is seen organ by organ (findings
with size, organ, side and level, normal organs as negatives), and an impression. Sizes are told in
steps of 5 mm. :func:`~med2e3.phantoms.claims.findings_in` reads the findings back.
"""

from __future__ import annotations

import numpy as np

from med2e3.phantoms.chance import pick, shuffled
from med2e3.phantoms.findings import FINDINGS
from med2e3.phantoms.naming import (
    OTHER_SIDE,
    PAIRED,
    SPACES,
    both_sides,
    capitalised,
    counted,
    joined,
    name_of,
    number_article,
    phase_name,
    place_of,
    rounded_mm,
    with_article,
)
from med2e3.phantoms.phantom import Finding, Phantom

_MOST_SENTENCES = 7

_PLAIN_TECHNIQUES = (
    "Non-contrast CT of the {region}.",
    "CT of the {region} without contrast.",
    "Unenhanced CT of the {region}.",
    "CT of the {region} in the non-contrast phase.",
)
_TECHNIQUES = (
    "Contrast-enhanced CT of the {region} in the {phase} phase.",
    "CT of the {region} with contrast in the {phase} phase.",
    "Enhanced CT of the {region}, {phase} phase.",
    "CT of the {region} in the {phase} phase.",
)

_FINDINGS = (
    "there is {a_sized} {at} the {place}.",
    "{a_counted} measuring {mm} mm is seen in the {place}.",
    "the {place} shows {a_sized}.",
    "{a_sized} is present in the {place}.",
    "{a_counted} of {mm} mm is noted in the {place}.",
    "there is {a_counted} {at} the {place}, measuring {mm} mm.",
    "in the {place} there is {a_counted} of {mm} mm.",
    "{counted} {at} the {place}, {mm} mm in size.",
)
_EXTENDED_FINDINGS = (
    "there is {a_counted} {at} the {place}, extending over {mm} mm.",
    "{a_counted} extending over {mm} mm is seen in the {place}.",
    "the {place} shows {a_counted} extending over {mm} mm.",
    "{a_counted} is present in the {place}, over {mm} mm.",
    "{a_counted} of {mm} mm is noted in the {place}.",
    "there is {a_sized} {at} the {place}.",
    "in the {place} there is {a_counted} extending over {mm} mm.",
    "{counted} {at} the {place}, {mm} mm in extent.",
)
_EXTENDED = frozenset({"consolidation", "effusion", "fracture", "haemorrhage"})
"""Kinds without a shape of their own: "a fracture extending over 30 mm"."""
_FILLED_SPACES = (
    "there is {a_counted}, extending over {mm} mm.",
    "{a_counted} extending over {mm} mm is seen.",
    "{a_counted} of {mm} mm is present.",
    "{a_counted} is noted, {mm} mm in extent.",
    "there is {a_counted} of {mm} mm.",
    "{counted}, {mm} mm in extent.",
)
"""For spaces: "a left pleural effusion"."""

_NORMAL = (
    "the {organs} {are} normal.",
    "the {organs} {are} unremarkable.",
    "no abnormality is seen in the {organs_or}.",
    "normal appearance of the {organs}.",
    "the {organs} {show} no abnormality.",
    "there is no lesion in the {organs_or}.",
)
_FREE_OF_KINDS = (
    "there is no {kinds} in the {organs}.",
    "no {kinds} is seen in the {organs}.",
    "the {organs} {show} no {kinds}.",
    "no evidence of {kinds} in the {organs}.",
    "the {organs} {are} free of {kinds}.",
)
_EMPTY_SPACES = (
    "there is no {kinds}.",
    "no {kinds} is seen.",
    "no evidence of {kinds}.",
    "{kinds} is absent.",
)
_KINDS_TOLD = 0.5
"""How often a negative names what might have been, and not the organ alone."""
_OTHER_SIDE_TOLD = 0.5
"""How often the healthy one of two organs is told."""

_IMPRESSIONS = (
    "impression: {found}.",
    "impression: findings of {a_found}.",
    "impression: {found}, otherwise normal.",
    "impression: abnormal CT of the {region} with {a_found}.",
)
_NORMAL_IMPRESSIONS = (
    "impression: normal CT of the {region}.",
    "impression: no abnormality of the {region}.",
    "impression: no abnormality.",
    "impression: normal study of the {region}.",
)


def write_report(phantom: Phantom, random: np.random.Generator) -> str:
    """A report in which each sentence is true of the phantom. It depends on ``random`` alone."""
    order = list(FINDINGS[phantom.region])
    sentences = [_technique(phantom, random)]
    frames = [int(frame) for frame in random.permutation(len(_FINDINGS))]
    on_organs = [
        (order.index(finding.organ), _on_finding(finding, frame))
        for finding, frame in zip(phantom.findings, frames, strict=False)
    ]
    on_organs += _negatives(phantom, order, random)
    sentences += [sentence for _, sentence in sorted(on_organs, key=lambda line: line[0])]
    sentences.append(_impression(phantom, order, random))
    return " ".join(sentences)


def describe(phantom: Phantom, plane: str, random: np.random.Generator) -> str:
    """The truth as a list, in no fixed order: what a language model reads in place of a scan."""
    findings = [
        ", ".join(
            part
            for part in (
                finding.kind,
                name_of(finding.organ, finding.side),
                finding.level,
                f"{rounded_mm(finding.size_mm)} mm",
            )
            if part
        )
        for finding in phantom.findings
    ]
    return (
        f"Plane {plane}. Phase {phase_name(phantom.phase)}. Region {phantom.region}. "
        f"Findings: {'; '.join(shuffled(random, findings)) or 'none'}. "
        f"Organs seen: {', '.join(shuffled(random, sorted(phantom.organs)))}."
    )


def _technique(phantom: Phantom, random: np.random.Generator) -> str:
    frames = _PLAIN_TECHNIQUES if phantom.phase == "plain" else _TECHNIQUES
    return pick(random, frames).format(region=phantom.region, phase=phase_name(phantom.phase))


def _on_finding(finding: Finding, frame: int) -> str:
    kind = _kind_in_place(finding.kind, finding.organ, finding.side)
    mm = rounded_mm(finding.size_mm)
    frames: tuple[str, ...]
    if finding.organ in SPACES:
        frames = _FILLED_SPACES
    else:
        frames = _EXTENDED_FINDINGS if finding.kind in _EXTENDED else _FINDINGS
    sentence = frames[frame % len(frames)].format(
        counted=kind,
        a_counted=with_article(kind),
        a_sized=f"{number_article(mm)} {mm} mm {kind}",
        mm=mm,
        at=_preposition(finding.kind),
        place=place_of(finding.organ, finding.side, finding.level),
    )
    return capitalised(sentence)


def _kind_in_place(kind: str, organ: str, side: str) -> str:
    """ "cyst", for which a place is still to be told, but "left pleural effusion"."""
    if organ not in SPACES:
        return counted(kind)
    return " ".join(filter(None, (side, SPACES[organ], kind)))


def _negatives(
    phantom: Phantom, order: list[str], random: np.random.Generator
) -> list[tuple[int, str]]:
    """Sentences on what is normal, each with the place in ``order`` of the organ it is on."""
    affected = {(finding.organ, finding.side) for finding in phantom.findings}
    affected_organs = {organ for organ, _ in affected}
    seen = phantom.organs.keys() | SPACES.keys()
    normal = [organ for organ in order if organ in seen - affected_organs]
    room = min(_MOST_SENTENCES - 2 - len(phantom.findings), int(random.integers(3, 5)))
    frames = shuffled(random, _NORMAL)
    told = [
        (order.index(organ), _on_normal([f"{OTHER_SIDE[side]} {organ}"], ["is", "shows"], frames))
        for organ, side in sorted(affected)
        if organ in PAIRED - SPACES.keys()
        and (organ, OTHER_SIDE[side]) not in affected
        and random.random() < _OTHER_SIDE_TOLD
    ][:room]
    room -= len(told)
    # One or two organs a sentence, so that all that were chosen find room.
    chosen = sorted(shuffled(random, normal)[: 2 * room], key=order.index)
    while chosen and room > 0:
        may_join = not SPACES.keys() & set(chosen[:2])
        together = 2 if len(chosen) > room and may_join else 1
        group, chosen, room = chosen[:together], chosen[together:], room - 1
        told.append((order.index(group[0]), _on_organs(group, phantom.region, frames, random)))
    return told


def _preposition(kind: str) -> str:
    return "of" if kind in ("aneurysm", "fracture") else "in"


def _on_organs(
    group: list[str], region: str, frames: list[str], random: np.random.Generator
) -> str:
    if group[0] in SPACES:
        kinds = [_kind_in_place(kind, group[0], "") for kind in FINDINGS[region][group[0]]]
        return capitalised(pick(random, _EMPTY_SPACES).format(kinds=joined(kinds, "or")))
    names = [both_sides(organ) for organ in group]
    many = len(group) > 1 or group[0] in PAIRED
    verbs = ["are", "show"] if many else ["is", "shows"]
    if len(group) > 1 or random.random() >= _KINDS_TOLD:
        return _on_normal(names, verbs, frames)
    kinds = shuffled(random, FINDINGS[region][group[0]])[:2]
    return capitalised(
        pick(random, _FREE_OF_KINDS).format(
            kinds=joined(kinds, "or"), organs=names[0], are=verbs[0], show=verbs[1]
        )
    )


def _on_normal(names: list[str], verbs: list[str], frames: list[str]) -> str:
    """Takes one of ``frames`` away, so that no report says two things in the same words."""
    return capitalised(
        frames.pop().format(
            organs=joined(names), organs_or=joined(names, "or"), are=verbs[0], show=verbs[1]
        )
    )


def _impression(phantom: Phantom, order: list[str], random: np.random.Generator) -> str:
    findings = sorted(phantom.findings, key=lambda finding: order.index(finding.organ))
    if not findings:
        return capitalised(pick(random, _NORMAL_IMPRESSIONS).format(region=phantom.region))
    kinds = [_kind_in_place(finding.kind, finding.organ, finding.side) for finding in findings]
    places = [
        ""
        if finding.organ in SPACES
        else f" {_preposition(finding.kind)} the {name_of(finding.organ, finding.side)}"
        for finding in findings
    ]
    return capitalised(
        pick(random, _IMPRESSIONS).format(
            found=joined([f"{kind}{place}" for kind, place in zip(kinds, places, strict=True)]),
            a_found=joined(
                [f"{with_article(kind)}{place}" for kind, place in zip(kinds, places, strict=True)]
            ),
            region=phantom.region,
        )
    )
