"""Reports of phantoms: what they say is true, and can be read back."""

from __future__ import annotations

import functools
import re

import numpy as np
import pytest

from med2e3.phantoms import (
    FINDINGS,
    LEVELLED,
    LEVELS,
    PHASES,
    REGIONS,
    SIDED,
    Finding,
    Grid,
    Phantom,
    describe,
    findings_in,
    make_phantom,
    truth_of,
    write_report,
)

COARSE = Grid(16, 32, 32)


@functools.cache
def drawn(count: int = 40) -> list[Phantom]:
    return [make_phantom(seed, grid=COARSE) for seed in range(count)]


def every_finding(region: str) -> list[Finding]:
    """Each finding of a region with each side and level that it can have."""
    mask = np.zeros((1, 1, 1), bool)
    return [
        Finding(kind, organ, side, level, 23.0, (0.0, 0.0, 0.0), mask)
        for organ, kinds in FINDINGS[region].items()
        for kind in kinds
        for side in (("left", "right") if organ in SIDED else ("",))
        for level in (LEVELS if organ in LEVELLED else ("",))
    ]


def made_of(region: str, findings: list[Finding]) -> Phantom:
    seen = {organ: np.ones((1, 1, 1), bool) for organ in FINDINGS[region]}
    voxels = np.zeros((1, 1, 1), np.int16)
    return Phantom(0, region, PHASES[1], voxels, np.eye(4), tuple(findings), seen)


def claims(phantom: Phantom) -> set[tuple[str, str, str]]:
    return {(finding.kind, finding.organ, finding.side) for finding in phantom.findings}


def careless(report: str) -> list[str]:
    """The report as a small model might write it."""
    return [
        report,
        report.lower(),
        report.upper(),
        report.replace(",", ""),
        report.replace(".", ""),
        report.replace(" an ", " a ").replace(" the ", " "),
        report.replace(". ", ".\n"),
    ]


@pytest.mark.parametrize("region", REGIONS)
def test_what_a_report_tells_is_read_back(region):
    """Each finding alone, and in random company, in many random wordings."""
    random = np.random.default_rng(1)
    findings = every_finding(region)
    for number, finding in enumerate(findings):
        for company in range(3):
            others = [findings[n] for n in random.permutation(len(findings))[:company]]
            phantom = made_of(region, [finding, *others])
            for _ in range(4):
                report = write_report(phantom, random)
                for text in careless(report) if number % 3 == 0 else [report]:
                    assert findings_in(text, region) == claims(phantom), text


def test_what_is_drawn_is_told_and_nothing_else():
    for phantom in drawn():
        random = np.random.default_rng(phantom.seed)
        for _ in range(4):
            report = write_report(phantom, random)
            assert findings_in(report, phantom.region) == claims(phantom), report


def test_a_report_is_short_and_begins_and_ends_as_reports_do():
    lengths = []
    for phantom in drawn():
        report = write_report(phantom, np.random.default_rng(phantom.seed))
        sentences = re.findall(r"[^.]+\.", report)
        assert 3 <= len(sentences) <= 7, report
        assert "CT of the" in sentences[0]
        assert phantom.region in sentences[0]
        without = re.search("without|non-contrast|unenhanced", sentences[0], re.IGNORECASE)
        assert bool(without) == (phantom.phase == "plain")
        assert phantom.phase in sentences[0] or phantom.phase == "plain"
        assert sentences[-1].strip().startswith("Impression: ")
        assert all(sentence.strip()[0].isupper() for sentence in sentences)
        lengths.append(len(report.split()))
    assert 40 <= np.mean(lengths) <= 70
    assert max(lengths) <= 110


def test_sizes_are_told_in_steps_of_five():
    for phantom in drawn():
        report = write_report(phantom, np.random.default_rng(0))
        told = sorted(int(number) for number in re.findall(r"(\d+) mm", report))
        true = sorted(finding.size_mm for finding in phantom.findings)
        assert len(told) == len(true)
        for number, size in zip(told, true, strict=True):
            assert number % 5 == 0
            assert abs(number - size) <= 2.5 or number == 5


