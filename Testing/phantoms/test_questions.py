"""Questions about phantoms: one true answer each, and none that can be guessed."""

from __future__ import annotations

import functools
import re
from collections import Counter, defaultdict
from collections.abc import Callable

import numpy as np
import pytest

from med2e3.model.prompt import REPORT_QUESTION
from med2e3.phantoms import (
    FINDINGS,
    LEVELLED,
    PHASES,
    QUESTION_TYPES,
    REGIONS,
    SIDED,
    Finding,
    Grid,
    Phantom,
    Question,
    ask_questions,
    make_phantom,
    report_question,
    slices_of,
    write_report,
)
from med2e3.phantoms.wording import FORMS, reworded
from med2e3.volume import Scan, prepare

PLANES = ("axial", "coronal", "sagittal")
COARSE = Grid(16, 32, 32)
NAMED = {"kind": "cyst", "a_kind": "a cyst", "place": "left lobe of the liver"}
UNSEEN = {"pleura", "pericardium", "peritoneum", "subdural space"}


@functools.cache
def drawn(count: int = 40) -> list[Phantom]:
    return [make_phantom(seed, grid=COARSE) for seed in range(count)]


@functools.cache
def medium(seed: int) -> Phantom:
    return make_phantom(seed, grid=Grid(48, 96, 96))


def outlined(seed: int) -> Phantom:
    """A phantom without a body: findings drawn as make_phantom draws them, many in no time."""
    random = np.random.default_rng(seed)
    region = REGIONS[random.integers(len(REGIONS))]
    pairs = [(organ, kind) for organ, kinds in FINDINGS[region].items() for kind in kinds]
    mask = np.ones((1, 1, 1), bool)
    findings: dict[tuple[str, str, str], Finding] = {}
    for _ in range(random.choice(4, p=(0.35, 0.35, 0.2, 0.1))):
        organ, kind = pairs[random.integers(len(pairs))]
        side = ("left", "right")[random.integers(2)] if organ in SIDED else ""
        level = ("lower", "middle", "upper")[random.integers(3)] if organ in LEVELLED else ""
        findings[kind, organ, side] = Finding(kind, organ, side, level, 20.0, (0, 0, 0), mask)
    phase = PHASES[random.integers(len(PHASES))]
    organs = {organ: mask for organ in FINDINGS[region] if organ not in UNSEEN}
    voxels = np.zeros((1, 1, 1), np.int16)
    return Phantom(seed, region, phase, voxels, np.eye(4), tuple(findings.values()), organs)


@functools.cache
def asked(wording: str = "train", count: int = 1500) -> list[tuple[Phantom, str, Question]]:
    every = []
    for seed in range(count):
        phantom, plane = outlined(seed), PLANES[seed % 3]
        random = np.random.default_rng(seed)
        questions = ask_questions(phantom, plane, random, wording)
        every += [(phantom, plane, question) for question in questions]
    return every


def test_every_question_has_four_choices_and_its_answer_among_them():
    for _, _, question in asked():
        assert list(question.choices) == list("ABCD")
        assert len(set(question.choices.values())) == 4
        right = question.choices[question.letter]
        assert question.answer.lower() == f"{right.lower()}."
        assert question.closed_answer() == f"{question.letter}. {right}"
        assert re.fullmatch(
            r".+[.?] Choices: A\. .+ B\. .+ C\. .+ D\. .+", question.closed_question()
        )
        assert "{" not in question.closed_question() + question.question


def test_all_five_types_are_asked():
    for phantom in drawn():
        questions = ask_questions(phantom, "axial", np.random.default_rng(phantom.seed), "train")
        kinds = Counter(question.kind for question in questions)
        assert kinds.keys() <= set(QUESTION_TYPES)
        assert {"plane", "phase", "organ", "abnormality"} <= kinds.keys() or phantom.findings
        alone = Counter(finding.kind for finding in phantom.findings)
        assert kinds["location"] == sum(count == 1 for count in alone.values())


