"""Pictures made larger by a trained network: any size by tiles, any channels that it knows, one file or a folder."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from gansmith.applications import photos
from gansmith.applications.photos import Photo, Pixels
from gansmith.augmentations.resizing import resize
from gansmith.data.dataset import Problem
from gansmith.data.pictures import CHANNELS, Unreadable
from gansmith.data.stores import open_folder
from gansmith.engine import hardware
from gansmith.errors import Refused
from gansmith.model import load
from gansmith.networks import rrdb

LARGEST, TILES, BREADTH = 64_000_000, (64, 768), 2048
"""Numbers that a network's widest layer may hold of a tile, bounds of a tile's side, and what an unknown one is taken
to hold for each pixel."""

OVERLAP = 32
"""Pixels that a tile reads beyond itself, at most, where the network would reach farther."""


class Upscaler:
    """A network that enlarges, and how it is used.

    Args:
        network: [1, C, h, w] in [-1, 1] → [1, C, scale · h, scale · w].
        name: what to call it in messages.
        scale: how many times larger.
        channels: that it takes and gives.
        reach: pixels, each way, on which a pixel depends; None is unknown.
        breadth: numbers that its widest layer holds for each pixel; None is unknown.
        device: where to work.
        tile: pixels of a tile's side, before it is enlarged; None is what a quarter of a gigabyte holds of the widest
            layer.
        overlap: pixels that a tile reads beyond itself. None is the reach, so that tiles agree with the whole; at most
            32, which is what counts in a deeper network.
        ensemble: the mean over the eight turns and mirrorings of the picture (Timofte et al., 2016, arXiv:1511.02228):
            a little better, and eight times the work.
    """

    def __init__(
        self,
        network: nn.Module,
        name: str,
        scale: int,
        channels: int,
        reach: int | None = None,
        *,
        breadth: int | None = None,
        device: torch.device | str = "cpu",
        tile: int | None = None,
        overlap: int | None = None,
        ensemble: bool = False,
    ) -> None:
        self.device = torch.device(device)
        network = network.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = network.eval().requires_grad_(False)
        self.name, self.scale, self.channels, self.ensemble = name, scale, channels, ensemble
        side = math.isqrt(LARGEST // (breadth or BREADTH))
        self.tile = min(max(side, TILES[0]), TILES[1]) if tile is None else tile
        self.overlap = min(OVERLAP if reach is None else reach, OVERLAP) if overlap is None else overlap

    def __call__(self, pixels: Pixels) -> Pixels:
        """Enlarge a picture.

        Args:
            pixels: uint8 or uint16, [H, W, C].

        Returns:
            The same kind, [scale · H, scale · W, C].

        Raises:
            Refused: channels that the network was not trained for.
        """
        return np.concatenate(list(self.bands(pixels)))

    def bands(self, pixels: Pixels) -> Iterator[Pixels]:
        """The enlarged picture's rows, from the top, one row of tiles at a time."""
        split = self._split(pixels.shape[2])
        height, width = pixels.shape[:2]
        for top in range(0, height, self.tile):
            bottom = min(top + self.tile, height)
            row = [
                self._tile(pixels, (top, bottom, left, min(left + self.tile, width)), split)
                for left in range(0, width, self.tile)
            ]
            yield np.concatenate(row, 1)

    def _split(self, channels: int) -> int:
        """How many channels the network makes; what is left is alpha, which is enlarged bicubically.

        Raises:
            Refused: it cannot.
        """
        if channels == self.channels:
            return channels
        colours = channels - (channels in (2, 4))
        if colours == self.channels or (colours == 1 and self.channels == 3):
            return colours
        trained, given = CHANNELS[self.channels], CHANNELS[channels]
        raise Refused(f"{self.name} was trained on pictures in {trained}, and this one is {given}")

    @torch.inference_mode()
    def _tile(self, pixels: Pixels, core: tuple[int, int, int, int], split: int) -> Pixels:
        """The part that comes of rows and columns `core`, by the network and the pixels around."""
        full = np.iinfo(pixels.dtype).max
        top, bottom, left, right = core
        window, inner = _around(core, pixels.shape[:2], self.overlap, self.scale)
        cut = torch.from_numpy(pixels[window].astype(np.float32)).to(self.device).permute(2, 0, 1)[None]
        cut = cut * (2 / full) - 1
        colours = cut[:, :split].expand(-1, max(split, self.channels if split == 1 else split), -1, -1)
        made = self._run(colours.contiguous(memory_format=torch.channels_last))
        if split == 1 and self.channels == 3:
            made = made.mean(1, keepdim=True)
        if split < pixels.shape[2]:
            alpha = cut[:, split:]
            height, width = (self.scale * side for side in alpha.shape[2:])
            made = torch.cat([made, resize(alpha, height, width)], 1)
        made = ((made[(..., *inner)] + 1) * (full / 2)).round_().clamp_(0, full)
        out = made[0].permute(1, 2, 0).cpu().numpy().astype(pixels.dtype)
        assert out.shape[:2] == (self.scale * (bottom - top), self.scale * (right - left))
        return out

    def _run(self, x: torch.Tensor) -> torch.Tensor:
        if not self.ensemble:
            return self.network(x)
        total = torch.zeros(())
        for mirrored in (False, True):
            for quarter in range(4):
                moved = torch.rot90(x.flip(3) if mirrored else x, quarter, (2, 3))
                made = self.network(moved.contiguous(memory_format=torch.channels_last))
                made = torch.rot90(made, -quarter, (2, 3))
                total = total + (made.flip(3) if mirrored else made)
        return total / 8