def test_findings_and_organs_come_in_the_order_of_the_region():
    for phantom in drawn():
        report = write_report(phantom, np.random.default_rng(2))
        order = list(FINDINGS[phantom.region])
        parts = [s for s in re.split(r"(?<=\.) ", report)[1:-1] if re.search(r"\d mm", s)]
        places = [
            order.index(organ)
            for sentence in parts
            for _, organ, _ in findings_in(sentence, phantom.region)
        ]
        assert places == sorted(places)


def test_only_organs_that_are_there_are_called_normal():
    """A woman has no normal prostate."""
    spaces = {"pleura", "pericardium", "peritoneum", "subdural space"}
    for phantom in drawn():
        for seed in range(4):
            report = write_report(phantom, np.random.default_rng(seed)).lower()
            for organ in FINDINGS[phantom.region].keys() - phantom.organs.keys() - spaces:
                if organ not in {finding.organ for finding in phantom.findings}:
                    assert not re.search(rf"\b{organ[:-1]}", report), report


def test_each_finding_is_told_in_many_ways():
    for region in REGIONS:
        for finding in every_finding(region):
            phantom = made_of(region, [finding])
            sentences = set()
            for seed in range(60):
                report = write_report(phantom, np.random.default_rng(seed))
                sentences |= {s for s in report.split(". ") if re.search(r"\d mm", s)}
            assert len(sentences) >= 6, (finding.kind, finding.organ)


def test_the_same_numbers_give_the_same_report():
    phantom = drawn()[3]
    first, again, other = (write_report(phantom, np.random.default_rng(n)) for n in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("text", "region", "claimed"),
    [
        ("", "chest", set()),
        ("No cyst or stone in the left kidney.", "abdomen", set()),
        ("A cyst is not seen in the liver.", "abdomen", set()),
        ("Pleural effusion is absent.", "chest", set()),
        ("The kidneys are free of stone.", "abdomen", set()),
        ("CT of the chest without contrast a nodule in the left lung", "chest",
         {("nodule", "lung", "left")}),
        ("No mass in the liver but a cyst in the right kidney.", "abdomen",
         {("cyst", "kidney", "right")}),
        ("No mass in the liver a 30 mm cyst in the right kidney", "abdomen",
         {("cyst", "kidney", "right")}),
        ("There is a cyst in the liver without calcification.", "abdomen", {("cyst", "liver", "")}),
        ("Stones in both kidneys.", "abdomen",
         {("stone", "kidney", "left"), ("stone", "kidney", "right")}),
        ("Left renal cyst and right renal stone.", "abdomen",
         {("cyst", "kidney", "left"), ("stone", "kidney", "right")}),
        ("The right kidney contains a cyst and a stone.", "abdomen",
         {("cyst", "kidney", "right"), ("stone", "kidney", "right")}),
        ("Effusion in the pleura on the left.", "chest", {("effusion", "pleura", "left")}),
        ("left cyst kidney", "abdomen", {("cyst", "kidney", "left")}),
        ("A right-sided nodule is seen.", "chest", {("nodule", "lung", "right")}),
        ("A fracture is seen.", "head", {("fracture", "skull", "")}),
        # Nobody can say which organ is meant.
        ("A mass is seen.", "abdomen", set()),
        # Another region's organ is a claim all the same, and a wrong one.
        ("A mass in the bladder.", "head", {("mass", "bladder", "")}),
        ("nodule nodule nodule lung left left lung", "chest", {("nodule", "lung", "left")}),
    ],
)  # fmt: skip
def test_reading_what_a_model_may_write(text, region, claimed):
    assert findings_in(text, region) == claimed


def test_the_truth_as_a_list_holds_all_of_it():
    for phantom in drawn():
        text = describe(phantom, "coronal", np.random.default_rng(0))
        assert text.startswith("Plane coronal. Phase ")
        assert f"Region {phantom.region}." in text
        assert ("Findings: none." in text) == (not phantom.findings)
        for finding in phantom.findings:
            assert re.search(rf"{finding.kind}, [a-z ]*{finding.side}", text)
        assert all(organ in text.partition("Organs seen: ")[2] for organ in phantom.organs)


def test_the_truth_for_a_file_is_the_same_every_time():
    phantom = next(phantom for phantom in drawn() if len(phantom.findings) > 1)
    truth = truth_of(phantom)
    assert truth == truth_of(phantom)
    assert findings_in(str(truth["report"]), phantom.region) == claims(phantom)
    assert len(truth["questions"]) >= 5
