"""The gradient of each penalty with respect to the discriminator's weights, eager and compiled, against
a float64 reference in plain autograd that shares no code with the package."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gansmith.build import functions
from gansmith.data.dataset import Batch
from gansmith.draws import Draws
from gansmith.engine.step import Compiled, Eager, Stepper
from gansmith.games.game import Turn
from gansmith.games.synthesis import Lazy, Synthesis
from gansmith.losses import penalties
from gansmith.losses.adversarial import nonsaturating
from gansmith.losses.penalties import Penalty
from gansmith.networks import r3gan

WEIGHT = 0.7
NAMES = ("dragan", "gradient_penalty", "lipschitz_penalty", "r1", "r2", "zero_centred_penalty")


class Fixed(nn.Module):
    """Fakes that do not depend on the noise, so that the reference knows them."""

    def __init__(self, fakes: torch.Tensor) -> None:
        super().__init__()
        self.fakes = nn.Parameter(fakes.clone())

    def forward(self, noise: torch.Tensor) -> torch.Tensor:
        return self.fakes[: len(noise)] * 1.0


def reference_logits(w: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The small discriminator below, written out with nn.functional alone."""
    x = F.conv2d(x, w["first.weight"])
    taps = torch.outer(*[torch.tensor([1.0, 3, 3, 1], dtype=x.dtype) / 8] * 2)
    for i, down in ((0, True), (3, False)):
        y = F.leaky_relu(F.conv2d(x, w[f"layers.{i}.expand.weight"], w[f"layers.{i}.expand.bias"]), 0.2)
        y = F.conv2d(y, w[f"layers.{i}.middle.weight"], w[f"layers.{i}.middle.bias"], padding=1, groups=2)
        x = x + F.conv2d(F.leaky_relu(y, 0.2), w[f"layers.{i}.reduce.weight"])
        if down:
            x = F.conv2d(F.pad(x, (1, 1, 1, 1)), taps.expand(x.shape[1], 1, 4, 4), stride=2, groups=x.shape[1])
            x = F.conv2d(x, w["layers.2.weight"])
    return (x * w["pattern"]).sum((2, 3)) @ w["end.last.weight"][0]


def reference(
    names: Sequence[str], w: dict[str, torch.Tensor], real: torch.Tensor, fake: torch.Tensor, drawn: Draws
) -> list[torch.Tensor]:
    """∇_w of the mean of softplus(−D(x)) + softplus(D(y)) + WEIGHT · each penalty."""
    share, way = (drawn.uniform(purpose).double().view(-1, 1, 1, 1) for purpose in ("between", "around"))
    on_line = real * (1 - share) + fake * share
    noise = drawn.uniform("around numbers", *real.shape[1:]).double()
    around = real + 0.5 * float(np.std(real.numpy())) * way * noise
    places = {"r1": real, "r2": fake, "dragan": around}
    loss = F.softplus(-reference_logits(w, real)) + F.softplus(reference_logits(w, fake))
    for name in names:
        at = places.get(name, on_line).clone().requires_grad_()
        (slope,) = torch.autograd.grad(reference_logits(w, at).sum(), at, create_graph=True)
        square = (slope**2).sum((1, 2, 3))
        two_sided = (square.sqrt() - 1) ** 2
        value = {
            "r1": square / 2, "r2": square / 2, "zero_centred_penalty": square, "gradient_penalty": two_sided,
            "dragan": two_sided, "lipschitz_penalty": torch.where(square > 1, two_sided, 0.0),
        }[name]  # fmt: skip
        loss = loss + WEIGHT * value
    return list(torch.autograd.grad(loss.mean(), list(w.values())))


def setting(names: Sequence[str], dtype: torch.dtype, joint: bool) -> tuple[Synthesis, Turn, list[torch.Tensor]]:
    torch.manual_seed(0)
    shape = (3, 8, 8)
    discriminator = r3gan.Discriminator(shape, widths=[8, 4], blocks=1, cardinality=2)
    for key, parameter in discriminator.named_parameters():
        if "reduce" in key or "bias" in key:  # zero at first, where mistakes would not show
            nn.init.normal_(parameter, 0, 0.3)
    real, fake = torch.rand(5, *shape) * 2 - 1, torch.rand(5, *shape) * 2 - 1
    lazy = {name: Lazy(getattr(penalties, name)()) for name in names}
    game = Synthesis(Fixed(fake), discriminator, loss=nonsaturating(), penalties=lazy, noise=2, joint_pass=joint)
    game = game.to(dtype)
    turn = Turn(Batch(real.to(dtype)), Draws(0, 0, 5, prefix="discriminator"), dict.fromkeys(names, WEIGHT))
    drawn = Draws(0, 0, 5, prefix="discriminator")
    w = {k: v.detach().double().requires_grad_() for k, v in discriminator.named_parameters()}
    return game, turn, reference(names, w, real.double(), fake.double(), drawn)


STEPPERS: dict[str, Callable[[Synthesis], Stepper]] = {
    "eager": Eager,
    "traced": lambda game: Compiled(game, lambda graph: graph),
}


def test_every_penalty_is_here():
    assert functions(penalties, Penalty) == sorted(NAMES)


def closest(steppers: Stepper, game: Synthesis, turn: Turn, wanted: list[torch.Tensor]) -> float:
    """The largest error of a gradient, as a share of that gradient's largest entry."""
    grads = steppers("discriminator", turn, list(game.discriminator.parameters())).grads
    errors = []
    for mine, theirs in zip(grads, wanted, strict=True):
        mine = torch.zeros_like(theirs) if mine is None else mine.double()
        errors.append(float((mine - theirs).abs().max() / theirs.abs().max().clamp(min=1e-12)))
    return max(errors)


