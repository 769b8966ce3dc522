import pytest
import torch

from gansmith.errors import Refused
from gansmith.playground.lab.play import BYTES, KEYFRAMES, Play, acts_of
from gansmith.playground.lab.settings import Settings, opened

SMALL = Settings(d_width=8, g_width=8, batch=16)


@pytest.fixture(scope="module")
def data():
    return opened(SMALL, None)


def weights(play):
    return {name: tensor.clone() for name, tensor in play.player.tensors().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def go(play, at):
    while not play.towards(at):
        pass
    return play


def played(data, *kinds, settings=SMALL):
    play = Play(settings, data)
    for kind in kinds:
        play.play(kind)
    return play


def test_every_moment_can_be_gone_back_to_exactly(data):
    play, seen = Play(SMALL, data), {}
    for _ in range(40):
        play.play()
        seen[play.at] = weights(play)
    for at in (39, 3, 17, 32, 40, 1):
        assert same(weights(go(play, at)), seen[at])
        assert (play.at, play.end) == (at, 40)
        assert play.player.rounds == at
    go(play, 20)
    assert play.play() is None  # along the timeline that is there
    assert play.end == 40
    assert same(weights(play), seen[21])


def test_moves_and_changes_are_played_again_exactly(data):
    play = played(data, *["round"] * 5, "discriminator", "discriminator", "generator", *["round"] * 3)
    play.change(SMALL.model_copy(update={"loss": "hinge", "d_lr": 1e-4, "penalties": {"r1": 1.0}, "g_depth": 3}))
    for _ in range(20):
        play.play()
    play.change(play.settings.model_copy(update={"optimizer": "rmsprop"}))
    for kind in ("round", "generator", "round"):
        play.play(kind)
    end, at_five = weights(play), weights(go(play, 5))
    assert play.settings == SMALL
    assert play.end == 34
    assert same(weights(go(play, 34)), end)
    assert play.settings.optimizer == "rmsprop"
    again = Play(SMALL, data)
    again.load(play.timeline.plain())
    assert same(weights(go(again, 34)), end)
    assert same(weights(go(again, 5)), at_five)


def test_going_otherwise_gives_back_what_was_left(data):
    play = played(data, *["round"] * 30)
    end = weights(play)
    go(play, 10)
    left = play.play("generator")
    assert left is not None
    assert left.end == 30
    assert [act.plain() for act in play.timeline.acts] == [["round", 10], ["generator", 1]]
    play.play()
    other = weights(play)
    mine = play.timeline
    play.follow(left)
    assert same(weights(go(play, 30)), end)
    play.follow(mine)
    assert same(weights(go(play, 12)), other)
    assert play.cut() is None


def test_a_change_at_the_same_moment_twice_and_back(data):
    play = played(data, *["round"] * 3)
    first = SMALL.model_copy(update={"batch": 32})
    play.change(first)
    play.change(first.model_copy(update={"loss": "hinge"}))
    assert play.change(play.settings) is None
    play.play()
    end = weights(play)
    go(play, 1)
    assert play.settings == SMALL
    assert same(weights(go(play, 4)), end)
    assert play.settings.loss == "hinge"
    assert go(play, 3).settings.loss == "hinge"  # all that was changed at a moment is part of it


def test_what_still_fits_is_kept(data):
    play = played(data, *["round"] * 4)
    before = weights(play)
    play.change(SMALL.model_copy(update={"d_width": 9, "g_lr": 0.01}))
    after = weights(play)
    mine = [name for name in after if ".generator." in name]
    assert len(mine) > 4
    assert all(torch.equal(before[name], after[name]) for name in mine)
    assert after["weights.discriminator.layers.0.weight"].shape == (9, 2)
    assert play.player.images == 4 * 16


def test_what_is_refused_changes_nothing(data):
    play = played(data, *["round"] * 4)
    before = weights(play)
    with pytest.raises(Refused):
        play.change(SMALL.model_copy(update={"loss": "energy"}))
    assert play.settings == SMALL
    assert same(weights(play), before)
    play.play()
    assert same(weights(play), weights(played(data, *["round"] * 5)))


def test_keyframes_stay_within_their_memory(data):
    play = played(data, *["round"] * 40)
    play.timeline.every = 1
    for _ in range(150):
        play.play()
    frames = play.timeline.frames
    assert 0 in frames
    assert len(frames) <= KEYFRAMES
    assert max(frames) > 150
    held = sum(t.numel() * t.element_size() for frame in frames.values() for t in frame.tensors.values())
    assert held <= BYTES


def test_rounds_and_their_moves_are_what_a_training_does_and_nothing_else(data):
    settings = SMALL.model_copy(update={"d_steps": 2})
    assert played(data, "round", "round", settings=settings).straight()
    in_moves = played(data, "round", *["discriminator", "discriminator", "generator"] * 2, "round", settings=settings)
    assert in_moves.straight()
    assert same(weights(in_moves), weights(played(data, *["round"] * 4, settings=settings)))
    for kinds in (["discriminator"], ["generator"], ["discriminator", "generator"], ["discriminator", "round"]):
        assert not played(data, *kinds, settings=settings).straight()
    changed = played(data, "round")
    changed.change(SMALL.model_copy(update={"g_lr": 0.1}))
    assert not changed.straight()
    assert go(played(data, "round", "generator"), 1).straight()


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [1],
        [["round"]],
        [["round", 0]],
        [["round", 1e9]],
        [["sleep", 1]],
        [["change", {"loss": 3}]],
        [["round", 1]] * 3000,
    ],
)
def test_acts_are_checked(wrong):
    with pytest.raises(Refused):
        acts_of(wrong)
