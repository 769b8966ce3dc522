"""A picture in, a picture out: pix2pix (Isola et al., 2017), and what all translations have in common."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Literal

import torch
from torch import nn

from gansmith.data.dataset import Batch
from gansmith.draws import Draws, use
from gansmith.errors import Refused
from gansmith.games.game import Game, Move, Outcome, Turn
from gansmith.games.synthesis import Lazy
from gansmith.losses.adversarial import AdversarialLoss
from gansmith.losses.likeness import told
from gansmith.losses.penalties import Penalty
from gansmith.networks.layers import couples, fixed, run, still


def by_example(values: torch.Tensor) -> torch.Tensor:
    """The mean over patches, [B, P] → [B]; [B] as it is."""
    return values if values.dim() == 1 else values.flatten(1).mean(1)


def distance(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The mean absolute difference of pictures in [-1, 1], [B, C, H, W] → [B]."""
    return (x.to(y.dtype) - y).abs().flatten(1).mean(1)


class Translating(Game):
    """What games from pictures to pictures share: examples are the input, and `b` lies beside them.

    A discriminator's loss is taken at each patch, and averaged over the patches of an example; a penalty is on the
    slope of the patches' mean logit, so that it weighs the same at any size.

    Args:
        loss: the adversarial loss.
        penalties: on the discriminators' gradient, by name; their weights are the knobs of the same names.
    """

    use = "translate PICTURES --run RUN"
    better: Mapping[str, Literal["lower", "higher"]] = {"l1": "lower", "psnr": "higher", "ssim": "higher"}
    two_ways = False
    """Whether it translates back as well."""

    def __init__(self, loss: AdversarialLoss, penalties: Mapping[str, Lazy] | None) -> None:
        super().__init__()
        self.loss, self.penalties = loss, dict(penalties or {})
        self.slopes: dict[str, Penalty] = {}
        if loss.energy:
            raise ValueError("this loss takes energies, and the discriminators of a translation give logits")
        for name, lazy in self.penalties.items():
            if not isinstance(lazy.penalty, Penalty):
                raise ValueError(f"a translation takes penalties on a gradient, such as r1 and r2, and not {name}")
            self.slopes[name] = lazy.penalty

    def mixes(self, *networks: nn.Module) -> bool:
        """Whether anything here mixes the examples of a batch."""
        return self.loss.coupled or any(map(couples, networks)) or any(one.coupled for one in self.slopes.values())

    def moves(self) -> Sequence[Move]:
        """The generator's, whose fakes the discriminator's judges: so that each is made once."""
        return (Move("generator", ("generator",), fresh=True), Move("discriminator", ("discriminator",)))

    def variant(self, move: str, step: int) -> Hashable:
        """The penalties that are due at this step."""
        return self.due(step) if move == "discriminator" else ()

    def due(self, step: int) -> tuple[str, ...]:
        """The penalties that are due at a step of the discriminator's."""
        return tuple(name for name, lazy in self.penalties.items() if step % lazy.every == 0)

    def sides(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """The examples, and the pictures of the other side.

        Raises:
            Refused: the data have one side only.
        """
        if "b" not in batch.more:
            raise Refused(
                "a translation is of two sides, and the data have one",
                "--derive edges, grey, blur or mask makes another.",
            )
        return batch.data, batch.more["b"]

    def handed(self, turn: Turn, name: str, network: nn.Module, given: torch.Tensor) -> torch.Tensor:
        """The fakes that the generator's move has handed on, or new ones where this move is played alone."""
        if name in turn.shared:
            return turn.shared[name]
        with torch.no_grad(), still(), use(turn.draws):
            return run(network, given).to(given.dtype)

    def judged(self, network: nn.Module, pictures: torch.Tensor, given: torch.Tensor | None) -> torch.Tensor:
        """The logits of patches; a conditional discriminator is given what the pictures were made of."""
        return run(network, pictures, given, logits=True)

    def fooled(
        self, network: nn.Module, fake: torch.Tensor, real: torch.Tensor, given: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The generator's adversarial term, [B]."""
        with fixed(network):
            on_fake = self.judged(network, fake, given)
        on_real = torch.zeros_like(on_fake)
        if self.loss.relativistic:
            with torch.no_grad():
                on_real = self.judged(network, real, given)
        return by_example(self.loss.generator(on_real, on_fake))

    def told_apart(
        self, network: nn.Module, turn: Turn, real: torch.Tensor, fake: torch.Tensor, given: torch.Tensor | None = None
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """The terms of a discriminator on real and fake pictures, [B] each, and its logits of patches for the watch."""
        due, fake = self.due(turn.step), fake.to(real.dtype)
        at = {name: self.slopes[name].at for name in due}
        ends = {end for end in at.values() if isinstance(end, str)}
        slopes: dict[str, torch.Tensor] = {}
        if len(ends) == 1 or couples(network):  # one end alone needs no second derivative at the other
            on_real, slopes["real"] = self._slope(network, real, given, "real" in ends)
            on_fake, slopes["fake"] = self._slope(network, fake, given, "fake" in ends)
        else:
            twice = None if given is None else torch.cat([given, given])
            on_both, slope = self._slope(network, torch.cat([real, fake]), twice, bool(ends))
            (on_real, on_fake), (slopes["real"], slopes["fake"]) = on_both.chunk(2), slope.chunk(2)
        terms = {"adversarial": by_example(self.loss.discriminator(on_real, on_fake))}
        for name, place in at.items():
            if not isinstance(place, str):
                slopes[name] = self._slope(network, place(real, fake, turn.draws), given, True)[1]
            slope = slopes[place if isinstance(place, str) else name]
            terms[name] = turn.knobs[name] * self.penalties[name].every * self.slopes[name].value(slope)
        return terms, {"on_real": on_real.detach(), "on_fake": on_fake.detach()}

    def _slope(
        self, network: nn.Module, points: torch.Tensor, given: torch.Tensor | None, wanted: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits, and where it is wanted the gradient of their mean over patches, differentiable once more."""
        if not wanted:
            return self.judged(network, points, given), points
        points = points.detach().requires_grad_()
        logits = self.judged(network, points, given)
        (slope,) = torch.autograd.grad(by_example(logits).sum(), points, create_graph=True)
        return logits, slope

    def translate(self, pictures: torch.Tensor, back: bool = False) -> torch.Tensor:
        """What the trained game makes of pictures in [-1, 1], [B, C, H, W] → [B, C', H, W].

        Raises:
            ValueError: it was not trained to go back.
        """
        if back and not self.two_ways:
            raise ValueError("was trained to translate one way only")
        network = self.get_submodule("back" if back else "generator")
        return run(network, pictures).to(pictures.dtype)

    def pictures(self, batch: Batch, draws: Draws) -> Mapping[str, torch.Tensor]:
        """Input, output, and the truth where it is known."""
        shown = {"input": batch.data, "output": self.translate(batch.data)}
        truth = self.truth(batch)
        return shown if truth is None else {**shown, "truth": truth}

    def numbers(self, batch: Batch, draws: Draws) -> Mapping[str, torch.Tensor]:
        """How far the output is from the truth, [B] each; of examples whose truth is known."""
        truth = self.truth(batch)
        return {} if truth is None else told(self.translate(batch.data), truth)

    def truth(self, batch: Batch) -> torch.Tensor | None:
        """The other half of each pair, which a training without pairs has for examples held out, at most."""
        return batch.more.get("truth")


class Translation(Translating):
    """Pairs of pictures: the generator is to fool a discriminator that sees the input too, and to be near the truth.

    L_D = L_adv(D(x, y), D(x, G(x))),  L_G = L_adv + λ ‖y − G(x)‖₁ as a mean over pixels.
    Isola et al., 2017, Section 3.1 (arXiv:1611.07004).

    Args:
        generator: picture → picture.
        discriminator: of a picture, and of the input where it is `conditional`.
        loss: the adversarial loss.
        penalties: on the discriminator's gradient with respect to the output.
        l1: λ; 0 leaves the term out.
        adversarial: factor of the generator's adversarial term; 0 leaves it out, and the discriminator with it.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        loss: AdversarialLoss,
        penalties: Mapping[str, Lazy] | None = None,
        l1: float = 100.0,
        adversarial: float = 1.0,
    ) -> None:
        super().__init__(loss, penalties)
        if l1 < 0 or adversarial < 0 or l1 + adversarial == 0:
            raise ValueError(f"l1 and adversarial: weights from 0, and not both 0, not {l1} and {adversarial}")
        self.generator, self.discriminator = generator, discriminator
        self.l1, self.adversarial = l1, adversarial
        self.conditional = bool(getattr(discriminator, "conditional", False))
        self.coupled = self.mixes(generator, discriminator)

    def moves(self) -> Sequence[Move]:
        """Without an adversarial term there is nothing to discriminate for."""
        return super().moves() if self.adversarial else super().moves()[:1]

    def generator_loss(self, turn: Turn) -> Outcome:
        """Fool the discriminator, near the truth."""
        given, real = self.sides(turn.batch)
        with use(turn.draws):
            fake = run(self.generator, given)
        terms = {}
        if self.adversarial:
            shown = given if self.conditional else None
            terms["adversarial"] = self.adversarial * self.fooled(self.discriminator, fake, real, shown)
        if self.l1:
            terms["l1"] = self.l1 * distance(fake, real)
        return Outcome(terms, shared={"fake": fake.detach()})

    def discriminator_loss(self, turn: Turn) -> Outcome:
        """Tell the output from the truth, by the input."""
        given, real = self.sides(turn.batch)
        fake = self.handed(turn, "fake", self.generator, given)
        terms, watched = self.told_apart(self.discriminator, turn, real, fake, given if self.conditional else None)
        return Outcome(terms, watched=watched)

    def truth(self, batch: Batch) -> torch.Tensor | None:
        """The other half of each pair."""
        return batch.more.get("b")
