"""A report as a PDF: its text, its state on every page, and pictures of its best slices."""

from __future__ import annotations

import logging
import unicodedata
from io import BytesIO
from pathlib import Path

import uharfbuzz  # type: ignore[import-untyped]  # noqa: F401 - fpdf2 joins letters with it
from fpdf import FPDF, XPos, YPos
from fpdf.fonts import TTFFont

from med2e3.attention import effective_slices, has_preference, slice_pictures
from med2e3.attention.lettering import FONT, fonts_for_more_scripts
from med2e3.errors import InputError
from med2e3.export.document import SLICES_SHOWN, Document, document_of
from med2e3.export.files import all_or_none
from med2e3.volume import PreparedVolume
from med2e3.wire.messages import Exported, Report

# They log characters of the text that a font lacks, and every step of making a font smaller.
logging.getLogger("fpdf").setLevel(logging.CRITICAL)
logging.getLogger("fontTools").setLevel(logging.CRITICAL)

_MARGIN_MM = 18
_INK, _QUIET, _DRAFT, _REVIEWED = (20, 24, 28), (105, 114, 122), (176, 84, 0), (22, 110, 70)


def export_pdf(report: Report, prepared: PreparedVolume, file: Path, title: str = "") -> Exported:
    """Write a report as a PDF, which replaces a file of that name.

    ``prepared`` is the scan as the model saw it for this report. Raises
    :class:`~med2e3.errors.InputError` where it is another one, or the file cannot be written.
    """
    document = document_of(report)
    if document.heatmap.shape != prepared.geometry.overlay_size:
        raise InputError("The report is of another scan or model; generate it again.")
    if file.is_dir():
        raise InputError(f"{file} is a folder; give the name of a file for the PDF.")
    with all_or_none(file.parent) as unfinished:
        _pdf(document, prepared, title).output(str(unfinished / file.name))
    return Exported((str(file),))


class _Pages(FPDF):
    """Pages of A4 with the report's state at the head and its maker at the foot of each."""

    def __init__(self, document: Document) -> None:
        super().__init__(format="A4")
        self._document = document
        _add_fonts(self)
        self._known = {
            code for font in self.fonts.values() if isinstance(font, TTFFont) for code in font.cmap
        }
        self.set_margin(_MARGIN_MM)
        self.c_margin = 0
        self.set_auto_page_break(True, margin=_MARGIN_MM + 6)
        self.set_title("Report")
        self.set_creator("med2e3")
        self.set_subject(document.state)

    def header(self) -> None:
        colour = _REVIEWED if self._document.is_reviewed else _DRAFT
        self.write_block(self._document.state, 9.5, colour, bold=True)
        self.set_draw_color(*colour)
        self.line(self.l_margin, self.y + 1.5, self.w - self.r_margin, self.y + 1.5)
        self.ln(7)

    def footer(self) -> None:
        self.set_y(-_MARGIN_MM - 2)
        self.write_block(self._document.maker, 6.5, _QUIET)
        self.write_block(f"Page {self.page_no()} of {{nb}}", 6.5, _QUIET)

    def write_block(
        self, text: str, size: float, colour: tuple[int, int, int], bold: bool = False
    ) -> None:
        """A text over the width of the page, broken into lines at spaces."""
        self.set_font(FONT, "B" if bold else "", size)
        self.set_text_color(*colour)
        self.multi_cell(
            0,
            0.55 * size,
            "".join(map(self._shown, text.expandtabs(4))),
            align="L",
            new_x=XPos.LMARGIN,
            new_y=YPos.NEXT,
        )

    def _shown(self, character: str) -> str:
        """A character as it can be shown: a sign in its place where no font has it."""
        if character.isspace():
            return " "
        if ord(character) in self._known:
            return character
        is_visible = unicodedata.category(character) not in ("Cc", "Cf")
        return "\N{REPLACEMENT CHARACTER}" if is_visible else ""


def _pdf(document: Document, prepared: PreparedVolume, title: str) -> FPDF:
    pdf = _Pages(document)
    pdf.add_page()
    pdf.write_block(title.strip() or "Report", 17, _INK, bold=True)
    pdf.ln(1)
    pdf.write_block(document.origin, 9, _QUIET)
    pdf.ln(5)
    for line in document.report.text.splitlines():
        pdf.write_block(line, 11, _INK)
        pdf.ln(1.5)
    pdf.ln(5)
    _add_slices(pdf, document, prepared)
    return pdf


def _add_slices(pdf: _Pages, document: Document, prepared: PreparedVolume) -> None:
    """The best slices side by side under a heading, never torn between two pages."""
    gap = 4.0
    width = (pdf.epw - gap * (SLICES_SHOWN - 1)) / SLICES_SHOWN
    if pdf.will_page_break(width + 42):
        pdf.add_page()
    scores = document.attention.scores
    preference = (
        f"attention worth {effective_slices(scores):.1f} of {scores.size} slices"
        if has_preference(scores)
        else f"no clear preference among the {scores.size} slices"
    )
    pdf.write_block("Slices that the model looked at most", 12, _INK, bold=True)
    pdf.write_block(
        f"{document.report.plane} slices, window {prepared.window.name}, {preference}", 8.5, _QUIET
    )
    pdf.ln(2)
    top = pdf.y
    pictures = slice_pictures(prepared, document.attention, SLICES_SHOWN)
    for place, (slice_, picture) in enumerate(zip(document.best_slices(), pictures, strict=True)):
        left = pdf.l_margin + place * (width + gap)
        pdf.image(BytesIO(picture), x=left, y=top, w=width, h=width)
        pdf.set_xy(left, top + width + 1)
        pdf.set_text_color(*_INK)
        pdf.set_font(FONT, "", 8.5)
        index = prepared.geometry.slice_index(slice_)
        pdf.cell(width, 5, f"{place + 1}.  slice {index:.1f}   score {scores[slice_]:.3f}")
    pdf.set_xy(pdf.l_margin, top + width + 8)
    pdf.write_block(
        "In colour: the patches that raise a slice's score above the average slice's. Slices of "
        "the scan are counted from 0. The scores tell what the model looked at, not what is there.",
        7.5,
        _QUIET,
    )


def _add_fonts(pdf: FPDF) -> None:
    """Fonts for many scripts, and their letters joined and in order, from right to left too."""
    from matplotlib.font_manager import FontProperties, findfont

    for style, weight in (("", "normal"), ("B", "bold")):
        pdf.add_font(FONT, style, findfont(FontProperties(family=FONT, weight=weight)))
    more = fonts_for_more_scripts()
    for family in more:
        pdf.add_font(family, "", findfont(FontProperties(family=family)))
    pdf.set_fallback_fonts(more, exact_match=False)
    pdf.set_text_shaping(True)
