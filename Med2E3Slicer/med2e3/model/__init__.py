"""The network and nothing else: configuration, encoders, inter-slice scoring, checkpoint files."""

from med2e3.model.checkpoint import load_model, model_identity
from med2e3.model.configuration import Configuration, read_configuration
from med2e3.model.identity import EMBEDDED, ModelIdentity
from med2e3.model.med2e3 import EncodedVolume, LoadedModel, Med2E3, ScoredVolume
from med2e3.model.prompt import REPORT_QUESTION

__all__ = [
    "EMBEDDED",
    "REPORT_QUESTION",
    "Configuration",
    "EncodedVolume",
    "LoadedModel",
    "Med2E3",
    "ModelIdentity",
    "ScoredVolume",
    "load_model",
    "model_identity",
    "read_configuration",
]
