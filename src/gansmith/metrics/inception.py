"""The published Inception features, by which a Fréchet distance may be called FID.

The network is the one that Szegedy et al. (2015, arXiv:1512.00567) trained for TensorFlow 1 and Heusel et al.
(2017, arXiv:1706.08500) measured with; its weights are a file that everybody shares. Another port, another
resize or other weights give other numbers, so none of them is taken instead.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gansmith.data import download
from gansmith.errors import Refused
from gansmith.metrics.extractor import as_tensor, exact_float32

VERSION = 1
"""Raised whenever the same weights and images would give other features."""

FILE = "weights-inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE}"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
SIZE = 95_628_359
VARIABLE = "GANSMITH_INCEPTION"

_admit: str | None = None
"""For tests alone: the sha256 of one more file that is taken for the weights, which 95 MB cannot be shipped for.

Features of such a file are not Inception's; its own sum goes into the checksum and the card.
"""

_SUMS: dict[tuple[str, int, int, int], str] = {}
"""The sums of the files that this process has summed, by path, inode, size and time of change."""


class InceptionExtractor:
    """Inception's pooled features and logits, as FID, KID and the Inception Score are published with.

    Needs the extra `gansmith[fid]`, whose network and resize these are, and the weights file; which is looked for
    at `path`, else at `$GANSMITH_INCEPTION`, else in the cache folder, and checked by its sha256 before it is
    loaded.

    Args:
        path: the weights file; None looks for it.
        download: fetch the file (95,628,359 bytes) into the cache folder where it is not found.
        device: where to compute.

    Attributes:
        checksum: sha256 over the version and the weights.
        card: what decides the features, plain JSON.

    Raises:
        Refused: the weights are not found, or are others; or the extra is not installed, or cannot be imported.
    """

    name = "inception"
    version = VERSION
    dims = 2048
    classes = 1008

    def __init__(
        self, path: str | Path | None = None, *, download: bool = False, device: torch.device | str = "cpu"
    ) -> None:
        file = _weights_file(path, download)
        library, resize = _library()
        weights, checksum = _read(file)
        self.device = torch.device(device)
        self.checksum = hashlib.sha256(f"{self.name} {VERSION} {checksum}".encode()).hexdigest()
        self.card: dict[str, Any] = {
            "network": "Inception of 2015-12-05, with TensorFlow 1's pooling, in float32",
            "weights": file.name,
            "weights_sha256": checksum,
            "features": "2048, after the last average pool",
            "logits": "1008, without bias",
            "resize": "299x299, bilinear as TensorFlow 1 does it (no antialiasing, corners not aligned), on float32",
            "range": "0 to 255, then (x - 128) / 128",
            "channels": "3; grey repeated to 3",
        }
        self._resize = resize
        # In the order in which they are made, which is that of the forward pass; `fc` comes last.
        *trunk, last = _filled(library, weights, file).to(self.device).children()
        assert isinstance(last, nn.Linear)
        self._trunk, self._last = nn.Sequential(*trunk), last
        if self.device.type == "cpu":
            # Nearly twice as fast there, for sums that differ in their last bits (a distance by 1e-7 of itself).
            self._trunk.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def features(self, examples: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Give the 2048 features of images uint8 [N, C, H, W], C = 1 or 3; float32 [N, 2048].

        Raises:
            Refused: where they are no such images.
        """
        parts = [self.embed(batch).cpu().numpy() for batch in self._batches(examples)]
        return np.concatenate(parts) if parts else np.zeros((0, self.dims), np.float32)

    def features_and_logits(self, examples: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Give the features and the logits without bias, which the Inception Score takes, in one pass.

        Args:
            examples: images, uint8 [N, C, H, W], C = 1 or 3.

        Returns:
            float32 [N, 2048] and float32 [N, 1008].

        Raises:
            Refused: where they are no such images.
        """
        features, logits = [np.zeros((0, self.dims), np.float32)], [np.zeros((0, self.classes), np.float32)]
        for batch in self._batches(examples):
            pooled = self.embed(batch)
            with torch.inference_mode(), exact_float32():
                logits.append((pooled @ self._last.weight.T).cpu().numpy())
            features.append(pooled.cpu().numpy())
        return np.concatenate(features), np.concatenate(logits)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Give the features of images that need not be whole numbers; all at once, so a batch of them.

        Args:
            images: 0 to 255, of any type, [N, C, H, W], C = 1 or 3.

        Returns:
            float32 [N, 2048], on the extractor's device; without gradients.

        Raises:
            Refused: where they are no such images.
        """
        check_images(images.shape, self.name)
        with torch.inference_mode(), exact_float32():
            x = images.to(self.device, torch.float32).expand(-1, 3, -1, -1)
            x = self._resize(x, size=(299, 299), align_corners=False)
            return self._trunk((x - 128) / 128).flatten(1)

    def _batches(self, examples: NDArray[np.uint8]) -> Iterator[torch.Tensor]:
        return batches(examples, self.name, 16 if self.device.type == "cpu" else 256)


def found(path: str | Path | None = None) -> Path | None:
    """Where the weights file is, unchecked: at `path`, else at `$GANSMITH_INCEPTION`, else in the cache folder.

    The first of them that is given is the only one looked at; None where there is no file.
    """
    file = _place(path)
    return file if file.is_file() else None


def check_images(shape: tuple[int, ...], name: str) -> None:
    """Refuse what is no batch of grey or RGB images [N, C, H, W]."""
    if len(shape) != 4 or shape[1] not in (1, 3) or 0 in shape[2:]:
        raise Refused(f"{name} features need images [N, C, H, W] of 1 or 3 channels, not {list(shape)}")


def batches(examples: NDArray[np.uint8], name: str, size: int) -> Iterator[torch.Tensor]:
    """Cut uint8 images [N, C, H, W] into batches of one size; of one size, since sums must not depend on it.

    Raises:
        Refused: where they are not uint8, or no images.
    """
    if examples.dtype != np.uint8:
        raise Refused(f"{name} features need uint8 images, 0 to 255, not {examples.dtype}")
    check_images(examples.shape, name)
    return (as_tensor(examples[at : at + size]) for at in range(0, len(examples), size))


def first_line(error: BaseException) -> str:
    """What another library's error says, in a line."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


# --- the weights file -------------------------------------------------------------------------------


def _place(path: str | Path | None) -> Path:
    given = path or os.environ.get(VARIABLE)
    return Path(given).expanduser() if given else download.cache_folder() / FILE


def _weights_file(path: str | Path | None, allowed: bool) -> Path:
    file = _place(path)
    if file.is_file():
        return file
    own = download.cache_folder() / FILE
    if file != own:
        asked = "as asked" if path else f"which {VARIABLE} names"
        raise Refused(f"{file}: no such file, {asked}; it should be Inception's weights", _remedy(file))
    if not allowed:
        raise Refused(f"FID needs Inception's weights, {FILE}, and {own.parent} does not hold them", _remedy(own))
    try:
        return download.fetch(download.Source(URL, _admit or SHA256, SIZE), own)
    except Refused as error:
        raise Refused(error.what, _remedy(own)) from None


def _remedy(place: Path) -> str:
    return f"Get {URL} ({SIZE:,} bytes, sha256 {SHA256}) and put it at {place}, or let {VARIABLE} say where it is."


def _read(file: Path) -> tuple[dict[str, torch.Tensor], str]:
    """Read the weights from the very bytes whose sum was checked, and give that sum."""
    try:
        data = file.read_bytes()
        checksum = sum_of(file, data)
    except OSError as error:
        raise Refused(f"{file}: cannot be read ({error.strerror or error})") from None
    if checksum not in (SHA256, _admit):
        what = f"{file}: are not Inception's published weights ({len(data):,} bytes, sha256 {checksum})"
        raise Refused(what, _remedy(file))
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True), checksum
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise Refused(f"{file}: cannot be loaded ({first_line(error)})") from None


def sum_of(file: Path, data: bytes | None = None) -> str:
    """Sum a file by sha256, in hex, of its bytes where they are read already; once a process, while it is unchanged.

    Raises:
        OSError: where it cannot be read.
    """
    about = file.stat()
    key = (str(file.absolute()), about.st_ino, about.st_size, about.st_mtime_ns)
    if key not in _SUMS:
        if data is not None:
            _SUMS[key] = hashlib.sha256(data).hexdigest()
        else:
            with file.open("rb") as stream:
                _SUMS[key] = hashlib.file_digest(stream, "sha256").hexdigest()
    return _SUMS[key]


# --- the network ------------------------------------------------------------------------------------


def _library() -> tuple[Any, Any]:
    """Import torch-fidelity's network and its resize."""
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] == "torch_fidelity":
            raise Refused("Inception features need the library torch-fidelity", "pip install 'gansmith[fid]'") from None
        raise _cannot_import(error) from None
    except (ImportError, RuntimeError) as error:
        raise _cannot_import(error) from None
    return FeatureExtractorInceptionV3, interpolate_bilinear_2d_like_tensorflow1x


def _cannot_import(error: Exception) -> Refused:
    return Refused(
        f"torch-fidelity, which Inception features need, cannot be imported ({first_line(error)})",
        "Install the torchvision that belongs to this torch, from the same place as torch itself.",
    )


def _filled(library: Any, weights: dict[str, torch.Tensor], file: Path) -> nn.Module:
    """Build the network and fill it with these weights.

    Its constructor would download or unpickle a file by itself. It is handed an empty one in memory, and what
    it does with that comes to nothing; without memory for weights (on `meta`), so nothing is drawn either.
    """

    class Unfilled(library):
        def load_state_dict(self, state_dict: Any, *args: Any, **others: Any) -> Any:
            return super().load_state_dict(state_dict, *args, **others) if state_dict else None

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    with torch.device("meta"):
        network = Unfilled("inception-v3-compat", ["2048"], feature_extractor_weights_path=nothing)
    try:
        network.load_state_dict(weights, assign=True)
    except (RuntimeError, TypeError, AttributeError) as error:
        why = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise Refused(f"{file}: are not the weights of this network ({' '.join(why[:2])[:200]})") from None
    return network.eval().requires_grad_(False)
