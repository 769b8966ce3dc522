import json
import math

import pytest

from gansmith.engine import watch as watching
from gansmith.engine.watch import LONG, RULES, Trouble, Watch, diagnose

from .playing import make_player, make_recipe, pictures, play
from .test_player import SGD, Toy

WELL = {
    "real": 1.0, "real_std": 1.0, "fake": 0.0, "fake_std": 1.0, "won": 0.76, "positive": 0.8, "known": 0.52,
    "won_seen": 0.77, "won_held": 0.75, "memory": 0.05, "diversity": 0.95, "spread": 1.0, "size": 1.0, "far": 0.02,
    "far_average": 0.01, "moved": 0.15, "grown/discriminator": 1.3, "grown/generator": 1.4, "centre": [0.1, -0.1],
    "gradient/discriminator": 1.0, "gradient/generator": 1.0, "pull": 1.0,
}  # fmt: skip
"""One probe of a healthy training."""


def series(n=2 * LONG, **changes):
    """A healthy series, with some signals put in its place: a number, or a function of the probe."""
    made = []
    for i in range(n):
        new = {name: value(i) if callable(value) else value for name, value in changes.items()}
        made.append({"images": 100 * (i + 1), **WELL, **new})
    return made


def names(history):
    return [trouble.name for trouble in diagnose(history)]


def test_nothing_is_said_of_a_healthy_training_or_of_its_beginning():
    assert diagnose([]) == []
    assert names(series(60)) == []
    # As a training begins: far from the data and told apart at once, and better from probe to probe.
    beginning = series(
        20,
        far=lambda i: 1.0 * 0.8**i,
        won=lambda i: 1 - 0.02 * i,
        real=lambda i: 9 - 0.4 * i,
        diversity=lambda i: 0.15 + 0.05 * i,
    )
    assert [names(beginning[:i]) for i in range(1, 21)] == [[]] * 20


STRONG = {"won": 1.0, "real": 12.0, "far": 0.5}
ROUND = {
    "far": 0.4, "moved": 0.9, "centre": lambda i: [math.cos(i), math.sin(i)], "spread": 0.8, "diversity": 0.6,
}  # fmt: skip

FAILING = {
    "dead generator": [
        {"spread": 1e-6, "far": 1.5, "diversity": 0.1, "won": 1.0, "real": 9.0},
        {"moved": 0.0, "won": 1.0, "real": 9.0, "far": 0.9},
        {"moved": 0.0, "won": 0.9, "far": 0.9, "spread": 0.05, "diversity": 0.1},  # which is alike as well
    ],
    "divergence": [
        {"spread": lambda i: 3.0 * 1.5**i, "far": lambda i: 3.0 * 1.5**i},
        {**ROUND, "grown/discriminator": lambda i: 2.0 + i},
    ],
    "discriminator overfitting": [{"known": 0.93, "won_seen": 0.99, "won_held": 0.5, "won": 0.99}],
    "discriminator too strong": [
        STRONG,
        {**STRONG, "spread": 0.2, "diversity": 0.2, "moved": 0.003},
        {**STRONG, "real": 3.0, "spread": 0.2, "diversity": 0.2, "moved": 0.003},  # not by far, but it hardly moves
        {**STRONG, "moved": 0.0, "pull": lambda i: 0.1**i},  # it stands still, because nothing pulls it any more
    ],
    "mode collapse": [
        {"spread": 0.05, "far": 0.7, "diversity": 2.0, "won": 0.95},
        {"diversity": 0.15, "far": 0.3},
        {**ROUND, "spread": 0.05},  # one point that goes round
        {**ROUND, "spread": 0.25, "diversity": 0.1, "won": 0.2},  # and a small heap, by which one side is fooled
    ],
    "cycling": [ROUND, {**ROUND, "diversity": 0.1}, {**ROUND, "spread": 0.25, "diversity": 0.1, "won": 0.5}],
}  # fmt: skip


@pytest.mark.parametrize(("name", "signals"), [(name, one) for name, some in FAILING.items() for one in some])
def test_each_trouble_is_named_by_its_signs_and_first(name, signals):
    found = diagnose(series(**signals))
    assert found[0].name == name
    assert str(found[0]).startswith(f"{name}: {found[0].line}. {found[0].remedy}")
    assert "\n" not in str(found[0])
    assert "nan" not in str(found[0])


