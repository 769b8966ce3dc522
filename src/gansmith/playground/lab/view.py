"""What the Lab's picture is drawn of, each part only where it is wanted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from statistics import NormalDist
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gansmith.engine.sampler import latents
from gansmith.games.synthesis import Synthesis
from gansmith.networks.layers import run, still
from gansmith.playground.lab.play import Play

PARTS = ("fakes", "surface", "warp", "arrows", "field", "network")
"""What can be switched."""

SHOWN, SURFACE, WARP, ARROWS, FIELD = 400, 48, 20, 72, 15
"""Points shown, cells of the surface's side and of the noise's, arrows on fakes, and arrows of the field's side."""

UNITS = 8
"""Units of a layer that the diagram shows at most."""

UNDECIDED = 64
"""Real and fake examples by which the middle of logits is found that have none."""


def window(data: NDArray[np.float32]) -> float:
    """Half the side of the square around the origin that shows the data and room for more."""
    return float(max(np.ceil(np.abs(data[:4000]).max() * 1.35 * 2) / 2, 0.5))


class View:
    """Pictures of one play.

    Args:
        play: whose.

    Attributes:
        half: half the side of the square that is shown.
        real: real examples to show, [N, 2].
    """

    def __init__(self, play: Play) -> None:
        self.play = play
        array = play.points
        self.half = window(array)
        self.real = array[:SHOWN]
        self.cells = _cells(SURFACE, self.half)
        self.lattice = _cells(FIELD, self.half)
        self.some_real = torch.from_numpy(array[:ARROWS])

    def arrays(self, wanted: Collection[str]) -> dict[str, NDArray[np.float32]]:
        """The parts that are wanted, by name."""
        game, size = self.play.player.game, self.play.settings.noise
        assert isinstance(game, Synthesis)
        out: dict[str, torch.Tensor] = {}
        with still():
            with torch.no_grad():
                made = game.generate(_latents(SHOWN, size))
                if "fakes" in wanted:
                    out["fakes"] = made
                if "warp" in wanted:
                    out["warp"] = game.generate(_grid(size))
                if "surface" in wanted:
                    out["surface"] = self._surface(game, made)
            for name, points in (("arrows", made[:ARROWS].detach()), ("field", self.lattice)):
                if name in wanted:
                    out[name] = self._pull(game, points)
            if "network" in wanted:
                out |= _flow(game, made[:UNDECIDED].detach(), _latents(UNDECIDED, size))
        return {name: np.nan_to_num(value.numpy(), nan=0.0, posinf=1e9, neginf=-1e9) for name, value in out.items()}

    def _surface(self, game: Synthesis, made: torch.Tensor) -> torch.Tensor:
        """How likely the discriminator holds a point for real, [cells], in (0, 1).

        Where only differences of its logits mean anything, the middle between real and fake is 1/2; and where they have
        no unit either, as a critic's, their spread is the scale.
        """
        logits = run(game.discriminator, self.cells, None, logits=True)
        if game.loss.undecided is not None:
            return torch.sigmoid(logits - game.loss.undecided)
        real = run(game.discriminator, self.some_real[:UNDECIDED], None, logits=True)
        fake = run(game.discriminator, made[:UNDECIDED], None, logits=True)
        middle, scale = (real.mean() + fake.mean()) / 2, torch.ones(())
        if not game.loss.relativistic:
            scale = torch.maximum((real.mean() - fake.mean()).abs(), torch.cat([real, fake]).std()).clamp_min(0.1)
        return torch.sigmoid(2 * (logits - middle) / scale)

    def _pull(self, game: Synthesis, points: torch.Tensor) -> torch.Tensor:
        """Where the generator's loss would have each point go: minus its gradient there, [N, 2]."""
        points = points.clone().requires_grad_()
        with torch.enable_grad():
            on_fake = run(game.discriminator, points, None, logits=True)
            count = -(-len(points) // len(self.some_real))
            with torch.no_grad():
                on_real = run(game.discriminator, self.some_real.repeat(count, 1)[: len(points)], None, logits=True)
            (slope,) = torch.autograd.grad(game.loss.generator(on_real, on_fake).sum(), points)
        return -slope


@lru_cache(maxsize=8)
def _cells(side: int, half: float) -> torch.Tensor:
    """Middles of the cells of a square, by rows from below, [side², 2]."""
    along = (torch.arange(side) + 0.5) / side * 2 * half - half
    y, x = torch.meshgrid(along, along, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1)


@lru_cache(maxsize=16)
def _latents(count: int, size: int) -> torch.Tensor:
    return torch.from_numpy(latents(count, size, 0))


@lru_cache(maxsize=16)
def _grid(size: int) -> torch.Tensor:
    """Noise at the corners of cells of equal probability in its first two dimensions, the others at their middle."""
    law = NormalDist()
    # Neither end of a normal law is finite: the outermost corners are those of all but a hundredth.
    along = torch.tensor([law.inv_cdf(min(max(i / WARP, 0.005), 0.995)) for i in range(WARP + 1)])
    if size == 1:
        return along[:, None]
    y, x = torch.meshgrid(along, along, indexing="ij")
    out = torch.zeros((WARP + 1) ** 2, size)
    out[:, 0], out[:, 1] = x.flatten(), y.flatten()
    return out


def _flow(game: Synthesis, fakes: torch.Tensor, noise: torch.Tensor) -> Mapping[str, torch.Tensor]:
    """Of both networks: how strongly the first units of each layer are on, and the weights between them."""
    out: dict[str, torch.Tensor] = {}
    for name, given, chain in (
        ("g", noise, [game.generator.layers]),
        ("d", fakes, [game.discriminator.layers, game.discriminator.end]),
    ):
        x, on, between = given, [_on(given)], []
        layers = [layer for part in chain for layer in (part if isinstance(part, nn.Sequential) else [part])]
        with torch.no_grad():
            for i, layer in enumerate(layers):
                x = cast("nn.Module", layer)(x)
                if isinstance(layer, nn.Linear):
                    between.append(_square(layer.weight))
                if not isinstance(layer, nn.Linear) or i == len(layers) - 1:
                    on.append(_on(x))
        out[f"{name}.on"] = torch.stack(on)
        out[f"{name}.weights"] = torch.stack(between)
    return out


def _on(x: torch.Tensor) -> torch.Tensor:
    """Mean size of the first units, [UNITS]; -1 where there are no more."""
    held = torch.full((UNITS,), -1.0)
    size = x.abs().mean(0)[:UNITS]
    held[: len(size)] = size
    return held


def _square(weight: torch.Tensor) -> torch.Tensor:
    """Weights [to, from] of the first units, in units of the largest of them."""
    held = torch.zeros(UNITS, UNITS)
    part = weight[:UNITS, :UNITS]
    held[: part.shape[0], : part.shape[1]] = part / part.abs().max().clamp_min(1e-12)
    return held
