"""Noise in, data out: the usual GAN (Goodfellow et al., 2014), for any pair of networks and any loss."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import nn

from gansmith.augmentations import adaptive as adapting
from gansmith.augmentations.geometry import jitter
from gansmith.draws import Draws, use
from gansmith.games.game import Game, Move, Outcome, Turn
from gansmith.losses.adversarial import AdversarialLoss
from gansmith.losses.penalties import Penalty
from gansmith.losses.regularizers import Look, Regularizer
from gansmith.networks.layers import Critic, couples, judge, read, run, still
from gansmith.schedule import Adaptive

Augment = Callable[[torch.Tensor, Draws, Mapping[str, float | torch.Tensor]], torch.Tensor]
"""Examples [B, …], draws and knobs → augmented examples [B, …], differentiable twice."""


class Lazy(NamedTuple):
    """A penalty of either kind, and how seldom it is applied."""

    penalty: Penalty | Regularizer
    every: int = 1


class Verdict(NamedTuple):
    """What the discriminator says of examples: logits [B], and its features [B, F] where a game has heads on them."""

    logits: torch.Tensor
    features: torch.Tensor | None = None

    def halves(self) -> tuple[Verdict, Verdict]:
        """Of the first half of the examples, and of the second."""
        parts = [(None, None) if part is None else part.chunk(2) for part in self]
        one, other = zip(*parts, strict=True)
        return Verdict(*one), Verdict(*other)


class Synthesis(Game):
    """A generator against a discriminator.

    Args:
        generator: (noise [B, noise], labels) → data.
        discriminator: (data, labels) → logits [B].
        loss: the adversarial loss.
        penalties: on the discriminator's gradient, and regularizers of either side, by name; their weights are
            the knobs of the same names.
        noise: dimensions of the latent vector.
        discriminator_steps: discriminator moves for each generator move.
        generator_steps: generator moves of a round.
        shared_fakes: one set of fakes serves both sides of a round, so that the generator runs forward
            once (with one step of each side only); and a relativistic generator is compared with the
            real logits of the discriminator's step.
        joint_pass: real and fake examples go through the discriminator as one batch; None does so
            where it treats examples one by one.
        augment: what the discriminator sees real and fake examples through, in both moves; penalties
            differentiate with respect to the examples themselves, through it (Huang et al., 2024).
        adaptive: knobs of `augment` that follow the discriminator's verdict on real examples, each a state.
    """

    heads: tuple[str, ...] = ()
    """Networks that read the discriminator's features, and are trained with it; see `by_heads`."""

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        loss: AdversarialLoss,
        penalties: Mapping[str, Lazy] | None = None,
        noise: int = 64,
        discriminator_steps: int = 1,
        generator_steps: int = 1,
        shared_fakes: bool = True,
        joint_pass: bool | None = None,
        augment: Augment | None = None,
        adaptive: Mapping[str, Adaptive] | None = None,
    ) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        self.loss, self.noise = loss, noise
        self.penalties = dict(penalties or {})
        self.slopes = {k: v.penalty for k, v in self.penalties.items() if isinstance(v.penalty, Penalty)}
        self.regularizers = {k: v.penalty for k, v in self.penalties.items() if isinstance(v.penalty, Regularizer)}
        if generator_steps < 1:
            raise ValueError(f"generator_steps must be 1 or more, not {generator_steps}")
        self.discriminator_steps, self.generator_steps = discriminator_steps, generator_steps
        self.shared_fakes = shared_fakes and discriminator_steps == generator_steps == 1
        if loss.energy and not getattr(discriminator, "energy", False):
            raise ValueError(
                "this loss takes energies, low for what is real; a network that gives them is `autoencoder`"
            )
        if getattr(discriminator, "energy", False) and not loss.energy:
            raise ValueError("the discriminator gives energies, low for what is real; losses of them: boundary, energy")
        self._check_needs()
        mixes = loss.coupled or any(lazy.penalty.coupled for lazy in self.penalties.values())
        self.coupled = couples(generator) or couples(discriminator) or mixes
        self.joint_pass = not couples(discriminator) if joint_pass is None else joint_pass
        self.augment, self.adaptive = augment, dict(adaptive or {})

    def _check_needs(self) -> None:
        """Refuse a discriminator or a generator that does not offer what penalties and heads ask of it."""
        reading = [name for name, regularizer in self.regularizers.items() if regularizer.reads]
        critic = self.discriminator
        for name in (*reading, *self.heads):
            if not isinstance(critic, Critic):
                raise ValueError(f"{name} reads the discriminator's features, which this one does not offer")
        if self.heads and isinstance(critic, Critic):
            if critic.told:
                raise ValueError(
                    "the discriminator is told the classes with its input, so its features betray them; "
                    "write `classes: 0` for it, or take one that is told by projection"
                )
            if getattr(critic, "pack", 1) > 1 or getattr(critic, "energy", False):
                raise ValueError("a head wants the features of one example, of which the discriminator makes its logit")
        self.feature_width = int(getattr(critic, "feature_width", 0))
        for name, regularizer in self.regularizers.items():
            for need in regularizer.needs:
                network, _, method = need.partition(".")
                if not hasattr(getattr(self, network), method):
                    raise ValueError(f"{name} needs a {network} with {method}(…), which this one does not offer")

    def moves(self) -> Sequence[Move]:
        """The discriminator's move, so many times, and then the generator's likewise."""
        return (
            Move("discriminator", ("discriminator", *self.heads), steps=self.discriminator_steps, fresh=True),
            Move("generator", ("generator",), steps=self.generator_steps),
        )

    def variant(self, move: str, step: int) -> Hashable:
        """The penalties that are due at this step."""
        return self.due(move, step)

    def due(self, move: str, step: int) -> tuple[str, ...]:
        """The penalties of a move that are due at a step of it."""
        each = self.penalties.items()
        return tuple(name for name, lazy in each if lazy.penalty.side == move and step % lazy.every == 0)

    def states(self) -> dict[str, tuple[torch.Tensor, Literal["mean", "sum", "same"]]]:
        """What regularizers remember, by `name/state`; and probabilities that adapt."""
        held = {f"{name}/{key}": first for name, one in self.regularizers.items() for key, first in one.states.items()}
        for name, rule in self.adaptive.items():
            held |= adapting.states(name, rule)
        return held

    def latents(self, turn: Turn) -> torch.Tensor:
        """The noise [B, noise] of this move's fakes: one set a round where they are shared."""
        return self._drawn(turn).normal("noise", self.noise)

    def fakes(self, turn: Turn, noise: torch.Tensor | None = None) -> torch.Tensor:
        """The generator's fakes for this move, of its own noise or of another."""
        noise = self.latents(turn) if noise is None else noise
        with use(self._drawn(turn)):
            return run(self.generator, noise, turn.batch.labels)

    def _drawn(self, turn: Turn) -> Draws:
        return turn.draws.under("fakes") if self.shared_fakes else turn.draws

    def discriminator_loss(self, turn: Turn) -> Outcome:
        """The adversarial loss of real against fake, and the penalties that are due."""
        made = self.fakes(turn)
        outcome = self.told_apart(turn, made.detach())
        return replace(outcome, shared={**outcome.shared, "fake": made} if self.shared_fakes else {})

    def told_apart(self, turn: Turn, fake: torch.Tensor) -> Outcome:
        """The discriminator's terms on these fakes."""
        of_real, of_fake, gradients = self._judge(turn, turn.batch.data, fake)
        on_real, on_fake = of_real.logits, of_fake.logits
        terms = {"adversarial": self.adversarial(turn, on_real, on_fake)}
        terms |= self.by_heads("discriminator", turn, fake, of_real, of_fake)
        for name, gradient in gradients.items():
            terms[name] = self._weighted(turn, name, self.slopes[name].value(gradient))
        added, state = self.regularized("discriminator", turn, fake, on_real, on_fake)
        shared = {"on_real": on_real.detach()}
        # Who watches wants to see how real each is held.
        sign = -1 if self.loss.energy else 1
        watched = {"on_real": sign * on_real.detach(), "on_fake": sign * on_fake.detach()}
        if self.adaptive:
            verdict = self.loss.verdict(on_real, on_fake).detach()
            watched["sign"] = verdict.sign()
            for name, rule in self.adaptive.items():
                state |= adapting.moved(name, rule, turn.state, verdict, turn.draws.total)
        return Outcome({**terms, **added}, state=state, shared=shared, watched=watched)

    def adversarial(self, turn: Turn, on_real: torch.Tensor, on_fake: torch.Tensor) -> torch.Tensor:
        """The discriminator's adversarial term, [B]."""
        return self.loss.discriminator(on_real, on_fake)

    def made(self, turn: Turn) -> torch.Tensor:
        """The fakes of the generator's move, with their graph."""
        if "fake" in turn.shared:
            return turn.shared["fake"]
        if self.shared_fakes:  # the discriminator's fakes once more, whose graph could not be kept
            with still():
                return self.fakes(turn)
        return self.fakes(turn)

    def generator_loss(self, turn: Turn) -> Outcome:
        """The adversarial loss of fakes that the discriminator judges anew, augmented anew."""
        fake, labels = self.made(turn), turn.batch.labels
        of_fake = self.judged(self._seen(turn, fake, "fake"), labels)
        on_fake = of_fake.logits
        # Logits on real examples that the discriminator's step has left hold as they are: they are of reals
        # that were augmented by the same probability, and independently of these fakes, as fresh ones would be.
        on_real = turn.shared.get("on_real")
        if on_real is None:
            on_real = torch.zeros_like(on_fake)
            if self.loss.relativistic:
                with torch.no_grad():
                    on_real = self.judged(self._seen(turn, turn.batch.data, "real"), labels).logits
        terms = {"adversarial": self.loss.generator(on_real, on_fake)}
        terms |= self.by_heads("generator", turn, fake, None, of_fake)
        added, state = self.regularized("generator", turn, fake, on_real, on_fake)
        return Outcome({**terms, **added}, state=state)

    def judged(self, seen: torch.Tensor, labels: torch.Tensor | None) -> Verdict:
        """One pass of the discriminator, by its two halves where a game has heads: of features no label knows."""
        if not self.heads:
            return Verdict(run(self.discriminator, seen, labels, logits=True))
        features = read(self.discriminator, seen)
        return Verdict(judge(self.discriminator, features, labels), features)

    def by_heads(
        self, move: str, turn: Turn, fake: torch.Tensor, of_real: Verdict | None, of_fake: Verdict
    ) -> dict[str, torch.Tensor]:
        """What a game's heads add to a move's terms, or put in the place of one; the generator's judges no reals."""
        return {}

    def regularized(
        self, move: str, turn: Turn, fake: torch.Tensor, on_real: torch.Tensor, on_fake: torch.Tensor
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """What the regularizers that are due add to a move's terms, and their new states."""
        due, labels = self.due(move, turn.step), turn.batch.labels
        terms: dict[str, torch.Tensor] = {}
        states: dict[str, torch.Tensor] = {}
        for name, regularizer in self.regularizers.items():
            if name in due:
                draws = turn.draws.under(f"{turn.draws.prefix}/{name}")
                look = Look(
                    turn.batch.data, fake, on_real, on_fake, self.latents(turn), labels, draws=draws,
                    state={key: turn.state[f"{name}/{key}"] for key in regularizer.states},
                    generator=self.generator, discriminator=self.discriminator,
                    seen=lambda points, purpose, name=name: self._seen(turn, points, f"{name} {purpose}"),
                    judge=partial(self._judged, turn, name),
                    moved=partial(_moved, draws),
                    features=lambda points: read(self.discriminator, points, labels),
                    make=partial(self.fakes, turn),
                )  # fmt: skip
                value, state = regularizer.value(look)
                terms[name] = self._weighted(turn, name, value)
                states |= {f"{name}/{key}": new for key, new in state.items()}
        return terms, states

    def _weighted(self, turn: Turn, name: str, value: torch.Tensor) -> torch.Tensor:
        return turn.knobs[name] * self.penalties[name].every * value

    def _judged(self, turn: Turn, name: str, points: torch.Tensor, purpose: str) -> torch.Tensor:
        return self.judged(self._seen(turn, points, f"{name} {purpose}"), turn.batch.labels).logits

    def _judge(
        self, turn: Turn, real: torch.Tensor, fake: torch.Tensor
    ) -> tuple[Verdict, Verdict, dict[str, torch.Tensor]]:
        """Verdicts on real and fake, and the gradient that each due penalty asks for."""
        labels, due = turn.batch.labels, self.due("discriminator", turn.step)
        at = {name: penalty.at for name, penalty in self.slopes.items() if name in due}
        on_ends = {end for end in at.values() if isinstance(end, str)}
        gradients: dict[str, torch.Tensor] = {}
        if self.joint_pass and len(on_ends) != 1:
            both = torch.cat([real.to(fake.dtype), fake])
            doubled = None if labels is None else torch.cat([labels, labels])
            whole, slope = self._slope(turn, both, doubled, bool(on_ends), "real", "fake")
            of_real, of_fake = whole.halves()
            slopes: dict[str, torch.Tensor] = {}
            if on_ends:
                slopes["real"], slopes["fake"] = slope.chunk(2)
        else:  # one end alone is cheaper by itself: the other needs no second derivative
            of_real, slope_real = self._slope(turn, real, labels, "real" in on_ends, "real")
            of_fake, slope_fake = self._slope(turn, fake, labels, "fake" in on_ends, "fake")
            slopes = {"real": slope_real, "fake": slope_fake}
        for name, place in at.items():
            if isinstance(place, str):
                gradients[name] = slopes[place]
            else:
                points = place(real, fake.to(real.dtype), turn.draws)
                gradients[name] = self._slope(turn, points, labels, True, name)[1]
        return of_real, of_fake, gradients

    def _slope(
        self, turn: Turn, points: torch.Tensor, labels: torch.Tensor | None, wanted: bool, *ends: str
    ) -> tuple[Verdict, torch.Tensor]:
        """The verdict on points, and the logits' gradient there, differentiable once more, where it is wanted."""
        if not wanted:
            return self.judged(self._seen(turn, points, *ends), labels), points
        # Points that carry a graph get a name of their own: weights may depend on them too, but not the slope.
        points = points.view_as(points) if points.requires_grad else points.detach().requires_grad_()
        verdict = self.judged(self._seen(turn, points, *ends), labels)
        (slope,) = torch.autograd.grad(verdict.logits.sum(), points, create_graph=True)
        if len(verdict.logits) < len(points):  # neighbours judged as one: of such a point the slope is of all together
            number, size = len(verdict.logits), len(points) // len(verdict.logits)
            slope = slope[: size * number].unflatten(0, (number, size))
        return verdict, slope

    def _seen(self, turn: Turn, points: torch.Tensor, *ends: str) -> torch.Tensor:
        """What the discriminator sees of points: each end (an equal part of them) augmented by draws of its own."""
        if self.augment is None:
            return points
        parts = zip(ends, points.chunk(len(ends)), strict=True)
        draws = turn.draws
        seen = [self.augment(part, draws.under(f"{draws.prefix}/augment {end}"), turn.knobs) for end, part in parts]
        return torch.cat(seen) if len(seen) > 1 else seen[0]

    def generate(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Fakes of noise."""
        return run(self.generator, noise, labels)

    def truncated(self, noise: torch.Tensor, labels: torch.Tensor | None, psi: float) -> torch.Tensor:
        """Fakes nearer to the middle: as the generator's own method `truncated` has it, or of scaled noise."""
        own = getattr(self.generator, "truncated", None)
        if own is None:
            return super().truncated(noise, labels, psi)
        return own(noise.to(next(self.generator.parameters(), noise).dtype), labels, psi)


def _moved(draws: Draws, points: torch.Tensor, purpose: str, shift: float, flip: bool) -> torch.Tensor:
    return jitter(points, draws.under(f"{draws.prefix}/{purpose}"), shift, flip)
