"""Two heaps of pictures without pairs: each place of the output answers to its place of the input (CUT)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from gansmith.draws import use
from gansmith.games.game import Move, Outcome, Turn
from gansmith.games.synthesis import Lazy
from gansmith.games.translation import Translating
from gansmith.losses.adversarial import AdversarialLoss
from gansmith.losses.correspondence import matched, normalised, patch_nce, sampled
from gansmith.networks.head import Places


class Correspondence(Translating):
    """One generator, whose first half is also the eye by which places of input and output are compared.

    L_G = L_adv(D(G(a))) + λ_X PatchNCE(G(a), a) + λ_Y PatchNCE(G(b), b).
    Park et al., 2020, Sections 3.1 to 3.3 (arXiv:2007.15651). Where input and output differ in channels, the output is
    looked at by its mean over them.

    Args:
        generator: pictures of A → of B, with `both`, `features` and `feature_widths` (`translator` has them).
        discriminator: of B.
        loss: the adversarial loss.
        penalties: on the discriminator's gradient.
        shape: of the examples.
        nce: λ_X.
        identity: λ_Y; 0 leaves it out.
        adversarial: factor of the generator's adversarial term.
        temperature: τ.
        patches: places sampled at each depth.
        width: dimensions of an embedding.
        flipped: half of the inputs are flipped on their way into the generator, and their features flipped back.
    """

    generator: Any

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        loss: AdversarialLoss,
        penalties: Mapping[str, Lazy] | None = None,
        shape: Sequence[int],
        nce: float = 1.0,
        identity: float = 1.0,
        adversarial: float = 1.0,
        temperature: float = 0.07,
        patches: int = 256,
        width: int = 256,
        flipped: bool = False,
    ) -> None:
        super().__init__(loss, penalties)
        widths = getattr(generator, "feature_widths", None)
        if widths is None:
            raise ValueError("the generator gives no features to compare; `translator` does")
        if temperature <= 0 or patches < 2 or min(nce, identity, adversarial) < 0:
            raise ValueError("temperature must be above 0, patches 2 or more, and no weight below 0")
        self.generator, self.discriminator, self.channels = generator, discriminator, shape[0]
        self.projector = Places(widths, width)
        self.nce, self.identity, self.adversarial = nce, identity, adversarial
        self.temperature, self.patches, self.flipped = temperature, patches, flipped
        self.coupled = self.mixes(generator, discriminator)

    def moves(self) -> Sequence[Move]:
        """The generator's with its projector, and the discriminator's."""
        return (
            Move("generator", ("generator", "projector"), fresh=True),
            Move("discriminator", ("discriminator",)),
        )

    def generator_loss(self, turn: Turn) -> Outcome:
        """Fool the discriminator; and each place of the output is to be known again by its place of the input."""
        a, b = self.sides(turn.batch)
        with use(turn.draws):
            made, term = self._compared(turn, a, "x", self.nce)
            terms = {"adversarial": self.adversarial * self.fooled(self.discriminator, made, b), "nce": term}
            if self.identity:
                terms["identity"] = self._compared(turn, matched(b, self.channels), "y", self.identity)[1]
        return Outcome(terms, shared={"fake": made.detach()})

    def _compared(self, turn: Turn, x: torch.Tensor, name: str, weight: float) -> tuple[torch.Tensor, torch.Tensor]:
        """The output of a picture, and the weighted PatchNCE of the two, a mean over depths."""
        x = x.to(next(self.generator.parameters()).dtype)
        turned = (turn.draws.uniform("flipped") < 0.5).view(-1, 1, 1, 1) if self.flipped else None

        def flip(z: torch.Tensor) -> torch.Tensor:
            return z if turned is None else torch.where(turned, z.flip(3), z)

        made, keys = self.generator.both(flip(x))
        queries = self.generator.features(matched(made, self.channels))
        if turned is not None:
            with torch.no_grad():  # the keys are of the picture as it is
                keys = self.generator.features(x)
            queries = [flip(each) for each in queries]
        chosen: list[tuple[torch.Tensor, torch.Tensor]] = []
        for i, (query, key) in enumerate(zip(queries, keys, strict=True)):
            places = query.shape[2] * query.shape[3]
            # In the order of uniform numbers, so that none is drawn twice: its twin would be a false stranger.
            at = turn.draws.uniform(f"places {name} {i}", places).argsort(1)[:, : self.patches]
            chosen.append((sampled(query, at), sampled(key.detach(), at)))
        of_queries = self.projector([query for query, _ in chosen])
        with torch.no_grad():
            of_keys = self.projector([key for _, key in chosen])
        each = [
            patch_nce(normalised(query), normalised(key), self.temperature)
            for query, key in zip(of_queries, of_keys, strict=True)
        ]
        return made, weight * torch.stack(each).mean(0)

    def discriminator_loss(self, turn: Turn) -> Outcome:
        """Tell pictures of B from what was made of A."""
        a, b = self.sides(turn.batch)
        fake = self.handed(turn, "fake", self.generator, a)
        terms, watched = self.told_apart(self.discriminator, turn, b, fake)
        return Outcome(terms, watched=watched)
