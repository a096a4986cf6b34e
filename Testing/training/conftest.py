from __future__ import annotations

import pytest

from med2e3.model import load_model
from med2e3.training import read_plan
from med2e3.training.initial import write_initial_model
from training.small import write_recipe


@pytest.fixture(scope="session")
def made_network(tmp_path_factory):
    """A small network with random weights."""
    folder = tmp_path_factory.mktemp("network")
    plan = read_plan(write_recipe(folder))
    texts = ["Describe the findings of this image.", "There is a cyst.", "No mass is seen."] * 9
    write_initial_model(folder / "model", plan.network, texts, seed=1)
    return load_model(folder / "model", device="cpu", dtype="float32")
