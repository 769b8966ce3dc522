"""LPIPS: how unlike two images look, by the features of VGG-16; and as a measure of diversity.

The network is that of Simonyan and Zisserman (2015, arXiv:1409.1556) with the weights that torchvision publishes;
the weights of its channels are those that Zhang et al. (2018, arXiv:1801.03924) fitted to what people judge alike,
version 0.1. Both are files that the user names: other ones are taken too, and the card says so.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from gansmith.data import download
from gansmith.errors import Refused
from gansmith.metrics.extractor import as_tensor, exact_float32
from gansmith.metrics.inception import batches, check_images, first_line, sum_of
from gansmith.metrics.measure import Materials, Measure, Value

VERSION = 1
"""Raised whenever the same weights and images would give other distances."""

VGG = download.Source(
    "https://download.pytorch.org/models/vgg16-397923af.pth",
    "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    553_433_881,
)
LINEAR = download.Source(
    "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1/vgg.pth",
    "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
    7_289,
)
FILES = ("vgg16-397923af.pth", "vgg.pth")
"""Names of the two in a folder."""

ALSO = "weights-vgg16-lpips.pth"
"""What torch-fidelity calls the second."""

VARIABLE, FOLDER = "GANSMITH_LPIPS", "lpips"

STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Channels of VGG-16's convolutions; the last of each stage is looked at, and a pooling lies between stages."""

LEAST = 16
"""Pixels a side that four poolings leave something of."""

IMAGES, GROUPS = 1000, 10
"""Images among which diversity is measured, and groups of them for its error."""

_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_NAMES = (
    (re.compile(r"(?:.*\.)?features\.(\d+)\.(weight|bias)"), "features.{}.{}"),
    (re.compile(r"net\.slice\d\.(\d+)\.(weight|bias)"), "features.{}.{}"),
    (re.compile(r"lin(\d)\.model\.\d\.weight"), "lin{}.model.1.weight"),
)
"""How torchvision, and a whole LPIPS saved at once, name weights; and the names that they go by here."""

Images = NDArray[np.uint8] | torch.Tensor
"""Images of 0 to 255, [N, C, H, W], C = 1 or 3."""


class Diversity(NamedTuple):
    """Mean distance of all pairs (higher is more diverse), its standard error, and the number of images."""

    distance: float
    error: float
    images: int


def lpips_distance(x: Images, y: Images, extractor: LpipsExtractor | None = None) -> torch.Tensor:
    """Compute LPIPS of each pair of images.

        d(x, y) = Σ_l 1/(H_l W_l) Σ_hw Σ_k w_lk (f_lkhw(x) − f_lkhw(y))²

    where f_l are features after the last ReLU of VGG-16's stage l, the channels of each place scaled to unit
    length, and w the learned weights. Zhang et al., 2018, Section 3 (arXiv:1801.03924). Images keep their size.

    Args:
        x: images, 0 to 255, [N, C, H, W].
        y: images, likewise.
        extractor: with the weights; None reads them from their usual place, each time.

    Returns:
        float64 [N]; 0 for equal images.

    Raises:
        Refused: unlike shapes, no images of grey or RGB of 16 pixels a side or more, or weights that are not found.
    """
    a, b = (each if isinstance(each, torch.Tensor) else as_tensor(each) for each in (x, y))
    return (extractor or LpipsExtractor()).apart(a, b)


def lpips_diversity(
    images: NDArray[np.uint8], extractor: LpipsExtractor, *, most: int = IMAGES, seed: int = 0
) -> Diversity:
    """Compute the mean LPIPS over all pairs of images, whatever their classes: the higher, the more diverse.

        2/(n (n − 1)) Σ_{i<j} |φᵢ − φⱼ|² = 2 n/(n − 1) (1/n Σᵢ |φᵢ|² − |1/n Σᵢ φᵢ|²)

    with φ the extractor's features, so that all pairs cost no more than their images. Mean distances of pairs as a
    measure of diversity: Zhu et al., 2017 (BicycleGAN, arXiv:1711.11586). Its standard error is that of leaving out
    tenths (Efron and Stein, 1981).

    Args:
        images: 0 to 255, uint8 [N, C, H, W].
        extractor: with the weights.
        most: images looked at; of more, a seeded choice.
        seed: of the choice, and of the tenths.

    Raises:
        Refused: fewer than 20 images, or no such images.
    """
    if len(images) < 2 * GROUPS:
        raise Refused(f"diversity needs {2 * GROUPS} images or more, not {len(images)}")
    chosen = np.random.Generator(np.random.PCG64(seed)).permutation(len(images))[:most]
    parts = np.array_split(chosen, GROUPS)
    each = [_sums(images[np.sort(part)], extractor) for part in parts]
    sums, squares = torch.stack([one for one, _ in each]), np.array([other for _, other in each])
    counts, total = np.array([len(part) for part in parts]), sums.sum(0)
    # |Σ φ|² of all but one group, by what each group adds to it; the rest is arithmetic on ten numbers.
    own, shared = sums.square().sum(1).cpu().numpy(), (sums @ total).cpu().numpy()
    whole = float(total.square().sum())

    def mean(n: Any, square: Any, of_sum: Any) -> Any:
        return np.maximum(2 / (n - 1) * (square - of_sum / n), 0)

    left = mean(len(chosen) - counts, squares.sum() - squares, whole - 2 * shared + own)
    error = np.sqrt((GROUPS - 1) / GROUPS * ((left - left.mean()) ** 2).sum())
    return Diversity(float(mean(len(chosen), squares.sum(), whole)), float(error), len(chosen))


