"""Tokens of patches are held against the words of what the patches show."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from med2e3.errors import InputError
from med2e3.training.examples import AnswerBatches, Volumes
from med2e3.training.objectives import AnswerObjective, EvidenceObjective, WordsObjective
from med2e3.training.texts import Texts
from med2e3.training.words import (
    FINDING,
    PatchWords,
    half_heard,
    ideal_tokens,
    loudness,
    word_loss,
)
from training.small import SIZE

GRID_2D = (SIZE[0], 4, 4)
GRID_3D = (2, 2, 2)


def cover_of(record, images):
    return np.load(images / record.phantom["cover"])


def columns_of(words, model, text):
    return [list(words.ids).index(number) for number in Texts(model).plain(text)]


def true_of(words, model, truth, texts):
    """Those of the texts of which every word is true, of a patch with ``truth`` [words]."""
    return {text for text in texts if (truth[columns_of(words, model, text)] > 0).all()}


def test_a_patch_has_the_words_of_what_it_shows(made):
    model, records, images = made
    record = records[0]
    words = PatchWords(records, Texts(model))
    truth = words.truth(record, cover_of(record, images), GRID_2D).reshape(*GRID_2D, -1)
    [finding] = record.phantom["findings"]
    [place] = finding["slices"]
    asked = [finding["kind"], "left lung", "upper", "lung", "axial", "non-contrast", "chest"]
    assert true_of(words, model, truth[place, 1, 1], asked) == set(asked)
    # The rest of the slice is lung alone; the finding's words are false there.
    beside = true_of(words, model, truth[place, 3, 3], asked)
    assert {"lung", "axial"} <= beside
    assert finding["kind"] not in beside
    assert set(np.unique(truth)) == {-1, 1, FINDING}
    # What only findings are called is told apart from what organs are called too.
    of_findings = words.of_findings
    assert of_findings[columns_of(words, model, finding["kind"])].all()
    assert not of_findings[columns_of(words, model, "left lung axial chest")].any()
    # The finding's organ is louder than the organs beside, which tells which of them has it.
    assert set(truth[place, 1, 1, columns_of(words, model, "left lung")]) == {FINDING}
    assert set(truth[place, 3, 3, columns_of(words, model, "lung")]) == {1}


def test_what_only_grazes_a_patch_is_neither_true_nor_false_of_it(made):
    model, records, images = made
    words = PatchWords(records, Texts(model))
    cover = cover_of(records[0], images)
    cover[1, 0, 0, 0] = 5
    truth = words.truth(records[0], cover, GRID_2D).reshape(*GRID_2D, -1)[0, 0, 0]
    assert set(truth[columns_of(words, model, "lung")]) == {0}
    assert set(truth[columns_of(words, model, "axial")]) == {0}


def test_a_3d_token_stands_for_its_eight_patches(made):
    model, records, images = made
    words = PatchWords(records, Texts(model))
    record = records[0]
    truth = words.truth(record, cover_of(record, images), GRID_3D).reshape(*GRID_3D, -1)
    [finding] = record.phantom["findings"]
    [place] = finding["slices"]
    [shown] = [
        index
        for index in np.ndindex(*GRID_3D)
        if true_of(words, model, truth[index], [finding["kind"]])
    ]
    assert shown == (place // 4, 0, 0)


def test_a_mirrored_volume_shows_the_words_of_the_other_side(made):
    model, records, images = made
    words = PatchWords(records, Texts(model))
    volumes = Volumes(images, 0, True)
    views = [volumes.view(records[0].volume, epoch) for epoch in range(60)]
    view = next(one for one in views if "right" in one.of_text("left"))
    cover = view.of_places(cover_of(records[0], images))
    truth = words.truth(records[0], cover, GRID_2D, view).reshape(*GRID_2D, -1)
    [patch] = np.argwhere(cover[0])
    told = true_of(words, model, truth[tuple(patch)], ["left", "right", "upper"])
    assert told == {"right", "upper"}


def test_records_that_do_not_tell_what_patches_show_are_refused(made):
    model, records, _ = made
    untold = [replace(record, phantom=None) for record in records]
    with pytest.raises(InputError, match="take words out"):
        PatchWords(untold, Texts(model))


def test_off_an_ideal_token_what_it_shows_is_read_and_nothing_else():
    torch.manual_seed(0)
    embeddings = torch.randn(40, 64)
    shown = (torch.rand(3, 5, 40) < 0.1).float()
    tokens = ideal_tokens(shown, embeddings)
    assert tokens.shape == (3, 5, 64)
    products = tokens @ embeddings.T / embeddings.square().sum(dim=1).mean()
    assert (products - shown).abs().max() < 0.5
    assert torch.equal(products > 0.5, shown > 0)
    # In mixed precision they are the same.
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(ideal_tokens(shown, embeddings), tokens)
    # Fused tokens are those of fused volumes, for all of it is linear.
    mixed = ideal_tokens(0.3 * shown[0] + 0.7 * shown[1], embeddings)
    torch.testing.assert_close(mixed, 0.3 * tokens[0] + 0.7 * tokens[1], rtol=1e-4, atol=1e-4)


def test_findings_are_half_heard_token_by_token():
    torch.manual_seed(0)
    truth = torch.full((20, 100, 4), -1, dtype=torch.int8)
    truth[..., 0] = 1
    truth[..., 1:3] = FINDING
    heard = half_heard(loudness(truth))
    # All words of a token's findings are as quiet as each other, but for what is in every token.
    quiet = heard[..., 1:3].mean(dim=2)
    assert (heard[..., 1] - heard[..., 2]).std() < 0.6
    assert (quiet > 0).all()
    assert (quiet < FINDING + 1).all()
    assert quiet.mean() == pytest.approx((1 + FINDING) / 2, abs=0.1)
    assert quiet.std() > 1
    assert heard[..., 0].mean() == pytest.approx(1, abs=0.02)
    assert heard[..., 3].mean() == pytest.approx(0, abs=0.02)
    assert heard[..., [0, 3]].std(dim=(0, 1)).tolist() == pytest.approx([0.3, 0.3], abs=0.02)


def learned(embeddings, truth, tokens, of_findings):
    """Tokens [groups, width] that have learned from ``truth`` [groups, members, words]."""
    tokens.requires_grad_()
    optimizer = torch.optim.LBFGS([tokens], max_iter=400, line_search_fn="strong_wolfe")
    outcome = []

    def loss():
        optimizer.zero_grad()
        each = tokens.repeat_interleave(truth.shape[1], dim=0)
        outcome[:] = word_loss(each, embeddings, truth.flatten(0, 1), of_findings)
        outcome[0].backward()
        return outcome[0]

    optimizer.step(loss)
    loss()
    return tokens.detach(), outcome[0].item(), outcome[1].item()


def told(tokens, embeddings):
    return tokens @ embeddings.T / embeddings.square().sum(dim=1).mean()


def test_tokens_that_learn_from_the_word_loss_tell_what_they_show():
    torch.manual_seed(0)
    embeddings = torch.randn(7, 16)
    truth = torch.randint(0, 2, (40, 1, 7)) * 2 - 1
    # The last two words only findings have.
    of_findings = torch.arange(7) >= 5
    truth[..., 5:] = torch.where(truth[..., 5:] > 0, FINDING, -1)
    truth[:10] = 0
    silent = torch.zeros(40, 16)
    before, read = word_loss(silent, embeddings, truth[:, 0], of_findings)
    # One for the words of organs, and more for findings, of which silence is very sure.
    assert before > 1
    assert read == 0
    rest = torch.linalg.svd(embeddings).Vh[7:]
    start = silent.clone()
    start[10:] = torch.randn(30, 9) @ rest
    tokens, loss, read = learned(embeddings, truth, start, of_findings)
    assert loss < 0.1 * before
    assert read == 1
    # What is no word is gone.
    assert (tokens @ rest.T).abs().max() < 0.1
    # Of the first ten nothing is known.
    assert tokens[:10].abs().max() == 0
    heard = told(tokens[10:], embeddings)
    shown = truth[10:, 0] > 0
    assert (heard[..., :5] - shown[..., :5].float()).abs().max() < 0.5
    assert heard[..., 5:][shown[..., 5:]].min() > FINDING / 2
    assert heard[..., 5:][~shown[..., 5:]].max() < 1
    with torch.autocast("cpu", torch.bfloat16):
        again, _ = word_loss(tokens.bfloat16(), embeddings, truth[:, 0], of_findings)
    assert again.item() == pytest.approx(loss, rel=0.1)
    lost, read = word_loss(tokens, embeddings, torch.zeros_like(truth[:, 0]), of_findings)
    assert lost == 0
    assert math.isnan(read)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9])
def test_how_loud_a_finding_is_told_is_how_likely_it_is(share):
    embeddings = torch.eye(3)
    truth = torch.full((2, 100, 3), -1)
    truth[:, :, 0] = 1
    truth[0, : round(100 * share), 1] = FINDING
    tokens, _, _ = learned(embeddings, truth, torch.zeros(2, 3), torch.arange(3) > 0)
    heard = told(tokens, embeddings)
    odds = math.log(share / (1 - share))
    assert heard[0, 1] == pytest.approx(FINDING * (odds + 6) / 12, abs=0.1)
    # What is impossible is told by silence, and not louder and louder.
    assert heard[1, 1:].tolist() == pytest.approx([0, 0], abs=0.05)


def test_a_rare_finding_is_worth_as_much_as_one_of_many_patches():
    embeddings = torch.eye(3)
    of_findings = torch.arange(3) > 0
    truth = torch.full((1000, 3), -1)
    truth[:, 0] = 1
    truth[:300, 1] = truth[300, 2] = FINDING
    shares = (truth > 0).float().mean(dim=0)
    # How likely each word is, for all patches alike.
    unsure = FINDING * ((shares / (1 - shares)).log() + 6) / 12
    unsure = torch.cat([torch.ones(1), unsure[1:]]).clamp(min=0).expand(1000, -1)
    unsure_loss, _ = word_loss(unsure, embeddings, truth, of_findings)

    def gain(word: int) -> float:
        sure = unsure.clone()
        sure[:, word] = loudness(truth)[:, word]
        loss, _ = word_loss(sure, embeddings, truth, of_findings)
        return (unsure_loss - loss).item()

    assert gain(1) > 0.5
    assert gain(2) == pytest.approx(gain(1), rel=0.5)


def test_where_all_words_are_of_organs_nothing_is_lost_of_findings():
    embeddings = torch.eye(3)
    truth = torch.ones(10, 3)
    of_findings = torch.zeros(3, dtype=torch.bool)
    silent, _ = word_loss(torch.zeros(10, 3), embeddings, truth, of_findings)
    assert silent.item() == pytest.approx(1)
    sure, read = word_loss(torch.ones(10, 3), embeddings, truth, of_findings)
    # Ideal tokens are a little shorter than what they tell.
    assert 0 <= sure.item() < 0.02
    assert read == 1


def test_an_organ_that_a_batch_lacks_is_still_none_of_the_findings():
    embeddings = torch.eye(3)
    truth = torch.tensor([[1, -1, -1]]).repeat(10, 1)

    def gain(of_findings: list[bool]) -> float:
        """How much is lost less where the second word is silent and not half an organ loud."""
        losses = [
            word_loss(torch.tensor([[1.0, told, 0.0]]).repeat(10, 1), embeddings, truth, given)[0]
            for told in (0.5, 0.0)
            for given in [torch.tensor(of_findings)]
        ]
        return (losses[0] - losses[1]).item()

    # As an organ's it is a quarter of the loudness of the one that is shown, squared.
    assert gain([False, False, True]) == pytest.approx(0.25, rel=0.05)
    # As a finding's it is the odds of one that nobody has.
    assert gain([False, True, True]) > 1


def test_words_count_beside_all_else_and_move_the_connectors_alone(made):
    model, records, images = made
    batches = AnswerBatches(
        records, Texts(model), Volumes(images, 0, False),
        evidence_slices=SIZE[0], word_grids=(GRID_2D, GRID_3D),
    )  # fmt: skip
    batch = batches([(0, 1), (0, 4)])
    volumes, words = 2, len(batch["words"]["ids"])
    assert batch["words"]["2d"].shape == (volumes, SIZE[0] * 16, words)
    assert batch["words"]["3d"].shape == (volumes, 8, words)
    with torch.no_grad():
        for kind in (EvidenceObjective, AnswerObjective):
            [without, half, whole] = [
                kind(model, [], words=count).eval()(**batch)["loss"].item()
                for count in (0.0, 0.5, 1.0)
            ]
            assert without < half
            assert whole - without == pytest.approx(2 * (half - without), rel=1e-4)
    learning = ["llm", "vision2d_connector", "vision3d_connector"]
    found = EvidenceObjective(model, learning, words=1).train()(**batch)
    assert set(found) >= {"word_2d_accuracy", "word_3d_accuracy"}
    found["loss"].backward()
    assert all(p.grad is not None for p in model.vision3d_connector.parameters())
    assert all(p.grad is None for p in model.llm.parameters())
    for tokens in ("2d", "3d"):
        batch["words"][tokens].zero_()
    with torch.no_grad():
        outcome = EvidenceObjective(model, [], words=1.0).eval()(**batch)
    assert outcome["loss"].isfinite()


def test_words_alone_teach_nothing_of_slices(made):
    model, records, images = made
    batches = AnswerBatches(
        records, Texts(model), Volumes(images, 0, False), word_grids=(GRID_2D, GRID_3D)
    )
    batch = batches([(0, 1), (0, 4)])
    learning = ["vision2d_connector", "vision3d_connector", "text_mlp"]
    model.zero_grad()
    words = WordsObjective(model, learning)
    words(**batch)["loss"].backward()
    assert all(p.grad is not None for p in model.vision2d_connector.parameters())
    assert all(p.grad is None for p in model.text_mlp.parameters())
    with torch.no_grad():
        shown = torch.ones(2, 1, SIZE[0], dtype=torch.bool)
        whole = EvidenceObjective(model, [], words=1.0).eval()(**batch, evidence=shown)
    # Where all slices are right, no score is wrong, and the words alone are left of the loss.
    assert words.eval()(**batch)["loss"].item() == pytest.approx(whole["loss"].item(), abs=1e-5)
