"""The domain classifier: a small network that fits itself to a data set's labels, and gives its features.

Where no published extractor knows the data (digits, drawings, scans), the classes of the data itself say
what matters in it. A Fréchet distance in these features is called by the data (`fd-mnist`), never FID.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from gansmith.draws import seeded
from gansmith.errors import Refused
from gansmith.metrics import stored
from gansmith.metrics.extractor import as_tensor, exact_float32

VERSION = 2
"""Raised whenever the same data and seed would give another classifier."""

BATCH, EPOCHS, LEAST_STEPS, PEAK_LR = 128, 10, 1500, 2e-3
UNPADDED_FROM = 16
SIDE = 32

Examples = NDArray[np.uint8]


class DomainClassifier(nn.Module):
    """conv 5x5 to 32, ReLU, max-pool, conv 3x3 to 64, ReLU, max-pool, linear to 128, ReLU, linear to classes.

    The convolutions are unpadded, but below 16 pixels, where too little would be left, they keep the size.
    Images whose short side is 48 pixels or more are first averaged over whole blocks, down to about 32. (The
    ReLU comes after the pool here, which is the same function at a quarter of the cost.)

    Args:
        shape: (C, H, W) of the images.
        classes: number of classes.
    """

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        self.block = max(1, round(min(height, width) / SIDE))
        sides = [side // self.block for side in (height, width)]
        pads = (0, 0) if min(sides) >= UNPADDED_FROM else (2, 1)
        left = [((side + 2 * pads[0] - 4) // 2 + 2 * pads[1] - 2) // 2 for side in sides]
        if min(left) < 1:
            raise Refused(f"images of {height}x{width} are too small for the domain classifier, which needs 4x4")
        self.first = nn.Conv2d(channels, 32, 5, padding=pads[0])
        self.second = nn.Conv2d(32, 64, 3, padding=pads[1])
        self.hidden = nn.Linear(64 * left[0] * left[1], 128)
        self.last = nn.Linear(128, classes)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Features after the ReLU of images uint8 [N, C, H, W], [N, 128]."""
        x = images.to(torch.float32, memory_format=torch.channels_last).div(127.5).sub(1)
        if self.block > 1:
            x = functional.avg_pool2d(x, self.block)
        x = functional.relu(functional.max_pool2d(self.first(x), 2))
        x = functional.relu(functional.max_pool2d(self.second(x), 2))
        return functional.relu(self.hidden(x.flatten(1)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of images uint8 [N, C, H, W], [N, classes]."""
        return self.last(self.embed(images))


class DomainExtractor:
    """A fitted domain classifier, as an extractor.

    Attributes:
        accuracy: share of held-out examples that it names rightly.
        seed: that it was fitted with.
        checksum: sha256 over its weights.
    """

    name = "domain"
    version = VERSION
    dims = 128

    def __init__(
        self,
        network: DomainClassifier,
        shape: tuple[int, ...],
        *,
        accuracy: float,
        seed: int,
        device: torch.device | str,
    ) -> None:
        self.shape, self.accuracy, self.seed = tuple(shape), accuracy, seed
        self.device = torch.device(device)
        weights = network.state_dict()
        digest = hashlib.sha256(f"domain {VERSION}".encode())
        for name in sorted(weights):
            digest.update(name.encode() + weights[name].detach().cpu().contiguous().numpy().tobytes())
        self.checksum = digest.hexdigest()
        self._network = network.to(self.device).eval().requires_grad_(False)

    @property
    def card(self) -> dict[str, Any]:
        """What a reader of the score must know."""
        block = self._network.block
        resize = None if block == 1 else f"means of {block}x{block} pixels"
        return {"range": "uint8, 0 to 255", "resize": resize, "accuracy": self.accuracy, "fitted_with_seed": self.seed}

    def features(self, examples: Examples) -> NDArray[np.float32]:
        """Give the 128 features, after their ReLU, of images uint8 [N, C, H, W]; in float32 throughout."""
        return self._apply(self._network.embed, examples, self.dims)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Give the features [N, 128] of float images, 0 to 255 and not rounded, [N, C, H, W]."""
        with exact_float32():
            return self._network.embed(images.to(self.device))

    def features_and_logits(self, examples: Examples) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Give features [N, 128] and logits [N, classes] of images uint8 [N, C, H, W], in one pass."""

        def both(images: torch.Tensor) -> torch.Tensor:
            features = self._network.embed(images)
            return torch.cat([features, self._network.last(features)], 1)

        found = self._apply(both, examples, self.dims + self._network.last.out_features)
        return found[:, : self.dims].copy(), found[:, self.dims :].copy()

    def logits(self, examples: Examples) -> NDArray[np.float32]:
        """Give the logits [N, classes] of images uint8 [N, C, H, W]."""
        return self._apply(self._network, examples, self._network.last.out_features)

    def _apply(self, function: Callable[[torch.Tensor], torch.Tensor], examples: Examples, width: int) -> Any:
        if tuple(examples.shape[1:]) != self.shape or examples.dtype != np.uint8:
            raise Refused(
                f"these images are {examples.dtype} {tuple(examples.shape[1:])}, "
                f"but this classifier was fitted to uint8 {self.shape}"
            )
        # About the level-two cache's worth of activations at a time; fixed, since sums must not depend on it.
        size = 256 if self.device.type == "cpu" else 4096
        out = []
        with torch.inference_mode(), exact_float32():
            for at in range(0, len(examples), size):
                images = as_tensor(examples[at : at + size]).to(self.device)
                out.append(function(images).float().cpu().numpy())
        return np.concatenate(out) if out else np.zeros((0, width), np.float32)


def fit_domain(
    images: Examples,
    labels: NDArray[np.int64],
    *,
    test: tuple[Examples, NDArray[np.int64]] | None = None,
    seed: int = 0,
    classes: int | None = None,
    fingerprint: str | None = None,
    cache: bool = True,
    device: torch.device | str = "cpu",
    say: Callable[[str], None] | None = None,
) -> DomainExtractor:
    """Fit the domain classifier, or take it from the cache.

    Adam at a one-cycle rate up to 2e-3 (Smith and Topin, 2017, arXiv:1708.07120), batches of 128, ten epochs
    or 1,500 steps, whichever is more. Its randomness is its own: torch's generators are left as they were.

    Args:
        images: uint8 [N, C, H, W].
        labels: int64 [N], from 0.
        test: images and labels to measure its accuracy on; else a tenth of the above is held out for that.
        seed: of its first weights and its order.
        classes: number of classes, where the labels given may not show all of them.
        fingerprint: names the data in the cache; else a hash over all of it is taken.
        cache: look in the cache first, and leave the fitted classifier there.
        device: where to fit it and to compute its features.
        say: told, in one line, when a fit begins (on MNIST about a minute on one core) and how it went.

    Raises:
        Refused: labels that do not match the images, fewer than two classes, or images below 4x4.
    """
    if len(images) != len(labels) or images.ndim != 4 or images.dtype != np.uint8:
        raise Refused(
            f"expected uint8 images [N, C, H, W] and N labels, not {images.dtype} {images.shape} and {len(labels)}"
        )
    count = int(labels.max()) + 1 if classes is None else classes
    if len(np.unique(labels)) < 2 or int(labels.min()) < 0 or int(labels.max()) >= count:
        raise Refused("a domain classifier needs labels of two classes or more, from 0 up")
    shape = tuple(images.shape[1:])
    network = _new(shape, count, seed)
    file = None
    if cache:
        file = stored.file_of("domain", _key(images, labels, test, seed, count, fingerprint))
        accuracy = _fill(network, stored.read(file))
        if accuracy is not None:
            return DomainExtractor(network, shape, accuracy=accuracy, seed=seed, device=device)
    if say:
        say(
            f"Fitting a classifier of {count} classes to {len(images):,} examples, to score with; it is kept for later."
        )
    if test is None:
        order = np.random.Generator(np.random.PCG64(seed)).permutation(len(images))
        held, used = np.sort(order[: max(1, len(order) // 10)]), np.sort(order[max(1, len(order) // 10) :])
        test, (images, labels) = (images[held], labels[held]), (images[used], labels[used])
    _fit(network, images, labels, seed, torch.device(device))
    fitted = DomainExtractor(network, shape, accuracy=0.0, seed=seed, device=device)
    fitted.accuracy = float((fitted.logits(test[0]).argmax(1) == test[1]).mean())
    stored.write(file, network.state_dict(), {"accuracy": fitted.accuracy})
    if say:
        say(f"The classifier names {fitted.accuracy:.2%} of {len(test[0]):,} held-out examples rightly.")
    return fitted


def _new(shape: tuple[int, ...], classes: int, seed: int) -> DomainClassifier:
    with seeded(seed):
        return DomainClassifier(shape, classes).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def _fit(
    network: DomainClassifier, images: Examples, labels: NDArray[np.int64], seed: int, device: torch.device
) -> None:
    # On one thread: how many there are would change the sums, and so the classifier; and several that wait for
    # each other on a busy machine take longer than one.
    with _one_thread(device), torch.inference_mode(False), torch.enable_grad(), exact_float32():
        data = as_tensor(images).to(device)
        wanted = torch.from_numpy(np.asarray(labels, dtype=np.int64)).to(device)
        network.to(device).train()
        batch = min(BATCH, len(data))
        steps_an_epoch = len(data) // batch
        epochs = max(EPOCHS, -(-LEAST_STEPS // steps_an_epoch))
        optimizer = torch.optim.Adam(network.parameters(), lr=PEAK_LR, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=PEAK_LR, total_steps=epochs * steps_an_epoch)
        draws, fast = torch.Generator().manual_seed(seed), _has_fast_bf16(device)
        for _ in range(epochs):
            order = torch.randperm(len(data), generator=draws)[: steps_an_epoch * batch].view(-1, batch).to(device)
            for rows in order:
                # Uncached: inside an outer autocast (exact_float32's), casts of the weights would outlive a step.
                with torch.autocast(device.type, torch.bfloat16, enabled=fast, cache_enabled=False):
                    logits = network(data[rows])
                loss = functional.cross_entropy(logits.float(), wanted[rows])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()


@contextmanager
def _one_thread(device: torch.device) -> Iterator[None]:
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _has_fast_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # AVX-512 alone is asked about here; a processor with AMX has it too, and oneDNN then takes the tiles.
    return device.type == "cpu" and bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())


def _key(
    images: Examples,
    labels: NDArray[Any],
    test: tuple[Examples, NDArray[Any]] | None,
    seed: int,
    classes: int,
    fingerprint: str | None,
) -> list[Any]:
    digest = hashlib.sha256()
    for array in (labels, *((images, *(test or ())) if fingerprint is None else ())):
        digest.update(np.ascontiguousarray(array).tobytes())
    held = None if test is None else len(test[0])
    return [VERSION, seed, classes, list(images.shape), held, fingerprint, digest.hexdigest()]


def _fill(network: DomainClassifier, held: tuple[dict[str, torch.Tensor], dict[str, Any]] | None) -> float | None:
    """Fill the network from what the cache held, and give its accuracy; None where that cannot be used."""
    if held is None:
        return None
    try:
        network.load_state_dict(held[0])
        return float(held[1]["accuracy"])
    except (RuntimeError, KeyError, TypeError, ValueError):
        return None
