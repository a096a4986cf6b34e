"""From picked examples to the tensors of a batch, one module for each kind of batch.

All that is random in a batch hangs on the seed, the epoch and the number of the example (or of its
volume), never on what was drawn before: a run that goes on after a kill sees the same batches.
"""

from med2e3.training.examples.answer import AnswerBatches
from med2e3.training.examples.contrast import ContrastBatches
from med2e3.training.examples.language import LanguageBatches
from med2e3.training.examples.tensors import Batch
from med2e3.training.examples.volumes import Grid, Volumes

__all__ = [
    "AnswerBatches",
    "Batch",
    "ContrastBatches",
    "Grid",
    "LanguageBatches",
    "Volumes",
]
