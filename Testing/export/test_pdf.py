"""A report as a PDF: its text, its state on every page, its pictures."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from med2e3.attention.arrays import array_message, array_of
from med2e3.errors import InputError
from med2e3.export.pdf import export_pdf
from med2e3.volume import prepare

REVIEWED = {"reviewer": "Dr. Ärztin", "reviewed_at": "2026-11-24T23:00:00Z"}
LONG = "The heart is of normal size, and nothing else is to be said about it. " * 120


@pytest.fixture
def prepared(scan):
    return prepare(scan, plane="axial", window="mediastinum")


def pages_of(file) -> list[str]:
    """The text of each page, its lines joined."""
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (poppler-utils) is not installed")
    ended = subprocess.run(["pdftotext", file, "-"], capture_output=True, check=True)
    return [" ".join(page.split()) for page in ended.stdout.decode().split("\f")[:-1]]


def test_text_state_and_maker_are_there(scan, prepared, report_on, tmp_path):
    report = report_on(scan)
    made = export_pdf(report, prepared, tmp_path / "report.pdf", "CT chest")
    assert made.files == (str(tmp_path / "report.pdf"),)
    (page,) = pages_of(tmp_path / "report.pdf")
    for text in (
        "AI draft, not reviewed",
        report.model.mark,
        "CT chest",
        "A nodule of 3.5 mm lies in the right upper lobe.",
        "Größe: 3,5 mm –",
        report.model.sha256,
        "axial slices, window mediastinum",
        "slice 12.8 score 0.169",
        "Page 1 of 1",
    ):
        assert text in page


def test_the_draft_mark_stands_on_every_page_until_it_is_reviewed(
    scan, prepared, report_on, tmp_path
):
    for name, options in (("draft", {}), ("reviewed", REVIEWED)):
        file = tmp_path / f"{name}.pdf"
        export_pdf(report_on(scan, text=LONG, **options), prepared, file)
        pages = pages_of(file)
        assert len(pages) > 1
        is_draft = ["AI draft, not reviewed" in page for page in pages]
        assert is_draft == [name == "draft"] * len(pages)
        if name == "reviewed":
            assert all("Reviewed by Dr. Ärztin on 2026-11-24 23:00 UTC" in page for page in pages)
        assert all("knows nothing of patients" in page for page in pages)
    assert sum(LONG.count(word) for word in ("heart",)) == " ".join(pages).count("heart")


def test_three_slices_are_shown(scan, prepared, report_on, tmp_path):
    export_pdf(report_on(scan), prepared, tmp_path / "report.pdf")
    data = (tmp_path / "report.pdf").read_bytes()
    sizes = re.findall(rb"/Subtype\s*/Image[^>]*?/Width\s+(\d+)", data) or re.findall(
        rb"/Width\s+(\d+)", data
    )
    assert sizes.count(b"700") >= 3


def test_any_text_is_written_and_what_no_font_has_is_marked(scan, prepared, report_on, tmp_path):
    text = "<b>bold</b> &amp; $x^2$ \t\x07\u202e 👩‍⚕️ 𒀀 \ue000 الرئة\n\n\nend"
    export_pdf(report_on(scan, text=text), prepared, tmp_path / "report.pdf", "**title** 👩")
    (page,) = pages_of(tmp_path / "report.pdf")
    assert "<b>bold</b> &amp; $x^2$" in page
    assert "\N{REPLACEMENT CHARACTER}" in page
    assert page.count("end") == 1


def test_a_word_longer_than_the_page_is_broken(scan, prepared, report_on, tmp_path):
    export_pdf(report_on(scan, text="x" * 5000), prepared, tmp_path / "report.pdf")
    assert "".join(pages_of(tmp_path / "report.pdf")).count("x") >= 5000


def test_a_report_of_another_model_is_refused(scan, prepared, report_on, tmp_path):
    report = report_on(scan)
    halved = array_message(array_of(report.patch_shares)[:, ::2])
    with pytest.raises(InputError, match="another scan or model"):
        export_pdf(replace(report, patch_shares=halved), prepared, tmp_path / "report.pdf")
    assert list(tmp_path.glob("*.pdf")) == []


def test_an_older_file_is_replaced_and_stays_where_the_new_one_fails(
    scan, prepared, report_on, tmp_path, monkeypatch
):
    file = tmp_path / "out" / "report.pdf"
    export_pdf(report_on(scan), prepared, file)
    first = file.read_bytes()
    export_pdf(report_on(scan, text="Other."), prepared, file)
    second = file.read_bytes()
    assert first != second
    monkeypatch.setattr("os.replace", lambda *paths: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(InputError, match="full"):
        export_pdf(report_on(scan), prepared, file)
    assert file.read_bytes() == second
    assert [path.name for path in file.parent.iterdir()] == ["report.pdf"]


def test_a_place_that_cannot_be_written_is_told(scan, prepared, report_on, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        export_pdf(report_on(scan), prepared, tmp_path / "file" / "report.pdf")
    with pytest.raises(InputError, match="is a folder"):
        export_pdf(report_on(scan), prepared, tmp_path)


def test_nothing_of_the_text_is_logged(scan, prepared, report_on, tmp_path, caplog, capfd):
    report = report_on(scan, text="Geheim 👩‍⚕️ 𒀀")
    export_pdf(report, prepared, tmp_path / "report.pdf", "Geheim")
    told = caplog.text + "".join(capfd.readouterr())
    assert "Geheim" not in told
    assert "𒀀" not in told
