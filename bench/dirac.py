"""Draw the Dirac-GAN under every loss and the chief penalties: docs/pictures/dirac.svg.

    python bench/dirac.py

The data are the one number 0, the generator is the one number θ, and the discriminator is D(x) = ψx (Mescheder
et al., 2018, Definition 2.1, arXiv:1801.04406). Losses and penalties are the package's own. A panel for each pair:
θ to the right, ψ upwards, from (1, 1) by alternating gradient descent; below it the eigenvalues of the flow's
Jacobian at the equilibrium (0, 0). tests/losses/test_dirac.py compares those with closed forms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from common import HERE, table
from svg import FAINT, INK, PAPER, text_at

from gansmith.draws import Draws
from gansmith.losses import adversarial, penalties
from gansmith.losses.adversarial import AdversarialLoss
from gansmith.losses.penalties import Penalty

LOSSES = (
    "nonsaturating", "minimax", "relativistic", "wasserstein", "hinge", "least_squares", "relativistic_average",
    "relativistic_average_least_squares", "relativistic_average_hinge", "kl", "reverse_kl", "pearson",
    "squared_hellinger", "jensen_shannon",
)  # fmt: skip
ROWS = {"": "no penalty", "r1": "R1", "r2": "R2", "gradient_penalty": "WGAN-GP"}
WEIGHT, RATE, STEPS = 1.0, 0.1, 300
WEIGHTS = {"gradient_penalty": 0.25}
"""Where it is not WEIGHT: above √(dg) WGAN-GP may stand still at ψ = 0 and θ = 2γ/d, far from home."""

PANEL, GAP, HEAD, FOOT, LEFT, TOP, ACROSS = 118, 8, 34, 18, 78, 66, 7
REACH = 2.0
"""Of both axes, to either side."""

RULE = "#d0d7de"
VERDICTS = {
    "arrives": ("#0b62a8", "arrives at the equilibrium"),
    "circles": ("#8a6d1a", "goes round it"),
    "stops": ("#7a4fb0", "stops elsewhere"),
    "leaves": ("#b3261e", "leaves the picture"),
}

Pair = tuple[torch.Tensor, torch.Tensor]


def flow(loss: AdversarialLoss, penalty: Penalty | None, weight: float, theta: torch.Tensor, psi: torch.Tensor) -> Pair:
    """(−∂L_G/∂θ, −∂L_D/∂ψ) at scalars θ and ψ, differentiable once more."""
    real, fake = torch.zeros_like(theta).view(1, 1), theta.view(1, 1)
    on_real, on_fake = (psi * real).flatten(), (psi * fake).flatten()
    cost = loss.discriminator(on_real, on_fake).mean()
    if penalty is not None:
        ends = {"real": real, "fake": fake.detach()}
        place = penalty.at
        at = ends[place] if isinstance(place, str) else place(real, fake.detach(), Draws(0, 0, 1))
        at = at.detach().requires_grad_()
        (slope,) = torch.autograd.grad((psi * at).sum(), at, create_graph=True)
        cost = cost + weight * penalty.value(slope).mean()
    (down,) = torch.autograd.grad(cost, psi, create_graph=True)
    (along,) = torch.autograd.grad(loss.generator(on_real, on_fake).mean(), theta, create_graph=True)
    return -along, -down


def eigenvalues(loss: AdversarialLoss, penalty: Penalty | None = None, weight: float = WEIGHT) -> list[complex]:
    """Of the flow's Jacobian at (0, 0), by imaginary and then by real part."""

    def at(point: torch.Tensor) -> torch.Tensor:
        return torch.stack(flow(loss, penalty, weight, point[0], point[1]))

    jacobian = torch.autograd.functional.jacobian(at, torch.zeros(2, dtype=torch.float64))
    return sorted(torch.linalg.eigvals(jacobian).tolist(), key=lambda z: (round(z.imag, 6), round(z.real, 6)))


def trajectory(
    loss: AdversarialLoss,
    penalty: Penalty | None = None,
    weight: float = WEIGHT,
    *,
    rate: float = RATE,
    steps: int = STEPS,
    alternating: bool = True,
) -> list[tuple[float, float]]:
    """(θ, ψ) from (1, 1) by gradient descent, the discriminator first, or both at once."""
    theta = torch.ones((), dtype=torch.float64, requires_grad=True)
    psi = torch.ones((), dtype=torch.float64, requires_grad=True)
    points = [(1.0, 1.0)]
    for _ in range(steps):
        along, up = flow(loss, penalty, weight, theta, psi)
        after = (psi + rate * up).detach().requires_grad_()
        if alternating:
            along, _ = flow(loss, None, weight, theta, after)
        theta, psi = (theta + rate * along).detach().requires_grad_(), after
        points.append((theta.item(), psi.item()))
    return points


def verdict(points: Sequence[tuple[float, float]]) -> str:
    """What became of a trajectory: a key of VERDICTS."""
    last = points[-1]
    if not all(abs(v) <= REACH for v in last):  # or not a number
        return "leaves"
    if math.dist(last, (0, 0)) < 0.05:
        return "arrives"
    return "stops" if math.dist(last, points[-20]) < 1e-2 else "circles"


