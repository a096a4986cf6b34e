"""Choices are judged at their last tokens, and the judge learns which is right."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from med2e3.model import load_model
from med2e3.training import read_plan
from med2e3.training.choices import ChoiceJudge, choice_ends, right_choice
from med2e3.training.examples import AnswerBatches, LanguageBatches, Volumes
from med2e3.training.initial import write_initial_model
from med2e3.training.objectives import AnswerObjective, LanguageObjective
from med2e3.training.records import read_records
from med2e3.training.texts import Texts
from training.small import SIZE, with_choices, write_data, write_recipe

WORDS = st.text("abcdefghij ", min_size=1, max_size=12).map(str.strip).filter(bool)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    records = with_choices(read_records([write_data(folder / "data")], folder / "data", SIZE).good)
    plan = read_plan(write_recipe(folder))
    texts = [text for record in records for text in (record.asked, record.answer)]
    write_initial_model(folder / "model", plan.network, texts, seed=1)
    return load_model(folder / "model", device="cpu"), records, folder / "data"


@given(st.tuples(WORDS, WORDS, WORDS, WORDS), WORDS)
def test_choices_end_where_the_next_begins(choices, asked):
    listed = " ".join(f"{letter}. {text}" for letter, text in zip("ABCD", choices, strict=True))
    question = f"{asked}? Choices: {listed}"
    ends = choice_ends(question)
    assert all(question[:end].endswith(text) for end, text in zip(ends, choices, strict=True))
    assert ends[-1] == len(question)


def test_an_open_question_has_no_choices_and_an_open_answer_no_letter():
    assert choice_ends("Is there an abscess? A. I think so") == []
    assert right_choice("A mass in the liver.") is None
    assert right_choice("C. cyst") == 2


def closed(records):
    return [number for number, record in enumerate(records) if right_choice(record.answer) == 1]


def test_the_places_are_those_of_the_choices_last_tokens(made):
    model, records, images = made
    batches = AnswerBatches(records, Texts(model), Volumes(images, 0, False), choices=True)
    number = closed(records)[0]
    batch = batches([(0, number), (0, 0)])
    assert batch["right_choice"].tolist() == [1, -1]
    decode = model.prompt_tokenizer.decode
    for text, end in zip(
        records[number].phantom["choices"].values(), batch["choice_ends"][0], strict=False
    ):
        told = decode(batch["after"][0, : end + 1].tolist())
        assert told.endswith(f". {text}")


def test_after_a_description_the_places_move_with_it(made):
    model, records, _ = made
    batches = LanguageBatches(records, Texts(model), 0, {}, choices=True)
    number = closed(records)[0]
    batch = batches([(0, number), (0, 0)])
    end = int(batch["choice_ends"][0, 1])
    told = model.prompt_tokenizer.decode(batch["token_ids"][0, : end + 1].tolist())
    assert told.endswith(f"B. {records[number].phantom['choices']['B']}")


def test_the_judge_counts_beside_the_answer(made):
    model, records, images = made
    picks = [(0, number) for number in (0, *closed(records)[:3])]
    answers = AnswerBatches(records, Texts(model), Volumes(images, 0, False), choices=True)(picks)
    told = LanguageBatches(records, Texts(model), 0, {}, choices=True)(picks)
    for kind, batch in ((AnswerObjective, answers), (LanguageObjective, told)):
        torch.manual_seed(0)
        losses = []
        for counts in (0.0, 0.5, 1.0):
            torch.manual_seed(0)
            with torch.no_grad():
                losses.append(kind(model, [], choices=counts).eval()(**batch)["loss"].item())
        assert losses[1] > losses[0]
        assert losses[2] - losses[1] == pytest.approx(losses[1] - losses[0], rel=1e-3)


def test_what_is_judged_is_taken_half_way_so_that_later_layers_can_use_it(made):
    model, records, _ = made
    batch = LanguageBatches(records, Texts(model), 0, {}, choices=True)([(0, closed(records)[0])])
    objective = LanguageObjective(model, ["llm"], choices=1.0)
    outcome = objective(**batch)
    alone = LanguageObjective(model, ["llm"])(**batch)
    gradients = torch.autograd.grad(
        outcome["loss"] - alone["loss"], model.llm.parameters(), allow_unused=True
    )
    reached = {
        name
        for (name, _), gradient in zip(model.llm.named_parameters(), gradients, strict=True)
        if gradient is not None and gradient.abs().max() > 1e-7
    }
    assert any(".layers.0." in name for name in reached)
    assert not any(".layers.1." in name for name in reached)


def test_texts_without_choices_do_not_count():
    torch.manual_seed(0)
    judge, hidden = ChoiceJudge(8), torch.randn(3, 9, 8, requires_grad=True)
    ends = torch.tensor([[1, 3, 5, 7], [0, 0, 0, 0], [2, 4, 6, 8]])
    lost, _ = judge(hidden, ends, torch.tensor([2, -1, 0]))
    lost.backward()
    assert hidden.grad[1].abs().sum() == 0
    assert hidden.grad[0, [1, 3, 5, 7]].abs().sum(dim=1).min() > 0
    alone = [
        judge(hidden[[n]], ends[[n]], torch.tensor([r]))[0].item() for n, r in ((0, 2), (2, 0))
    ]
    assert lost.item() == pytest.approx(sum(alone) / 2, rel=1e-5)
    nothing, found = judge(hidden, ends, torch.full((3,), -1))
    assert nothing.item() == 0
    assert found.isnan()