def findings_with(phantom: Phantom, **wanted: str) -> list[Finding]:
    return [
        finding
        for finding in phantom.findings
        if all(getattr(finding, name) == value for name, value in wanted.items())
    ]


def test_one_choice_is_true_and_the_others_are_not():
    """Each choice is held against the phantom by a rule of the test's own."""
    for phantom, plane, question in asked():
        for letter, choice in question.choices.items():
            assert _is_true(choice, question, phantom, plane) == (letter == question.letter), (
                question.closed_question(),
                phantom.findings,
            )


def _is_true(choice: str, question: Question, phantom: Phantom, plane: str) -> bool:
    about = [phantom.findings[number] for number in question.findings]
    if question.kind == "plane":
        return choice == plane
    if question.kind == "phase":
        return choice == {"plain": "non-contrast"}.get(phantom.phase, phantom.phase)
    if question.kind == "organ" and not about:
        return choice in phantom.organs
    if question.kind in ("organ", "location"):
        named = set(choice.replace("cerebral hemisphere", "brain").split())
        for finding in about:
            parts = {*finding.organ.split(), finding.side, finding.level} - {""}
            if question.kind == "organ":
                parts -= {finding.level}
                if finding.organ in ("brain", "liver", "skull"):
                    parts -= {finding.side}
            if parts <= named:
                return True
        return False
    if not about:
        return choice == "no abnormality"
    return choice in {finding.kind for finding in about}


def test_a_healthy_organ_is_healthy():
    healthy = [
        (phantom, question)
        for phantom, _, question in asked()
        if question.kind == "abnormality" and question.answer == "No abnormality."
    ]
    for phantom, question in healthy:
        assert question.findings == ()
        if not question.organ:
            assert phantom.findings == ()
        for finding in findings_with(phantom, organ=question.organ):
            assert finding.side
            assert finding.side not in question.question
    share = len(healthy) / sum(question.kind == "abnormality" for _, _, question in asked())
    assert 0.15 <= share <= 0.35
    # Not only where nothing at all is to be found.
    assert sum(bool(phantom.findings) for phantom, _ in healthy) >= 0.1 * len(healthy)


def test_a_question_names_what_is_there_once_alone():
    for phantom, _, question in asked():
        if question.kind == "location":
            (number,) = question.findings
            assert len(findings_with(phantom, kind=phantom.findings[number].kind)) == 1
        if question.kind == "abnormality" and question.findings:
            (number,) = question.findings
            finding = phantom.findings[number]
            beside = findings_with(phantom, organ=finding.organ, side=finding.side)
            if len(beside) > 1:
                assert finding.level in question.question
                assert [other.level for other in beside].count(finding.level) == 1


Guesser = Callable[[Question], str]


def by_wording(known: list[Question]) -> Guesser:
    """The answer that was most often right after the same words."""
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for question in known:
        seen[question.question][question.choices[question.letter]] += 1
    return lambda asked: max(asked.choices.values(), key=lambda text: seen[asked.question][text])


def by_choice(known: list[Question]) -> Guesser:
    """The choice that was most often right where it was offered."""
    offered = Counter(text for question in known for text in question.choices.values())
    right = Counter(question.choices[question.letter] for question in known)
    return lambda asked: max(
        asked.choices.values(), key=lambda text: (right[text] + 1) / (offered[text] + 4)
    )


def longest(known: list[Question]) -> Guesser:
    return lambda asked: max(asked.choices.values(), key=len)


def shortest(known: list[Question]) -> Guesser:
    return lambda asked: min(asked.choices.values(), key=len)


def by_letter(known: list[Question]) -> Guesser:
    (letter, _), *_ = Counter(question.letter for question in known).most_common(1)
    return lambda asked: asked.choices[letter]


