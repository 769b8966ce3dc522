"""Small pictures into large ones: first for likeness alone, then against a discriminator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import nn

from gansmith.augmentations import degradation as degradations
from gansmith.data.dataset import Batch
from gansmith.draws import Draws
from gansmith.games.game import Game, Move, Outcome, Turn
from gansmith.losses.adversarial import AdversarialLoss
from gansmith.losses.brightness import luma
from gansmith.losses.likeness import psnr, ssim
from gansmith.losses.perceptual import URL, VARIABLE, Perceptual, at_hand
from gansmith.networks.layers import Critic, couples, judge, read, run, still, wide

Degrade = Callable[[torch.Tensor, Draws], torch.Tensor]


class Superresolution(Game):
    """A generator that enlarges pictures, trained on patches that are made small on the way.

    Without a discriminator it is the first stage, L_G = a |G(x↓) − x| (SRResNet; Ledig et al., 2017,
    arXiv:1609.04802; L1 as in Lim et al., 2017, arXiv:1707.02921). With one, L_G = a |G(x↓) − x| + p · perceptual +
    g · adversarial (Wang et al., 2018, ESRGAN, Section 3.2, arXiv:1809.00219), best begun from a run of the first
    (`--from`). Pixels count from 0 to 1 in the content term.

    Args:
        generator: small pictures [B, C, h, w] → large ones; it knows its `scale`.
        discriminator: of large pictures; None is the first stage.
        loss: the adversarial loss; the logits of the other kind are taken anew where it compares them.
        shape: (C, H, W) of the large patches.
        content: `l1` or `l2`.
        weight: a, of the content term.
        adversarial: g.
        perceptual: p: how far features are apart, by their mean absolute difference. They are VGG-19's last ones, where
            its weights are at hand, and otherwise the discriminator's own.
        features: `vgg19` or `discriminator` for the one or the other; None is as above.
        degradation: how a patch is made small: `bicubic`, or `real` (Real-ESRGAN), or a mapping with its `name` and its
            settings.
        turns: turn and mirror the patches, each by one of the eight symmetries of a square, at random.
        crop: pixels at each edge that the scores leave out; None is the scale.
    """

    use = "upscale PICTURES --run RUN"
    better: Mapping[str, Literal["lower", "higher"]] = MappingProxyType({"psnr": "higher", "ssim": "higher"})

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module | None = None,
        *,
        loss: AdversarialLoss,
        shape: Sequence[int],
        content: Literal["l1", "l2"] = "l1",
        weight: float = 1.0,
        adversarial: float = 5e-3,
        perceptual: float = 1.0,
        features: Literal["vgg19", "discriminator"] | None = None,
        degradation: str | Mapping[str, Any] = "bicubic",
        turns: bool = True,
        crop: int | None = None,
    ) -> None:
        super().__init__()
        scale = getattr(generator, "scale", None)
        if scale is None:
            raise ValueError("the generator does not say its scale; networks that enlarge are srresnet and rrdb")
        if content not in ("l1", "l2"):
            raise ValueError(f"content must be l1 or l2, not {content!r}")
        self.generator, self.discriminator, self.loss = generator, discriminator, loss
        self.scale, self.content, self.weight = int(scale), content, weight
        self.adversarial, self.perceptual = adversarial, perceptual
        self.turns = turns and shape[1] == shape[2]
        self.crop = self.scale if crop is None else crop
        self.degrade: Degrade = degradations.degradation(degradation, self.scale)
        self.coupled = couples(generator)
        self.sees: Perceptual | None = None
        if discriminator is None:
            return
        self.coupled = self.coupled or couples(discriminator) or loss.coupled
        if perceptual:
            self.sees = None if features == "discriminator" else at_hand()
            if features == "vgg19" and self.sees is None:
                raise ValueError(f"features: no weights of VGG-19 are at hand; let {VARIABLE} say where {URL} lies")
            if self.sees is None and not isinstance(discriminator, Critic):
                raise ValueError("no weights of VGG-19 are at hand, and the discriminator offers no features")
            own = "the discriminator's own features, as no weights of VGG-19 are at hand"
            self.notes = (f"perceptual: {own if self.sees is None else self.sees.note}",)

    def moves(self) -> Sequence[Move]:
        """The generator's alone, or the usual two."""
        if self.discriminator is None:
            return (Move("generator", ("generator",), fresh=True),)
        return super().moves()

    def pair(self, turn: Turn) -> tuple[torch.Tensor, torch.Tensor]:
        """Small and large pictures of this round, the same in both moves."""
        draws = turn.draws.under("pair")
        high = turned(turn.batch.data, draws) if self.turns else turn.batch.data
        return self.degrade(high, draws), high

    def discriminator_loss(self, turn: Turn) -> Outcome:
        """The adversarial loss of real against enlarged pictures."""
        assert self.discriminator is not None
        low, high = self.pair(turn)
        with torch.no_grad():
            fake = run(self.generator, low)
        on_real, on_fake = (run(self.discriminator, each, logits=True) for each in (high, fake))
        watched = {"on_real": on_real.detach(), "on_fake": on_fake.detach()}
        return Outcome({"adversarial": self.loss.discriminator(on_real, on_fake)}, watched=watched)

    def generator_loss(self, turn: Turn) -> Outcome:
        """Likeness, and where there is a discriminator, its features' and its verdict."""
        low, high = self.pair(turn)
        made = wide(run(self.generator, low))
        apart = 0.5 * (made - high).flatten(1)
        terms = {"content": self.weight * (apart.abs() if self.content == "l1" else apart.square()).mean(1)}
        if self.discriminator is not None:
            terms |= self._against(self.discriminator, made, high)
        return Outcome(terms)

    def _against(self, critic: nn.Module, made: torch.Tensor, high: torch.Tensor) -> dict[str, torch.Tensor]:
        """The perceptual and the adversarial term of the generator."""
        terms: dict[str, torch.Tensor] = {}
        if self.perceptual and self.sees is None:
            with torch.no_grad(), still():
                truth = read(critic, high)
                on_real = judge(critic, truth)
            seen = read(critic, made)
            terms["perceptual"] = self.perceptual * wide((seen - truth).abs()).mean(1)
            on_fake = judge(critic, seen)
        else:
            with torch.no_grad(), still():
                on_real = run(critic, high, logits=True)
            on_fake = run(critic, made, logits=True)
            if self.sees is not None:
                terms["perceptual"] = self.perceptual * self.sees(made, high)
        return {**terms, "adversarial": self.adversarial * self.loss.generator(on_real, on_fake)}

    def pictures(self, batch: Batch, draws: Draws) -> dict[str, torch.Tensor]:
        """What was small, what was made of it, and the truth."""
        low = self.degrade(batch.data, draws.under("pair"))
        return {"low": low, "output": wide(run(self.generator, low)).clamp(-1, 1), "truth": batch.data}

    def numbers(self, batch: Batch, draws: Draws) -> dict[str, torch.Tensor]:
        """PSNR and SSIM of the luma, without the edges."""
        seen = self.pictures(batch, draws)
        made, truth = (F.pad(luma(seen[k].double()), [-self.crop] * 4) for k in ("output", "truth"))
        return {"psnr": psnr(made, truth), "ssim": ssim(made, truth)}


def turned(x: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Each square picture as it is, or in one of its seven other positions, all equally often."""
    for name, move in (("across", lambda x: x.flip(3)), ("down", lambda x: x.flip(2)), ("over", lambda x: x.mT)):
        x = torch.where((draws.uniform(name) < 0.5).view(-1, 1, 1, 1), move(x), x)
    return x
