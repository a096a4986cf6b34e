"""What is trained is what is run: the loss of a batch against inference, one question at a time."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as functional

from med2e3.errors import InputError
from med2e3.inference import VolumeSession
from med2e3.training.examples import AnswerBatches, LanguageBatches, Volumes
from med2e3.training.objectives import AnswerObjective, EvidenceObjective, IdealObjective
from med2e3.training.texts import Texts
from training.small import KINDS, SIZE, with_choices

GRID = (SIZE[0], 4, 4)
"""Slices, and rows and columns of patches."""


def asked_as_at_inference(model, record, images):
    """The mean loss of an answer's tokens after the prompt that inference makes."""
    session = VolumeSession(model, torch.from_numpy(np.load(images / record.volume)))
    ids, _ = model.scoring_tokenizer(record.question)
    scored = model.score(session.encode(), model.embed_text(torch.tensor(ids)))
    prompt = session.embed(model.prompt_tokenizer.prompt(record.asked), scored)
    answer = torch.tensor(model.prompt_tokenizer.answer(record.asked, record.answer))
    embedded = torch.cat([prompt, model.llm.get_input_embeddings()(answer)])
    logits = model.llm(inputs_embeds=embedded[None]).logits[0, len(prompt) - 1 : -1]
    return functional.cross_entropy(logits, answer, reduction="none")


def test_a_batch_has_the_loss_of_its_questions_asked_one_by_one(made):
    model, records, images = made
    picked = [0, 1, 5, 9]
    batches = AnswerBatches(records, Texts(model), Volumes(images, 0, False))
    batch = batches([(0, number) for number in picked])
    assert len(batch["volumes"]) == 3
    loss = AnswerObjective(model, ["llm"]).eval()(**batch)["loss"]
    with torch.inference_mode():
        one_by_one = [asked_as_at_inference(model, records[n], images) for n in picked]
    assert loss.item() == pytest.approx(float(torch.cat(one_by_one).mean()), rel=1e-4)


def test_only_answers_and_their_end_are_learned(made):
    model, records, images = made
    batch = AnswerBatches(records, Texts(model), Volumes(images, 0, False))([(0, 0), (0, 2)])
    for row, number in zip(batch["labels"], (0, 2), strict=True):
        learned = row[row >= 0].tolist()
        assert learned[-1] == model.prompt_tokenizer.end_token
        assert model.prompt_tokenizer.decode(learned[:-1]) == records[number].answer


def test_frozen_parts_get_no_gradient_and_no_dropout(made):
    model, records, images = made
    objective = AnswerObjective(model, ["vision2d_connector", "text_mlp"]).train()
    batch = AnswerBatches(records, Texts(model), Volumes(images, 0, False))([(0, 0)])
    objective(**batch)["loss"].backward()
    learned = {n.split(".")[0] for n, p in model.named_parameters() if p.grad is not None}
    assert learned == {"vision2d_connector", "text_mlp"}
    assert not model.text_model.training
    assert model.training


def test_an_answer_that_is_too_long_is_told(made):
    model, records, images = made
    long = [type(records[0])("long", records[0].volume, "What?", "What?", "mass " * 400)]
    batches = AnswerBatches(long, Texts(model), Volumes(images, 0, False))
    batch = batches([(0, 0)])
    assert batches.cut_answers == {"long"}
    assert batch["labels"][0, -1] != model.prompt_tokenizer.end_token
    width = batch["before"].numel() + Texts(model).image_tokens + batch["after"].shape[1]
    assert width == model.configuration.max_length


