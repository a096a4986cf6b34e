"""Questions about a phantom in the style of M3D-VQA, each with four choices and a true answer.

What is asked and offered must not give the answer away. So what is more often right is also more
often offered where it is wrong: choices are drawn as findings are. Where an organ is asked about,
"no abnormality" is always among the choices and is true about as often as the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from med2e3.phantoms.chance import pick, pick_weighted, shuffled
from med2e3.phantoms.findings import FINDINGS, LEVELLED, LEVELS, SIDED
from med2e3.phantoms.naming import (
    PAIRED,
    SPACES,
    capitalised,
    counted,
    joined,
    name_of,
    phase_name,
    place_of,
    with_article,
)
from med2e3.phantoms.phantom import PHASES, REGIONS, Finding, Phantom
from med2e3.phantoms.wording import FORMS, REPORT_QUESTION, USUAL_REPORT_QUESTION_SHARE

QUESTION_TYPES = ("plane", "phase", "organ", "abnormality", "location")
"""M3D-VQA's question types 1 to 5, in its order."""
LETTERS = "ABCD"
PLANES = ("axial", "coronal", "sagittal")
NO_ABNORMALITY = "no abnormality"

_OTHER_PLANE, _OTHER_PHASE = "oblique", "delayed"
# How often something is asked beside the questions on findings.
_SEEN_TOO = 0.3
_NORMAL_TOO = 0.1
_ANYWHERE_IF_NORMAL = 0.2
# How often all organs that are offered are of one region, where there are enough.
_FROM_ONE_REGION = 0.5
_MANY = 6
# How often all places that are offered are of one organ, where there are enough.
_FROM_ONE_ORGAN = 0.5
# With fewer kinds or organs than this to choose from, a question would nearly give the answer.
_FEW = 3


@dataclass(frozen=True)
class Question:
    """A question with its answer, to be asked open or with choices.

    ``kind`` is one of :data:`QUESTION_TYPES`. ``question`` is the open question, ``stem`` what
    stands before the choices. ``choices`` are texts by letter, ``answer`` is the open answer and
    ``letter`` the right choice. ``findings`` are the indices of the phantom's findings that the
    answer depends on. Where there are none, it depends on ``organ``; where that is "" too, on the
    whole volume.
    """

    kind: str
    question: str
    stem: str
    choices: dict[str, str]
    answer: str
    letter: str
    findings: tuple[int, ...] = ()
    organ: str = ""

    def closed_question(self) -> str:
        """ "In which organ is the cyst? Choices: A. liver B. spleen C. left kidney D. lung"."""
        listed = " ".join(f"{letter}. {text}" for letter, text in self.choices.items())
        return f"{self.stem} Choices: {listed}"

    def closed_answer(self) -> str:
        """ "C. left kidney"."""
        return f"{self.letter}. {self.choices[self.letter]}"


def ask_questions(
    phantom: Phantom, plane: str, random: np.random.Generator, wording: str
) -> list[Question]:
    """Questions of all five types on a phantom that is seen along ``plane`` (of :data:`PLANES`).

    One on the plane, one on the phase, and as many on organs, abnormalities and locations as the
    findings allow: none has two true answers. Without findings none asks for a location.
    ``wording`` is "train" or "test", which share no paraphrase. Raises KeyError for another.
    """
    asking = _Asking(phantom, random, wording)
    return [
        asking.plane(plane),
        asking.phase(),
        *asking.organs(),
        *asking.abnormalities(),
        *asking.locations(),
    ]


def report_question(random: np.random.Generator, wording: str) -> str:
    """A request for a report; half of those to train with are in the engine's own words."""
    if wording == "train" and random.random() < USUAL_REPORT_QUESTION_SHARE:
        return REPORT_QUESTION
    return pick(random, FORMS["report"][wording])