@pytest.mark.parametrize("guesser", [by_wording, by_choice, longest, shortest, by_letter])
@pytest.mark.parametrize("kind", QUESTION_TYPES)
def test_who_does_not_look_cannot_guess(kind, guesser):
    questions = [question for _, _, question in asked() if question.kind == kind]
    half = len(questions) // 2
    assert half >= 300
    guess = guesser(questions[:half])
    right = [guess(q) == q.choices[q.letter] for q in questions[half:]]
    # A third is what knowing the words alone gives: no scan is oblique, none is of a late phase.
    # Two standard errors of the share over so few questions are allowed for.
    assert np.mean(right) <= 0.40 + 2 * np.sqrt(0.24 / len(right))


def test_test_questions_share_no_paraphrase_and_no_new_word_with_training():
    known = {"choices", "a", "b", "c", "d"}
    for phantom in drawn():
        known |= words(write_report(phantom, np.random.default_rng(phantom.seed)))
    for form, wordings in FORMS.items():
        assert len(wordings["train"]) == len(set(wordings["train"])) >= 8, form
        assert len(wordings["test"]) == len(set(wordings["test"])) >= 3, form
        known |= {word for text in wordings["train"] for word in words(text)}
    train = {text for wordings in FORMS.values() for text in wordings["train"]}
    for wordings in FORMS.values():
        assert not train & set(wordings["test"])
        for text in wordings["test"]:
            assert words(text) <= known, text
    for _, _, question in asked("test", 200):
        known |= {word for text in question.choices.values() for word in words(text)}
    for _, _, question in asked("test", 200):
        assert words(question.closed_question()) <= known


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", re.sub(r"\{.*?\}", "", text).lower()))


def test_there_are_few_words():
    known = set()
    for phantom in drawn():
        random = np.random.default_rng(phantom.seed)
        known |= words(write_report(phantom, random))
    for _, _, question in [*asked(), *asked("test", 200)]:
        known |= words(question.closed_question())
    assert len(known) <= 700


def test_reports_are_asked_for_in_the_engines_words_most_often():
    random = np.random.default_rng(0)
    train = Counter(report_question(random, "train") for _ in range(400))
    assert train.most_common(1)[0][0] == REPORT_QUESTION
    assert 0.4 <= train[REPORT_QUESTION] / 400 <= 0.65
    assert len(train) >= 8
    test = {report_question(random, "test") for _ in range(100)}
    assert len(test) >= 3
    assert not test & train.keys()


