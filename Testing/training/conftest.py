from __future__ import annotations

import pytest

from med2e3.model import load_model
from med2e3.training import read_plan
from med2e3.training.captions import captions_of
from med2e3.training.initial import write_initial_model
from med2e3.training.records import read_records
from training.small import SIZE, write_data, write_recipe


@pytest.fixture(scope="session")
def made_network(tmp_path_factory):
    """A small network with random weights."""
    folder = tmp_path_factory.mktemp("network")
    plan = read_plan(write_recipe(folder))
    texts = ["Describe the findings of this image.", "There is a cyst.", "No mass is seen."] * 9
    write_initial_model(folder / "model", plan.network, texts, seed=1)
    return load_model(folder / "model", device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small network with random weights that knows the words of a data set, its records, and the
    folder of their volumes."""
    folder = tmp_path_factory.mktemp("made")
    records = read_records([write_data(folder / "data")], folder / "data", SIZE).good
    plan = read_plan(write_recipe(folder))
    texts = [text for record in records for text in (record.asked, record.answer)]
    texts += [record.phantom["description"] for record in records]
    texts += [caption.text for caption in captions_of(records)]
    write_initial_model(folder / "model", plan.network, texts, seed=1)
    return load_model(folder / "model", device="cpu"), records, folder / "data"
