"""The Dirac-GAN: how fast each loss with each penalty comes home, by eigenvalues, against closed forms.

Mescheder, Geiger and Nowozin, 2018, Sections 2 and 3 (arXiv:1801.04406): data at 0, a generator θ, D(x) = ψx. Let
d be the slope of L_D, and −g that of L_G, at the fake's logit 0, of this loss on real and fake logits 0. To first
order, −∂L_G/∂θ = gψ and −∂L_D/∂ψ = −dθ − κψ, where κψ is the slope of the penalty. So the Jacobian at (0, 0) is
((0, g), (−d, −κ)), and its eigenvalues are

    λ = −κ/2 ± √(κ²/4 − dg).

- Non-saturating, minimax and relativistic pairing have d = g = σ(0) = ½: ±i/2, the paper's ±f′(0)i. Wasserstein and
  hinge (which is linear about 0) have d = g = 1: ±i.
- Least squares has d = −a and g = c: √(−ac)i. With a = 0 it is a double zero, and all of ψ = 0 stands still; a
  discriminator without a bias cannot give the value ½ that its equilibrium wants.
- Relativistic averages, on one example each, take L_D = 2 softplus(ψθ), 2(1 + ψθ)² and 2 max(0, 1 + ψθ), and L_G the
  same of −ψθ: d = g = 1, 4 and 2.
- f-GANs have d = (f* ∘ g_f)′(0), and g the same or, not saturating, g_f′(0): e⁻¹ and 1 for KL, ½ for Jensen-Shannon
  (without its constant it is minimax), 1 for the others.
- R1 and R2 are γ·½ψ², so κ = γ: the paper's −γ/2 ± √(γ²/4 − f′(0)²). The zero-centred penalty is γψ², so κ = 2γ.
  WGAN-LP is flat up to |ψ| = 1, so κ = 0. WGAN-GP and DRAGAN have a kink at ψ = 0, and no Jacobian.

Losses of energies take no logit. Their smallest judge is an autoencoder that draws ψ whatever it sees, of the energy
D(x) = (x − ψ)². Then −∂L_G/∂θ = −2(θ − ψ). EBGAN, within its margin, has L_D = m − θ² + 2θψ, so −∂L_D/∂ψ = −2θ, and
eigenvalues −1 ± i√3. BEGAN, of a fixed k, has −∂L_D/∂ψ = −2ψ − 2k(θ − ψ), and k − 2 ± √((2 − k)² − 4).
"""

from __future__ import annotations

import cmath
import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from benches import load_bench
from torch import nn

from gansmith.build import functions
from gansmith.data.dataset import Batch
from gansmith.draws import Draws
from gansmith.engine.step import Eager
from gansmith.games.equilibrium import Equilibrium
from gansmith.games.game import Turn
from gansmith.games.synthesis import Lazy, Synthesis
from gansmith.losses import adversarial, penalties
from gansmith.losses.adversarial import AdversarialLoss
from gansmith.losses.penalties import Penalty

E = math.exp(-1)
SLOPES: dict[tuple[str, tuple[tuple[str, Any], ...]], tuple[float, float]] = {
    ("nonsaturating", ()): (0.5, 0.5),
    ("minimax", ()): (0.5, 0.5),
    ("relativistic", ()): (0.5, 0.5),
    ("wasserstein", ()): (1, 1),
    ("hinge", ()): (1, 1),
    ("least_squares", ()): (0, 1),
    ("least_squares", (("a", -1), ("b", 1), ("c", 1))): (1, 1),
    ("least_squares", (("a", -1), ("b", 1), ("c", 0))): (1, 0),
    ("relativistic_average", ()): (1, 1),
    ("relativistic_average_least_squares", ()): (4, 4),
    ("relativistic_average_hinge", ()): (2, 2),
    ("kl", ()): (E, E),
    ("kl", (("saturating", False),)): (E, 1),
    ("reverse_kl", ()): (1, 1),
    ("reverse_kl", (("saturating", False),)): (1, 1),
    ("pearson", ()): (1, 1),
    ("pearson", (("saturating", False),)): (1, 1),
    ("squared_hellinger", ()): (1, 1),
    ("squared_hellinger", (("saturating", False),)): (1, 1),
    ("jensen_shannon", ()): (0.5, 0.5),
    ("jensen_shannon", (("saturating", False),)): (0.5, 0.5),
}
"""d and g of each loss with its arguments."""