class _Asking:
    """What all questions on a phantom share."""

    def __init__(self, phantom: Phantom, random: np.random.Generator, wording: str) -> None:
        self._phantom = phantom
        self._findings = phantom.findings
        self._random = random
        self._wording = wording

    def plane(self, plane: str) -> Question:
        others = [other for other in (*PLANES, _OTHER_PLANE) if other != plane]
        return self._question("plane", "plane", plane, others)

    def phase(self) -> Question:
        phase = phase_name(self._phantom.phase)
        others = [name for name in (*map(phase_name, PHASES), _OTHER_PHASE) if name != phase]
        return self._question("phase", "phase", phase, others)

    def organs(self) -> list[Question]:
        places = {(finding.organ, finding.side) for finding in self._findings}
        asked = []
        for finding in self._findings:
            homes = _organ_shares(kind=finding.kind)
            if len(places) == 1:
                asked.append(self._organ("organ abnormal", finding, self._organ_pool()))
                break
            if self._is_only(finding) and len(homes) >= _FEW:
                asked.append(self._organ("organ of kind", finding, homes))
        if not asked or self._random.random() < _SEEN_TOO:
            asked += self._organ_seen()
        return asked

    def _organ(self, form: str, finding: Finding, pool: dict[str, float]) -> Question:
        others = self._others(3, {finding.organ}, pool, _organ_shares())
        names = [_organ_name(organ, self._any_side(organ)) for organ in others]
        there = [
            number
            for number, other in enumerate(self._findings)
            if form == "organ abnormal" or other is finding
        ]
        answer = _organ_name(finding.organ, finding.side)
        return self._question("organ", form, answer, names, there, kind=finding.kind)

    def _organ_pool(self) -> dict[str, float]:
        """Organs of the scan's region, or of it and another."""
        region = self._phantom.region
        if len(FINDINGS[region]) >= _MANY and self._random.random() < _FROM_ONE_REGION:
            return _organ_shares(region)
        return _organ_shares(region) | _organ_shares(self._other_region())

    def _organ_seen(self) -> list[Question]:
        here = FINDINGS[self._phantom.region].keys()
        seen = [organ for organ in here if organ in self._phantom.organs]
        if not seen:
            return []
        organ = pick(self._random, seen)
        others = self._others(3, here | self._phantom.organs.keys(), _seen_shares())
        question = self._question("organ", "organ seen", organ, others, organ=organ)
        # Asked without choices, it still has to tell which organs it means.
        options = joined(list(question.choices.values()), "or")
        return [replace(question, question=f"{question.stem.rstrip('.?')}: {options}?")]

    def abnormalities(self) -> list[Question]:
        asked = []
        for finding in self._findings:
            if len(self._findings) == 1 and _kinds(finding.organ) < _FEW:
                asked.append(self._abnormality("abnormality anywhere", finding, _kind_shares()))
            elif place := self._place_of_its_own(finding):
                kinds = _kind_shares(finding.organ)
                asked.append(self._abnormality("abnormality", finding, kinds, place))
        if not self._findings and self._random.random() < _ANYWHERE_IF_NORMAL:
            asked.append(self._normal_anywhere())
        elif not self._findings or self._random.random() < _NORMAL_TOO:
            asked += self._normal_place()
        return asked

    def _abnormality(
        self, form: str, finding: Finding, pool: dict[str, float], place: str = ""
    ) -> Question:
        others = self._others(2, {finding.kind}, pool, _kind_shares())
        return self._question(
            "abnormality",
            form,
            finding.kind,
            [NO_ABNORMALITY, *others],
            [self._findings.index(finding)],
            place=place,
        )

    def _normal_anywhere(self) -> Question:
        others = self._others(3, set(), _kind_shares())
        return self._question("abnormality", "abnormality anywhere", NO_ABNORMALITY, others)

    def _normal_place(self) -> list[Question]:
        """A healthy organ, or the healthy one of two. What often has a finding is asked often."""
        region = self._phantom.region
        affected = {(finding.organ, finding.side) for finding in self._findings}
        healthy = {
            (organ, side): share / len(_sides(organ)) / min(_kinds(organ), _FEW)
            for organ, share in _organ_shares(region).items()
            if organ in self._phantom.organs or organ in SPACES
            for side in _sides(organ)
            if (organ, side) not in affected
        }
        if not healthy:
            return []
        [(organ, side)] = pick_weighted(self._random, healthy, 1)
        others = self._others(3, set(), _kind_shares(organ), _kind_shares())
        place = name_of(organ, side)
        return [
            self._question(
                "abnormality", "abnormality", NO_ABNORMALITY, others, organ=organ, place=place
            )
        ]

    def locations(self) -> list[Question]:
        return [self._location(finding) for finding in self._findings if self._is_only(finding)]

    def _location(self, finding: Finding) -> Question:
        """Choices are other places in the same organ, or others where such a finding occurs."""
        where = place_of(finding.organ, finding.side, finding.level)
        region, kind = self._phantom.region, finding.kind
        in_organ = _place_shares(region, finding.organ, kind)
        if len(in_organ) >= _MANY and self._random.random() < _FROM_ONE_ORGAN:
            pool = in_organ
        else:
            pool = _place_shares(region, kind=kind) | _place_shares(self._other_region(), kind=kind)
        others = self._others(
            3, {where}, pool, _place_shares(kind=kind), _place_shares(region), _place_shares()
        )
        place = [self._findings.index(finding)]
        return self._question("location", "location", where, others, place, kind=finding.kind)

    def _is_only(self, finding: Finding) -> bool:
        return sum(other.kind == finding.kind for other in self._findings) == 1

    def _place_of_its_own(self, finding: Finding) -> str:
        """The organ, or the level of it, if no other finding is there, else ""."""
        others = [
            other
            for other in self._findings
            if other is not finding and (other.organ, other.side) == (finding.organ, finding.side)
        ]
        if not others:
            return name_of(finding.organ, finding.side)
        if finding.level in {"", *(other.level for other in others)}:
            return ""
        return place_of(finding.organ, finding.side, finding.level)

    def _other_region(self) -> str:
        return pick(self._random, [name for name in REGIONS if name != self._phantom.region])

    def _any_side(self, organ: str) -> str:
        return pick(self._random, _sides(organ))

    def _others(self, count: int, without: Collection[str], *pools: dict[str, float]) -> list[str]:
        """Wrong choices from the first pool and, where it is too small, from the next."""
        drawn: list[str] = []
        for pool in pools:
            left = {
                item: share
                for item, share in pool.items()
                if item not in without and item not in drawn
            }
            drawn += pick_weighted(self._random, left, count - len(drawn))
        return drawn

    def _question(
        self,
        question_type: str,
        form: str,
        answer: str,
        others: Sequence[str],
        findings: Sequence[int] = (),
        organ: str = "",
        **named: str,
    ) -> Question:
        if "kind" in named:
            named["a_kind"] = with_article(counted(named["kind"]))
        text = pick(self._random, FORMS[form][self._wording]).format(**named)
        offered = shuffled(self._random, [answer, *others])
        choices = dict(zip(LETTERS, offered, strict=True))
        return Question(
            kind=question_type,
            question=text,
            stem=text,
            choices=choices,
            answer=f"{capitalised(answer)}.",
            letter=LETTERS[offered.index(answer)],
            findings=tuple(findings),
            organ=organ,
        )


