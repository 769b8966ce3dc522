"""Growing: its phases, the real examples that it shows, and a step of WGAN-GP in the middle of a fade by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from gansmith.data.dataset import Batch
from gansmith.draws import Draws
from gansmith.engine.step import Compiled, Eager
from gansmith.games.game import Turn
from gansmith.games.growing import Growing
from gansmith.games.synthesis import Lazy
from gansmith.losses import adversarial, penalties, regularizers
from gansmith.networks import mlp, pggan
from gansmith.networks.layers import pad_to


def game(shape: tuple[int, ...] = (1, 16, 16), **fields: object) -> Growing:
    torch.manual_seed(0)
    lazy = {"gradient_penalty": Lazy(penalties.gradient_penalty()), "drift": Lazy(regularizers.drift())}
    return Growing(
        pggan.Generator(shape, 5, width=4), pggan.Discriminator(shape, width=4), loss=adversarial.wasserstein(),
        noise=5, **{"penalties": lazy, **fields},
    )  # type: ignore[arg-type]  # fmt: skip


def named(made: Growing) -> list[tuple[str, float]]:
    return [(phase.name, pytest.approx(phase.until)) for phase in made.phases()]  # type: ignore[misc]


def test_phases_share_the_time_that_is_for_growing():
    made = game(grown=0.6)
    assert named(made) == [("4", 0.15), ("8 fade", 0.3), ("8", 0.45), ("16 fade", 0.6), ("16", 1.0)]
    images = game((1, 28, 40), grown=4e6)
    assert named(images) == [("7", 1e6), ("14 fade", 2e6), ("14", 3e6), ("28 fade", 4e6), ("28", 1.0)]
    assert [phase.renew for phase in made.phases()] == [False, True, False, True, False]


def test_a_phase_says_the_level_of_both_networks_and_a_fade_begins_at_zero():
    made = game()
    made.enter("16")
    made.enter("8 fade")  # a step back
    for network in (made.generator, made.discriminator):
        assert (network.level, network.fading, network.alpha.item()) == (1, True, 0.0)
    made.enter("4")
    assert (made.generator.level, made.generator.fading) == (0, False)


@pytest.mark.parametrize("shape", [(1, 16, 16), (2, 9, 30)])
def test_real_examples_are_halved_by_the_mean_and_faded_as_fakes_are(shape: tuple[int, ...]):
    made, x = game(shape), torch.randn(3, *shape)
    top = len(made.names) - 1
    full = pad_to(x, *made.generator.padded(top))
    for level, (name, size) in enumerate(zip(made.names, made.generator.sizes, strict=True)):
        made.enter(name)
        at = F.interpolate(full, made.generator.padded(level), mode="area") if level < top else x
        assert torch.allclose(made.shrunk(x), at, atol=1e-6)
        if level:
            made.enter(f"{name} fade")
            for network in made.grows:
                network.fade(0.25)
            below = F.interpolate(full, made.generator.padded(level - 1), mode="area")
            old = F.interpolate(below, scale_factor=2)[:, :, : size[0], : size[1]]
            assert torch.allclose(made.shrunk(x), 0.75 * old + 0.25 * at, atol=1e-6)
    made.enter(made.names[top])
    assert made.shrunk(x) is x


@pytest.mark.parametrize("kind", [Eager, lambda game: Compiled(game, lambda graph: graph)], ids=["eager", "traced"])
def test_a_step_in_the_middle_of_a_fade_by_hand(kind):
    made = game(shared_fakes=False).double()
    made.enter("8 fade")
    real = torch.randn(6, 1, 16, 16, dtype=torch.float64)
    draws, knobs = Draws(0, 0, 6, prefix="d"), {"gradient_penalty": 10.0, "drift": 0.001, "phase": 0.3}
    turn = Turn(Batch(real), draws, knobs)
    result = kind(made)("discriminator", turn, list(made.discriminator.parameters()))
    assert made.discriminator.alpha.item() == pytest.approx(0.3)

    coarse, fine = F.avg_pool2d(real, 4), F.avg_pool2d(real, 2)
    shown = 0.7 * F.interpolate(coarse, scale_factor=2) + 0.3 * fine
    fake = made.generator(draws.normal("noise", 5).double()).detach()
    on_real, on_fake = made.discriminator(shown), made.discriminator(fake)
    share = draws.uniform("between").double().view(6, 1, 1, 1)
    points = (shown + share * (fake - shown)).requires_grad_()
    (slope,) = torch.autograd.grad(made.discriminator(points).sum(), points, create_graph=True)
    assert slope.shape == (6, 1, 8, 8)
    terms = {
        "adversarial": on_fake - on_real,
        "gradient_penalty": 10 * (slope.flatten(1).norm(dim=1) - 1).square(),
        "drift": 0.001 * on_real.square(),
    }
    for name, term in terms.items():
        assert torch.allclose(result.terms[name], term)
    loss = sum(term.mean() for term in terms.values())
    wanted = torch.autograd.grad(loss, list(made.discriminator.parameters()), allow_unused=True)
    for grad, want in zip(result.grads, wanted, strict=True):
        assert grad is want is None or torch.allclose(grad, want)

    result = kind(made)("generator", turn, list(made.generator.parameters()))
    assert torch.allclose(result.terms["adversarial"], -on_fake)
    later = kind(made)("generator", replace(turn, knobs={**knobs, "phase": 0.9}), list(made.generator.parameters()))
    assert not torch.allclose(later.terms["adversarial"], -on_fake)


@pytest.mark.parametrize("shape", [(1, 16, 16), (2, 9, 30)])
def test_samples_are_as_large_as_the_data_at_every_level(shape: tuple[int, ...]):
    made, noise = game(shape), torch.randn(2, 5)
    top = len(made.names) - 1
    for phase in made.phases():
        made.enter(phase.name)
        small, drawn = made.generator(noise), made.generate(noise)
        assert drawn.shape == (2, *shape)
        level = made.generator.level
        if level < top:
            large = F.interpolate(small, scale_factor=2 ** (top - level))
            assert torch.equal(drawn, large[:, :, : shape[1], : shape[2]])
    assert torch.equal(drawn, small)


def test_what_cannot_grow_is_refused():
    with pytest.raises(ValueError, match="networks that grow, such as pggan"):
        Growing(mlp.Generator((1, 8, 8), 5), pggan.Discriminator((1, 8, 8)), loss=adversarial.wasserstein())
    with pytest.raises(ValueError, match="grow by different sizes"):
        Growing(pggan.Generator((1, 16, 16), 5), pggan.Discriminator((1, 8, 8)), loss=adversarial.wasserstein())
    with pytest.raises(ValueError, match="grown must be above zero"):
        game(grown=0.0)
