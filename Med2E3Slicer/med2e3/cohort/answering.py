"""Step two, the one with a model: a study's report and its answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from med2e3.cohort.outcomes import Clock, sentence_of
from med2e3.cohort.reading import ReadStudy
from med2e3.cohort.settings import Settings
from med2e3.cohort.tries import Tries
from med2e3.model import LoadedModel
from med2e3.service.answering import generate, open_prepared
from med2e3.wire.messages import ANSWER, REPORT, Answered


# Ray writes into its logs what no column takes; nothing of a study may stand there.
@dataclass(frozen=True, eq=False, repr=False)
class AnsweredStudy:
    """A study with its report and its answers by the question's name, or with the sentence why it
    has none. ``seconds`` count by step, ``node`` is the machine that answered."""

    read: ReadStudy
    node: str
    report: Answered | None = None
    answers: dict[str, Answered] = field(default_factory=dict)
    error: str = ""
    seconds: dict[str, float] = field(default_factory=dict)


def answer_study(
    model: LoadedModel, read: ReadStudy, settings: Settings, tries: Tries, node: str
) -> AnsweredStudy:
    """Write a report on a study and answer all questions. Whatever goes wrong comes back as its
    ``error``, and so does what went wrong before."""
    if read.prepared is None:
        return AnsweredStudy(read, node, error=read.error, seconds=read.seconds)
    clock = Clock(dict(read.seconds))
    try:
        with tries.trying(read.study.name, "answered"):
            with clock("encode"):
                opened = open_prepared(model, read.prepared, read.warnings, read.seconds)
            with clock("report"):
                report = generate(opened, REPORT, "", settings.max_new_tokens)
            with clock("questions"):
                answers = {
                    name: generate(opened, ANSWER, question, settings.max_new_tokens)
                    for name, question in settings.questions.items()
                }
    except Exception as error:
        return AnsweredStudy(read, node, error=sentence_of(error), seconds=clock.seconds)
    return AnsweredStudy(read, node, report, answers, seconds=clock.seconds)
