"""Samples from a trained generator, reproducible by seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gansmith.engine.held import Held

KEPT = 64
"""Conditions of the training that a run remembers."""


def latents(n: int, size: int, seed: int) -> NDArray[np.float32]:
    """`n` standard-normal latent vectors, [n, size]; the first k of n are those of k."""
    return np.random.Generator(np.random.PCG64(seed)).standard_normal((n, size), dtype=np.float32)


Label = int | str | Sequence[float]
"""A class by its number or name, or a vector."""


def examples_of(conditions: NDArray[np.float32]) -> NDArray[np.float32]:
    """Up to `KEPT` of a training's conditions, evenly spaced, for a sampler to take in turn."""
    return conditions[np.linspace(0, len(conditions) - 1, min(KEPT, len(conditions))).round().astype(np.int64)]


class Sampler:
    """Noise in, examples out: a generator in eval mode with what is needed to use it.

    Attributes:
        shape: of one example, (C, H, W) of an image.
        modality: `image` or `points`.
        noise: dimensions of the latent vector.
        classes: names of the labels where the generator can be asked for one, else None.
        coded: whether they are the game's own and not the data's: then the latents choose where none is asked for.
        conditions: some vectors [m, V] that the training's examples had, where the generator is told such; else None.
        held: held-out examples, of a game that makes nothing of noise alone, while it is trained; else None.
    """

    held: Held | None = None

    def __init__(
        self,
        generate: Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor],
        *,
        shape: tuple[int, ...],
        modality: str,
        noise: int,
        classes: tuple[str, ...] | None = None,
        coded: bool = False,
        conditions: NDArray[np.float32] | None = None,
        truncated: Callable[[torch.Tensor, torch.Tensor | None, float], torch.Tensor] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self._generate = generate
        self._truncated = truncated or (lambda noise, labels, psi: generate(noise * psi, labels))
        self.shape, self.modality, self.noise = shape, modality, noise
        self.classes, self.coded, self.device = classes, coded, torch.device(device)
        self.conditions = conditions

    @property
    def labelled(self) -> bool:
        """Whether samples are made of the data's labels."""
        return self.classes is not None and not self.coded

    def labels_for(self, n: int, label: Label | None = None, *, seed: int = 0) -> NDArray[Any] | None:
        """Labels for n samples: the one asked for, or each class in turn; None where unconditional.

        Where vectors are the condition: the one asked for, or those of the training in turn, float32 [n, V].

        Raises:
            ValueError: a label that the generator does not know, or any where it is unconditional.
        """
        if self.conditions is not None:
            return self._conditions_for(n, label)
        if label is not None and not isinstance(label, int | str):
            raise ValueError("this model was not trained with vectors, so none can be asked for")
        if self.classes is None:
            if label is not None:
                raise ValueError("this model was trained without labels, so none can be asked for")
            return None
        if label is None:
            return (np.arange(n) % len(self.classes)).astype(np.int64)
        text = str(label)
        index = self.classes.index(text) if text in self.classes else int(text) if text.isdigit() else -1
        if not 0 <= index < len(self.classes):
            raise ValueError(f"no label {label!r}; the model knows {', '.join(self.classes)}")
        return np.full(n, index, dtype=np.int64)

    def _conditions_for(self, n: int, asked: Label | None) -> NDArray[np.float32]:
        assert self.conditions is not None
        if asked is None:
            return self.conditions[np.arange(n) % len(self.conditions)]
        width = self.conditions.shape[1]
        if isinstance(asked, int | str) or len(asked) != width:
            raise ValueError(f"this model is told vectors of {width} numbers, not {asked!r}")
        return np.tile(np.asarray(asked, np.float32), (n, 1))

    def latents(self, n: int, seed: int = 0) -> NDArray[np.float32]:
        """`n` latent vectors of a seed, float32 [n, noise]; the first k of n are those of k."""
        return latents(n, self.noise, seed)

    def walk(self, dimension: int, n: int, steps: int = 10, *, seed: int = 0) -> NDArray[np.float32]:
        """Latents in which one number goes from low to high, and the others stay.

        Args:
            dimension: which, from 0; it goes by even shares of the normal law, from 1 / (2 steps) to 1 − 1 / (2 steps).
            n: latent vectors, of a seed.
            steps: of each.
            seed: of the vectors.

        Returns:
            float32 [n * steps, noise], the steps of the first vector first.

        Raises:
            ValueError: a dimension that latents do not have.
        """
        if not 0 <= dimension < self.noise:
            raise ValueError(f"latents have the dimensions 0 to {self.noise - 1}, and not {dimension}")
        z = self.latents(n, seed).repeat(steps, axis=0)
        z[:, dimension] = np.tile([NormalDist().inv_cdf((i + 0.5) / steps) for i in range(steps)], n)
        return z

    @torch.inference_mode()
    def decode(
        self, z: NDArray[np.float32], labels: NDArray[Any] | None = None, batch: int = 256, truncation: float = 1.0
    ) -> NDArray[Any]:
        """Examples of latents [n, noise]: uint8 [n, C, H, W] of images, float32 [n, *shape] otherwise."""
        out: list[NDArray[Any]] = []
        for at in range(0, len(z), batch):
            noise = torch.from_numpy(np.ascontiguousarray(z[at : at + batch])).to(self.device)
            wanted = None if labels is None else torch.from_numpy(labels[at : at + batch]).to(self.device)
            whole = truncation == 1
            made = self._generate(noise, wanted) if whole else self._truncated(noise, wanted, truncation)
            made = made.float()
            if self.modality == "image":
                made = made.mul(127.5).add_(128).clamp_(0, 255).to(torch.uint8)
            out.append(made.contiguous().cpu().numpy())
        return np.concatenate(out) if out else np.zeros((0, *self.shape), np.uint8)

    @torch.inference_mode()
    def render(self, z: NDArray[np.float32], labels: NDArray[Any] | None = None, batch: int = 256) -> torch.Tensor:
        """Images of latents [n, noise], float32 [n, C, H, W], 0 to 255, neither rounded nor clipped."""
        out = []
        for at in range(0, len(z), batch):
            noise = torch.from_numpy(np.ascontiguousarray(z[at : at + batch])).to(self.device)
            wanted = None if labels is None else torch.from_numpy(labels[at : at + batch]).to(self.device)
            out.append(self._generate(noise, wanted).float().mul(127.5).add(127.5))
        return torch.cat(out)

    def sample(self, n: int, *, seed: int = 0, label: Label | None = None, truncation: float = 1.0) -> NDArray[Any]:
        """Draw samples.

        Args:
            n: how many.
            seed: equal seeds give equal samples, whatever n is (to a rounding: one level of 256).
            label: a class by name or number, or a vector; None takes each class, or the training's vectors, in turn.
            truncation: in (0, 1]; less is safer and less diverse. A factor of the latents' spread, or of what the
                generator would rather have it be (StyleGAN: the distance of styles from their mean).

        Returns:
            uint8 [n, C, H, W] of images, float32 [n, *shape] otherwise.
        """
        return self.decode(self.latents(n, seed), self.labels_for(n, label), truncation=truncation)
