"""Each ablation does what its row says, and can be trained and loaded like the network."""

from __future__ import annotations

import pytest
import torch

from med2e3.errors import InputError
from med2e3.evaluation.variants import FURTHER, VARIANTS, variant
from med2e3.model import load_model
from med2e3.model.interslice import fuse


@pytest.fixture(scope="module")
def encoded(model, cases):
    volume = cases[0].volume
    with torch.no_grad():
        return model.join(model.encode_slices(volume[0]), model.encode_volume(volume))


@pytest.fixture(scope="module")
def text(model):
    ids, _ = model.scoring_tokenizer("Where is the nodule?")
    with torch.no_grad():
        return model.embed_text(torch.tensor(ids))


def scored(name, encoded, text):
    network = load_model(device="cpu", network=variant(name).network)
    with torch.no_grad():
        return network.score(encoded, text)


@pytest.mark.parametrize("name", [*VARIANTS, *FURTHER])
def test_scores_and_shares_add_up(name, encoded, text):
    found = scored(name, encoded, text)
    assert found.scores.shape == found.logits.shape == (32,)
    assert found.scores.min() >= 0
    assert found.scores.sum() == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(found.patch_shares.sum((1, 2)), found.logits, atol=1e-4, rtol=1e-4)
    assert variant(name).description


def test_what_stands_in_the_prompt(encoded, text):
    volume, slices = encoded.tokens_3d, encoded.tokens_2d
    gauss = scored("gaussian", encoded, text)
    guided = scored("tg-is", encoded, text)
    top = scored("tg-is-top3", encoded, text)
    expected = {
        "3d-only": volume,
        "2d-only": fuse(slices, guided.scores),
        "average": torch.cat([volume, slices.mean(0)]),
        "maximum": torch.cat([volume, slices.max(0).values]),
        "gaussian": torch.cat([volume, fuse(slices, gauss.scores)]),
        "tg-is": torch.cat([volume, fuse(slices, guided.scores)]),
        "tg-is-top3": torch.cat([volume, slices[guided.scores.topk(3).indices].mean(0)]),
        "2d-average": slices.mean(0),
    }
    for name, tokens in expected.items():
        torch.testing.assert_close(
            scored(name, encoded, text).tokens, tokens, atol=1e-4, rtol=1e-4, msg=name
        )
    assert (top.scores > 1e-6).sum() == 3
    assert gauss.scores.argmax() in (15, 16)


def test_the_faithful_one_is_the_network_itself(model, encoded, text):
    with torch.no_grad():
        expected = model.score(encoded, text)
    torch.testing.assert_close(scored("tg-is", encoded, text).tokens, expected.tokens)


def test_late_scores_are_even_until_the_language_model_learns(encoded, text):
    late, guided = (
        load_model(device="cpu", network=variant(name).network) for name in ("tg-is-late", "tg-is")
    )
    for training, llm_learns in ((False, False), (True, False), (True, True)):
        outcomes = []
        for network in (late, guided):
            network.train(training)
            network.llm.requires_grad_(llm_learns)
            torch.manual_seed(0)  # scores are dropped at random in training
            with torch.no_grad():
                outcomes.append(network.score(encoded, text))
        found, expected = outcomes[0], outcomes[1].scores
        if training and not llm_learns:
            expected = torch.full_like(expected, 1 / len(expected))
        torch.testing.assert_close(found.scores, expected)
        fused = fuse(encoded.tokens_2d, expected)
        torch.testing.assert_close(found.tokens, torch.cat([encoded.tokens_3d, fused]))


def test_sharper_and_plainer_keys(model, encoded, text):
    guided = scored("tg-is", encoded, text)
    sharp = scored("tg-is-t1", encoded, text)
    torch.testing.assert_close(sharp.logits, guided.logits * 5)
    with torch.no_grad():
        keys = encoded.tokens_2d.mean(dim=1)
        expected = keys @ model.text_mlp(text) / 5
    torch.testing.assert_close(scored("tg-is-2d-keys", encoded, text).logits, expected)
    torch.testing.assert_close(scored("tg-is-2d-keys-t1", encoded, text).logits, expected * 5)


def test_random_scores_are_new_each_time(encoded, text):
    network = load_model(device="cpu", network=variant("random").network)
    assert not torch.equal(network.score(encoded, text).scores, network.score(encoded, text).scores)


@pytest.mark.parametrize("name", ["tg-is", "tg-is-top3", "tg-is-t1", "tg-is-2d-keys"])
def test_the_text_learns_through_the_scores(name, encoded, text):
    network = load_model(device="cpu", network=variant(name).network)
    network.text_mlp.requires_grad_(True)
    tokens = network.score(encoded, text.clone()).tokens
    tokens.square().sum().backward()
    assert network.text_mlp.weight.grad.abs().max() > 0


def test_an_unknown_variant_lists_the_known_ones():
    with pytest.raises(InputError, match="tg-is-top3"):
        variant("tgis")
