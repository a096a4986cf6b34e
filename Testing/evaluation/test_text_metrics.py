"""Text measures against figures worked out by hand from their definitions."""

from __future__ import annotations

from math import exp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from med2e3.evaluation import text_metrics as metrics
from med2e3.evaluation import wordnet

REFERENCE = "The liver is not enlarged."


@pytest.mark.parametrize(
    ("prediction", "score"),
    [
        (REFERENCE, 1),
        # 4 of 5 words and marks are shared; one is missing: exp(1 - 6 / 5).
        ("The liver is enlarged.", exp(1 - 6 / 5)),
        # 5 of 8, and no penalty for a longer text. Letter case is kept: "the" is not "The".
        ("the liver is not enlarged at all.", 5 / 8),
        # A word counts as often as the reference has it.
        ("liver liver liver liver liver liver", 1 / 6),
        ("spleen", 0),
        ("", 0),
    ],
)
def test_bleu_1(prediction, score):
    assert metrics.bleu_1(prediction, REFERENCE) == pytest.approx(score)


def test_bleu_1_splits_marks_off_words_but_not_numbers():
    assert metrics.bleu_1("a cyst, 3.5 mm", "3.5 mm, a cyst") == pytest.approx(1)
    assert metrics.bleu_1("35", "3.5") == 0


@pytest.mark.parametrize(
    ("prediction", "score"),
    [
        (REFERENCE, 1),
        ("the LIVER", 2 * (1 * 2 / 5) / (1 + 2 / 5)),
        ("Livers are enlarging", 0),
        ("", 0),
    ],
)
def test_rouge_1(prediction, score):
    assert metrics.rouge_1(prediction, REFERENCE) == pytest.approx(score)


def test_rouge_l_asks_for_the_order_of_words():
    assert metrics.rouge_1("c b a", "a b c") == pytest.approx(1)
    assert metrics.rouge_l("c b a", "a b c") == pytest.approx(1 / 3)


def meteor_of(matches: int, chunks: int, prediction: int, reference: int) -> float:
    """Banerjee and Lavie's formula with alpha 0.9, beta 3, gamma 0.5."""
    precision, recall = matches / prediction, matches / reference
    mean = precision * recall / (0.9 * precision + 0.1 * recall)
    return mean * (1 - 0.5 * (chunks / matches) ** 3)


def test_meteor_without_synonyms():
    meteor = metrics.meteor_without_synonyms
    assert meteor("a b", "a b") == pytest.approx(meteor_of(2, 1, 2, 2))
    assert meteor("b x a", "a b") == pytest.approx(meteor_of(2, 2, 3, 2))
    # Equal stems count as equal words, whatever their case.
    assert meteor("Nodules", "a nodule") == pytest.approx(meteor_of(1, 1, 1, 2))
    assert meteor("tumour", "neoplasm") == 0


def test_meteor_knows_the_synonyms_of_a_wordnet(tmp_path, monkeypatch):
    """A WordNet of one noun with two names, in the format of WordNet's own files."""
    synset = "00000000 08 n 02 tumour 0 neoplasm 0 000 | a new growth\n"
    for part in ("noun", "verb", "adj", "adv"):
        (tmp_path / f"data.{part}").write_text(synset if part == "noun" else "")
        (tmp_path / f"{part}.exc").write_text("")
        (tmp_path / f"index.{part}").write_text(
            "".join(f"{name} n 1 0 1 0 00000000\n" for name in ("tumour", "neoplasm"))
            if part == "noun"
            else ""
        )
    monkeypatch.setattr(wordnet, "DEBIAN_FOLDER", tmp_path)
    monkeypatch.setattr(wordnet, "find", nothing_found)
    wordnet.wordnet.cache_clear()
    try:
        assert list(metrics.text_metrics()) == ["bleu1", "rouge1", "meteor"]
        assert metrics.meteor("tumour", "neoplasm") == pytest.approx(meteor_of(1, 1, 1, 1))
        assert metrics.meteor("tumour", "cyst") == 0
    finally:
        wordnet.wordnet.cache_clear()


def test_without_wordnet_nothing_is_called_meteor(tmp_path, monkeypatch):
    monkeypatch.setattr(wordnet, "DEBIAN_FOLDER", tmp_path)
    monkeypatch.setattr(wordnet, "find", nothing_found)
    wordnet.wordnet.cache_clear()
    try:
        assert list(metrics.text_metrics()) == ["bleu1", "rouge1", "meteor_without_synonyms"]
        with pytest.raises(LookupError, match="WordNet"):
            metrics.meteor("tumour", "neoplasm")
    finally:
        wordnet.wordnet.cache_clear()


def nothing_found(name: str) -> None:
    raise LookupError(name)


def test_words_are_split_sentence_by_sentence():
    text = "No effusion. A 3.5 mm nodule isn't seen."
    assert wordnet.words(text) == [
        *("No", "effusion", ".", "A", "3.5", "mm", "nodule", "is", "n't", "seen", ".")
    ]


# The first call reads WordNet.
@settings(deadline=None)
@given(st.text("ab .", max_size=12), st.text("ab .", min_size=1, max_size=12))
def test_every_measure_lies_between_0_and_1(prediction, reference):
    scores = metrics.compare(prediction, reference, metrics.text_metrics())
    assert all(0 <= score <= 1 + 1e-9 for score in scores.values())
    if not prediction.strip():
        assert set(scores.values()) == {0.0}
