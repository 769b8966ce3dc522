"""A run on disk → a model ready to use: averaged weights, eval mode."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gansmith.build import Facts, build
from gansmith.engine import checkpoint, hardware
from gansmith.engine.sampler import Sampler
from gansmith.errors import Refused
from gansmith.games.game import Game
from gansmith.recipe import Recipe
from gansmith.run import Run


class Model(Sampler):
    """A trained generator, ready to use.

    Attributes:
        run: the folder that it came from.
        recipe: by which it was trained.
        game: its networks.
        images: the clock of its checkpoint.
    """

    def __init__(
        self,
        run: Run,
        recipe: Recipe,
        game: Game,
        rest: Mapping[str, Any],
        data: Mapping[str, Any],
        device: torch.device,
    ) -> None:
        classes = tuple(data["classes"]) if data.get("conditional") else None
        conditions = data.get("conditions")
        super().__init__(
            game.generate, shape=tuple(data["shape"]), modality=data["modality"], noise=recipe.noise,
            classes=game.classes or classes, coded=game.classes is not None, truncated=game.truncated, device=device,
            conditions=None if conditions is None else np.array(conditions, np.float32),
        )  # fmt: skip
        self.run, self.recipe, self.game, self.images = run, recipe, game, int(rest["images"])
        self.matmul = str(rest["numerics"]["matmul"])

    def decode(
        self, z: NDArray[np.float32], labels: NDArray[Any] | None = None, batch: int = 256, truncation: float = 1.0
    ) -> NDArray[Any]:
        """As `Sampler.decode`, by the matmul route that the run was trained with: so samples are those of its grids."""
        with hardware.borrowed():
            torch.set_float32_matmul_precision(self.matmul)
            return super().decode(z, labels, batch, truncation)


def load(path: str | Path, *, checkpoint: str | int = "latest", device: str = "auto") -> Model:
    """Load the model of a run.

    Args:
        path: the run's folder.
        checkpoint: `latest`, `best` (by score), or the images at which it was written.
        device: where to use it.

    Raises:
        Refused: no run, no such checkpoint, or one that is damaged. (Where the latest is, the one before it is
            taken, with a Python warning.)
    """
    run = Run(Path(path))
    info, recipe = run.info(), run.recipe()
    place = hardware.pick_device(device)
    tensors, rest = _read(run, str(checkpoint))
    data: dict[str, Any] = info.get("data") or {}
    shape = tuple(data.get("shape", ()))
    beside = {name: tuple(of) for name, of in data.get("beside", {}).items()}
    if conditions := data.get("conditions"):
        facts = Facts(shape, len(conditions[0]), vectors=True, beside=beside)
    else:
        facts = Facts(shape, len(data["classes"]) if data.get("conditional") else 0, beside=beside)
    game = build(recipe, facts)
    if rest.get("phase") is not None:
        game.enter(rest["phase"])
    put(game, tensors)
    game = game.to(device=place, dtype=torch.float32).eval().requires_grad_(False)
    return Model(run, recipe, game, rest, data, place)


def put(game: Game, tensors: dict[str, torch.Tensor]) -> None:
    """Give a game the averaged weights of a checkpoint, and the last ones where none are averaged.

    Raises:
        Refused: tensors that do not fit.
    """
    try:
        with torch.no_grad():
            for name, parameter in game.named_parameters():
                given = tensors.get(f"average.{name}")
                parameter.copy_(tensors[f"weights.{name}"] if given is None else given)
            for name, buffer in game.named_buffers():
                if f"buffer.{name}" in tensors:
                    buffer.copy_(tensors[f"buffer.{name}"])
    except (KeyError, RuntimeError) as error:
        raise Refused(f"the checkpoint does not fit the recipe ({error})") from None


def _read(run: Run, which: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    if which in ("latest", "best"):
        newest = checkpoint.newest(run)
        for text in newest.warnings():
            warnings.warn(text, stacklevel=3)
        if which == "latest":
            return newest.tensors, newest.rest
        if not newest.rest.get("best"):
            raise Refused(f"{run.path}: was never scored, so no checkpoint is the best", "Use the latest.")
        return checkpoint.read(run.checkpoint_file(int(newest.rest["best"][1])))
    if which.isdigit() and run.checkpoint_file(int(which)).exists():
        return checkpoint.read(run.checkpoint_file(int(which)))
    have = ", ".join(str(int(f.stem)) for f in run.checkpoints())
    raise Refused(f"{run.path}: no checkpoint {which!r}", f"There are {have or 'none'}, and `latest` and `best`.")
