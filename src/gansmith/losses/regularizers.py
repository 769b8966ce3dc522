"""Terms beside the adversarial loss that are no gradient of the discriminator at its input.

A regularizer belongs to one side's move and says what it is worth there, of whatever it wants of a `Look`. Each
function here gives a `Regularizer`; its name is its name among a recipe's `penalties`, with a weight and a laziness as
the gradient penalties of `penalties.py` have. Adding one is one function here and its test.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import nn

from gansmith import collectives
from gansmith.draws import Draws, use

State = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Look:
    """What a regularizer may look at: one move's examples, and the networks on them.

    Attributes:
        real: real examples [B, …].
        fake: fakes [B, …]; with their graph in the generator's move, without in the discriminator's.
        on_real, on_fake: logits [B] of both; on_real is zeros in the generator's move where its loss takes none.
        noise: what the fakes were made of, [B, noise].
        labels: int64 [B], or None.
        draws: the move's random numbers, under the regularizer's own name.
        state: the regularizer's own state.
        generator, discriminator: the networks, for what is in their weights or offered by their methods.
        seen: (examples, purpose) → what the discriminator sees of them: through the augmentation, whose numbers go by
            the purpose.
        judge: (examples, purpose) → logits [B] of what it sees.
        moved: (examples, purpose, shift, flip) → images mirrored at random, where `flip` says so, and shifted by up to
            `shift` of their sides; any other example with normal noise of deviation `shift`.
        features: examples → the discriminator's features [B, F], as they are.
        make: noise → fakes, by the draws of the move's own fakes.
    """

    real: torch.Tensor
    fake: torch.Tensor
    on_real: torch.Tensor
    on_fake: torch.Tensor
    noise: torch.Tensor
    labels: torch.Tensor | None
    draws: Draws
    state: State
    generator: nn.Module
    discriminator: nn.Module
    seen: Callable[[torch.Tensor, str], torch.Tensor]
    judge: Callable[[torch.Tensor, str], torch.Tensor]
    moved: Callable[[torch.Tensor, str, float, bool], torch.Tensor]
    features: Callable[[torch.Tensor], torch.Tensor]
    make: Callable[[torch.Tensor], torch.Tensor]


class Regularizer(NamedTuple):
    """Whose move a term joins, and what it is worth.

    Attributes:
        side: the move.
        value: look → [B], or a scalar where it couples the batch, before the recipe's weight; and new values of
            states.
        states: fixed-shape tensors that outlive a step: first value, and how ranks are brought together.
        coupled: whether the value mixes the examples of a batch (so that it cannot be split).
        reads: whether it asks for the discriminator's features, which not every network offers.
        needs: methods of the networks that it calls, as `generator.styles`.
    """

    side: Literal["discriminator", "generator"]
    value: Callable[[Look], tuple[torch.Tensor, State]]
    states: Mapping[str, tuple[torch.Tensor, Literal["mean", "sum", "same"]]] = {}
    coupled: bool = False
    reads: bool = False
    needs: tuple[str, ...] = ()


def drift() -> Regularizer:
    """The drift penalty, which keeps a critic's output near zero: D(x)².

    Karras et al., 2018, Appendix A.1, weight 0.001 (arXiv:1710.10196).
    """
    return Regularizer("discriminator", lambda look: (look.on_real.square(), {}))


def lecam(decay: float = 0.99) -> Regularizer:
    """LeCam's regularizer: logits are held to the other kind's average, (D(x) − α_F)² + (D(G(z)) − α_R)².

    α_R and α_F are exponential moving averages of the mean logits on real and fake examples, those of the steps
    before.
    Tseng et al., 2021, Equation 5 (arXiv:2104.03310).

    Args:
        decay: of the averages, a step.
    """
    if not 0 <= decay < 1:
        raise ValueError(f"decay must be in [0, 1), not {decay}")

    def value(look: Look) -> tuple[torch.Tensor, State]:
        held, logits = look.state, {"real": look.on_real, "fake": look.on_fake}
        moved = {of: held[of].lerp(on.detach().mean().to(held[of].dtype), 1 - decay) for of, on in logits.items()}
        return (look.on_real - held["fake"]).square() + (look.on_fake - held["real"]).square(), moved

    # Untrained logits are near 0, where the averages begin.
    return Regularizer("discriminator", value, {of: (torch.zeros(()), "mean") for of in ("real", "fake")})


def feature_matching() -> Regularizer:
    """Feature matching, the generator's: ‖E f(x) − E f(G(z))‖² of the discriminator's features f.

    Salimans et al., 2016, Section 3.1 (arXiv:1606.03498).
    """

    def value(look: Look) -> tuple[torch.Tensor, State]:
        with torch.no_grad():
            wanted = collectives.all_mean(look.features(look.real).mean(0))
        return (collectives.all_mean(look.features(look.fake).mean(0)) - wanted).square().sum(), {}

    return Regularizer("generator", value, coupled=True, reads=True)


def pulling_away() -> Regularizer:
    """The pulling-away term, the generator's: the mean of cos² between the features of two fakes.

    f_PT = 1 / (N (N − 1)) Σ_i Σ_{j≠i} (s_iᵀ s_j / (‖s_i‖ ‖s_j‖))², over the fakes of all ranks.
    Zhao et al., 2017, Energy-based Generative Adversarial Network, Section 2.4, weight 0.1 (arXiv:1609.03126).
    """

    def value(look: Look) -> tuple[torch.Tensor, State]:
        features = collectives.gather_rows(_wide(look.features(look.fake)))
        unit = features * (features.square().sum(1, keepdim=True) + 1e-12).rsqrt()
        cosines = unit @ unit.T
        others = 1 - torch.eye(len(unit), dtype=unit.dtype, device=unit.device)
        return (cosines * others).square().sum() / max(len(unit) * (len(unit) - 1), 1), {}

    return Regularizer("generator", value, coupled=True, reads=True)


# --- consistency: what is nearly the same is judged nearly the same ----------------------------------


def consistency(shift: float = 0.125, flip: bool = True) -> Regularizer:
    """CR: a real example is judged as it is when moved, (D(x) − D(T(x)))².

    T mirrors an image at random and shifts it, by up to 4 of 32 pixels in the paper.
    Zhang et al., 2020, Consistency Regularization for Generative Adversarial Networks, weight 10 (arXiv:1910.12027).

    Args:
        shift: how far an image is shifted at most, as a share of its sides; what is no image has noise added, of this
            deviation.
        flip: mirror images at random.
    """
    _checked("shift", shift)

    def value(look: Look) -> tuple[torch.Tensor, State]:
        moved = look.moved(look.real, "moved", shift, flip)
        return (look.on_real - look.judge(moved, "moved")).square(), {}

    return Regularizer("discriminator", value)


def balanced_consistency(real: float = 1.0, fake: float = 1.0, shift: float = 0.125, flip: bool = True) -> Regularizer:
    """bCR: as `consistency`, of fakes as well; a (D(x) − D(T(x)))² + b (D(G(z)) − D(T(G(z))))².

    Zhao et al., 2021, Improved Consistency Regularization for GANs, a and b of 10 (arXiv:2002.04724).

    Args:
        real: a.
        fake: b.
        shift: how far an image is shifted at most, as a share of its sides; what is no image has noise added, of this
            deviation.
        flip: mirror images at random.
    """
    _checked("shift", shift)

    def value(look: Look) -> tuple[torch.Tensor, State]:
        apart = []
        for kind, points, on in (("real", look.real, look.on_real), ("fake", look.fake, look.on_fake)):
            moved = look.moved(points, f"moved {kind}", shift, flip)
            apart.append((on - look.judge(moved, f"moved {kind}")).square())
        return real * apart[0] + fake * apart[1], {}

    return Regularizer("discriminator", value)


def latent_consistency(deviation: float = 0.03) -> Regularizer:
    """zCR, the discriminator's part: fakes of neighbouring noise are judged alike, (D(G(z)) − D(G(z + δ)))².

    Zhao et al., 2021 (arXiv:2002.04724). Together with `latent_diversity` and
    `balanced_consistency` it is ICR.

    Args:
        deviation: of δ, normal in each dimension.
    """
    _checked("deviation", deviation)

    def value(look: Look) -> tuple[torch.Tensor, State]:
        with torch.no_grad():
            near = look.make(_near(look, deviation))
        return (look.on_fake - look.judge(near, "near")).square(), {}

    return Regularizer("discriminator", value)


def latent_diversity(deviation: float = 0.03) -> Regularizer:
    """zCR, the generator's part: fakes of neighbouring noise shall differ, −‖G(z) − G(z + δ)‖².

    Zhao et al., 2021 (arXiv:2002.04724). It has no lower bound: a weight or a deviation that
    is too large makes it all that the generator minds.

    Args:
        deviation: of δ, normal in each dimension.
    """
    _checked("deviation", deviation)

    def value(look: Look) -> tuple[torch.Tensor, State]:
        return -_wide(look.fake - look.make(_near(look, deviation))).square().flatten(1).sum(1), {}

    return Regularizer("generator", value)


def _near(look: Look, deviation: float) -> torch.Tensor:
    return look.noise + deviation * look.draws.normal("near", *look.noise.shape[1:]).to(look.noise.dtype)


# --- the networks themselves --------------------------------------------------------------------------


def orthogonal(of: Literal["generator", "discriminator"] = "generator", plain: bool = False) -> Regularizer:
    """Orthogonal regularization: filters of a layer shall have nothing in common, ‖W Wᵀ ⊙ (1 − I)‖²_F over all layers.

    W has a row for each output; the lengths of rows are free, unless `plain`: ‖W Wᵀ − I‖²_F.
    Brock et al., 2019, Equations 3 and 2, weight 1e-4 (arXiv:1809.11096).

    Args:
        of: whose weights, and whose move.
        plain: rows shall be of length 1 as well.
    """
    if of not in ("generator", "discriminator"):
        raise ValueError(f"of is `generator` or `discriminator`, not {of!r}")

    def value(look: Look) -> tuple[torch.Tensor, State]:
        total = look.noise.new_zeros(())
        for weight in _matrices(look.generator if of == "generator" else look.discriminator):
            total = total + _overlap(weight, plain)
        return total, {}

    return Regularizer(of, value)


def _overlap(weight: torch.Tensor, plain: bool) -> torch.Tensor:
    rows, columns = weight.shape
    if rows > 2 * columns:
        # ‖W Wᵀ‖ = ‖Wᵀ W‖, which takes little room where rows are many (BigGAN-deep has 32,768 in a layer: 4 GB). So
        # many cannot be orthogonal, and the difference keeps its digits.
        lengths = weight.square().sum(1)
        return (weight.T @ weight).square().sum() - (2 * lengths.sum() - rows if plain else lengths.square().sum())
    gram = weight @ weight.T
    one = torch.eye(rows, dtype=gram.dtype, device=gram.device)
    return (gram - one if plain else gram * (1 - one)).square().sum()


def _matrices(network: nn.Module) -> Iterator[torch.Tensor]:
    """The weights of a network's linear layers and convolutions, [outputs, inputs · taps]; no embeddings."""
    for module in network.modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, torch.Tensor) and weight.dim() >= 2 and not isinstance(module, nn.Embedding):
            transposed = isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d)
            yield _wide((weight.transpose(0, 1) if transposed else weight).flatten(1))