def test_scores_on_the_slices_of_the_answer_count_beside_it(made):
    model, records, images = made
    asked = [0, 1, 2]
    batches = AnswerBatches(
        records,
        Texts(model),
        Volumes(images, 0, False),
        evidence_slices=GRID[0],
        evidence_grid=GRID[1:],
    )
    batch = batches([(0, number) for number in asked])
    place = records[1].phantom["slices"]
    # The report and the question on the finding depend on its slice, the plane on no single one.
    assert [mask.nonzero()[:, 1].tolist() for mask in batch["evidence"]] == [place, place, []]
    of_patches = batch["patch_evidence"].unflatten(2, GRID)
    assert [mask.nonzero()[:, 1:].tolist() for mask in of_patches] == [
        [[place[0], 1, 1]], [[place[0], 1, 1]], [],
    ]  # fmt: skip
    with torch.no_grad():
        [slices, both] = [EvidenceObjective(model, [], count).eval()(**batch) for count in (0, 1)]
        [alone, with_slices, with_both] = [
            AnswerObjective(model, [], *counts).eval()(**batch)["loss"].item()
            for counts in ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0))
        ]
    assert 0 < slices["loss"] < both["loss"]
    assert with_slices == pytest.approx(alone + 0.5 * slices["loss"].item(), rel=1e-5)
    assert with_both == pytest.approx(alone + 0.5 * both["loss"].item(), rel=1e-5)


def test_the_tokens_that_tell_a_finding_count_as_many_as_they_are_said_to(made):
    model, records, images = made
    [finding] = records[0].phantom["findings"]
    told = f"There is a {finding['kind']} in the {finding['side']} {finding['organ']}."
    report = replace(records[0], answer=f"The scan is of good quality. {told} All else is well.")
    volumes = Volumes(images, 0, False)
    batch = AnswerBatches([report, records[1]], Texts(model), volumes, finding_weight=3)(
        [(0, 0), (0, 1)]
    )
    weights, labels = batch["weights"], batch["labels"]
    assert model.prompt_tokenizer.decode(labels[0][weights[0] == 3].tolist()).strip() == told
    assert set(weights[0].tolist()) == {1, 3}
    assert set(weights[1].tolist()) == {1}


def test_a_mirrored_volume_has_its_evidence_on_the_mirrored_slices(made):
    model, records, images = made
    volumes = Volumes(images, 0, True)
    views = [volumes.view(records[0].volume, epoch) for epoch in range(60)]
    epoch = next(number for number, view in enumerate(views) if view.mirrored[0])
    batch = AnswerBatches(
        records, Texts(model), volumes, evidence_slices=GRID[0], evidence_grid=GRID[1:]
    )([(epoch, 1)])
    [place] = records[1].phantom["slices"]
    assert batch["evidence"][0].nonzero()[:, 1].tolist() == [7 - place]
    [patch] = batch["patch_evidence"][0, 0].view(GRID).nonzero().tolist()
    shown = views[epoch].of_places(np.load(images / records[1].phantom["cover"])[0])
    assert patch == np.argwhere(shown)[0].tolist()


def test_a_letter_counts_as_many_tokens_as_it_is_said_to(made):
    model, records, images = made
    records = with_choices(records)
    picks = [(0, number) for number in range(len(records))]
    objective = AnswerObjective(model, set()).eval()

    def loss(weight: int) -> float:
        batches = AnswerBatches(
            records, Texts(model), Volumes(images, 0, False), letter_weight=weight
        )
        with torch.no_grad():
            return objective(**batches(picks))["loss"].item()

    def letters() -> tuple[float, int, int]:
        """Their mean loss, their number, and that of all tokens."""
        batch = AnswerBatches(records, Texts(model), Volumes(images, 0, False), letter_weight=2)(
            picks
        )
        tokens = int((batch["labels"] != -100).sum())
        batch["labels"] = batch["labels"].masked_fill(batch["weights"] == 1, -100)
        del batch["weights"]
        with torch.no_grad():
            return (
                objective(**batch)["loss"].item(),
                int((batch["labels"] != -100).sum()),
                tokens,
            )

    of_letters, count, tokens = letters()
    assert count == sum("Choices" in record.asked for record in records)
    expected = (loss(1) * tokens + 9 * of_letters * count) / (tokens + 9 * count)
    assert loss(10) == pytest.approx(expected, rel=1e-4)
    assert loss(10) != pytest.approx(loss(1), rel=1e-4)