@pytest.mark.parametrize(("name", "signals"), [(name, one) for name, some in FAILING.items() for one in some])
def test_signs_must_last(name, signals):
    well, bad = series(), series(**signals)
    if signals.get("moved") != 0.0:  # what never moved is dead from the first
        assert name not in names([*well, *bad[:3]])
    assert name not in names(bad[:4])
    assert name not in names([*bad, *well])


@pytest.mark.parametrize("name", list(FAILING))
def test_a_sign_too_weak_is_not_taken_for_a_trouble(name):
    weaker = {
        "dead generator": {"spread": 0.01, "moved": 2e-4, "far": 0.9},
        "divergence": {**ROUND, "grown/discriminator": 2.0},
        "discriminator overfitting": {"known": 0.68, "won_seen": 0.9, "won_held": 0.7},
        "discriminator too strong": {**STRONG, "real": 3.0},
        "mode collapse": {"diversity": 0.15, "far": 0.05},
        "cycling": {**ROUND, "centre": lambda i: [0.2 * math.cos(i), 0.2 * math.sin(i)]},
    }
    assert name not in names(series(**weaker[name]))


def test_a_training_that_gets_better_is_left_alone():
    better = {"far": lambda i: 2.0 * 0.9**i}
    for name in ("discriminator too strong", "mode collapse", "cycling"):
        assert name not in names(series(**{**FAILING[name][0], **better}))


def test_the_loss_s_sign_and_scale_do_not_matter():
    """Logits times 1000 and plus 5: as of another loss."""
    for some in FAILING.values():
        for signals in some:
            one = series(**signals)
            other = [
                {
                    **each,
                    **{k: 1000 * each[k] + 5 for k in ("real", "fake")},
                    **{k: 1000 * each[k] for k in ("real_std", "fake_std")},
                }
                for each in one
            ]
            assert names(one) == names(other)


def test_signals_that_a_game_does_not_give_are_passed_over():
    bare = [{"images": each["images"]} for each in series()]
    assert names(bare) == []
    sampled = [
        {k: each[k] for k in ("images", "spread", "diversity", "far", "moved", "centre")} for each in series(spread=0.0)
    ]
    assert names(sampled)[0] == "dead generator"
    judged = [
        {k: each[k] for k in ("images", "won", "known", "won_seen", "won_held")}
        for each in series(known=0.95, won_seen=1.0, won_held=0.4)
    ]
    assert names(judged) == ["discriminator overfitting"]


def test_numbers_that_are_not_finite_break_no_rule():
    for name in WELL:
        if name != "centre":
            for value in (math.nan, math.inf):
                for rule in RULES:
                    found = rule(series(**{name: value}))
                    assert found is None or isinstance(found, Trouble)


# --- on a training -----------------------------------------------------------------------------------


@pytest.fixture
def _often(monkeypatch):
    monkeypatch.setattr(watching, "APART", 1)


def toy(game=None, **fields):
    return make_player(make_recipe("toy", optimizer={**SGD, "lr": 0.0}, **fields), game=game or Toy())


def test_probes_are_at_marks_of_the_clock(monkeypatch):
    assert Watch(toy(images=8 * 64 * 40)).marks == [512 * i for i in range(1, 41)]
    assert len(Watch(toy(images=8 * 64 * 1000)).marks) == 128
    short = Watch(toy(images=8 * 64 * 7))
    assert short.marks == []
    assert short.look() is None
    assert short.state()["signals"] is None


@pytest.mark.usefixtures("_often")
def test_a_trouble_is_said_once_and_after_a_resume_not_again():
    """The toy's samples never move, and are far from the data; no logits are told."""
    player = toy()
    watch = Watch(player)
    found = [watch.look() for _ in range(15) if play(player, 1)]
    assert [trouble.name for trouble in found if trouble] == ["dead generator"]
    assert found.index(next(filter(None, found))) == watching.SOON  # the first probe has nothing to be moved from
    again = Watch(toy())
    again.load(json.loads(json.dumps(watch.state())))
    assert again.look() is None
    assert again.said == ["dead generator"]
    assert again.since() == watch.history[-LONG]["images"]
    again.load(None)
    assert (again.history, again.said, again.since()) == ([], [], 0)


@pytest.mark.usefixtures("_often")
def test_a_game_that_cannot_answer_is_said_so_and_left_alone():
    class Mute(Toy):
        def generate(self, noise, labels=None):
            raise NotImplementedError

    player = toy(Mute())
    watch = Watch(player, pictures(seed=4))
    play(player, 1)
    assert watch.look() is None
    assert watch.failed == "stability is not watched from here on: NotImplementedError"
    assert player.noted is None
    assert watch.look() is None
    play(player, 1)
