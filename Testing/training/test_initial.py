"""The network that a run begins with knows the words of its records."""

from __future__ import annotations

from itertools import product

from med2e3.model import load_model
from med2e3.training import read_plan
from med2e3.training.initial import write_initial_model
from training.small import write_recipe


def test_each_word_of_the_records_is_one_token(tmp_path):
    plan = read_plan(write_recipe(tmp_path))
    kinds = ("cyst", "mass", "calcification", "fracture", "haemorrhage")
    places = ("lobe of the liver", "kidney", "lung", "side of the skull", "iliac artery")
    texts = [
        f"There is a {size} mm {kind} in the {level} part of the {side} {place}."
        for size, kind, level, side, place in product(
            range(10, 60, 5), kinds, ("upper", "lower"), ("left", "right"), places
        )
    ]
    network = plan.network | {"vocabulary": {"prompt": 600}}
    write_initial_model(tmp_path / "model", network, texts, seed=1)
    tokenizer = load_model(tmp_path / "model", device="cpu").prompt_tokenizer
    # Numbers are in digits, for there would be no end of them.
    for word in texts[0].replace(".", "").split():
        if not word.isdigit():
            assert len(tokenizer.ids(f" {word}")) == 1, word
    for side in ("left", "right"):
        assert len(tokenizer.ids(f" {side}")) == 1
    assert len(tokenizer.ids("40")) > 1
