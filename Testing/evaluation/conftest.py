"""The embedded model, and cases made by hand for it."""

from __future__ import annotations

import pytest
import torch

from med2e3.evaluation import predicting
from med2e3.evaluation.benchmarks import running
from med2e3.evaluation.cases import Case, Query, Truth
from med2e3.model import REPORT_QUESTION, load_model

NODULE = ("nodule", "lung", "left")


@pytest.fixture(scope="session")
def model():
    return load_model(device="cpu")


@pytest.fixture
def med2e3(med2e3, monkeypatch):
    """The command in this process, with texts that are cut early."""
    for module in (predicting, running):
        monkeypatch.setattr(module, "REPORT_TOKENS", 6)
        monkeypatch.setattr(module, "ANSWER_TOKENS", 3)
    return med2e3


def query(kind: str, text: str, letter: str = "A", slices: tuple[int, ...] = (), paraphrase=""):
    choices = {"A": "left lung", "B": "liver", "C": "spleen", "D": "brain"}
    listed = " ".join(f"{name}. {choice}" for name, choice in choices.items())
    return Query(
        kind=kind,
        text=text,
        closed_text=f"{text} Choices: {listed}",
        choices=choices,
        letter=letter,
        answer=choices[letter],
        slices=slices,
        paraphrase=paraphrase,
    )


QUERIES = (
    query("plane", "In which plane is this scan?"),
    query("location", "Where is the nodule?", "B", (4, 5, 6), "In which place is the nodule?"),
)


@pytest.fixture(scope="session")
def cases(model) -> list[Case]:
    generator = torch.Generator().manual_seed(7)
    size = (1, *model.configuration.vision3d.volume_size)
    truths = [
        Truth(
            "one",
            "chest",
            REPORT_QUESTION,
            "There is a nodule.",
            frozenset({NODULE}),
            (4, 5, 6),
            QUERIES,
        ),
        Truth("two", "chest", REPORT_QUESTION, "No nodule.", frozenset(), (), QUERIES[:1]),
        Truth("three", "chest", REPORT_QUESTION, "No nodule.", frozenset(), (), ()),
    ]
    return [Case(truth, torch.rand(size, generator=generator)) for truth in truths]
