"""What the contrast stage holds against what: captions, their truth, and the loss over pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from med2e3.errors import InputError
from med2e3.training.augmentation import swap_sides
from med2e3.training.captions import captions_of, some_captions
from med2e3.training.examples import ContrastBatches, Volumes
from med2e3.training.objectives import ContrastObjective
from med2e3.training.records import Record
from med2e3.training.texts import Texts

EVERYTHING = ["vision2d_model", "vision3d_model", "text_model"]


def batches_of(made, augment=False, grid_3d=(4, 4, 4), grid_2d=(4, 4), records=None):
    model, found, images = made
    return ContrastBatches(
        records or found, Texts(model), Volumes(images, 0, augment), seed=0, slices_per_volume=3,
        texts_per_volume=50, patches_3d=grid_3d, patches_2d=grid_2d,
    )  # fmt: skip


def texts_of(made, batch, kind="caption"):
    """The captions or names of a batch, known again by their tokens."""
    model, records, _ = made
    said = {caption.text for r in records for caption in captions_of([r])}
    said |= {swap_sides(text) for text in said}
    known = {tuple(model.scoring_tokenizer(text)[0]): text for text in said}
    rows = zip(batch[f"{kind}_ids"].tolist(), batch[f"{kind}_mask"].sum(dim=1), strict=True)
    return [known[tuple(ids[:length])] for ids, length in rows]


def test_a_phantom_is_told_in_statements_and_questions(made):
    _, records, _ = made
    said = {caption.text: caption for caption in captions_of(records[:3])}
    truth = records[0].phantom
    place = frozenset(truth["findings"][0]["slices"])
    kind = truth["findings"][0]["kind"]
    for text in (
        "an abnormality", kind, f"{kind} in the lung", f"{kind} in the left lung",
        f"{kind} in the left upper lung",
    ):  # fmt: skip
        assert said[text].slices == place
        assert said[text].seen_as == (0,)
        assert not said[text].one_of_many
    assert said["lung"].seen_as == (1,)
    assert said["axial plane"].slices is None
    assert said["Which abnormality is in the left lung?"].one_of_many
    assert said["Which abnormality is in the left lung?"].slices == place


def test_other_volumes_are_told_by_their_records():
    records = [
        Record("1", "a.npy", "Describe.", "Describe.", "A clear lung.", 0),
        Record("2", "a.npy", "Which plane?", "Which plane?", "axial", 1),
    ]
    told = captions_of(records)
    assert [caption.text for caption in told] == ["A clear lung.", "Which plane? axial"]
    assert all(caption.slices is None and not caption.one_of_many for caption in told)
    assert some_captions(told, 9, np.random.default_rng(0)) == told


@pytest.mark.parametrize("augment", [False, True])
def test_truth_is_what_the_picture_shows(made, augment):
    """The block of a finding is the brightest of its volume, however it is turned and mirrored."""
    _, records, _ = made
    batch = batches_of(made, augment)([(3, 0), (3, 1), (3, 2)])
    texts = texts_of(made, batch)
    column = texts.index("an abnormality")
    patches = batch["slices"].unflatten(1, (4, 8)).unflatten(3, (4, 8)).mean(dim=(2, 4))
    names = texts_of(made, batch, "name")
    findings = [names.index(name) for name in names if " in the " in name]
    shown = (batch["slice_patch_truth"][..., findings] > 0).any(dim=-1)
    assert torch.equal(shown.any(dim=1), batch["slice_truth"][:, column] > 0)
    for picture, truth in zip(patches.flatten(1), shown, strict=True):
        if truth.any():
            assert picture.argmax() == truth.int().argmax()
    assert shown.any()
    assert (batch["volume_truth"][:, column] == 1).all()
    found = batch["volume_patch_truth"][..., findings] == 1
    assert found.any(dim=-1).sum(dim=1).tolist() == [1, 1, 1]
    kinds = [record.phantom["findings"][0]["kind"] for record in records[0:9:3]]
    assert [names[findings[one]] for one in found.any(dim=1).int().argmax(dim=1)] == [
        f"{kind} in the lung" for kind in kinds
    ]
    for volume, kind in enumerate(kinds):
        truth = batch["volume_truth"][volume, [texts.index(other) for other in kinds]]
        assert truth.tolist() == [1 if other == kind else -1 for other in kinds]


def test_patches_are_named_by_organs_and_findings_in_them_and_by_no_more(made):
    _, records, _ = made
    names = texts_of(made, batches_of(made)([(0, 0)]), "name")
    truths = [record.phantom for record in records]
    wanted = {organ for truth in truths for organ in truth["organs"]}
    wanted |= {f"{f['kind']} in the {f['organ']}" for truth in truths for f in truth["findings"]}
    assert names == sorted(wanted)


def test_a_mirrored_volume_has_its_sides_named_anew(made):
    _, records, _ = made
    batches = batches_of(made, augment=True)
    seen = set()
    for epoch in range(40):
        view = Volumes(None, 0, True).view(records[0].volume, epoch)
        texts = texts_of(made, batches([(epoch, 0)]))
        seen.add(view.swaps_sides)
        assert any("right" in text for text in texts) == view.swaps_sides
    assert seen == {True, False}


def test_the_loss_is_over_known_pairs_alone(made):
    model, _, _ = made
    objective = ContrastObjective(model, EVERYTHING, "mean").eval()
    batch = batches_of(made)([(0, 0), (0, 1), (0, 2)])
    outcome = objective(**batch)
    parts = ("report", "volume", "volume_patch", "slice", "slice_patch")
    assert outcome["loss"].item() == pytest.approx(
        sum(
            outcome[f"{part}_loss"].item() * (50 if part.endswith("_patch") else 1)
            for part in parts
        ),
        rel=1e-5,
    )
    with torch.no_grad():
        captions = model.embed_texts(batch["caption_ids"], batch["caption_mask"])
        seen = model.vision2d_model(batch["slices"]).mean(dim=1)
        texts = objective.heads["slice_text"](captions)
        pictures = objective.heads["slice"](seen)
    total = 0.0
    for picture, truths in zip(pictures, batch["slice_truth"].tolist(), strict=True):
        for text, truth in zip(texts, truths, strict=True):
            cosine = torch.cosine_similarity(picture, text, dim=0).item()
            logit = truth * (10 * cosine - 4)
            total += math.log1p(math.exp(-logit)) if truth else 0.0
    assert outcome["slice_loss"].item() == pytest.approx(total / len(pictures), rel=1e-4)


def test_a_patch_is_held_against_every_name(made):
    model, _, _ = made
    objective = ContrastObjective(model, EVERYTHING, "mean").eval()
    batch = batches_of(made)([(0, 0), (0, 1)])
    outcome = objective(**batch)
    with torch.no_grad():
        names = objective.heads["slice_patch_text"](
            model.embed_texts(batch["name_ids"], batch["name_mask"])
        )
        patches = objective.heads["slice_patch"](
            model.vision2d_model(batch["slices"]).flatten(0, 1)
        )
    logits = (patches @ names.T / 3 - 6).double()
    truth = batch["slice_patch_truth"].flatten(0, 1).double()
    lost = torch.where(truth == 0, 0.0, (1 + (-truth * logits).exp()).log()).sum(dim=0)
    known = (truth != 0).sum(dim=0)
    share = batch["slice_patch_shares"].double()
    constant = -known * (share * share.log() + (1 - share) * (1 - share).log())
    wanted = (lost / constant).mean()
    assert outcome["slice_patch_loss"].item() == pytest.approx(wanted.item(), rel=1e-4)


def test_each_name_counts_by_how_often_it_is_true_in_all_the_data(made):
    model, records, _ = made
    batch = batches_of(made)([(0, 0), (0, 1)])
    names = texts_of(made, batch, "name")
    volumes = {record.volume: record.phantom for record in records}
    for column, name in enumerate(names):
        has = sum(
            f"{truth['findings'][0]['kind']} in the lung" == name for truth in volumes.values()
        )
        if has:
            # A finding is on one patch of one of eight slices, and in one 3D patch.
            for kind, patches in (("slice", 8 * 16), ("volume", 4 * 4 * 4)):
                share = batch[f"{kind}_patch_shares"][column].item()
                assert share == pytest.approx(has / (len(volumes) * patches))
    # The lung is everywhere; that leaves a little to be learned.
    everywhere = batch["slice_patch_shares"][names.index("lung")].item()
    assert everywhere == pytest.approx(1 - 1 / (len(volumes) * 8 * 16))
    objective = ContrastObjective(model, EVERYTHING, "mean").eval()
    with torch.no_grad():
        assert objective(**batch)["slice_patch_loss"].isfinite()


def test_half_of_the_slices_are_of_the_findings_if_they_have_as_many(made):
    _, records, _ = made
    batches = batches_of(made)
    places = {r.volume: r.phantom["findings"][0]["slices"] for r in records}
    seen = 0
    for number, name in enumerate(batches.volume_names):
        for epoch in range(5):
            batch = batches([(epoch, number)])
            texts = texts_of(made, batch)
            truth = batch["slice_truth"][:, texts.index("an abnormality")]
            # Three slices, and the finding is on one of the eight.
            assert len(truth) == 3
            assert (truth > 0).sum() == len(places[name]) == 1
            seen += 1
    assert seen == 5 * len(places)


def test_volumes_without_cover_have_no_patches_to_compare(made):
    _, found, _ = made
    records = [
        Record(r.identifier, r.volume, r.asked, r.question, r.answer, r.question_type)
        for r in found
    ]
    batch = batches_of(made, records=records)([(0, 0), (0, 1)])
    assert not batch["slice_patch_truth"].any()
    outcome = ContrastObjective(made[0], EVERYTHING, "class")(**batch)
    assert "slice_patch_loss" not in outcome
    assert outcome["slice_loss"] > 0


def test_patches_of_another_size_are_refused(made):
    with pytest.raises(InputError, match=r"covers .* patches"):
        batches_of(made, grid_2d=(3, 3))([(0, 0)])