def written(values: Sequence[complex]) -> str:
    """Two eigenvalues in a few characters: `±0.5i`, `−0.5 ± 0.87i`, `−0.13, −1.87`."""
    one, two = values
    if abs(one.imag) > 1e-6:
        real = "" if abs(one.real) < 1e-6 else f"{one.real:.2g} "
        return f"{real}±{' ' if real else ''}{abs(one.imag):.2g}i".replace("-", "−")
    parts = [f"{0 if abs(z.real) < 1e-6 else z.real:.2g}".replace("-", "−") for z in (two, one)]
    return parts[0] + " twice" if parts[0] == parts[1] else ", ".join(parts)


def played(name: str, row: str) -> tuple[str, str, list[tuple[float, float]]]:
    """A panel: verdict, eigenvalues, and the way."""
    loss = getattr(adversarial, name)()
    penalty = getattr(penalties, row)() if row else None
    points = trajectory(loss, penalty, WEIGHTS.get(row, WEIGHT))
    # WGAN-GP's norm has a kink at ψ = 0: there is no Jacobian.
    return verdict(points), "" if row == "gradient_penalty" else written(eigenvalues(loss, penalty)), points


def draw(panels: dict[tuple[str, str], tuple[str, str, list[tuple[float, float]]]]) -> str:
    """The picture, as SVG."""
    bands = -(-len(LOSSES) // ACROSS)
    band = HEAD + len(ROWS) * (PANEL + FOOT + GAP)
    width, height = LEFT + ACROSS * (PANEL + GAP), TOP + bands * band + 14
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="Helvetica, Arial, sans-serif" font-size="11" fill="{INK}" role="img">',
        "<title>The Dirac-GAN under each loss and penalty</title>",
        f'<rect width="{width}" height="{height}" fill="{PAPER}"/>',
        text_at(8, 20, "The Dirac-GAN", size=15, weight="bold"),
        text_at(
            8, 40,
            f"θ to the right, ψ upwards, −{REACH:g} to {REACH:g}; from (1, 1), {STEPS} steps of alternating gradient "
            f"descent at rate {RATE:g}. R1 and R2 of weight {WEIGHT:g}, WGAN-GP {WEIGHTS['gradient_penalty']:g}. Below "
            "each panel: eigenvalues at (0, 0).",
            colour=FAINT,
        ),
    ]  # fmt: skip
    x = 150.0
    for colour, meaning in (VERDICTS[said] for said in VERDICTS if said in {panel[0] for panel in panels.values()}):
        out.append(f'<path d="M{x:g} 16h18" stroke="{colour}" stroke-width="2.4"/>' + text_at(x + 24, 20, meaning))
        x += 44 + 5.6 * len(meaning)
    for i, name in enumerate(LOSSES):
        left = LEFT + (i % ACROSS) * (PANEL + GAP)
        top = TOP + (i // ACROSS) * band
        lines = name.replace("relativistic_average", "relativistic average", 1).split("_", 1)
        words = [line.replace("_", " ") for line in (lines if name.startswith("relativistic_a") else [name])]
        for k, line in enumerate(words):
            place = top + HEAD - 8 - 13 * (len(words) - 1 - k)
            out.append(text_at(left + PANEL / 2, place, line, anchor="middle", weight="bold"))
        for j, (row, label) in enumerate(ROWS.items()):
            at = top + HEAD + j * (PANEL + FOOT + GAP)
            if i % ACROSS == 0:
                out.append(text_at(LEFT - 10, at + PANEL / 2 + 4, label, anchor="end"))
            out += _panel(left, at, *panels[name, row])
    return "\n".join([*out, "</svg>"]) + "\n"


def _panel(x: float, y: float, said: str, values: str, points: Sequence[tuple[float, float]]) -> list[str]:
    middle = PANEL / 2
    scale = middle / REACH
    places = [(x + middle + scale * theta, y + middle - scale * psi) for theta, psi in points]
    kept = places[:1]
    for place in places[1:]:  # what is nearer than a pixel and a half cannot be told apart
        if not (x <= place[0] <= x + PANEL and y <= place[1] <= y + PANEL):
            break
        if math.dist(place, kept[-1]) >= 1.5:
            kept.append(place)
    colour = VERDICTS[said][0]
    line = " ".join(f"{px:.1f},{py:.1f}" for px, py in kept)
    end = kept[-1]
    return [
        f'<rect x="{x}" y="{y}" width="{PANEL}" height="{PANEL}" fill="none" stroke="{RULE}"/>'
        f'<path d="M{x} {y + middle}h{PANEL}M{x + middle} {y}v{PANEL}" stroke="{RULE}" stroke-width=".7"/>',
        f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.2" stroke-linejoin="round"/>'
        f'<circle cx="{kept[0][0]:.1f}" cy="{kept[0][1]:.1f}" r="2.6" fill="{PAPER}" stroke="{colour}"/>'
        f'<circle cx="{end[0]:.1f}" cy="{end[1]:.1f}" r="2.8" fill="{colour}"/>',
        text_at(x + middle, y + PANEL + 13, values or "no Jacobian", size=10, colour=FAINT, anchor="middle"),
    ]


def main() -> None:
    """Play all pairs, print what became of each, and write the picture."""
    panels = {(name, row): played(name, row) for name in LOSSES for row in ROWS}
    rows = []
    for name in LOSSES:
        row = {"loss": name}
        for key, label in ROWS.items():
            said, values, _ = panels[name, key]
            row[label] = f"{said}: {values}" if values else said
        rows.append(row)
    print(table(rows))
    out = Path(HERE).parent / "docs" / "pictures" / "dirac.svg"
    out.write_text(draw(panels), encoding="utf-8")
    print(f"\n{out.name}: {out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
