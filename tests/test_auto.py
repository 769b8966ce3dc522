"""The rule of `auto` is total: for any data it gives a recipe that validates, builds and takes a step."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gansmith.auto import Seen, choose
from gansmith.build import Facts, build
from gansmith.data.dataset import Batch
from gansmith.draws import Draws
from gansmith.engine.step import Eager
from gansmith.games.game import Turn
from gansmith.recipe import Recipe, merge, read_fields, validate
from gansmith.schedule import Adaptive, value_at

SIDES = [4, 5, 8, 12, 13, 16, 28, 32, 40, 41, 48, 64, 100, 128, 256, 512]
POINTS = Seen("points", (2,), 5000, 8)


def chosen(seen: Seen) -> tuple[Recipe, list[str]]:
    fields, reasons = choose(seen)
    return validate(merge(read_fields("auto")[0], fields), "auto"), reasons


def checked(seen: Seen) -> Recipe:
    recipe, reasons = chosen(seen)
    assert reasons
    assert all(reason and "\n" not in reason for reason in reasons)
    assert recipe.batch >= 1
    assert recipe.images >= recipe.batch
    for penalty in recipe.penalties.values():
        assert value_at(penalty.weight, 0, 1) >= value_at(penalty.weight, 1, 1) > 0
    with torch.device("meta"):
        game = build(recipe, Facts(seen.shape, seen.classes if recipe.conditional is not False else 0))
    for side in game.children():
        assert 1000 < sum(p.numel() for p in side.parameters()) < 50_000_000
    return recipe


@pytest.mark.parametrize(("channels", "side"), list(itertools.product((1, 2, 3, 4), SIDES)))
def test_the_rule_gives_networks_for_any_square_image(channels: int, side: int):
    for count, classes in itertools.product((1, 50, 1000, 10**6), (0, 1, 10, 1000)):
        recipe, _ = chosen(Seen("image", (channels, side, side), count, classes))
        assert recipe.batch >= 1
    checked(Seen("image", (channels, side, side), 60_000, 10))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(4, 200), st.integers(4, 200), st.integers(1, 10**7), st.integers(0, 50))
def test_and_for_any_other(channels: int, height: int, width: int, count: int, classes: int):
    checked(Seen("image", (channels, height, width), count, classes))


@pytest.mark.parametrize(
    "seen",
    [POINTS, Seen("image", (1, 8, 8), 1500, 10), Seen("image", (3, 30, 45), 500, 0), Seen("image", (4, 5, 9), 20, 2),
     Seen("image", (3, 72, 50), 5000, 3)],
    ids=str,
)  # fmt: skip
def test_the_first_step_is_finite(seen: Seen):
    recipe = checked(seen)
    classes = seen.classes if recipe.conditional is not False else 0
    game = build(recipe, Facts(seen.shape, classes))
    labels = torch.arange(4) % classes if classes else None
    knobs = {name: value_at(penalty.weight, 0, 1) for name, penalty in recipe.penalties.items()}
    state = {name: first for name, (first, _) in game.states().items()}
    examples = Batch(torch.rand(4, *seen.shape) * 2 - 1, labels)
    turn = Turn(examples, Draws(0, 0, 4, prefix="discriminator"), knobs | state, state)
    result = Eager(game)("discriminator", turn, list(game.discriminator.parameters()))
    assert all(term.isfinite().all() for term in result.terms.values())
    assert all(grad is None or grad.isfinite().all() for grad in result.grads)
    assert {"adversarial", *recipe.penalties} <= set(result.terms)


def test_what_the_rule_promises():
    assert checked(POINTS).conditional is False
    labelled = chosen(Seen("image", (1, 28, 28), 60_000, 10))[1]
    plain = chosen(Seen("image", (1, 28, 28), 60_000, 0))[1]
    assert any("class-conditional" in reason for reason in labelled)
    assert not any("class-conditional" in reason for reason in plain)


@pytest.mark.parametrize(
    ("channels", "side", "classes", "every"),
    [(1, 28, 10, 4), (1, 28, 0, 4), (3, 28, 0, 1), (3, 28, 1000, 2), (1, 64, 0, 1), (1, 64, 10, 2)],
)
def test_penalties_are_lazy_only_where_that_was_found_harmless(channels: int, side: int, classes: int, every: int):
    recipe, reasons = chosen(Seen("image", (channels, side, side), 60_000, classes))
    assert {penalty.every for penalty in recipe.penalties.values()} == {every}
    assert any(("in every step" if every == 1 else f"once in {every} steps") in reason for reason in reasons)


def test_few_images_are_augmented_and_never_mirrored():
    few, many = (chosen(Seen("image", (1, 28, 28), count, 10)) for count in (1000, 60_000))
    assert few[0].augment["ada"].probability == Adaptive(target=0.6, over=50_000)
    assert few[0].augment["ada"].arguments == {"lumaflip": 0, "xflip": 0, "rotate90": 0}
    assert any("1,000 images are few" in reason for reason in few[1])
    assert many[0].augment == {}
    assert not any("few" in reason for reason in many[1])


def test_a_field_that_was_set_beats_the_rule():
    fields, _ = choose(POINTS)
    recipe = validate(merge(merge(read_fields("auto")[0], fields), {"batch": 7}), "auto")
    assert recipe.batch == 7
    assert recipe.noise == fields["noise"]


def test_the_restraint_on_points_goes_with_the_square_of_their_spread():
    near, far = (choose(replace(POINTS, spread=spread))[0] for spread in (1.0, 2.0))
    weights = [fields["penalties"]["r1"]["weight"] for fields in (near, far)]
    assert weights[1]["start"] == pytest.approx(4 * weights[0]["start"])
    assert weights[1]["end"] == pytest.approx(4 * weights[0]["end"])
    assert choose(replace(POINTS, spread=0.0))[0]["penalties"]["r1"]["weight"]["start"] > 0
