"""Encoders from nothing begin by seeing all components of the data's patches alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from med2e3.model import load_model
from med2e3.training import read_plan
from med2e3.training.initial import write_initial_model
from training.small import SIZE, write_recipe


@pytest.fixture(scope="module")
def smooth_volumes(tmp_path_factory):
    """Volumes like scans: mostly smooth, with fine detail of a hundredth of the contrast."""
    folder = tmp_path_factory.mktemp("volumes")
    random = np.random.default_rng(0)
    paths = []
    for number in range(80):
        coarse = random.random([size // 4 for size in SIZE])
        volume = coarse.repeat(4, axis=0).repeat(4, axis=1).repeat(4, axis=2)
        volume = np.clip(volume + 0.01 * random.standard_normal(SIZE), 0, 1)
        paths.append(folder / f"{number}.npy")
        np.save(paths[-1], volume[None].astype(np.float16))
    return paths


@pytest.fixture(scope="module")
def network(tmp_path_factory, smooth_volumes):
    folder = tmp_path_factory.mktemp("initial")
    plan = read_plan(write_recipe(folder))
    write_initial_model(folder / "model", plan.network, ["a text"], 1, smooth_volumes)
    return load_model(folder / "model", device="cpu", dtype="float32")


def embedded(network, volumes, kind):
    """What the patch embedding makes of all patches, without positions: [n, hidden]."""
    read = torch.from_numpy(np.stack([np.load(path) for path in volumes]).astype(np.float32))
    with torch.no_grad():
        if kind == "3d":
            embedding = network.vision3d_model.patch_embedding
            return (embedding(read) - embedding.position_embeddings).flatten(0, 1)
        layer = network.vision2d_model.vision_model.embeddings.patch_embedding
        return layer(read.flatten(0, 2)[:, None].expand(-1, 3, -1, -1)).flatten(2).mT.flatten(0, 1)


@pytest.mark.parametrize("kind", ["2d", "3d"])
def test_detail_counts_as_much_as_brightness(network, smooth_volumes, kind):
    seen = embedded(network, smooth_volumes, kind).double()
    assert seen.mean(dim=0).abs().max() < 0.1
    variances = torch.linalg.eigvalsh(torch.cov(seen.T))
    # Of the patches themselves the largest is thousands of times the smallest.
    assert variances.max() < 0.3
    assert variances[-8:].min() > 0.1


def test_the_same_seed_makes_the_same_encoder(network, smooth_volumes, tmp_path):
    plan = read_plan(write_recipe(tmp_path))
    write_initial_model(tmp_path / "model", plan.network, ["a text"], 1, smooth_volumes)
    again = load_model(tmp_path / "model", device="cpu", dtype="float32")
    for one, other in ((network.vision2d_model, again.vision2d_model),
                       (network.vision3d_model, again.vision3d_model)):  # fmt: skip
        for name, tensor in one.state_dict().items():
            assert torch.equal(tensor, other.state_dict()[name]), name