DAMPING = {"": 0.0, "lipschitz_penalty": 0.0, "r1": 1.0, "r2": 1.0, "zero_centred_penalty": 2.0}
"""κ of each penalty that has a Jacobian, for a weight of 1."""

ENERGIES = {"boundary", "energy"}
"""Losses of energies."""

KINKED = ("dragan", "gradient_penalty")


@pytest.fixture(scope="module")
def dirac():
    return load_bench("dirac")


def loss_of(case: tuple[str, tuple[tuple[str, Any], ...]]) -> AdversarialLoss:
    return getattr(adversarial, case[0])(**dict(case[1]))


def penalty_of(name: str) -> Penalty | None:
    return getattr(penalties, name)() if name else None


def named(case: object) -> str:
    return case if isinstance(case, str) else "-".join([case[0], *(str(v) for _, v in case[1])])  # type: ignore[index]


def test_every_loss_and_penalty_is_in_the_table(dirac):
    assert sorted({name for name, _ in SLOPES}) == sorted(dirac.LOSSES)
    assert functions(adversarial, AdversarialLoss) == sorted(ENERGIES | set(dirac.LOSSES))
    assert sorted({*DAMPING, *KINKED} - {""}) == functions(penalties, Penalty)


@pytest.mark.parametrize("penalty", DAMPING)
@pytest.mark.parametrize("case", SLOPES, ids=named)
def test_eigenvalues_at_the_equilibrium(dirac, case, penalty):
    for weight in (0.6, 3.0):  # for most losses an oscillation that dies, and none
        (d, g), kappa = SLOPES[case], DAMPING[penalty] * weight
        root = cmath.sqrt(kappa**2 / 4 - d * g)
        wanted = sorted((-kappa / 2 + root, -kappa / 2 - root), key=lambda z: (round(z.imag, 6), round(z.real, 6)))
        found = dirac.eigenvalues(loss_of(case), penalty_of(penalty), weight)
        assert found == pytest.approx(wanted, abs=1e-7)


class Point(nn.Module):
    """θ, whatever the noise; or x → ψx."""

    def __init__(self, value: float, judges: bool) -> None:
        super().__init__()
        self.value, self.judges = nn.Parameter(torch.tensor(value, dtype=torch.float64)), judges

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.value * (x if self.judges else torch.ones_like(x))


@pytest.mark.parametrize("penalty", ["", *functions(penalties, Penalty)])
@pytest.mark.parametrize("case", SLOPES, ids=named)
def test_the_flow_is_what_the_game_descends(dirac, case, penalty):
    theta, psi, weight = 0.7, -1.3, 0.4
    lazy = {penalty: Lazy(getattr(penalties, penalty)())} if penalty else {}
    game = Synthesis(
        Point(theta, False), Point(psi, True), loss=loss_of(case), penalties=lazy, noise=1, shared_fakes=False
    )
    turn = Turn(Batch(torch.zeros(1, 1, dtype=torch.float64)), Draws(0, 0, 1), {penalty: weight})
    found = []
    for move in ("generator", "discriminator"):
        (grad,) = Eager(game)(move, turn, list(getattr(game, move).parameters())).grads
        found.append(-float(grad))  # type: ignore[arg-type]
    at = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (theta, psi)]
    wanted = dirac.flow(loss_of(case), penalty_of(penalty), weight, *at)
    assert found == pytest.approx([v.item() for v in wanted], rel=1e-12)


@pytest.mark.parametrize("loss", ["nonsaturating", "wasserstein", "hinge"])
def test_wgan_gp_does_not_come_home_and_r1_does(dirac, loss):
    """Gulrajani et al.'s penalty keeps |ψ| near 1, so θ passes 0 at full speed (Mescheder et al., 2018, Section 3)."""
    made = getattr(adversarial, loss)()
    for penalty in ("gradient_penalty", "dragan"):
        points = dirac.trajectory(made, penalty_of(penalty), steps=200, alternating=False)
        assert min(math.dist(point, (0, 0)) for point in points) > 0.1
    points = dirac.trajectory(made, penalty_of("r1"), steps=200, alternating=False)
    assert math.dist(points[-1], (0, 0)) < 1e-2


def test_wgan_gp_of_a_large_weight_stands_still_far_from_home(dirac):
    """To first order about θ = 2γ/d and ψ = 0+, the penalty's 2γ(1 − ψ) weighs the loss's −dθ up: κ = 2γ there."""
    (theta, psi) = dirac.trajectory(adversarial.wasserstein(), penalties.gradient_penalty(), 3.0, steps=400)[-1]
    assert (theta, psi) == pytest.approx((6, 0), abs=0.05)


