"""A text in sentences, and how sure the model was of each."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from med2e3.attention import confidences, split_sentences

radiology = st.lists(
    st.sampled_from(
        ["The lung", "clear", "3.5 mm", "e.g.", "Dr.", "No. 4", ".", "?", "!", "...", "\n", "\n\n",
         "1.", "2.", "a)", "。", "肺", "ﬁ", "𝄞", "é", "\u200f", "\t", "\u2028", "(", ").",
         '."', " "]
    ),
    max_size=30,
).map("".join)  # fmt: skip


def sentences_of(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


@given(st.one_of(st.text(max_size=200), radiology))
def test_sentences_are_ordered_apart_and_hold_all_that_is_not_blank(text):
    spans = split_sentences(text)
    for (start, end), (following, _) in pairwise([*spans, (len(text), len(text))]):
        assert 0 <= start < end <= following
    covered = {place for start, end in spans for place in range(start, end)}
    assert covered >= {place for place, character in enumerate(text) if not character.isspace()}
    assert all(sentence == sentence.strip() for sentence in sentences_of(text))


@pytest.mark.parametrize(
    "sentences",
    [
        ["The lungs are clear.", "The heart is normal."],
        ["A nodule of 3.5 mm lies in the right upper lobe.", "No effusion."],
        ["Reported by Dr. J. Smith.", "No change."],
        ["Cysts, e.g. in segment IV, are seen.", "They measure approx. 2 cm."],
        ["See fig. 3 and No. 12 of the series.", "Is there effusion?", "No.", "There is a mass!"],
        ["Chronic hepatitis C.", "The liver is small."],
        ["Compared with 12 a.m. today.", "No change."],
        ["1. A nodule in the left lung.", "2. An effusion."],
        ["A. Axial", "B. Coronal"],
        ["FINDINGS:", "Lungs are clear", "Heart normal"],
        ['He said "clear."', "(Limited study.)", "Nothing else..."],
        ["Smith et al. describe it.", "Size vs. position is unclear."],
        ["右肺上叶结节。", "未见积液。"],
        ["هل يوجد انصباب؟", "لا يوجد."],
    ],
    ids=lambda sentences: sentences[0],
)
def test_radiologists_sentences(sentences):
    for between in (" ", "\n", " \n\n "):
        if between == " " and not sentences[0].endswith((".", "。", "؟", '"')):
            continue
        assert sentences_of(between.join(sentences)) == sentences


def test_a_line_that_goes_on_in_lower_case_is_the_same_sentence():
    text = "The lungs are clear\nand the heart is normal.\nNo effusion."
    assert sentences_of(text) == ["The lungs are clear\nand the heart is normal.", "No effusion."]


def test_signs_alone_are_no_sentence():
    assert sentences_of("Clear. . . . !") == ["Clear. . . . !"]
    assert sentences_of(" \n ") == []


def test_confidence_is_the_mean_over_the_tokens_of_a_sentence():
    text = "Clear. No mass."
    tokens = [(0, 5), (5, 6), (6, 9), (9, 14), (14, 15)]
    found = confidences(split_sentences(text), tokens, [0.5, 1.0, 0.25, 0.25, 1.0])
    assert found == (0.75, 0.5)


def test_tokens_that_share_a_character_or_a_border_count_for_each_sentence():
    # The first two make one character together; the third ends one sentence and begins the next.
    tokens = [(0, 1), (0, 1), (1, 4), (4, 5)]
    assert confidences(((0, 2), (3, 5)), tokens, [0.2, 0.4, 0.9, 0.5]) == (0.5, 0.7)
