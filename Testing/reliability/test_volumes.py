"""Every kind of volume through the command line: an answer, or a sentence, as it was foreseen."""

from __future__ import annotations

import json
import tempfile

import pytest

from reliability.file_cases import AnsweredOrRefused, file_cases
from reliability.record import tried
from reliability.volume_cases import CASES, Answered, Refused, complaints
from reliability.volume_files import write_volume

_QUESTION = "Is there a nodule?"
_scores: dict[str, list[float]] = {}


@pytest.fixture
def scores_of(med2e3, tmp_path):
    """The slice scores of a case by its name; asked for once."""

    def of(name: str) -> list[float]:
        if name not in _scores:
            case = next(case for case in CASES if str(case) == name)
            path = write_volume(tmp_path / f"like.{case.ending}", case.voxels(), case.ijk_to_ras)
            answer = json.loads(med2e3("attend", path, _QUESTION, "--json").stdout)
            _scores[name] = answer["slice_scores"]
        return _scores[name]

    return of


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path, monkeypatch):
    """Where this process puts its temporary files; nothing may be left there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    # torch makes an empty folder for the user when it is first loaded.
    assert [path for path in folder.iterdir() if not path.name.startswith("torchinductor")] == []


def check_sentence(ended, words) -> None:
    """The command ended for the user's sake: no result, a sentence, no trace of the code."""
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    # Libraries may have told of the damage before.
    sentence = ended.stderr.rpartition("\r")[2].strip()
    assert all(word in sentence for word in words), sentence
    # A folder with several series is the one thing that takes a list.
    assert sentence.endswith(".") or "choose one with --series UID:\n" in sentence, sentence
    assert "Traceback" not in sentence


def in_soak_but_for(every: int, cases: list) -> list:
    """All cases, of which those that are answered take a while: one in ``every`` runs in CI."""
    chosen = []
    answered = 0
    for case in cases:
        answered += not isinstance(case.expected, Refused)
        is_long = not isinstance(case.expected, Refused) and answered % every != 1
        marks = [pytest.mark.soak] if is_long else []
        chosen.append(pytest.param(case, id=str(case), marks=marks))
    return chosen


@pytest.mark.parametrize("case", in_soak_but_for(5, CASES))
def test_a_volume_in_a_file(med2e3, scores_of, tmp_path, case):
    path = write_volume(tmp_path / f"scan.{case.ending}", case.voxels(), case.ijk_to_ras)
    content = path.read_bytes()
    try_a_case(med2e3, scores_of, path, case)
    assert path.read_bytes() == content


@pytest.mark.parametrize("case", in_soak_but_for(5, file_cases(flips=3)))
def test_a_file_of_its_own(med2e3, scores_of, tmp_path, case):
    folder = tmp_path / "files"
    folder.mkdir()
    path = case.write(folder)
    files = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    try_a_case(med2e3, scores_of, path, case)
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == files


@pytest.mark.soak
@pytest.mark.parametrize(
    "case",
    [case for case in file_cases(flips=150) if "flipped" in str(case)],
    ids=str,
)
def test_many_flipped_bits(med2e3, scores_of, tmp_path, case):
    try_a_case(med2e3, scores_of, case.write(tmp_path), case)


def try_a_case(med2e3, scores_of, path, case) -> None:
    ended = med2e3("attend", path, _QUESTION, "--json")
    if isinstance(case.expected, Refused) or (
        isinstance(case.expected, AnsweredOrRefused) and ended.returncode
    ):
        check_sentence(ended, case.expected.words)
    else:
        assert ended.returncode == 0, ended.stderr
        answer = json.loads(ended.stdout)
        if isinstance(case.expected, Answered):
            places = [place["ras"] for place in answer["slices"]]
            scores = answer["slice_scores"]
            assert complaints(case, scores, places, answer["warnings"], scores_of) == []
        elif case.expected.like:
            assert answer["slice_scores"] == pytest.approx(scores_of(case.expected.like), abs=1e-5)
    outcome = OUTCOMES[type(case.expected)]
    if isinstance(case.expected, AnsweredOrRefused) and case.expected.like:
        outcome = "refused, or answered like the whole file"
    tried("Volumes", f"{case.topic}, through the command line", 1, outcome)


OUTCOMES = {
    Answered: "answered, with the warnings foreseen and no other",
    Refused: "refused with the sentence foreseen",
    AnsweredOrRefused: "answered, or refused with a sentence",
}
