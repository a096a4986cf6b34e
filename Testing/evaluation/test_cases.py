"""Cases hold the truth of their phantoms, and nobody trained on them."""

from __future__ import annotations

import json
import shutil
from collections import Counter

import pytest
import torch

from med2e3.errors import InputError
from med2e3.evaluation.cases import drawn_cases, stored_cases
from med2e3.phantoms.claims import findings_in
from med2e3.phantoms.dataset import write_dataset
from med2e3.phantoms.findings import FINDINGS
from med2e3.phantoms.questions import QUESTION_TYPES
from med2e3.phantoms.wording import FORMS

SIZE = (32, 64, 64)
SEED = 3_000_000
KINDS = {kind for organs in FINDINGS.values() for kinds in organs.values() for kind in kinds}
TRAINED_ON = {text for form in FORMS.values() for text in form["train"]}


@pytest.fixture(scope="module")
def drawn():
    return list(drawn_cases(SEED, 8, SIZE))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder, train=1, test=5, size=SIZE, workers=1)
    return folder


@pytest.fixture(scope="module")
def stored(folder):
    return list(stored_cases(folder, "test", SIZE))


def test_volumes_are_what_the_network_takes(drawn, stored):
    for case in (*drawn, *stored):
        assert case.volume.shape == (1, *SIZE)
        assert case.volume.dtype == torch.float32
        assert 0 <= case.volume.min() < case.volume.max() <= 1


def test_reports_claim_the_findings_that_there_are(drawn, stored):
    for case in (*drawn, *stored):
        truth = case.truth
        assert findings_in(truth.report, truth.region) == truth.claims
        assert bool(truth.slices) == bool(truth.claims)


def test_questions_name_their_right_choice_and_their_slices(drawn, stored):
    for case in (*drawn, *stored):
        for query in case.truth.queries:
            assert query.kind in QUESTION_TYPES
            assert query.answer.rstrip(".").lower() in ("", query.choices[query.letter].lower())
            assert query.closed_text == "" or f" {query.closed_answer}" in query.closed_text
            assert query.answer or query.closed_text
            assert set(query.slices) <= set(case.truth.slices)
            if query.kind in ("plane", "phase"):
                assert not query.slices


def test_patches_that_show_a_finding_lie_in_its_slices(drawn, stored):
    for cases in (drawn, stored):
        told = [query for case in cases for query in case.truth.queries if query.slices]
        shown = [query for query in told if query.patches is not None]
        # What is smaller than a fraction of a patch counts as seen nowhere.
        assert len(shown) > 0.8 * len(told)
        for query in shown:
            assert query.patches.shape == (SIZE[0], SIZE[1] // 16, SIZE[2] // 16)
            assert set(query.patches.nonzero()[0]) <= set(query.slices)
        others = [query for case in cases for query in case.truth.queries if not query.slices]
        assert all(query.patches is None for query in others)


def test_a_file_of_patches_that_is_gone_is_told(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "data")
    for path in (tmp_path / "data").rglob("*.cover.npy"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match=r"cover\.npy is missing or broken"):
        next(stored_cases(tmp_path / "data", "test", SIZE))


def test_fresh_phantoms_are_asked_both_ways(drawn):
    queries = [query for case in drawn for query in case.truth.queries]
    assert all(query.answer and query.closed_text for query in queries)


def test_questions_are_also_asked_in_other_words(drawn, stored):
    for cases in (drawn, stored):
        queries = [query for case in cases for query in case.truth.queries]
        told = [query for query in queries if query.paraphrase]
        assert len(told) > 0.8 * len(queries)
        assert {"plane", "phase", "location"} <= {query.kind for query in told}
        for query in told:
            assert query.paraphrase != query.text
            assert query.paraphrase not in TRAINED_ON
            if query.kind == "location":
                # It asks for the same finding.
                [kind] = [kind for kind in KINDS if kind in query.text]
                assert kind in query.paraphrase


def test_no_question_is_worded_as_in_training(drawn, stored):
    for case in (*drawn, *stored):
        asked = [case.truth.report_question]
        asked += [query.text for query in case.truth.queries if query.kind in ("plane", "phase")]
        assert not TRAINED_ON & set(asked)


def test_the_same_seed_makes_the_same_case(drawn):
    (again,) = drawn_cases(SEED + 3, 1, SIZE)
    assert again.truth == drawn[3].truth
    assert torch.equal(again.volume, drawn[3].volume)


def test_a_stored_split_has_all_records_and_a_first_part_if_asked(folder, stored):
    records = json.loads((folder / "test.json").read_text("utf-8"))
    asked = Counter()
    for case in stored:
        asked["reports"] += 1
        for query in case.truth.queries:
            asked["open"] += bool(query.answer)
            asked["closed"] += bool(query.closed_text)
    ways = Counter(record["phantom"]["asked"] for record in records)
    assert asked == Counter(reports=ways["report"], open=ways["open"], closed=ways["closed"])
    first = list(stored_cases(folder, "test", SIZE, count=2))
    assert [case.truth for case in first] == [case.truth for case in stored[:2]]


@pytest.mark.parametrize("seed", [999_995, 1_000_000, 1_500_000, 2_999_999])
def test_seeds_of_training_and_validation_are_refused(seed):
    with pytest.raises(InputError, match="learned from"):
        next(drawn_cases(seed, 10, SIZE))


@pytest.mark.parametrize(
    ("split", "size", "sentence"),
    [
        ("train", SIZE, "learn from"),
        ("validation", SIZE, "no .*validation.json"),
        ("test", (32, 128, 128), "shape"),
    ],
)
def test_a_split_that_cannot_be_used_is_refused(folder, split, size, sentence):
    with pytest.raises(InputError, match=sentence):
        next(stored_cases(folder, split, size))


@pytest.mark.parametrize("content", ["[{}]", "{", '[{"vision3d": "a.npy", "question_type": 1}]'])
def test_records_of_another_kind_are_refused(tmp_path, content):
    (tmp_path / "test.json").write_text(content)
    with pytest.raises(InputError, match=r"test\.json is not what"):
        next(stored_cases(tmp_path, "test", SIZE))
