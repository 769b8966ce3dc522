"""Unrolled GAN: the generator's gradient through the inner steps against one written out, eager and traced."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from gansmith.data.dataset import Batch
from gansmith.draws import Draws
from gansmith.engine.step import Compiled, Eager, Stepper
from gansmith.games.game import Turn
from gansmith.games.synthesis import Lazy, Synthesis
from gansmith.games.unrolled import Unrolled
from gansmith.losses import adversarial, penalties, regularizers
from gansmith.networks import dcgan, mlp

BATCH, NOISE, RATE, STEPS, WEIGHT = 5, 3, 0.3, 3, 0.2
STEPPERS: dict[str, Callable[[Synthesis], Stepper]] = {
    "eager": Eager,
    "traced": lambda game: Compiled(game, lambda graph: graph),
}
Weights = list[torch.Tensor]


def setting(loss: str = "minimax", *names: str, **arguments: object) -> tuple[Unrolled, Turn]:
    torch.manual_seed(0)
    nets = mlp.Generator((2,), NOISE, hidden=(6,), slope=0.2), mlp.Discriminator((2,), hidden=(6,))
    lazy = {
        name: Lazy(getattr(penalties if hasattr(penalties, name) else regularizers, name)(), every=2) for name in names
    }
    given = {"unroll": STEPS, "rate": RATE, "shared_fakes": False, **arguments}
    game = Unrolled(*nets, loss=getattr(adversarial, loss)(), penalties=lazy, noise=NOISE, **given).double()  # type: ignore[arg-type]
    real = torch.randn(BATCH, 2, dtype=torch.float64)
    state = {key: first.double() for key, (first, _) in game.states().items()}
    turn = Turn(Batch(real), Draws(0, 0, BATCH, prefix="generator"), dict.fromkeys(names, WEIGHT), state)
    return game, turn


def judged(w: Weights, x: torch.Tensor) -> torch.Tensor:
    """The discriminator's hidden layer and its logit, of its weights in order."""
    return (F.leaky_relu(x @ w[0].T + w[1], 0.2) @ w[2].T + w[3]).squeeze(1)


LOSSES = {
    "minimax": (
        lambda r, f: F.softplus(-r) + F.softplus(f), lambda r, f: F.logsigmoid(-f),
    ),
    "relativistic": (
        lambda r, f: F.softplus(f - r), lambda r, f: F.softplus(r - f),
    ),
}  # fmt: skip


