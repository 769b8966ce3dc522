"""Two heaps of pictures without pairs: there and back again must be the same (CycleGAN, Zhu et al., 2017)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import nn

from gansmith import collectives
from gansmith.data.dataset import Batch
from gansmith.draws import Draws, use
from gansmith.games.game import Move, Outcome, Turn
from gansmith.games.synthesis import Lazy
from gansmith.games.translation import Translating, distance
from gansmith.losses.adversarial import AdversarialLoss
from gansmith.losses.likeness import absolute, told
from gansmith.networks.layers import run


class Cycle(Translating):
    """Two generators, one each way, and a discriminator of either side, which judges past fakes as well.

    L_G = L_adv(D_B(G(a))) + L_adv(D_A(F(b))) + λ (‖F(G(a)) − a‖₁ + ‖G(F(b)) − b‖₁)
    + λ i (‖G(b) − b‖₁ + ‖F(a) − a‖₁), means over pixels.
    Zhu et al., 2017, Equations 1 to 3 and Sections 4 and 5.2 (arXiv:1703.10593).

    Args:
        generator, back: pictures of A → of B, and of B → of A.
        discriminator, back_discriminator: of B, and of A.
        loss: the adversarial loss, of both sides.
        penalties: on both discriminators' gradients.
        shape, beside: of the examples, and of `b` beside them.
        cycle: λ.
        identity: i; it needs as many channels on both sides, and 0 leaves it out.
        adversarial: factor of the generators' adversarial terms.
        pool: past fakes of each side that are kept, half of those judged come from it; 0 judges new ones only.
    """

    averaged = ("generator", "back")
    two_ways = True
    better: Mapping[str, Literal["lower", "higher"]] = {
        "l1": "lower", "psnr": "higher", "ssim": "higher", "back-l1": "lower", "back-psnr": "higher",
        "back-ssim": "higher", "cycle": "lower", "back-cycle": "lower",
    }  # fmt: skip

    def __init__(
        self,
        generator: nn.Module,
        back: nn.Module,
        discriminator: nn.Module,
        back_discriminator: nn.Module,
        *,
        loss: AdversarialLoss,
        penalties: Mapping[str, Lazy] | None = None,
        shape: Sequence[int],
        beside: Mapping[str, Sequence[int]] | None = None,
        cycle: float = 10.0,
        identity: float = 0.5,
        adversarial: float = 1.0,
        pool: int = 50,
    ) -> None:
        super().__init__(loss, penalties)
        self.shapes = {"a": tuple(shape), "b": tuple((beside or {}).get("b", shape))}
        if min(cycle, identity, adversarial) < 0 or pool < 0:
            raise ValueError("cycle, identity, adversarial and pool must not be below 0")
        channels = [one[0] for one in self.shapes.values()]
        if identity and cycle and channels[0] != channels[1]:
            raise ValueError(
                f"identity: needs as many channels on both sides, not {channels[0]} and {channels[1]}; 0 leaves it out"
            )
        self.generator, self.back = generator, back
        self.discriminator, self.back_discriminator = discriminator, back_discriminator
        self.cycle, self.identity, self.adversarial, self.size = cycle, identity, adversarial, pool
        self.coupled = bool(pool) or self.mixes(generator, back, discriminator, back_discriminator)

    def moves(self) -> Sequence[Move]:
        """Both generators' move, and then both discriminators'."""
        return (
            Move("generator", ("generator", "back"), fresh=True),
            Move("discriminator", ("discriminator", "back_discriminator")),
        )

    def states(self) -> dict[str, tuple[torch.Tensor, Literal["mean", "sum", "same"]]]:
        """Both pools, and which of their places are taken; of the whole batch, so that each rank holds the same."""
        held: dict[str, tuple[torch.Tensor, Literal["mean", "sum", "same"]]] = {}
        for side, shape in self.shapes.items() if self.size else ():
            held[f"pool_{side}"] = (torch.zeros(self.size, *shape), "same")
            held[f"filled_{side}"] = (torch.zeros(self.size), "same")
        return held

    def generator_loss(self, turn: Turn) -> Outcome:
        """Fool both discriminators, come back to where it began, and leave alone what is on the right side."""
        a, b = self.sides(turn.batch)
        with use(turn.draws):
            made_b, made_a = run(self.generator, a), run(self.back, b)
            terms = {
                "adversarial": self.adversarial
                * (self.fooled(self.discriminator, made_b, b) + self.fooled(self.back_discriminator, made_a, a)),
                "cycle": self.cycle * (distance(run(self.back, made_b), a) + distance(run(self.generator, made_a), b)),
            }
            if self.identity and self.cycle:
                alone = distance(run(self.back, a), a) + distance(run(self.generator, b), b)
                terms["identity"] = self.cycle * self.identity * alone
        return Outcome(terms, shared={"a": made_a.detach().to(a.dtype), "b": made_b.detach().to(b.dtype)})

    def past(self, turn: Turn, side: str, fakes: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Fakes to judge, half of them past ones, for which new ones take their places; and the pool after that."""
        if not self.size:
            return fakes, {}
        pool, filled = turn.state[f"pool_{side}"], turn.state[f"filled_{side}"]
        every = collectives.gather_rows(fakes)
        first = collectives.gather_rows(turn.draws.integers(f"slot {side}", self.size))[0]
        swap = collectives.gather_rows(turn.draws.uniform(f"swap {side}")) < 0.5
        # Slots in a row are never the same; of more fakes than the pool has, the rest are judged as they are.
        number = min(len(every), self.size)
        slots = (first + torch.arange(number, device=every.device)) % self.size
        empty, swap, new = filled[slots] == 0, swap[:number], every[:number]
        view = [-1] + [1] * (fakes.dim() - 1)
        old = pool[slots].to(new.dtype)
        judged = torch.cat([torch.where((swap & ~empty).view(view), old, new), every[number:]])
        pool = pool.index_copy(0, slots, torch.where((swap | empty).view(view), new, old).to(pool.dtype))
        filled = filled.index_fill(0, slots, 1.0)
        at = collectives.rank() * len(fakes)
        return judged[at : at + len(fakes)], {f"pool_{side}": pool, f"filled_{side}": filled}

    def discriminator_loss(self, turn: Turn) -> Outcome:
        """Tell real from fake on either side."""
        terms: dict[str, torch.Tensor] = {}
        state: dict[str, torch.Tensor] = {}
        watched: dict[str, torch.Tensor] = {}
        a, b = self.sides(turn.batch)
        made_a, made_b = self.handed(turn, "a", self.back, b), self.handed(turn, "b", self.generator, a)
        sides = (("a", a, made_a, self.back_discriminator), ("b", b, made_b, self.discriminator))
        for side, real, made, network in sides:
            fake, kept = self.past(turn, side, made)
            of_side = Turn(
                turn.batch, turn.draws.under(f"{turn.draws.prefix}/{side}"), turn.knobs, turn.state, step=turn.step
            )
            found, watched = self.told_apart(network, of_side, real, fake)
            terms |= {name if side == "b" else f"back-{name}": term for name, term in found.items()}
            state |= kept
        return Outcome(terms, state=state, watched=watched)

    def pictures(self, batch: Batch, draws: Draws) -> Mapping[str, torch.Tensor]:
        """There and back again, and the same of the other side."""
        shown: dict[str, Any] = dict(super().pictures(batch, draws))
        there, b = shown["output"], batch.more["b"]
        here = self.translate(b, back=True)
        again = {"input again": self.translate(there, back=True), "other input": b, "other output": here}
        return {**shown, **again, "other input again": self.translate(here)}

    def numbers(self, batch: Batch, draws: Draws) -> Mapping[str, torch.Tensor]:
        """How far it is from the truth, either way, where that is known; and how far from where it began."""
        a, b, truth = batch.data, batch.more["b"], self.truth(batch)
        there, here = self.translate(a), self.translate(b, back=True)
        found = {
            "cycle": absolute(self.translate(there, back=True), a),
            "back-cycle": absolute(self.translate(here), b),
        }
        if truth is None:
            return found
        of_back = told(self.translate(truth, back=True), a)
        return {**told(there, truth), **{f"back-{name}": value for name, value in of_back.items()}, **found}