@pytest.mark.parametrize("loss", ["minimax", "wasserstein"])
def test_without_a_penalty_simultaneous_descent_moves_away_from_home(dirac, loss):
    """Both sides' slopes are at right angles to the way home: each step of both at once leads outwards.

    (The non-saturating generator's leads inwards by −θψ(σ(θψ) − σ(−θψ)), ever more slowly: of fourth order.)
    """
    points = dirac.trajectory(getattr(adversarial, loss)(), None, steps=50, alternating=False)
    far = [math.dist(point, (0, 0)) for point in points]
    assert all(after > before for before, after in pairwise(far))


class Memory(nn.Module):
    """The energy (x − ψ)² of an autoencoder that knows one number."""

    energy = True

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self.value).square().squeeze(1)


def energies_at(kind: str, theta: float, psi: float) -> Synthesis:
    nets = Point(theta, False), Memory(psi)
    if kind == "ebgan":
        return Synthesis(*nets, loss=adversarial.energy(margin=4.0), noise=1, shared_fakes=False)
    return Equilibrium(*nets, loss=adversarial.boundary(), gamma=0.5, rate=0.05, noise=1, shared_fakes=False)


def slope_of(game: Synthesis, move: str, k: float) -> tuple[float, float]:
    """−∂L/∂ of the one number that a move trains; and the next k."""
    state = {"balance": torch.tensor(k, dtype=torch.float64)} if isinstance(game, Equilibrium) else {}
    turn = Turn(Batch(torch.zeros(1, 1, dtype=torch.float64)), Draws(0, 0, 1), {}, state)
    result = Eager(game)(move, turn, list(getattr(game, move).parameters()))
    (grad,) = result.grads
    return 0.0 if grad is None else -float(grad), float(result.state.get("balance", k))


@pytest.mark.parametrize(("kind", "k"), [("ebgan", 0.0), ("began", 0.0), ("began", 0.3), ("began", 1.0)])
def test_eigenvalues_of_losses_of_energies(kind: str, k: float):
    """The flow is linear near the end, so that its values at two points are the Jacobian's columns."""
    columns = []
    for place in ((0.1, 0.0), (0.0, 0.1)):
        game = energies_at(kind, *place)
        columns.append([slope_of(game, move, k)[0] / 0.1 for move in ("generator", "discriminator")])
    found = torch.linalg.eigvals(torch.tensor(columns, dtype=torch.float64).T).tolist()
    factor = 1.0 if kind == "ebgan" else k
    root = cmath.sqrt((2 - factor) ** 2 - 4)
    for each in (factor - 2 + root, factor - 2 - root):
        assert min(abs(each - value) for value in found) < 1e-6
    assert max(value.real for value in found) < 0  # it settles


@pytest.mark.parametrize("kind", ["ebgan", "began"])
@pytest.mark.parametrize("start", [(1.0, 1.0), (3.0, -2.0), (-1.5, 0.5)])
def test_losses_of_energies_come_home(kind: str, start: tuple[float, float]):
    """Alternating descent, from outside of EBGAN's margin too; BEGAN's k goes where the energies drive it."""
    (theta, psi), k = start, 0.0
    for _ in range(150):
        slope, k = slope_of(energies_at(kind, theta, psi), "discriminator", k)
        psi += 0.1 * slope
        theta += 0.1 * slope_of(energies_at(kind, theta, psi), "generator", k)[0]
    assert math.dist((theta, psi), (0, 0)) < 1e-3
    assert 0 <= k <= 1


def test_verdicts_and_their_writing(dirac):
    still = [(0.5, 0.0)] * 30
    assert dirac.verdict(still) == "stops"
    assert dirac.verdict([(0.0, 0.01)] * 30) == "arrives"
    assert dirac.verdict([(1.0, float("nan"))] * 30) == dirac.verdict([(3.0, 0.0)] * 30) == "leaves"
    assert dirac.verdict([(math.cos(t), math.sin(t)) for t in range(30)]) == "circles"
    assert dirac.written([-0.5j, 0.5j]) == "±0.5i"
    assert dirac.written([-0.5 - 0.866j, -0.5 + 0.866j]) == "−0.5 ± 0.87i"
    assert dirac.written([-1.87, -0.13]) == "−0.13, −1.9"
    assert dirac.written([0j, 0j]) == "0 twice"
