"""Training: the stages of Med-2E3's recipe, on the network that inference uses."""

from med2e3.training.plan import Plan, Stage, read_plan
from med2e3.training.run import train

__all__ = ["Plan", "Stage", "read_plan", "train"]