def path_length(decay: float = 0.01, shrink: int = 1) -> Regularizer:
    """Path length regularization of a style-based generator: (‖J_wᵀ y‖ − a)², y an image of normal numbers.

    J_w is the fake's Jacobian with respect to its styles; ‖·‖² is the mean over layers of the sum over each style, y is
    divided by the root of the number of pixels, and a is the average of the lengths of the steps before.
    Karras et al., 2020, Section 3.2 and Appendix B; weight 2, lazily, in the authors' code (arXiv:1912.04958).

    Args:
        decay: share of a step's mean length in a.
        shrink: take each n-th example only.
    """
    if not 0 < decay <= 1:
        raise ValueError(f"decay must be in (0, 1], not {decay}")
    if shrink < 1:
        raise ValueError(f"shrink is a whole number from 1, not {shrink}")

    def value(look: Look) -> tuple[torch.Tensor, State]:
        dtype = next(look.generator.parameters()).dtype
        labels = None if look.labels is None else look.labels[::shrink]
        with use(look.draws):
            styles = look.generator.styles(look.noise[::shrink].to(dtype), labels)  # type: ignore[operator]
            made = look.generator.synthesis(styles)  # type: ignore[operator]
        probe = look.draws.normal("probe", *made.shape[1:])[::shrink] / math.sqrt(made[0, 0].numel())
        (slope,) = torch.autograd.grad((made * probe.to(made.dtype)).sum(), styles, create_graph=True)
        length = (_wide(slope).square().sum(2).mean(1) + 1e-12).sqrt()
        mean = look.state["mean"]
        moved = mean.lerp(length.detach().mean().to(mean.dtype), decay)
        return (length - mean).square(), {"mean": moved}

    states: Mapping[str, tuple[torch.Tensor, Literal["mean", "sum", "same"]]] = {"mean": (torch.zeros(()), "mean")}
    needs = ("generator.styles", "generator.synthesis")
    return Regularizer("generator", value, states, coupled=shrink > 1, needs=needs)


def reconstruction() -> Regularizer:
    """A discriminator that can draw real examples again knows them: the mean of |decoded − target|, over all decoders.

    Liu et al., 2021, Section 3, which takes a perceptual distance in the place of this one (arXiv:2101.04775). The
    discriminator offers `reconstructions(data)`, pairs of what it decodes and what it should.
    """

    def value(look: Look) -> tuple[torch.Tensor, State]:
        with use(look.draws):
            pairs = look.discriminator.reconstructions(look.seen(look.real, "real"))  # type: ignore[operator]
        return torch.stack([_wide(made - wanted).abs().flatten(1).mean(1) for made, wanted in pairs]).sum(0), {}

    return Regularizer("discriminator", value, needs=("discriminator.reconstructions",))


def _wide(x: torch.Tensor) -> torch.Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _checked(name: str, value: float) -> None:
    if value < 0:
        raise ValueError(f"{name} must not be negative, but is {value}")