def _sums(images: NDArray[np.uint8], extractor: LpipsExtractor) -> tuple[torch.Tensor, float]:
    """Σ φ and Σ |φ|² of some images, in float64."""
    total, square = torch.zeros((), dtype=torch.float64), 0.0
    for batch in extractor.batches(images):
        features = extractor.embed(batch).to(torch.float64)
        total, square = features.sum(0) + total.to(features.device), square + float(features.square().sum())
    return total, square


# --- the extractor ----------------------------------------------------------------------------------


class Lpips(nn.Module):
    """VGG-16 up to relu5_3, with a weight for each channel of its five layers; its input is 0 to 255, [N, 3, H, W]."""

    def __init__(self) -> None:
        super().__init__()
        self.stages, inside = nn.ModuleList(), 3
        for i, widths in enumerate(STAGES):
            layers: list[nn.Module] = [nn.MaxPool2d(2)] if i else []
            for width in widths:
                layers += [nn.Conv2d(inside, width, 3, padding=1), nn.ReLU(inplace=True)]
                inside = width
            self.stages.append(nn.Sequential(*layers))
            self.register_buffer(f"weights{i}", torch.ones(inside))

    def forward(self, images: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Give each layer's features, of unit length at each place, [N, C, H, W], and the weights, [C]."""
        shift, scale = (images.new_tensor(each).view(1, 3, 1, 1) for each in (_SHIFT, _SCALE))
        x = (images / 127.5 - 1 - shift) / scale
        for i, stage in enumerate(self.stages):
            x = stage(x)
            yield x / (x.norm(dim=1, keepdim=True) + 1e-10), self.get_buffer(f"weights{i}")


class LpipsExtractor:
    """Features of images whose squared distances are LPIPS on VGG-16.

        φ(x) = (√(w_lk / (H_l W_l)) f_lkhw(x))_lkhw,   LPIPS(x, y) = |φ(x) − φ(y)|²

    They are as long as all activations that are looked at, so they serve distances of pairs and are not kept. The
    weights are looked for at `path`, else at `$GANSMITH_LPIPS`, else in the cache's folder `lpips`: a folder that
    holds `vgg16-397923af.pth` and `vgg.pth`, or one file of both. They are read without running code.

    Args:
        path: folder, or file (safetensors or torch's); None looks for it.
        download: fetch both files (553,441,170 bytes) into the cache's folder where they are not found.
        device: where to compute.

    Attributes:
        dims: channels of the five layers; a vector holds each of them at each of its layer's places.
        checksum: sha256 over the version and the weights.
        card: what decides the distances, plain JSON; it says whether the files are the published ones.

    Raises:
        Refused: the weights are not found, or are none of such a network's.
    """

    name = "lpips"
    version = VERSION
    dims = sum(widths[-1] for widths in STAGES)

    def __init__(
        self, path: str | Path | None = None, *, download: bool = False, device: torch.device | str = "cpu"
    ) -> None:
        files = _weights_files(path, download)
        weights: dict[str, torch.Tensor] = {}
        sums: dict[str, str] = {}
        for file in files:
            held, sums[file.name] = _read(file)
            weights |= held
        self.device = torch.device(device)
        self.network = _filled(weights, files[0] if len(files) == 1 else files[0].parent).to(self.device)
        if self.device.type == "cpu":
            # A quarter faster there, for sums that differ in their last bits.
            self.network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        about = hashlib.sha256(f"{self.name} {VERSION}".encode())
        for tensor in self.network.state_dict().values():
            about.update(tensor.cpu().numpy().tobytes())
        self.checksum = about.hexdigest()
        self.card: dict[str, Any] = {
            "network": "VGG-16 with LPIPS's weights of its channels, in float32",
            "weights_sha256": sums,
            "weights_published": set(sums.values()) == {VGG.checksum, LINEAR.checksum},
            "features": "relu1_2, relu2_2, relu3_3, relu4_3, relu5_3, of unit length at each place, weighted",
            "resize": "none",
            "range": "0 to 255, then to -1 to 1, then LPIPS's shift and scale",
            "channels": "3; grey repeated to 3",
        }

    def apart(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Give the distance of each pair of images, which need not be whole numbers.

        Args:
            x: images, 0 to 255, of any type, [N, C, H, W], C = 1 or 3.
            y: images, likewise.

        Returns:
            float64 [N], on the extractor's device; without gradients.

        Raises:
            Refused: where they are no such images, or of unlike shapes.
        """
        if x.shape != y.shape:
            raise Refused(f"expected two sets of images of one shape, not {list(x.shape)} and {list(y.shape)}")
        check(tuple(x.shape))
        size, parts = _batch(tuple(x.shape)), [torch.zeros(0, dtype=torch.float64, device=self.device)]
        for a, b in zip(x.split(size), y.split(size), strict=True):
            with torch.inference_mode(), exact_float32():
                total = torch.zeros(len(a), dtype=torch.float64, device=self.device)
                for (f, weights), (g, _) in zip(self._layers(a), self._layers(b), strict=True):
                    weighted = (f - g).square_() * weights.view(1, -1, 1, 1)
                    total += weighted.sum(1, dtype=torch.float64).mean((1, 2))
                parts.append(total)
        return torch.cat(parts)

    def features(self, examples: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Give φ of images uint8 [N, C, H, W], C = 1 or 3; float32 [N, d], with d by their size.

        Raises:
            Refused: where they are no such images.
        """
        parts = [self.embed(batch).cpu().numpy() for batch in self.batches(examples)]
        return np.concatenate(parts) if parts else np.zeros((0, length(examples.shape[2:])), np.float32)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Give φ of images that need not be whole numbers; all at once, so a batch of them.

        Args:
            images: 0 to 255, of any type, [N, C, H, W], C = 1 or 3.

        Returns:
            float32 [N, d], on the extractor's device; without gradients.

        Raises:
            Refused: where they are no such images.
        """
        check(tuple(images.shape))
        with torch.inference_mode(), exact_float32():
            parts = []
            for features, weights in self._layers(images):
                share = (weights / features[0, 0].numel()).sqrt()
                parts.append((features * share.view(1, -1, 1, 1)).flatten(1))
            return torch.cat(parts, 1)

    def batches(self, examples: NDArray[np.uint8]) -> Iterator[torch.Tensor]:
        """Cut uint8 images into batches that fit in memory.

        Raises:
            Refused: where they are no such images.
        """
        check(examples.shape)
        return batches(examples, self.name, _batch(examples.shape))

    def _layers(self, images: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return self.network(images.to(self.device, torch.float32).expand(-1, 3, -1, -1))


def length(size: tuple[int, ...]) -> int:
    """How long φ is for images of this height and width."""
    return sum(widths[-1] * (size[0] >> i) * (size[1] >> i) for i, widths in enumerate(STAGES))


def found(path: str | Path | None = None) -> Path | None:
    """Where the weights are, unchecked: at `path`, else at `$GANSMITH_LPIPS`, else in the cache's folder `lpips`.

    The first of them that is given is the only one looked at; None where they are not there.
    """
    place = _place(path)
    return place if place.is_file() or (place.is_dir() and None not in _in_folder(place)) else None


def check(shape: tuple[int, ...]) -> None:
    """Refuse what is no batch of grey or RGB images [N, C, H, W] of 16 pixels a side or more."""
    check_images(shape, "lpips")
    if min(shape[2:]) < LEAST:
        raise Refused(f"lpips needs {LEAST} pixels a side or more, not {min(shape[2:])}")


def _batch(shape: tuple[int, ...]) -> int:
    """Images at a time: the first layer's activations, 64 a pixel, are the most."""
    return max(1, min(64, (1 << 20) // (shape[2] * shape[3])))


# --- the weights ------------------------------------------------------------------------------------


def _place(path: str | Path | None) -> Path:
    given = path or os.environ.get(VARIABLE)
    return Path(given).expanduser() if given else download.cache_folder() / FOLDER


def _in_folder(place: Path) -> tuple[Path | None, Path | None]:
    """The network's file, and that of the channels' weights."""
    first, second = place / FILES[0], next((place / n for n in (FILES[1], ALSO) if (place / n).is_file()), None)
    return first if first.is_file() else None, second


def _weights_files(path: str | Path | None, allowed: bool) -> tuple[Path, ...]:
    place, own = _place(path), download.cache_folder() / FOLDER
    if place.is_file():
        return (place,)
    first, second = _in_folder(place)
    if first is not None and second is not None:
        return first, second
    if place == own and allowed:
        try:
            return download.fetch(VGG, own / FILES[0]), download.fetch(LINEAR, own / FILES[1])
        except Refused as error:
            raise Refused(error.what, _remedy(own)) from None
    missing = " and ".join(name for name, file in zip(FILES, (first, second), strict=True) if file is None)
    if place == own:
        raise Refused(f"LPIPS needs two files of weights, and {own} does not hold {missing}", _remedy(own))
    if place.is_dir():
        raise Refused(f"{place}: should hold LPIPS's two files of weights, and does not hold {missing}", _remedy(place))
    asked = "as asked" if path else f"which {VARIABLE} names"
    raise Refused(f"{place}: no such file or folder, {asked}; it should hold LPIPS's weights", _remedy(place))


def _remedy(place: Path) -> str:
    folder = place if not place.suffix else place.parent
    return (
        f"Get {VGG.url} ({VGG.size:,} bytes) and {LINEAR.url} ({LINEAR.size:,} bytes), and put both into {folder}, or "
        f"let {VARIABLE} say where they are."
    )


def _read(file: Path) -> tuple[dict[str, torch.Tensor], str]:
    """Read a file's weights, by torchvision's and LPIPS's own names, and sum it."""
    try:
        checksum = sum_of(file)
        safe = file.suffix == ".safetensors"
        held: Any = load_file(file) if safe else torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise Refused(f"{file}: cannot be read ({error.strerror or error})") from None
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise Refused(f"{file}: cannot be loaded ({first_line(error)})") from None
    named = {_named(str(key)): value for key, value in (held if isinstance(held, Mapping) else {}).items()}
    return {name: value for name, value in named.items() if name and isinstance(value, torch.Tensor)}, checksum


def _named(key: str) -> str | None:
    """A weight's name where it was published; None of what is not looked at, such as VGG-16's classifier."""
    matches = ((pattern.fullmatch(key), name) for pattern, name in _NAMES)
    return next((name.format(*match.groups()) for match, name in matches if match), None)


def _names(network: Lpips) -> Iterator[tuple[str, str]]:
    """Each weight's name in the network, and where it was published."""
    at = 0
    for i, stage in enumerate(network.stages):
        for j, layer in enumerate(stage.children()):
            if isinstance(layer, nn.Conv2d):
                yield from ((f"stages.{i}.{j}.{part}", f"features.{at}.{part}") for part in ("weight", "bias"))
            at += 1
        yield f"weights{i}", f"lin{i}.model.1.weight"


def _filled(weights: Mapping[str, torch.Tensor], where: Path) -> Lpips:
    """Build the network and fill it with these weights."""
    with torch.device("meta"):
        network = Lpips()
    shapes, names = network.state_dict(), dict(_names(network))
    lacking = [name for name in names.values() if name not in weights]
    if lacking:
        what = f"{where}: lacks {len(lacking)} of the weights of LPIPS on VGG-16, {lacking[0]} among them"
        raise Refused(what, _remedy(where))
    state = {}
    for own, name in names.items():
        given, linear = weights[name], own.startswith("weights")
        shape = (1, *shapes[own].shape, 1, 1) if linear else tuple(shapes[own].shape)
        if tuple(given.shape) != shape or not given.is_floating_point():
            what = f"{where}: {name} is {list(given.shape)} of {str(given.dtype).removeprefix('torch.')}"
            raise Refused(f"{what}, but {list(shape)} of floats on VGG-16", _remedy(where))
        # Squares of differences that count negatively would make no distance.
        if not bool(given.isfinite().all()) or (linear and bool((given < 0).any())):
            raise Refused(f"{where}: {name} is not finite{', or negative' if linear else ''}", _remedy(where))
        state[own] = given.detach().to(torch.float32).reshape(shapes[own].shape)
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


# --- the measure ------------------------------------------------------------------------------------


def _diversity(materials: Materials) -> dict[str, Value]:
    images, extractor = materials.fake.images, materials.extractor
    if not isinstance(extractor, LpipsExtractor) or images is None:
        raise Refused("lpips: is measured by its own weights alone")
    found = lpips_diversity(images, extractor, seed=materials.seed)
    return {"": Value(found.distance, found.error, "standard error, by leaving out tenths")}


MEASURES = (
    Measure(
        "lpips", _diversity, "mean LPIPS of all pairs of samples (higher is more diverse)", "real",
        frozenset({"images"}), least=2 * GROUPS, leaning="higher", bare=True, alone=True, only="lpips", slow=True,
        settings={"images_at_most": IMAGES, "pairs": "all, whatever their classes"},
    ),
)  # fmt: skip
