"""PatchNCE against the paper's formula, written out; sampling of places."""

from __future__ import annotations

import math

import pytest
import torch

from gansmith.losses.correspondence import matched, normalised, patch_nce, sampled


def test_patch_nce_is_the_papers_cross_entropy():
    draw = torch.Generator().manual_seed(0)
    queries = normalised(torch.randn(2, 5, 3, generator=draw, dtype=torch.float64)).requires_grad_()
    keys = normalised(torch.randn(2, 5, 3, generator=draw, dtype=torch.float64)).requires_grad_()
    found = patch_nce(queries, keys, 0.07)
    for b in range(2):
        total = 0.0
        for p in range(5):
            likeness = [math.exp(float((queries[b, p] @ keys[b, s]).detach()) / 0.07) for s in range(5)]
            total -= math.log(likeness[p] / sum(likeness))
        assert found[b].item() == pytest.approx(total / 5)
    slopes = torch.autograd.grad(found.sum(), (queries, keys), allow_unused=True)
    assert slopes[0].abs().sum() > 0
    assert slopes[1] is None  # no gradient goes into the keys


def test_equal_features_are_found_and_alike_ones_are_not():
    apart = torch.eye(4)[None]
    assert patch_nce(apart, apart).item() < 1e-5
    assert patch_nce(torch.ones(1, 4, 2), torch.ones(1, 4, 2)).item() == pytest.approx(math.log(4))
    extreme = patch_nce(1e3 * apart, -1e3 * apart, 1e-2)
    assert extreme.isfinite().all()


def test_places_are_counted_row_by_row():
    features = torch.arange(24.0).view(1, 2, 3, 4)
    got = sampled(features, torch.tensor([[5, 0, 11]]))
    assert torch.equal(got, torch.stack([features[0, :, 1, 1], features[0, :, 0, 0], features[0, :, 2, 3]])[None])


def test_channels_are_matched_by_their_mean():
    x = torch.rand(2, 3, 4, 4)
    assert matched(x, 3) is x
    assert torch.equal(matched(x, 1), x.mean(1, keepdim=True))
    assert matched(x[:, :1], 3).shape == (2, 3, 4, 4)


def test_features_get_a_length_of_one_in_float32_at_least():
    made = normalised(torch.randn(3, 5).bfloat16())
    assert made.dtype == torch.float32
    torch.testing.assert_close(made.norm(dim=1), torch.ones(3))
