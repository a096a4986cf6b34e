"""TG-IS held against its definition, for sizes unlike the released ones too."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from hypothesis import given
from hypothesis import strategies as st

from med2e3.model import interslice


@st.composite
def tokens(draw):
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    groups = draw(st.sampled_from([1, 2, 4]))
    slices = groups * draw(st.sampled_from([1, 3, 8]))
    side_3d = draw(st.sampled_from([1, 2, 4]))
    side = side_3d * 2
    width = draw(st.sampled_from([3, 16]))
    return (
        torch.randn(slices, side * side, width, generator=generator),
        torch.randn(groups * side_3d * side_3d, width, generator=generator),
        groups,
        torch.randn(width, generator=generator),
    )


@given(tokens())
def test_a_key_is_the_mean_of_its_slices_and_its_groups_tokens(drawn):
    tokens_2d, tokens_3d, groups, _ = drawn
    keys = interslice.slice_keys(tokens_2d, tokens_3d, groups)
    of_group = tokens_3d.view(groups, -1, tokens_3d.shape[-1])
    for slice_ in range(len(tokens_2d)):
        group = of_group[slice_ * groups // len(tokens_2d)]
        torch.testing.assert_close(keys[slice_], torch.cat([group, tokens_2d[slice_]]).mean(dim=0))


@given(tokens())
def test_patch_shares_add_up_to_the_logit(drawn):
    tokens_2d, tokens_3d, groups, text = drawn
    logits = interslice.slice_logits(interslice.slice_keys(tokens_2d, tokens_3d, groups), text)
    shares = interslice.patch_shares(tokens_2d, tokens_3d, groups, text)
    torch.testing.assert_close(shares.sum(dim=(1, 2)), logits, rtol=1e-4, atol=1e-5)


@given(tokens(), st.data())
def test_a_patchs_share_follows_its_own_token_alone(drawn, data):
    tokens_2d, tokens_3d, groups, text = drawn
    slices, patches, _ = tokens_2d.shape
    side = int(patches**0.5)
    slice_ = data.draw(st.integers(0, slices - 1))
    patch = data.draw(st.integers(0, patches - 1))
    changed = tokens_2d.clone()
    changed[slice_, patch] += text
    before = interslice.patch_shares(tokens_2d, tokens_3d, groups, text)
    after = interslice.patch_shares(changed, tokens_3d, groups, text)
    moved = (after - before).abs() > 1e-6 * float(text @ text)
    assert moved.nonzero().tolist() == [[slice_, patch // side, patch % side]]


@given(tokens())
def test_scores_add_up_and_the_fusion_is_their_weighted_sum(drawn):
    tokens_2d, tokens_3d, groups, text = drawn
    logits = interslice.slice_logits(interslice.slice_keys(tokens_2d, tokens_3d, groups), text)
    scores = interslice.slice_scores(logits)
    torch.testing.assert_close(scores.sum(), torch.tensor(1.0))
    fused = interslice.fuse(tokens_2d, scores)
    torch.testing.assert_close(fused, (tokens_2d * scores[:, None, None]).sum(dim=0))


def test_pooling_is_the_average_of_two_by_two_by_two():
    tokens = torch.randn(2, 8 * 16 * 16, 5)
    pooled = interslice.pool_3d_tokens(tokens, (8, 16, 16))
    grid = tokens.transpose(1, 2).reshape(2, 5, 8, 16, 16)
    expected = functional.avg_pool3d(grid, 2).flatten(2).transpose(1, 2)
    torch.testing.assert_close(pooled, expected)
