"""Slicer's own Python is given what the engine's package asks for, but for PyTorch."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from med2e3.machine import EXPORT_PACKAGES, PACKAGES

REPOSITORY = Path(__file__).parents[2]


def of_the_package() -> list[str]:
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r"^dependencies = \[(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    assert found
    return re.findall(r'^\s*"([^"]+)"', found.group(1), re.MULTILINE)


def of_slicer() -> list[str]:
    path = REPOSITORY / "Med2E3Slicer" / "Resources" / "requirements.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def name(requirement: str) -> str:
    return re.split(r"[<>=!~ \[]", requirement)[0]


def test_slicers_requirements_are_the_packages_without_torch():
    assert of_slicer() == [one for one in of_the_package() if name(one) != "torch"]


def test_the_machine_is_examined_for_every_one_of_them():
    assert {*PACKAGES, *EXPORT_PACKAGES} == set(map(name, of_the_package()))


@pytest.mark.parametrize("requirement", of_slicer())
def test_slicers_requirements_are_ranges_without_pins(requirement):
    assert "==" not in requirement