def test_the_same_numbers_give_the_same_questions():
    phantom = drawn()[5]
    first, again, other = (
        ask_questions(phantom, "axial", np.random.default_rng(n), "train") for n in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_an_open_question_needs_no_choices():
    for _, _, question in asked():
        if "of these" in question.question or "these organs" in question.question:
            assert all(text in question.question for text in question.choices.values())


# Slices


def marked(axis: int, places: slice) -> Phantom:
    """A block of tissue with one finding, which fills ``places`` along an axis of (K, J, I)."""
    voxels = np.full((40, 48, 56), -1000, np.int16)
    voxels[4:36, 8:40, 8:48] = 40
    voxels[20:24, 20:24, 20:24] = -1000
    mask = np.zeros(voxels.shape, bool)
    where = [slice(10, 14), slice(12, 16), slice(14, 18)]
    where[axis] = places
    mask[tuple(where)] = True
    finding = Finding("cyst", "liver", "right", "upper", 20.0, (0.0, 0.0, 0.0), mask)
    organs = {"liver": voxels > 0}
    matrix = np.diag([-2.0, -2.0, 5.0, 1.0])
    return Phantom(0, "abdomen", "plain", voxels, matrix, (finding,), organs)


def located(phantom: Phantom) -> Question:
    questions = ask_questions(phantom, "axial", np.random.default_rng(0), "train")
    return next(question for question in questions if question.kind == "location")


@pytest.mark.parametrize(
    ("plane", "axis", "places", "slices"),
    [
        # 32 slices of tissue from k = 4 on; an axial slice counts from the top, so downwards.
        ("axial", 0, slice(4, 6), [30, 31]),
        ("axial", 0, slice(33, 36), [0, 1, 2]),
        # 32 rows from j = 8 on, which run to the back as coronal slices do.
        ("coronal", 1, slice(8, 11), [0, 1, 2]),
        # 40 columns from i = 8 on, 1.25 to a slice, from the patient's right to the left.
        ("sagittal", 2, slice(8, 13), [0, 1, 2, 3]),
        ("acquired", 0, slice(4, 6), [0, 1]),
    ],
)
@pytest.mark.parametrize("flipped", [(), (0,), (1, 2), (0, 1, 2)])
def test_slices_of_a_finding(plane, axis, places, slices, flipped):
    phantom = marked(axis, places)
    if plane == "acquired" and flipped:
        pytest.skip("the plane goes with the scan's own order")
    phantom = turned_over(phantom, flipped)
    prepared = prepare(Scan(phantom.voxels, phantom.ijk_to_ras, "CT"), plane, size=(32, 32, 32))
    assert slices_of(located(phantom), phantom, prepared.geometry) == slices


def turned_over(phantom: Phantom, axes: tuple[int, ...]) -> Phantom:
    """The same body, stored the other way round."""
    matrix = phantom.ijk_to_ras.copy()
    for axis in axes:
        matrix[:3, 3] += (phantom.voxels.shape[axis] - 1) * matrix[:3, 2 - axis]
        matrix[:3, 2 - axis] *= -1
    finding = phantom.findings[0]
    return Phantom(
        0, "abdomen", "plain", np.flip(phantom.voxels, axes).copy(), matrix,
        (Finding("cyst", "liver", "right", "upper", 20.0, (0.0, 0.0, 0.0),
                 np.flip(finding.mask, axes).copy()),),
        {organ: np.flip(mask, axes).copy() for organ, mask in phantom.organs.items()},
    )  # fmt: skip


def test_slices_thinner_than_voxels_are_all_counted():
    phantom = marked(0, slice(20, 21))
    scan = Scan(phantom.voxels, phantom.ijk_to_ras, "CT")
    prepared = prepare(scan, "axial", size=(128, 32, 32))
    # k = 20 is the 16th of 32 from the top, four slices each.
    assert slices_of(located(phantom), phantom, prepared.geometry) == [60, 61, 62, 63]


def test_what_is_asked_of_the_whole_depends_on_all_slices():
    phantom = marked(0, slice(20, 21))
    scan = Scan(phantom.voxels, phantom.ijk_to_ras, "CT")
    geometry = prepare(scan, "axial", size=(32, 32, 32)).geometry
    for question in ask_questions(phantom, "axial", np.random.default_rng(0), "train"):
        if question.kind in ("plane", "phase"):
            assert slices_of(question, phantom, geometry) == list(range(32))


@pytest.mark.parametrize("plane", PLANES)
def test_the_slices_show_the_finding_of_a_real_phantom(plane):
    """The centre of the finding, taken to the model by the engine's geometry, lies among them."""
    seen = 0
    for seed in range(8):
        phantom = medium(seed)
        scan = Scan(phantom.voxels, phantom.ijk_to_ras, "CT")
        geometry = prepare(scan, plane, size=(32, 32, 32)).geometry
        for question in ask_questions(phantom, plane, np.random.default_rng(0), "train"):
            if question.kind != "location":
                continue
            slices = slices_of(question, phantom, geometry)
            finding = phantom.findings[question.findings[0]]
            where = geometry.slice_at_ras(finding.center_ras)
            assert min(slices) - 1 <= where <= max(slices) + 1
            seen += 1
    assert seen >= 5


def test_each_wording_to_test_with_has_others_and_no_other_has():
    for form in FORMS.values():
        tried = [{text.format(**NAMED) for text in form[wording]} for wording in ("train", "test")]
        assert not any(map(reworded, tried[0]))
        for text in tried[1]:
            assert reworded(text) in tried[1] - {text}
