"""The words of the questions: for each form paraphrases to train with, and others to test with.

No paraphrase is in both lists, and those for testing have no word that is not trained on. The
styles are those of M3D-VQA and, for reports, of M3D-Cap.
"""

from __future__ import annotations

import re

REPORT_QUESTION = "Describe the findings of this medical image."
"""The engine's own request for a report (:data:`med2e3.model.prompt.REPORT_QUESTION`)."""
WORDINGS = ("train", "test")

FORMS: dict[str, dict[str, tuple[str, ...]]] = {
    "plane": {
        "train": (
            "In which plane is this image displayed?",
            "What is the plane of this image?",
            "Which plane is shown in this scan?",
            "What plane is this CT shown in?",
            "Along which plane are the slices of this image cut?",
            "Name the imaging plane of this scan.",
            "In what plane was this scan displayed?",
            "Which imaging plane do the slices show?",
            "The slices of this CT are in which plane?",
        ),
        "test": (
            "In which imaging plane are the slices of this scan?",
            "What plane do the slices of this CT show?",
            "Which is the plane of the image displayed?",
        ),
    },
    "phase": {
        "train": (
            "In which phase was this CT scan taken?",
            "What is the contrast phase of this image?",
            "Which phase of contrast is shown in this scan?",
            "What phase does this CT show?",
            "Name the contrast phase of this CT.",
            "In which contrast phase is this image?",
            "Which CT phase is this?",
            "At what phase of contrast was this scan taken?",
            "This image was taken in which phase?",
        ),
        "test": (
            "What is the phase of this CT scan?",
            "Which contrast phase does this image show?",
            "In what phase of contrast is this CT?",
        ),
    },
    "organ seen": {
        "train": (
            "Which of these organs is seen in this scan?",
            "Which of these organs does this image show?",
            "What organ is seen in this CT?",
            "Which one of these organs is in this image?",
            "Which organ is shown in this scan?",
            "Of these organs, which is seen in this CT?",
            "One of these organs is in the scan: which one is it?",
            "Which organ can be seen in this image?",
        ),
        "test": (
            "Which of these organs can be seen in this CT?",
            "What organ does this scan show?",
            "Which one of these organs is shown in this image?",
        ),
    },
    "organ abnormal": {
        "train": (
            "Which organ is abnormal in this image?",
            "In which organ is the lesion?",
            "Which organ is affected in this scan?",
            "In which organ is the abnormality seen?",
            "What organ is abnormal?",
            "The lesion in this scan is in which organ?",
            "Name the organ that is abnormal in this CT.",
            "The abnormality is in which organ?",
            "Which organ shows a lesion in this scan?",
        ),
        "test": (
            "What organ is affected in this image?",
            "In what organ is the abnormality of this CT?",
            "Which organ shows an abnormality?",
        ),
    },
    "organ of kind": {
        "train": (
            "In which organ is the {kind}?",
            "Which organ contains the {kind}?",
            "The {kind} is seen in which organ?",
            "What organ is the {kind} in?",
            "Which organ is affected by the {kind}?",
            "Name the organ with the {kind}.",
            "Which organ shows {a_kind} in this scan?",
            "In what organ does this CT show {a_kind}?",
        ),
        "test": (
            "Which organ is the {kind} seen in?",
            "In what organ is the {kind} of this scan?",
            "What organ contains the {kind} in this CT?",
        ),
    },
    "abnormality": {
        "train": (
            "What abnormality is seen in the {place}?",
            "Which abnormality does the {place} show?",
            "What is the abnormality of the {place}?",
            "What kind of lesion is in the {place}?",
            "What is found in the {place}?",
            "Which finding is seen in the {place} in this scan?",
            "Name the abnormality in the {place}.",
            "What does this CT show in the {place}?",
            "In the {place}, which abnormality is seen?",
        ),
        "test": (
            "Which abnormality is found in the {place}?",
            "What kind of abnormality does the {place} show?",
            "What is the finding in the {place} in this CT?",
        ),
    },
    "abnormality anywhere": {
        "train": (
            "What abnormality is seen in this scan?",
            "Which abnormality does this CT show?",
            "What is the abnormality in this image?",
            "What kind of lesion is in this scan?",
            "What is found in this CT?",
            "Which finding is seen in this image?",
            "Name the abnormality in this scan.",
            "What does this image show that is abnormal?",
        ),
        "test": (
            "Which abnormality is found in this image?",
            "What kind of abnormality does this scan show?",
            "What is the finding in this CT?",
        ),
    },
    "location": {
        "train": (
            "Where is the {kind} located?",
            "Where is the {kind}?",
            "What is the location of the {kind}?",
            "In which location is the {kind} seen?",
            "Where does this scan show {a_kind}?",
            "Where is the {kind} found in this CT?",
            "Name the location of the {kind}.",
            "Where in the body is the {kind}?",
            "The {kind} is located where?",
        ),
        "test": (
            "Where in this scan is the {kind} located?",
            "What is the location of the {kind} in this CT?",
            "Where is the {kind} seen in this image?",
        ),
    },
    "report": {
        "train": (
            REPORT_QUESTION,
            "Describe this CT with its findings.",
            "What are the findings of this scan?",
            "Please write a report of this image.",
            "Write the findings and the impression of this CT scan.",
            "Please describe the organs and findings of this scan.",
            "Give a report of this medical image.",
            "What does this CT scan show? Please describe it.",
            "Please report the findings in this image.",
        ),
        "test": (
            "Please describe the findings of this CT.",
            "Write a report of this medical scan.",
            "What are the findings in this image? Give a report.",
        ),
    },
}
"""Form -> "train" or "test" -> paraphrases. ``{kind}`` is a kind of finding, ``{place}`` an organ
with its side."""

USUAL_REPORT_QUESTION_SHARE = 0.5
"""How many reports are asked for in the words that the engine itself uses."""


def reworded(question: str) -> str:
    """A question that is worded to test with, in other words to test with: the same question, of
    the same kind of finding or place. "" for one that is worded otherwise."""
    for form in FORMS.values():
        for number, text in enumerate(form["test"]):
            # "{kind}" stands for what the question names.
            pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(text))
            if named := re.fullmatch(pattern, question):
                return form["test"][(number + 1) % len(form["test"])].format(**named.groupdict())
    return ""
