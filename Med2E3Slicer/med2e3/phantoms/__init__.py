"""Synthetic scans with a known truth, to train, to show and to test: no patient is in them."""

from med2e3.phantoms.claims import findings_in
from med2e3.phantoms.files import write_phantom
from med2e3.phantoms.findings import FINDINGS, LEVELLED, LEVELS, SIDED
from med2e3.phantoms.making import make_phantom
from med2e3.phantoms.phantom import (
    DRAFT_GRID,
    PHASES,
    REGIONS,
    SCAN_GRID,
    Finding,
    Grid,
    Phantom,
)
from med2e3.phantoms.questions import (
    QUESTION_TYPES,
    Question,
    ask_questions,
    report_question,
)
from med2e3.phantoms.report import describe, write_report
from med2e3.phantoms.slices import slices_of
from med2e3.phantoms.truth import truth_of

__all__ = [
    "DRAFT_GRID",
    "FINDINGS",
    "LEVELLED",
    "LEVELS",
    "PHASES",
    "QUESTION_TYPES",
    "REGIONS",
    "SCAN_GRID",
    "SIDED",
    "Finding",
    "Grid",
    "Phantom",
    "Question",
    "ask_questions",
    "describe",
    "findings_in",
    "make_phantom",
    "report_question",
    "slices_of",
    "truth_of",
    "write_phantom",
    "write_report",
]