def inner(w: Weights, loss: str, names: tuple[str, ...], real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """What an inner step descends, lazy ones at twice the weight."""
    value = LOSSES[loss][0](judged(w, real), judged(w, fake))
    for name in names:
        if name == "drift":
            value = value + 2 * WEIGHT * judged(w, real) ** 2
            continue
        # A copy of the fakes: the slope is of the judge alone, whose weights depend on them as well.
        at = real.clone().requires_grad_() if name == "r1" else fake.clone()
        (slope,) = torch.autograd.grad(judged(w, at).sum(), at, create_graph=True)
        value = value + 2 * WEIGHT * 0.5 * (slope**2).sum(1)
    return value.mean()


def by_hand(game: Unrolled, turn: Turn, loss: str, names: tuple[str, ...], adam: bool, saddle: bool):
    """∇_θ of the generator's loss at the discriminator after its steps; and Adam's moments after the first."""
    w = [p.detach().clone().requires_grad_() for p in game.discriminator.parameters()]
    fake, real = game.generator(turn.draws.normal("noise", NOISE).double()), turn.batch.data
    means, squares = ([torch.zeros_like(p) for p in w] for _ in range(2))
    kept = None
    for step in range(1, STEPS + 1):
        slopes = torch.autograd.grad(inner(w, loss, names, real, fake), w, create_graph=True)
        if not adam:
            w = [p - RATE * g for p, g in zip(w, slopes, strict=True)]
            continue
        means = [0.5 * m + 0.5 * g for m, g in zip(means, slopes, strict=True)]
        squares = [0.999 * v + 0.001 * g**2 for v, g in zip(squares, slopes, strict=True)]
        kept = (means, squares) if kept is None else kept
        w = [
            p - RATE * (m / (1 - 0.5**step)) / (v / (1 - 0.999**step) + 1e-16).sqrt()
            for p, m, v in zip(w, means, squares, strict=True)
        ]
    on_real, on_fake = judged(w, real), judged(w, fake)
    value = -LOSSES[loss][0](on_real, on_fake) if saddle else LOSSES[loss][1](on_real, on_fake)
    return torch.autograd.grad(value.mean(), list(game.generator.parameters())), kept


@pytest.mark.parametrize("how", STEPPERS)
@pytest.mark.parametrize("names", [("r1", "r2"), ("r2", "drift")], ids=str)
@pytest.mark.parametrize("kind", ["sgd", "adam"])
@pytest.mark.parametrize(
    ("loss", "saddle", "joint"), [("minimax", True, True), ("minimax", False, False), ("relativistic", False, True)]
)
def test_the_generator_differentiates_through_the_inner_steps(
    loss: str, saddle: bool, joint: bool, kind: str, names: tuple[str, ...], how: str
):
    game, turn = setting(loss, *names, inner=kind, saddle=saddle, joint_pass=joint)
    wanted, kept = by_hand(game, turn, loss, names, kind == "adam", saddle)
    result = STEPPERS[how](game)("generator", turn, list(game.generator.parameters()))
    for mine, theirs in zip(result.grads, wanted, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-12)
    if kept is not None:
        for moment, values in zip(("mean", "square"), kept, strict=True):
            for (name, _), value in zip(game.discriminator.named_parameters(), values, strict=True):
                torch.testing.assert_close(result.state[f"inner/{moment}/{name}"], value)
        assert result.state["inner/steps"] == 1
    # Without the way through the steps the gradient would be another.
    plain = Synthesis(game.generator, game.discriminator, loss=game.loss, noise=NOISE, shared_fakes=False)
    other = Eager(plain)("generator", turn, list(game.generator.parameters())).grads
    assert any(not torch.allclose(a, b, rtol=1e-3) for a, b in zip(result.grads, other, strict=True))  # type: ignore[arg-type]


def test_the_discriminators_own_move_is_the_usual_one():
    game, turn = setting("minimax", "r1")
    plain = Synthesis(
        game.generator, game.discriminator, loss=game.loss, penalties=game.penalties, noise=NOISE, shared_fakes=False
    )
    targets = list(game.discriminator.parameters())
    both = [Eager(each)("discriminator", turn, targets).grads for each in (game, plain)]
    assert all(torch.equal(a, b) for a, b in zip(*both, strict=True))  # type: ignore[arg-type]
    assert game.variant("generator", 0) != game.variant("generator", 1) == ((), ())
    assert game.coupled
    assert not plain.coupled


def test_no_steps_are_the_usual_game():
    game, turn = setting("minimax", unroll=0)
    plain = Synthesis(game.generator, game.discriminator, loss=game.loss, noise=NOISE, shared_fakes=False)
    targets = list(game.generator.parameters())
    both = [Eager(each)("generator", turn, targets).grads for each in (game, plain)]
    assert all(torch.equal(a, b) for a, b in zip(*both, strict=True))  # type: ignore[arg-type]
    assert not game.coupled


def test_a_look_ahead_leaves_statistics_as_they_are():
    torch.manual_seed(0)
    nets = dcgan.Generator((1, 16, 16), NOISE, width=4), dcgan.Discriminator((1, 16, 16), width=4)
    game = Unrolled(*nets, loss=adversarial.minimax(), noise=NOISE, unroll=2)
    before = [b.clone() for b in game.discriminator.buffers()]
    turn = Turn(Batch(torch.randn(4, 1, 16, 16)), Draws(0, 0, 4, prefix="generator"), {})
    grads = Eager(game)("generator", turn, list(game.generator.parameters())).grads
    assert all(g is not None and g.isfinite().all() for g in grads)
    assert all(torch.equal(a, b) for a, b in zip(before, game.discriminator.buffers(), strict=True))


def test_a_weight_that_gets_no_gradient_stays_and_gives_none():
    game, turn = setting("minimax", inner="adam")
    with torch.no_grad():
        game.discriminator.layers[0].weight.zero_()
        game.discriminator.layers[0].bias.zero_()
        game.discriminator.end.weight.zero_()
    grads = Eager(game)("generator", turn, list(game.generator.parameters())).grads
    assert all(g is not None and g.isfinite().all() for g in grads)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"unroll": -1}, "unroll and rate must not be negative"),
        ({"rate": -1.0}, "unroll and rate must not be negative"),
        ({"inner": "lbfgs"}, "inner is `sgd` or `adam`, not 'lbfgs'"),
        ({"betas": (0.5, 1.0)}, "betas must be in"),
    ],
)
def test_what_is_out_of_range_is_refused(wrong: dict[str, object], said: str):
    with pytest.raises(ValueError, match=said):
        setting("minimax", **wrong)
