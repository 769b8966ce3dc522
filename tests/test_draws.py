"""Draws are keyed, slices equal the whole, masks keep what they say, and a record replays."""

from __future__ import annotations

import math
import threading

import pytest
import torch

from gansmith.draws import Draws, Recorded, current, mix, replay, seeded, use


def take(draws: Draws) -> list[torch.Tensor]:
    return [
        draws.normal("z", 3), draws.uniform("u", 2, 2), draws.uniform("scalar"), draws.integers("i", 7, 4),
        draws.dropout("m", 0.3, draws.stop - draws.start, 5),
    ]  # fmt: skip


def test_the_same_key_draws_the_same():
    for first, second in zip(take(Draws(1, 64, 8)), take(Draws(1, 64, 8)), strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize(
    "other",
    [Draws(2, 64, 8), Draws(1, 72, 8), Draws(1, 64, 8, attempt=1), Draws(1, 64, 8, prefix="generator")],
    ids=["seed", "clock", "attempt", "prefix"],
)
def test_each_part_of_the_key_matters(other: Draws):
    draws = Draws(1, 64, 8)
    assert not torch.equal(draws.normal("z", 64), other.normal("z", 64))
    assert not torch.equal(draws.normal("z", 64), draws.normal("y", 64))


@pytest.mark.parametrize("ranks", [2, 4])
def test_slices_equal_the_whole(ranks: int):
    whole = take(Draws(3, 0, 8))
    step = 8 // ranks
    slices = [take(Draws(3, 0, 8, start=i, stop=i + step)) for i in range(0, 8, step)]
    for i, tensor in enumerate(whole):
        assert torch.equal(tensor, torch.cat([part[i] for part in slices]))


def test_masks_of_two_copies_slice_too():
    # Real and fake in one pass are two copies of the batch: a rank's rows are its slice of each copy.
    whole = Draws(0, 0, 6).dropout("m", 0.5, 12, 40).view(2, 6, 40)
    half = Draws(0, 0, 6, start=2, stop=5).dropout("m", 0.5, 6, 40).view(2, 3, 40)
    assert torch.equal(half, whole[:, 2:5])
    assert not torch.equal(whole[0], whole[1])


def test_a_mask_of_packs_is_a_slice_of_the_whole_batchs():
    whole = Draws(0, 0, 12).dropout("m", 0.5, 4, 40)  # packs of three
    assert whole.shape == (4, 40)
    half = Draws(0, 0, 12, start=6, stop=12).dropout("m", 0.5, 2, 40)
    assert torch.equal(half, whole[2:])


@pytest.mark.parametrize("p", [0.05, 0.3, 0.5, 0.9])
def test_masks_drop_as_often_as_they_should(p: float):
    mask = Draws(5, 0, 64).dropout("m", p, 64, 1001)
    assert mask.unique().tolist() == pytest.approx([0, 1 / (1 - p)])
    mask = mask > 0
    dropped = 1 - mask.double().mean().item()
    sigma = math.sqrt(p * (1 - p) / mask.numel())
    assert abs(dropped - p) < 4 * sigma + 1 / 65536
    # Neighbours are independent, though four of them are cut from one word.
    pairs = (~mask[:, :-1] & ~mask[:, 1:]).double().mean().item()
    assert abs(pairs - p * p) < 4 * math.sqrt(p * p * (1 - p * p) / mask.numel()) * 2


def test_moments_of_the_draws():
    draws, n = Draws(0, 0, 1000), 1000 * 50
    z, u, i = draws.normal("z", 50).double(), draws.uniform("u", 50).double(), draws.integers("i", 5, 50)
    assert abs(z.mean()) < 4 / math.sqrt(n)
    assert abs(z.var() - 1) < 4 * math.sqrt(2 / n)
    assert abs(u.mean() - 0.5) < 4 / math.sqrt(12 * n)
    assert u.min() >= 0
    assert u.max() < 1
    assert torch.bincount(i.flatten(), minlength=5).sub(n / 5).abs().max() < 4.5 * math.sqrt(n * 0.16)


def test_a_record_replays_at_another_step_and_hands_out_what_it_is_given():
    recorder = Recorded.of(Draws(1, 0, 4, prefix="discriminator"))
    first = [*take(recorder), recorder.under("fakes").normal("z", 2)]
    assert [call[:2] for call in recorder.calls][-1] == ("fakes", "normal")

    later = Draws(1, 4, 4, prefix="discriminator")
    replayed = replay(later, recorder.calls)
    expected = [*take(later), later.under("fakes").normal("z", 2)]
    for a, b, old in zip(replayed, expected, first, strict=True):
        assert torch.equal(a, b)
        assert a.shape == old.shape

    given = Recorded.of(Draws(9, 9, 4), replayed)
    out = [*take(given), given.under("fakes").normal("z", 2)]
    assert all(a is b for a, b in zip(out, replayed, strict=True))
    assert not given.calls


def test_the_draws_in_use_end_with_their_block():
    draws = Draws(0, 0, 1)
    assert current() is None
    with use(draws):
        assert current() is draws
        with use(draws.under("inner")) as inner:
            assert current() is inner
        assert current() is draws
    assert current() is None


def test_layers_without_a_name_are_told_apart_by_their_order():
    draws = Draws(0, 0, 1)
    assert [draws.unnamed(), draws.unnamed(), draws.under("other").unnamed()] == ["#1", "#2", "#1"]


def test_mix_spreads():
    keys = {mix(a, b) for a in range(64) for b in range(64)}
    assert len(keys) == 64 * 64
    assert all(0 <= key < 1 << 63 for key in keys)
    assert mix(1, 2) != mix(2, 1)


def test_seeding_is_one_threads_at_a_time_and_leaves_no_trace():
    def weights(pause):
        with seeded(5):
            first = torch.randn(3)
            pause()
            return torch.cat([first, torch.randn(3)])

    torch.manual_seed(1)
    expected = torch.randn(2)
    torch.manual_seed(1)
    alone, other = weights(lambda: None), []
    thread = threading.Thread(target=lambda: other.append(weights(lambda: None)))

    def begin_another():
        thread.start()
        thread.join(0.2)  # it cannot come in between

    assert torch.equal(weights(begin_another), alone)
    thread.join()
    assert torch.equal(other[0], alone)
    assert torch.equal(torch.randn(2), expected)
