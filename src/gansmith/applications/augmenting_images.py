"""Pictures made from few: the generator, the classifier that tells whether they help, and what needs no GAN."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from gansmith import training
from gansmith.applications.benefit import PLAIN, Codes, Shares
from gansmith.data.dataset import Dataset
from gansmith.draws import seeded
from gansmith.engine.listener import Listener
from gansmith.metrics.domain import DomainClassifier
from gansmith.model import load

Images = NDArray[np.uint8]

IMAGES = 60_000
"""Pictures that a generator's training is shown."""

STEPS, LONGEST, BATCH, RATE = 600, 3000, 64, 2e-3
"""Of a classifier: steps at least and at most (ten passes between), pictures in each, and the highest rate."""

SHIFT, MIX = 0.125, 0.2
"""The largest shift as a part of the side, and mixup's Beta(α, α) (Zhang et al., 2018, arXiv:1710.09412)."""

Change = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


def shifts(x: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Move each picture [n, C, H, W] by up to an eighth of its sides; edges go on."""
    n, _, height, width = x.shape
    index: list[torch.Tensor] = []
    for side in (height, width):
        far = max(round(SHIFT * side), 1)
        by = torch.randint(-far, far + 1, (n, 1), generator=random)
        index.append((torch.arange(side) + by).clamp(0, side - 1))
    rows = index[0][:, None, :, None].expand(-1, x.shape[1], -1, width)
    columns = index[1][:, None, None, :].expand(-1, x.shape[1], height, -1)
    return x.gather(2, rows).gather(3, columns)


def flips(x: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Mirror every other picture, by chance, left to right."""
    mirrored = torch.rand(len(x), 1, 1, 1, generator=random) < 0.5
    return torch.where(mirrored, x.flip(3), x)


CHANGES: Mapping[str, tuple[Change, ...]] = {"flips": (flips,), "shifts": (shifts,), "GAN and shifts": (shifts,)}
"""What a way does to the pictures that a classifier is shown."""


class Pictures:
    """Labelled pictures, of one shape.

    Args:
        shape: (C, H, W).
        classes: their names.
        recipe: by which generators are trained; `auto`, with augmentation where there are few.
        images: that a generator's training is shown; None is 60,000.
        device: where to train.
        uneven: classes are of unequal size, so that weighing them is a way.
    """

    words = "pictures"

    def __init__(
        self, shape: tuple[int, ...], classes: Sequence[str], *, recipe: str = "auto", images: int | None = None,
        device: str = "auto", uneven: bool = False, overrides: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.shape, self.classes, self.recipe, self.device = shape, tuple(classes), recipe, device
        self.images = images or IMAGES
        self.overrides = dict(overrides or {})
        weights = {"class weights": None} if uneven else {}
        self.ways: Mapping[str, str | None] = {
            PLAIN: None, **weights, "flips": None, "shifts": None, "mixup": None,
            "GAN": PLAIN, "GAN and shifts": "shifts",
        }  # fmt: skip

    def take(self, data: Images, rows: NDArray[Any]) -> Images:
        """Some of the pictures."""
        return data[rows]

    def join(self, parts: Sequence[Images]) -> Images:
        """Pictures one after the other."""
        return np.concatenate(parts)

    def generator(
        self, data: Images, labels: Codes, seed: int, folder: Path, listeners: Sequence[Listener] = ()
    ) -> Callable[[int, int, int], Images]:
        """Train a conditional GAN.

        Returns:
            (label, n, seed) → n pictures.

        Raises:
            KeyboardInterrupt: the training was interrupted.
        """
        dataset = Dataset("pictures", "image", self.shape, len(data), data, labels=labels, classes=self.classes)
        run = training.train(
            self.recipe, dataset, folder, images=self.images, device=self.device, listeners=listeners,
            overrides={"score": False, "snapshots": 1, "seed": seed, **self.overrides},
        )  # fmt: skip
        model = load(run.finished().path, device=self.device)
        return lambda label, n, draw: model.sample(n, seed=draw, label=label)

    def judge(
        self, data: Images, labels: Codes, seed: int, way: str = PLAIN, made: Images | None = None,
        made_labels: Codes | None = None,
    ) -> Classifier:  # fmt: skip
        """Train a classifier, one of the ways; made pictures count where it is the GAN's."""
        fitted = Classifier(self.shape, len(self.classes), seed)
        weights = len(labels) / np.maximum(np.bincount(labels, minlength=len(self.classes)), 1)
        shown = (made, made_labels) if self.ways[way] else (None, None)
        fitted.fit(
            data, labels, *shown, changes=CHANGES.get(way, ()), mixed=way == "mixup",
            weights=weights / len(self.classes) if way == "class weights" else None,
        )  # fmt: skip
        return fitted


class Classifier:
    """The metrics' domain classifier, trained by fewer steps and in one of several ways.

    Adam at a one-cycle rate up to 2e-3; where made pictures are given, half of each batch is of them.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, seed: int) -> None:
        self.seed, self.classes = seed, classes
        with seeded(seed):
            self.network = DomainClassifier(shape, classes)

    def fit(
        self, data: Images, labels: Codes, made: Images | None, made_labels: Codes | None, *,
        changes: Sequence[Change], mixed: bool, weights: NDArray[np.float64] | None,
    ) -> None:  # fmt: skip
        """Train."""
        random = torch.Generator().manual_seed(self.seed)
        both = [(torch.from_numpy(data), torch.from_numpy(labels))]
        if made is not None and made_labels is not None and len(made):
            both.append((torch.from_numpy(made), torch.from_numpy(made_labels)))
        weigh = None if weights is None else torch.from_numpy(weights).float()
        steps = min(max(STEPS, 10 * len(labels) // BATCH), LONGEST)  # in each way as many
        optimizer = torch.optim.Adam(self.network.parameters(), lr=RATE)
        rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
        self.network.train()
        for share in np.random.default_rng(self.seed).beta(MIX, MIX, steps):
            x, y = self._batch(both, random)
            for change in changes:
                x = change(x, random)
            x, target = x.float(), functional.one_hot(y, self.classes).float()
            if mixed:
                other = torch.randperm(len(y), generator=random)
                x, target = x.lerp(x[other], float(share)), target.lerp(target[other], float(share))
            loss = functional.cross_entropy(self.network(x), target, weight=weigh)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rate.step()
        self.network.eval().requires_grad_(False)

    def _batch(
        self, both: Sequence[tuple[torch.Tensor, torch.Tensor]], random: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        rows = [torch.randint(len(y), (BATCH // len(both),), generator=random) for _, y in both]
        chosen = [(x[r], y[r]) for (x, y), r in zip(both, rows, strict=True)]
        return torch.cat([x for x, _ in chosen]), torch.cat([y for _, y in chosen])

    def shares(self, data: Images) -> Shares:
        """How sure it is of each class, [n, classes]."""
        return self._applied(lambda x: self.network(x).softmax(1), data)

    def features(self, data: Images) -> NDArray[np.float64]:
        """What the last layer sees, [n, 128]."""
        return self._applied(self.network.embed, data)

    @torch.inference_mode()
    def _applied(self, function: Callable[[torch.Tensor], torch.Tensor], data: Images) -> NDArray[np.float64]:
        whole = torch.from_numpy(np.ascontiguousarray(data))
        return torch.cat([function(part) for part in whole.split(512)]).double().numpy()