@pytest.mark.parametrize("joint", [True, False], ids=["joint", "apart"])
@pytest.mark.parametrize("stepper", sorted(STEPPERS))
@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_the_weights(name: str, stepper: str, joint: bool):
    game, turn, wanted = setting([name], torch.float64, joint)
    assert closest(STEPPERS[stepper](game), game, turn, wanted) < 1e-9
    game, turn, wanted = setting([name], torch.float32, joint)
    assert closest(STEPPERS[stepper](game), game, turn, wanted) < 5e-5


@pytest.mark.parametrize("name", NAMES)
def test_a_traced_graph_is_not_bound_to_the_step_that_it_was_traced_at(name: str):
    game, turn, _ = setting([name], torch.float64, True)
    traced, eager = Compiled(game, lambda graph: graph), Eager(game)
    targets = list(game.discriminator.parameters())
    traced("discriminator", turn, targets)
    later = replace(
        turn,
        batch=Batch(turn.batch.data.flip(0) * 0.5),
        draws=Draws(0, 5, 5, prefix="discriminator"),
        knobs={name: 0.25},
    )
    with torch.no_grad():
        for target in targets:
            target.mul_(1.1)
    for mine, theirs in zip(
        traced("discriminator", later, targets).grads, eager("discriminator", later, targets).grads, strict=True
    ):
        assert mine is None or torch.allclose(mine, theirs, rtol=1e-9, atol=1e-12)  # type: ignore[arg-type]
    assert len(traced.traced) == 1


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None and shutil.which("g++") is None, reason="no C++ compiler here")
@pytest.mark.filterwarnings("ignore")  # what torch's own compiler warns about is not ours to mend
def test_gradients_of_the_weights_compiled():
    game, turn, wanted = setting(NAMES, torch.float32, True)
    assert closest(Compiled(game), game, turn, wanted) < 5e-5


# --- the values ------------------------------------------------------------------------------------


def test_values_by_hand():
    slope = torch.tensor([[[3.0, 4.0]], [[0.0, 0.0]]])
    assert penalties.r1().value(slope).tolist() == penalties.r2().value(slope).tolist() == [12.5, 0.0]
    assert penalties.gradient_penalty().value(slope).tolist() == pytest.approx([16, 1], rel=1e-5)
    assert penalties.gradient_penalty(target=0.0).value(slope).tolist() == pytest.approx([25, 0], abs=1e-5)
    assert penalties.lipschitz_penalty().value(slope).tolist() == pytest.approx([16, 0], rel=1e-5)
    assert penalties.lipschitz_penalty(target=4.0).value(slope).tolist() == pytest.approx([1, 0], rel=1e-5)
    assert penalties.zero_centred_penalty().value(slope).tolist() == [25, 0]
    assert penalties.dragan(target=2.0).value(slope).tolist() == pytest.approx([9, 4], rel=1e-5)
    assert penalties.r1().at == "real"
    assert penalties.r2().at == "fake"


def test_the_norm_has_a_finite_derivative_at_zero():
    slope = torch.zeros(2, 3, requires_grad=True)
    (second,) = torch.autograd.grad(penalties.gradient_penalty().value(slope).sum(), slope)
    assert second.isfinite().all()


def test_bf16_gradients_are_summed_in_float32():
    slope = torch.full((1, 4096), 0.01, dtype=torch.bfloat16)
    value = penalties.r1().value(slope)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(0.5 * 4096 * float(slope[0, 0]) ** 2, rel=1e-5)


def test_points_between_lie_on_the_line():
    real, fake = torch.zeros(1000, 2), torch.ones(1000, 2)
    points = penalties.between(real, fake, Draws(0, 0, 1000))
    assert torch.equal(points[:, 0], points[:, 1])
    assert points.min() >= 0
    assert points.max() <= 1
    assert abs(points[:, 0].mean() - 0.5) < 4 / (12 * 1000) ** 0.5


def test_neighbours_of_a_pack_lie_equally_far_between():
    real, fake, draws = torch.zeros(8, 3), torch.ones(8, 3), Draws(0, 0, 8)
    place = penalties.gradient_penalty(pack=4).at
    assert callable(place)
    share = draws.uniform("between")
    torch.testing.assert_close(place(real, fake, draws)[:, 0], share[[0, 0, 0, 0, 4, 4, 4, 4]])
    assert penalties.gradient_penalty(pack=4).coupled
    assert not penalties.gradient_penalty().coupled


def test_points_around_real_data_go_as_far_as_the_whole_batch_is_spread():
    draw = torch.Generator().manual_seed(0)
    real, place = torch.randn(4000, 3, generator=draw) * 5 + 2, penalties.dragan(spread=0.5).at
    assert callable(place)
    moved = (place(real, real, Draws(0, 0, 4000)) - real) / (0.5 * real.std())
    assert moved.min() >= -1e-5
    assert moved.max() <= 1 + 1e-5
    assert abs(moved.mean() - 0.25) < 0.01  # of two independent uniform numbers
    assert not torch.equal(moved[:, 0], moved[:, 1])
    # An example's points depend on the others'.
    other = torch.cat([real[:1], 9 * real[1:]])
    assert not torch.equal(place(real, real, Draws(0, 0, 4000))[0], place(other, other, Draws(0, 0, 4000))[0])


@pytest.mark.parametrize("name", NAMES)
def test_a_game_with_a_penalty_that_mixes_examples_says_so(name: str):
    game, *_ = setting([name], torch.float64, True)
    assert game.coupled == getattr(penalties, name)().coupled == (name == "dragan")