def _around(
    core: tuple[int, int, int, int], size: Sequence[int], overlap: int, scale: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The window that a tile reads, and the tile's place in what is made of it."""
    top, bottom, left, right = core
    window, inner = [], []
    for low, high, side in ((top, bottom, size[0]), (left, right, size[1])):
        first, last = max(low - overlap, 0), min(high + overlap, side)
        window.append(slice(first, last))
        inner.append(slice(scale * (low - first), scale * (high - first)))
    return (window[0], window[1]), (inner[0], inner[1])


# --- where the network comes from ------------------------------------------------------------------


def of_run(
    run: str | Path,
    *,
    sharpness: float | None = None,
    psnr_run: str | Path | None = None,
    checkpoint: str | int = "latest",
    device: str = "auto",
    **how: Any,
) -> Upscaler:
    """The network of a run, or one between those of two: (1 − s) times the weights of `psnr_run`, s times the run's.

    Network interpolation: Wang et al., 2018 (ESRGAN), Section 3.4 (arXiv:1809.00219).

    Args:
        run: the run's folder.
        sharpness: s, from 0 (the weights of `psnr_run`) to 1.
        psnr_run: the run of the first stage, that the other began from; None is the one that the run says so itself.
        checkpoint: of the run.
        device: where to work.
        how: `tile`, `overlap` and `ensemble` of `Upscaler`.

    Raises:
        Refused: no such run, one of another kind, or two that do not fit together.
    """
    model = load(run, checkpoint=checkpoint, device=device)
    network: Any = getattr(model.game, "generator", None)
    scale, channels = getattr(network, "scale", None), getattr(network, "channels", None)
    if not (model.game.use or "").startswith("upscale") or scale is None or channels is None:
        raise Refused(f"{run}: was not trained to enlarge pictures", "Recipes that are: srresnet, esrgan-psnr, esrgan.")
    if sharpness is not None:
        before = model.run.info().get("from") if psnr_run is None else psnr_run
        if before is None:
            raise Refused(f"{run}: does not say which run it began from", "Give --psnr-run.")
        first: Any = load(before, device=device).game
        between(getattr(first, "generator", None), network, sharpness, f"{before} and {run}")
    known = {name: getattr(network, name, None) for name in ("reach", "breadth")}
    return Upscaler(network, str(run), scale, channels, **known, device=model.device, **how)


def between(first: nn.Module | None, second: nn.Module, share: float, where: str) -> None:
    """Move the second network's weights to (1 − share) times the first's and share times its own.

    Raises:
        Refused: the two are not of one kind.
    """
    mine, theirs = second.state_dict(), {} if first is None else first.state_dict()
    if {k: v.shape for k, v in mine.items()} != {k: v.shape for k, v in theirs.items()}:
        raise Refused(f"{where}: their networks differ, so there is nothing between them")
    with torch.no_grad():
        for name, tensor in mine.items():
            if tensor.is_floating_point():
                tensor.copy_(theirs[name].to(tensor.device).lerp(tensor, share))


class _Plain(nn.Module):
    """A network of pictures in [0, 1], as one of pictures in [-1, 1]."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network((x + 1) / 2) * 2 - 1


def of_weights(file: str | Path, *, device: str = "auto", **how: Any) -> Upscaler:
    """A published network from its file of weights: ESRGAN and Real-ESRGAN, and others by the library spandrel.

    Args:
        file: `.pth` or `.safetensors`; nothing in it is executed.
        device: where to work.
        how: `tile`, `overlap` and `ensemble` of `Upscaler`.

    Raises:
        Refused: the file is none that is known, or needs the library.
    """
    path, place = Path(file), hardware.pick_device(device)
    try:
        safe = path.suffix == ".safetensors"
        held: Any = load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise Refused(f"{path}: cannot be read ({error.strerror or error})") from None
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError):
        raise Refused(f"{path}: is no file of weights, or damaged") from None
    own = rrdb.of_published(held) if isinstance(held, Mapping) else None
    if own is not None:
        known = {"reach": own.reach, "breadth": own.breadth}
        return Upscaler(_Plain(own), path.name, own.scale, own.channels, **known, device=place, **how)
    found = _by_spandrel(held, path)
    return Upscaler(_Plain(found), path.name, found.scale, found.input_channels, device=place, **how)


def _by_spandrel(held: Any, path: Path) -> Any:
    try:
        import spandrel  # pyright: ignore[reportMissingImports]  (an extra, whose torchvision not every torch has)
    except (ImportError, RuntimeError) as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "spandrel"
        why = "" if missing else f", which cannot be imported ({str(error).splitlines()[0]})"
        other = "pip install 'gansmith[esrgan]'" if missing else "Install the torchvision that belongs to this torch."
        raise Refused(f"{path}: not ESRGAN's network; others need the library spandrel{why}", other) from None
    try:
        found: Any = spandrel.ModelLoader("cpu").load_from_state_dict(held)
    except (spandrel.UnsupportedModelError, RuntimeError, ValueError, KeyError, AttributeError) as error:
        raise Refused(f"{path}: is no file of weights that is known ({type(error).__name__})") from None
    enlarges = isinstance(found, spandrel.ImageModelDescriptor) and found.scale >= 2
    if not enlarges or found.input_channels != found.output_channels:
        raise Refused(f"{path}: {found.architecture.name} makes no picture larger")
    return Described(found)


class Described(nn.Module):
    """A network that spandrel has loaded, padded and called as it wants to be."""

    def __init__(self, found: Any) -> None:
        super().__init__()
        self.model, self.found = found.model, [found]
        self.scale, self.input_channels = int(found.scale), int(found.input_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[1, C, H, W] in [0, 1] → [1, C, scale · H, scale · W]."""
        return self.found[0](x)


# --- files -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Done:
    """What was made of files.

    Attributes:
        made: (file, file that was written) each.
        problems: files that were passed over, and why.
        megapixels: that were written.
    """

    made: tuple[tuple[Path, Path], ...]
    problems: tuple[Problem, ...]
    megapixels: float


def upscale(
    source: str | Path,
    run: str | Path | Upscaler,
    out: str | Path | None = None,
    *,
    progress: Callable[[int, int, str], None] | None = None,
    **how: Any,
) -> Done:
    """Enlarge a picture, or all in a folder; each keeps its format, its bits, its alpha, its profile and its EXIF.

    Args:
        source: a picture or a folder.
        run: the run's folder, or an `Upscaler`.
        out: the file or folder to write; None is beside the source, with `-x4` after its name.
        progress: called with the number of files begun, of all, and the file's name.
        how: as of `of_run`.

    Raises:
        Refused: a run, a folder or a single picture that cannot be used. Of several, such are passed over and named.
    """
    upscaler = run if isinstance(run, Upscaler) else of_run(run, **how)
    source = Path(source)
    pairs, single = targets(source, None if out is None else Path(out), upscaler.scale), source.is_file()
    made: list[tuple[Path, Path]] = []
    problems: list[Problem] = []
    written = 0
    for number, (file, target) in enumerate(pairs, 1):
        if progress is not None:
            progress(number, len(pairs), file.name)
        try:
            photo = photos.read(file)
            height, width, channels = photo.pixels.shape
            upscaler._split(channels)
            kept = Photo(photo.pixels, _kind(target, photo), photo.icc, photo.exif)
            size = (upscaler.scale * height, upscaler.scale * width)
            photos.write(target, kept, upscaler.bands(photo.pixels), size)
        except (Unreadable, Refused) as error:
            reason = str(error).splitlines()[0]
            if single:
                raise Refused(f"{file}: {reason}" if isinstance(error, Unreadable) else reason) from None
            problems.append(Problem(str(file), reason))
            continue
        made.append((file, target))
        written += size[0] * size[1]
    return Done(tuple(made), tuple(problems), written / 1e6)


def targets(source: Path, out: Path | None, scale: int) -> list[tuple[Path, Path]]:
    """Which files are to be made of which.

    Raises:
        Refused: nothing there to be enlarged, or a target that would write over it.
    """
    if source.is_dir():
        folder = source.with_name(f"{source.resolve().name}-x{scale}") if out is None else out
        if folder.is_file() or folder.resolve() == source.resolve():
            raise Refused(
                f"{folder}: is {'a file' if folder.is_file() else 'the source itself'}", "Give another --out."
            )
        found, _ = open_folder(source)
        if not found.names:
            raise Refused(f"{source}: holds no pictures")
        return [(source / name, folder / name) for name in found.names]
    if not source.exists():
        raise Refused(f"{source}: no such picture or folder")
    target = source.with_stem(f"{source.stem}-x{scale}") if out is None else out
    target = target / source.name if target.is_dir() else target
    if target.resolve() == source.resolve():
        raise Refused(f"{target}: is the source itself", "Give another --out.")
    return [(source, target)]


def _kind(target: Path, photo: Photo) -> str:
    """The format to write: the source's, unless the target's name asks for another."""
    from PIL import Image

    Image.init()
    wanted = Image.registered_extensions().get(target.suffix.lower())
    return photo.kind if wanted is None else wanted
