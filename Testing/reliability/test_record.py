"""The table of docs/reliability.md: cases tell themselves, and only the table is replaced."""

from __future__ import annotations

import json

import pytest

from reliability.record import FILE_VARIABLE
from reliability.report import BEGIN, END, with_table


def test_rows_with_the_same_words_are_added_up_in_the_order_of_the_topics(
    tried, tmp_path, monkeypatch
):
    file = tmp_path / "rows"
    monkeypatch.setenv(FILE_VARIABLE, str(file))
    tried("The wire", "a|b", 900, "answered")
    tried("Processes", "kill -9", 1, "said within 2 s")
    tried("The wire", "a|b", 100, "answered")
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    page = with_table(f"Before.\n{BEGIN}\nold\n{END}\nBy hand.\n", rows)
    assert page.startswith(f"Before.\n{BEGIN}\n| topic |")
    assert page.endswith(
        "| Processes | kill -9 | 1 | said within 2 s |\n"
        f"| The wire | a\\|b | 1 000 | answered |\n{END}\nBy hand.\n"
    )


def test_nothing_is_kept_unless_it_is_asked_for(tried, tmp_path, monkeypatch):
    monkeypatch.delenv(FILE_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    tried("Privacy", "a name", 1, "in no log")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_topic_and_a_page_without_marks_are_refused(tried):
    with pytest.raises(ValueError, match="Weather"):
        tried("Weather", "rain", 1, "wet")
    with pytest.raises(ValueError, match="marks"):
        with_table("no marks", [])
