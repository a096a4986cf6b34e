"""What the network learns, one module for each objective: a batch goes in, a loss comes out.

Each wraps the network and calls its own methods, so that training and inference cannot drift apart.
Parts that do not learn in a stage are frozen and stay in evaluation mode (no dropout). The released
trainer leaves its frozen text encoder in training mode.
"""

from med2e3.training.objectives.answer import AnswerObjective
from med2e3.training.objectives.contrast import ContrastObjective
from med2e3.training.objectives.evidence import EvidenceObjective
from med2e3.training.objectives.ideal import IdealObjective
from med2e3.training.objectives.language import LanguageObjective
from med2e3.training.objectives.next_tokens import IGNORED
from med2e3.training.objectives.objective import Objective, Outcome
from med2e3.training.objectives.words import WordsObjective

__all__ = [
    "IGNORED",
    "AnswerObjective",
    "ContrastObjective",
    "EvidenceObjective",
    "IdealObjective",
    "LanguageObjective",
    "Objective",
    "Outcome",
    "WordsObjective",
]
