"""What an anomaly detector is made of: small games, each trained on normal examples, and the distances they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from gansmith import recipe as recipes
from gansmith.build import Facts, build
from gansmith.data.dataset import Dataset
from gansmith.draws import mix
from gansmith.engine import hardware
from gansmith.engine.player import Player
from gansmith.games.game import Game
from gansmith.model import put
from gansmith.recipe import Recipe

METHODS = ("critic", "encoder", "fanogan", "ganomaly", "alad")
"""Published scores by their names; and distances to the nearest normal examples: `critic` in the features of f-AnoGAN's
critic, `encoder` in the codes of GANomaly's encoder, beside GANomaly's own score."""

DISTANCES = {"critic": "fanogan", "encoder": "ganomaly"}
"""The game that each distance is taken of."""

NARROW = 32
"""Pixels of a side up to which networks of images have half of the width."""

FLOOR = 1e-3
"""Of the median score, added before a logarithm is taken: an example that was trained on has a distance of nearly 0."""

TOLD = 20
"""Rounds from one word on progress to the next."""

BLOCK = 1024
"""Examples at a time through a network."""


def recipe_of(method: str, shape: tuple[int, ...], examples: int, seed: int) -> Recipe:
    """The recipe by which one member is trained.

    Of images it is the zoo's, narrower; of vectors the same game with perceptrons of two layers.
    """
    name = DISTANCES.get(method, method)
    over: dict[str, Any] = {"images": examples, "seed": seed, "precision": "fp32", "score": False}
    if len(shape) == 3:
        width = {"width": 16 if max(shape[1:]) <= NARROW else 32}
        over |= {"generator": width, "discriminator": width, "batch": 64, "noise": 32}
        over["networks"] = {"encoder": width} | {"ganomaly": {"again": width}, "alad": {"pairs": width}}.get(name, {})
        over["optimizer"] = {"lr": 5e-4}
        if name == "fanogan":
            over["discriminator_steps"] = 2
        return recipes.load(name, over)
    hidden = [128, 128]
    plain: dict[str, Any] = {"network": "mlp", "hidden": hidden}
    spectral = {**plain, "spectral": True}
    networks: dict[str, dict[str, Any]] = {
        "fanogan": {"encoder": plain},
        "ganomaly": {"encoder": plain, "again": {**plain, "network": "mlp:Encoder"}},
        "alad": {
            "encoder": spectral,
            "pairs": {"network": "packed:Discriminator", "pack": 2, "inner": "mlp", "hidden": hidden, "spectral": True},
        },
    }
    zoo = recipes.load(name).model_dump(mode="json", exclude_defaults=True)
    whole = {
        **zoo, **over, "batch": 128, "noise": noise_of(method, shape), "generator": plain, "networks": networks[name],
        "discriminator": spectral if name == "alad" else plain,
        "optimizer": {"lr": 1e-3, "betas": [0.5, 0.9]},
    }  # fmt: skip
    if name == "fanogan":
        whole["discriminator_steps"] = 2
    if name == "alad":
        whole["game"] = {"name": "anomaly:Alad", "hidden": 64}
    return recipes.validate(whole, f"anomaly {method}")


def noise_of(method: str, shape: tuple[int, ...]) -> int:
    """Numbers of the latent vector, for vectors of D numbers."""
    return 4 if method in DISTANCES else min(max(shape[0] // 2, 2), 16)


@dataclass
class Member:
    """One trained game, and what its scores are measured by.

    Attributes:
        method: one of `METHODS`.
        recipe: that it was trained by.
        shape: of one example.
        game: averaged weights, eval mode; of vectors in float64, so that a score does not depend on its neighbours.
        reference: features [n, F] of the normal examples that it was trained on, for a distance; or None.
        neighbours: k, of whose distances the mean is taken.
        level: of each of `parts` on held-out normal examples: the median, and mean and deviation of the logarithm.
    """

    method: str
    recipe: Recipe
    shape: tuple[int, ...]
    game: Any
    reference: NDArray[Any] | None = None
    neighbours: int = 1
    level: tuple[tuple[float, ...], ...] = ((1.0, 0.0, 1.0),)

    def parts(self, data: NDArray[Any]) -> NDArray[np.float64]:
        """How anomalous each example is in the method's own measures, [n, 1 or 2]; higher is more."""
        found = []
        if self.method not in DISTANCES or self.method == "encoder":
            found.append(self._through(data, self.game.score).astype(np.float64).reshape(len(data)))
        if self.reference is not None:
            found.append(distances(self.reference, self.features(data), self.neighbours))
        return np.stack(found, 1)

    def score(self, data: NDArray[Any]) -> NDArray[np.float64]:
        """Logarithms of `parts` in deviations of held-out normal examples from their mean; means over parts."""
        middle, mean, deviation = np.array(self.level).T
        return ((np.log(self.parts(data) + FLOOR * middle) - mean) / deviation).mean(1)

    def calibrate(self, held: NDArray[Any]) -> None:
        """Set the level by held-out normal examples."""
        parts = self.parts(held)
        middle = np.maximum(np.median(parts, 0), 1e-12)
        logs = np.log(parts + FLOOR * middle)
        level = np.stack([middle, logs.mean(0), np.maximum(logs.std(0), 1e-6)], 1)
        self.level = tuple(tuple(row) for row in level.tolist())

    def features(self, data: NDArray[Any]) -> NDArray[Any]:
        """What a distance is taken in: the encoder's codes, or else the discriminator's features, [n, F]."""
        return self._through(data, self.game.encode if self.method == "encoder" else self.game.features)

    def reconstruct(self, data: NDArray[Any]) -> NDArray[Any]:
        """What the game makes of examples by way of their latent vectors, in the networks' scale."""
        return self._through(data, self.game.reconstruct)

    @torch.inference_mode()
    def _through(self, data: NDArray[Any], what: Callable[[torch.Tensor], torch.Tensor]) -> NDArray[Any]:
        like = next(self.game.parameters())
        blocks = (tensor(data[i : i + BLOCK]).to(like.device, like.dtype) for i in range(0, len(data), BLOCK))
        return torch.cat([what(block).cpu() for block in blocks]).numpy()

    def tensors(self) -> dict[str, torch.Tensor]:
        """All that it has learnt, by name."""
        out = {f"weights.{name}": p.detach().cpu().contiguous() for name, p in self.game.named_parameters()}
        out |= {f"buffer.{name}": b.detach().cpu().contiguous() for name, b in self.game.named_buffers()}
        if self.reference is not None:
            out["reference"] = torch.from_numpy(np.ascontiguousarray(self.reference))
        return out

    def facts(self) -> dict[str, Any]:
        """The rest, as plain JSON."""
        recipe = self.recipe.model_dump(mode="json", exclude_defaults=True)
        return {
            "method": self.method, "recipe": recipe, "shape": list(self.shape), "neighbours": self.neighbours,
            "level": [list(row) for row in self.level],
        }  # fmt: skip

    @classmethod
    def of(cls, facts: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> Member:
        """What `facts` and `tensors` gave."""
        recipe, shape = recipes.validate(facts["recipe"], "detector"), tuple(facts["shape"])
        game = ready(build(recipe, Facts(shape)), shape, lambda game: put(game, dict(tensors)))
        reference = tensors["reference"].numpy() if "reference" in tensors else None
        level = tuple(tuple(row) for row in facts["level"])
        return cls(facts["method"], recipe, shape, game, reference, facts["neighbours"], level)

    def __getstate__(self) -> dict[str, Any]:
        # A game holds functions that do not pickle; its weights do.
        return {"facts": self.facts(), "tensors": {k: v.numpy() for k, v in self.tensors().items()}}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        tensors = {k: torch.from_numpy(np.array(v)) for k, v in state["tensors"].items()}
        self.__dict__.update(Member.of(state["facts"], tensors).__dict__)


def ready(game: Game, shape: tuple[int, ...], fill: Callable[[Game], None] | None = None) -> Game:
    """A game in eval mode, of vectors in float64."""
    if len(shape) == 1:
        game = game.double()
    if fill is not None:
        fill(game)
    return game.eval().requires_grad_(False)


def distances(reference: NDArray[Any], points: NDArray[Any], k: int) -> NDArray[np.float64]:
    """Mean distance of points [n, F] to their k nearest of a reference [m, F]; [n]."""
    k = min(k, len(reference))
    near = NearestNeighbors(n_neighbors=k).fit(reference).kneighbors(points, return_distance=False)
    # Once more without the search's shortcut, whose rounding depends on which points are asked for together.
    each = [np.linalg.norm(points - reference[near[:, i]], axis=1) for i in range(k)]
    return np.mean(each, axis=0).astype(np.float64)


def tensor(data: NDArray[Any]) -> torch.Tensor:
    """Examples as networks want them: images uint8 as float32 in [-1, 1]."""
    made = torch.from_numpy(np.ascontiguousarray(data))
    return made.float().div_(127.5).sub_(1) if made.dtype == torch.uint8 else made


def train(
    method: str,
    data: NDArray[Any],
    *,
    examples: int,
    seed: int,
    neighbours: int,
    device: str,
    progress: Callable[[float], None] | None = None,
) -> Member:
    """Train one member on normal examples: float [n, D], or uint8 [n, C, H, W].

    Args:
        method: one of `METHODS`.
        data: the examples.
        examples: length of the training on the clock.
        seed: of everything random.
        neighbours: k of a distance.
        device: as `gansmith.train` takes it.
        progress: called now and then with the share that is done.

    Raises:
        ValueError: weights that are no longer finite.
    """
    shape = tuple(data.shape[1:])
    recipe = recipe_of(method, shape, examples, mix(seed, 0xA0) >> 1)
    array = data if len(shape) == 3 else data.astype(np.float32)
    dataset = Dataset("normals", "image" if len(shape) == 3 else "vectors", shape, len(data), array=array)
    place = hardware.pick_device(device)
    with hardware.borrowed():
        numerics = hardware.decide("fp32", "off", place, 1)
        hardware.apply(numerics)
        player = Player(build(recipe, Facts(shape)), dataset, recipe, place, numerics)
        try:
            while player.images < player.total:
                player.round()
                if progress is not None and player.rounds % TOLD == 0:
                    progress(min(player.images / player.total, 1.0))
            if not player.healthy():
                raise ValueError("the training diverged: columns with a few huge values want a logarithm before")
            shown = ready(player.shown(), shape)
        finally:
            player.close()
    member = Member(method, recipe, shape, shown, neighbours=neighbours)
    if method in DISTANCES:
        member.reference = member.features(data)
    return member
