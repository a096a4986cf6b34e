"""The truth about a phantom, as it is written beside the scan."""

from __future__ import annotations

from typing import Any

import numpy as np

from med2e3.phantoms.phantom import Phantom
from med2e3.phantoms.questions import ask_questions
from med2e3.phantoms.report import write_report

_PLANE = "axial"
"""How a scan is shown unless someone asks for another plane."""


def truth_of(phantom: Phantom) -> dict[str, Any]:
    """Findings with sizes and centres in mm (RAS), a report, and questions with their answers.

    It is the same for the same phantom every time, and fit for JSON. Questions are in words that no
    model was trained with.
    """
    random = np.random.default_rng(phantom.seed)
    return {
        "seed": phantom.seed,
        "region": phantom.region,
        "phase": phantom.phase,
        "findings": [
            {
                "kind": finding.kind,
                "organ": finding.organ,
                "side": finding.side,
                "level": finding.level,
                "size_mm": finding.size_mm,
                "center_ras": list(finding.center_ras),
            }
            for finding in phantom.findings
        ],
        "organs": sorted(phantom.organs),
        "report": write_report(phantom, random),
        "questions": [
            {
                "type": question.kind,
                "question": question.question,
                "answer": question.answer,
                "closed_question": question.closed_question(),
                "closed_answer": question.closed_answer(),
                "findings": list(question.findings),
            }
            for question in ask_questions(phantom, _PLANE, random, "test")
        ],
    }
