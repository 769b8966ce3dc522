"""The classic tutorial loop, written out: the reference that `gan` is measured against.

A `Dataset` that makes a PIL picture of each sample and a float tensor of that, a DataLoader, BCELoss on a
sigmoid, unfused Adam, and `.item()` on both losses at each step: as thousands have typed it. Nothing here
imports gansmith. One noise draw a step, whose fakes serve both sides, as in the `gan` recipe.

    python bench/tutorial.py --data-root DIR [--seconds 20] [--threads 1]
"""

from __future__ import annotations

import argparse
import gzip
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

NOISE, BATCH = 100, 64


class Compose:
    """One transform after another."""

    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, image):
        for transform in self.transforms:
            image = transform(image)
        return image


class ToTensor:
    """A PIL picture, to float [C, H, W] in [0, 1], step by step as torchvision's transform of this name."""

    def __call__(self, picture):
        image = torch.from_numpy(np.array(picture, np.uint8, copy=True))
        image = image.view(picture.size[1], picture.size[0], len(picture.getbands()))
        image = image.permute((2, 0, 1)).contiguous()
        return image.to(dtype=torch.get_default_dtype()).div(255)


class Normalize:
    """(x − mean) / std for each channel, on a clone, as torchvision's transform of this name."""

    def __init__(self, mean, std):
        self.mean, self.std = mean, std

    def __call__(self, tensor):
        tensor = tensor.clone()
        mean = torch.as_tensor(self.mean, dtype=tensor.dtype)
        std = torch.as_tensor(self.std, dtype=tensor.dtype)
        return tensor.sub_(mean.view(-1, 1, 1)).div_(std.view(-1, 1, 1))


class Digits(Dataset):
    """MNIST in memory, one PIL picture for each sample asked for."""

    def __init__(self, images, labels, transform):
        self.data, self.targets, self.transform = torch.from_numpy(images), torch.from_numpy(labels), transform

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        image, target = self.data[index], int(self.targets[index])
        image = Image.fromarray(image.numpy())
        return self.transform(image), target


class Generator(nn.Module):
    """100 → 256 → 784."""

    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(
            nn.Linear(NOISE, 256), nn.ReLU(), nn.Dropout(0.3),
            nn.Linear(256, 784), nn.Tanh(),
        )  # fmt: skip

    def forward(self, z):
        return self.model(z).view(z.size(0), 1, 28, 28)


class Discriminator(nn.Module):
    """784 → 256 → 1, with a sigmoid."""

    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(
            nn.Linear(784, 256), nn.LeakyReLU(0.2), nn.Dropout(0.3),
            nn.Linear(256, 1), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, image):
        return self.model(image.view(image.size(0), -1))


@dataclass
class Tutorial:
    """What a run of the loop came to.

    Attributes:
        generator: as trained.
        images: real images shown.
        rate: images/s, the warm-up excluded.
        losses: (discriminator's, generator's) of each step.
    """

    generator: Generator
    images: int
    rate: float
    losses: list[tuple[float, float]]


def train(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    corrected: bool,
    seconds: float | None = None,
    steps: int | None = None,
    warm_up: float = 2.0,
    seed: int = 0,
    clock: Callable[[], float] = time.perf_counter,
    each: Callable[[Generator, int, float], None] | None = None,
) -> Tutorial:
    """Run the loop.

    Args:
        images: uint8 [N, 28, 28].
        labels: int64 [N]; read, and not used, as in the tutorials.
        corrected: scale the data to [-1, 1], as tanh wants; the loop as published leaves it in [0, 1].
        seconds: stop after so many of the clock's seconds; or
        steps: after so many steps.
        warm_up: seconds before the rate is measured.
        seed: of everything.
        clock: seconds since some moment.
        each: called after each step with the generator, the images so far and the clock's seconds so far.
    """
    torch.manual_seed(seed)
    transform = Compose([ToTensor(), Normalize((0.5,), (0.5,))] if corrected else [ToTensor()])
    loader = DataLoader(Digits(images, labels, transform), batch_size=BATCH, shuffle=True)
    generator, discriminator = Generator(), Discriminator()
    criterion = nn.BCELoss()
    optimizer_g = torch.optim.Adam(generator.parameters(), lr=0.0002, betas=(0.5, 0.999))
    optimizer_d = torch.optim.Adam(discriminator.parameters(), lr=0.0002, betas=(0.5, 0.999))
    losses: list[tuple[float, float]] = []
    start, shown, timed_from, timed_images = clock(), 0, None, 0
    while True:
        for real, _ in loader:
            valid = torch.ones(real.size(0), 1)
            fake = torch.zeros(real.size(0), 1)
            z = torch.randn(real.size(0), NOISE)

            optimizer_d.zero_grad()
            made = generator(z)
            real_loss = criterion(discriminator(real), valid)
            fake_loss = criterion(discriminator(made.detach()), fake)
            d_loss = real_loss + fake_loss
            d_loss.backward()
            optimizer_d.step()

            optimizer_g.zero_grad()
            g_loss = criterion(discriminator(made), valid)
            g_loss.backward()
            optimizer_g.step()

            losses.append((d_loss.item(), g_loss.item()))
            shown += real.size(0)
            passed = clock() - start
            if each:
                each(generator, shown, passed)
            if timed_from is None and passed >= warm_up:
                timed_from, timed_images = passed, shown
            if (seconds is not None and passed >= seconds) or (steps is not None and len(losses) >= steps):
                base, before = (0.0, 0) if timed_from is None else (timed_from, timed_images)
                return Tutorial(generator, shown, (shown - before) / max(passed - base, 1e-9), losses)


def read_mnist(root: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Read a split of MNIST from its IDX files: uint8 [N, 28, 28] and int64 [N]."""
    stem = {"train": "train", "test": "t10k"}[split]
    places = [root / sub for sub in ("MNIST/raw", "mnist/MNIST/raw", "raw", ".")]

    def read(name: str, skip: int) -> np.ndarray:
        for place in places:
            for file, opener in ((place / name, open), (place / f"{name}.gz", gzip.open)):
                if file.is_file():
                    with opener(file, "rb") as stream:
                        return np.frombuffer(stream.read(), np.uint8, offset=skip).copy()
        raise SystemExit(f"{root}: holds no {name} (looked in {', '.join(str(p) for p in places)})")

    images = read(f"{stem}-images-idx3-ubyte", 16).reshape(-1, 28, 28)
    return images, read(f"{stem}-labels-idx1-ubyte", 8).astype(np.int64)


def main() -> None:
    """Print the loop's speed, as published and with its data range corrected."""
    flags = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    flags.add_argument("--data-root", type=Path, required=True)
    flags.add_argument("--seconds", type=float, default=20.0)
    flags.add_argument("--threads", type=int, default=None)
    args = flags.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    images, labels = read_mnist(args.data_root, "train")
    print("| tutorial loop | threads | images/s | discriminator loss | generator loss |\n|---|---|---|---|---|")
    for corrected in (False, True):
        run = train(images, labels, corrected=corrected, seconds=args.seconds, warm_up=min(2.0, args.seconds / 4))
        d, g = np.mean(run.losses[-500:], axis=0)
        name = "range corrected" if corrected else "as published"
        print(f"| {name} | {torch.get_num_threads()} | {run.rate:,.0f} | {d:.3f} | {g:.3f} |", flush=True)


if __name__ == "__main__":
    main()
