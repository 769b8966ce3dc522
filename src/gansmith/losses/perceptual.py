"""How unlike two pictures look, by what VGG-19 sees in them: features of its last convolution, before their ReLU.

Wang et al., 2018 (ESRGAN), Section 3.3 (arXiv:1809.00219), on the network of Simonyan and Zisserman (2015,
arXiv:1409.1556). Its weights are a file that the user has; nothing is fetched for it. It is known by the checksum that
torchvision put into its name; others are taken too, and it is said.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file

from gansmith.data import download
from gansmith.errors import Refused

URL, PUBLISHED = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth", "dcbb9e9d"
"""Where the weights are published, and how their sha256 begins."""

VARIABLE, FOLDER, FILES = "GANSMITH_VGG19", "vgg19", ("vgg19-dcbb9e9d.pth", "vgg19.safetensors")
STAGES = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)
"""Channels of VGG-19's convolutions; a pooling lies between stages."""

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Perceptual:
    """Features of pictures, and how far two are apart in them.

    Args:
        weights: weight and bias of each of the sixteen convolutions, in order.
        note: where they come from.
    """

    def __init__(self, weights: Sequence[tuple[torch.Tensor, torch.Tensor]], note: str = "") -> None:
        self.note, self._weights = note, {(torch.float32, torch.device("cpu")): tuple(weights)}

    def __deepcopy__(self, memo: object) -> Perceptual:
        return self  # never written to, and large

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] in [-1, 1], grey or RGB (alpha does not count) → [B, 512, H / 16, W / 16]."""
        x = x[:, :1].expand(-1, 3, -1, -1) if x.shape[1] < 3 else x[:, :3]
        mean, deviation = (torch.tensor(each, dtype=x.dtype, device=x.device) for each in (_MEAN, _DEVIATION))
        x = ((x + 1) / 2 - mean.view(1, 3, 1, 1)) / deviation.view(1, 3, 1, 1)
        key = (x.dtype, x.device)
        if key not in self._weights:
            first = next(iter(self._weights.values()))
            self._weights[key] = tuple((w.to(x), b.to(x)) for w, b in first)
        weights = list(self._weights[key])
        for number, stage in enumerate(STAGES):
            x = F.max_pool2d(x, 2) if number else x
            for _ in stage:
                w, b = weights.pop(0)
                x = F.conv2d(x, w, b, padding=1)
                x = F.relu(x) if weights else x
        return x

    def __call__(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Mean absolute difference of the features; y, the truth, is not differentiated. [B, C, H, W] twice → [B]."""
        with torch.no_grad():
            truth = self.features(y)
        return (self.features(x) - truth).abs().flatten(1).mean(1)


def at_hand(path: str | Path | None = None) -> Perceptual | None:
    """VGG-19 with its weights from `path`, else from `$GANSMITH_VGG19`, else from the cache's folder `vgg19`.

    Returns:
        None where nobody has named a file, and the cache holds none.

    Raises:
        Refused: a file that is named is missing, or is not VGG-19's weights.
    """
    given = path or os.environ.get(VARIABLE)
    place = Path(given).expanduser() if given else download.cache_folder() / FOLDER
    file = place if place.is_file() else next((place / n for n in FILES if (place / n).is_file()), None)
    if file is None:
        if given is None:
            return None
        raise Refused(f"{place}: no weights of VGG-19 there", f"Get {URL}, and let {VARIABLE} say where it is.")
    return _loaded(file)


def _loaded(file: Path) -> Perceptual:
    try:
        with open(file, "rb") as opened:
            checksum = hashlib.file_digest(opened, "sha256").hexdigest()
        safe = file.suffix == ".safetensors"
        held: Any = load_file(file) if safe else torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise Refused(f"{file}: cannot be read ({error.strerror or error})") from None
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError):
        raise Refused(f"{file}: is no file of weights, or damaged", f"VGG-19's are at {URL}.") from None
    weights, at, inputs = [], 0, 3
    for stage in STAGES:
        for width in stage:
            pair = [held.get(f"features.{at}.{part}") if isinstance(held, Mapping) else None
                    for part in ("weight", "bias")]  # fmt: skip
            shapes = [list(each.shape) if isinstance(each, torch.Tensor) else None for each in pair]
            if shapes != [[width, inputs, 3, 3], [width]]:
                raise Refused(f"{file}: features.{at} is not that of VGG-19", f"VGG-19's weights are at {URL}.")
            weights.append(tuple(held[f"features.{at}.{part}"].detach().float() for part in ("weight", "bias")))
            at, inputs = at + 2, width
        at += 1
    known = "as published" if checksum.startswith(PUBLISHED) else f"not the published file (sha256 {checksum[:8]}…)"
    return Perceptual(weights, f"VGG-19's features, {known}")