def _organ_name(organ: str, side: str) -> str:
    """With its side where there are two."""
    return name_of(organ, side if organ in PAIRED else "")


def _sides(organ: str) -> tuple[str, ...]:
    return ("left", "right") if organ in SIDED else ("",)


def _kinds(organ: str) -> int:
    """How many kinds occur in an organ."""
    return len(_kind_shares(organ))


@cache
def _shares() -> dict[tuple[str, str, str], float]:
    """How often each (region, organ, kind) occurs: regions alike, and in each its findings."""
    return {
        (region, organ, kind): 1 / sum(map(len, organs.values()))
        for region, organs in FINDINGS.items()
        for organ, kinds in organs.items()
        for kind in kinds
    }


def _organ_shares(region: str | None = None, kind: str | None = None) -> dict[str, float]:
    shares: dict[str, float] = defaultdict(float)
    for (in_region, organ, of_kind), share in _shares().items():
        if region in (None, in_region) and kind in (None, of_kind):
            shares[organ] += share
    return dict(shares)


def _kind_shares(organ: str | None = None) -> dict[str, float]:
    shares: dict[str, float] = defaultdict(float)
    for (_, in_organ, kind), share in _shares().items():
        if organ in (None, in_organ):
            shares[kind] += share
    return dict(shares)


def _seen_shares() -> dict[str, float]:
    """How often each organ is the answer to which organ is seen."""
    shares: dict[str, float] = defaultdict(float)
    for organs in FINDINGS.values():
        seen = [organ for organ in organs if organ not in SPACES]
        for organ in seen:
            shares[organ] += 1 / len(seen)
    return dict(shares)


def _place_shares(
    region: str | None = None, organ: str | None = None, kind: str | None = None
) -> dict[str, float]:
    """How often each place is among all places that are drawn together with other organs'."""
    shares: dict[str, float] = defaultdict(float)
    for (in_region, in_organ, of_kind), share in _shares().items():
        if region in (None, in_region) and organ in (None, in_organ) and kind in (None, of_kind):
            levels = LEVELS if in_organ in LEVELLED else ("",)
            places = [
                place_of(in_organ, side, level) for side in _sides(in_organ) for level in levels
            ]
            mixed = 1 - _FROM_ONE_ORGAN if len(places) >= _MANY else 1
            for place in places:
                shares[place] += share * mixed / len(places)
    return dict(shares)