def test_in_the_language_stage_an_answer_counts_the_same_however_long_it_is(made):
    model, records, _ = made
    records = with_choices(records)
    batches = LanguageBatches(records, Texts(model), seed=0, exercises={"letters": 0.5})
    numbers = range(len(batches.volume_names))
    batch = batches([(0, number) for number in numbers])
    exercises = 0
    for ids, labels, weights in zip(*(batch[name] for name in batch), strict=True):
        learned = labels != -100
        assert torch.equal(labels[learned], ids[learned])
        text = model.prompt_tokenizer.decode(ids[learned].tolist())
        told_weight = weights[learned][0]
        answered = learned & (weights != told_weight)
        assert weights[answered].sum().item() == pytest.approx(1)
        assert weights[learned & ~answered].sum().item() == pytest.approx(0.1)
        if "Choices:" in text:
            # The letter is half of the answer.
            assert weights[answered][0].item() == pytest.approx(0.5)
        else:
            assert weights[answered].min() == weights[answered].max()
        if "Which is " in text:
            exercises += 1
            asked, choices, letter = re.search(
                r"Which is (.+?)\? Choices: (.*\bD\. .+?) ASSISTANT:.*?([A-D])\. ", text
            ).groups()
            texts = re.findall(r"[A-D]\. (.+?)(?= [A-D]\. |$)", choices)
            assert len(set(texts)) == 4
            assert set(texts) <= {*KINDS, "effusion"}
            assert texts["ABCD".index(letter)] == asked
    assert 0 < exercises < len(numbers)


def test_in_the_language_stage_reports_come_as_often_as_their_share_says(made):
    model, records, _ = made
    reports = [record for record in records if record.phantom["asked"] == "report"]
    others = [record for record in records if record not in reports]
    assert reports
    assert others

    def read(share):
        batches = LanguageBatches(records, Texts(model), 0, {}, asked={"report": share})
        batch = batches([(0, number) for number in range(len(batches.volume_names))])
        return [
            model.prompt_tokenizer.decode(ids[labels != -100].tolist())
            for ids, labels in zip(batch["token_ids"], batch["labels"], strict=True)
        ]

    assert len(read(0.0)) == len(records)
    told = read(0.8)
    times = round(4 * len(others) / len(reports))
    assert len(told) == len(others) + times * len(reports)
    for written, count in Counter(record.answer for record in reports).items():
        assert sum(written in text for text in told) == times * count
    with pytest.raises(InputError, match="No record asks for a report"):
        LanguageBatches(others, Texts(model), 0, {}, asked={"report": 0.5})


def test_the_language_model_reads_ideal_tokens_of_what_the_records_tell(made):
    model, records, images = made
    grids = {"evidence_slices": SIZE[0], "word_grids": ((SIZE[0], 4, 4), (2, 2, 2))}
    batches = AnswerBatches(records, Texts(model), Volumes(images, 0, False), images=False, **grids)
    report = next(i for i, one in enumerate(records) if one.phantom["asked"] == "report")
    batch = batches([(0, report)])
    assert "volumes" not in batch
    objective = IdealObjective(model, ["llm"]).train()
    model.zero_grad()
    # While it learns, no two times are heard alike.
    assert objective(**batch)["loss"] != objective(**batch)["loss"]
    objective.eval()
    found = objective(**batch)
    assert objective(**batch)["loss"] == found["loss"]
    found["loss"].backward()
    assert {
        name.split(".")[0] for name, one in model.named_parameters() if one.grad is not None
    } == {"llm"}
    # Each of these is part of what the language model is shown.
    for part in ("2d", "3d"):
        other = batch | {"words": batch["words"] | {part: -batch["words"][part]}}
        assert objective(**other)["loss"] != found["loss"]
    elsewhere = batch["evidence"].roll(3, dims=2)
    assert elsewhere.any()
    assert objective(**(batch | {"evidence": elsewhere}))["loss"] != found["loss"]


def test_patches_are_not_read_where_they_do_not_count(made):
    model, records, images = made
    lost = replace(records[1], phantom=records[1].phantom | {"cover": "lost.npy"})
    batch = AnswerBatches([lost], Texts(model), Volumes(images, 0, False), evidence_slices=8)(
        [(0, 0)]
    )
    assert "patch_evidence" not in batch
    with torch.no_grad():
        assert EvidenceObjective(model, []).eval()(**batch)["loss"] > 0
