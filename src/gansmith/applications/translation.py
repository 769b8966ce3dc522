"""Pictures through a trained translation: any size, whole folders, and a page of inputs, outputs and truths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray

from gansmith import media, page
from gansmith.data import open_dataset, stores
from gansmith.data.dataset import Dataset, Problem
from gansmith.data.finish import reserve
from gansmith.data.pairs import blinded
from gansmith.data.pictures import CHANNELS, Decoder, Unreadable, quietly
from gansmith.engine import hardware
from gansmith.engine.held import Held
from gansmith.errors import Refused
from gansmith.model import Model, load
from gansmith.run import write_text
from gansmith.scoring import unseen_split

WHOLE = 1 << 20
"""Pixels up to which a picture is translated in one piece; a larger one in tiles."""

TILE, OVERLAP = 768, 128
"""Sides of a tile, and how far neighbours overlap, in pixels: each is blended into the next over so many."""


@dataclass(frozen=True)
class Done:
    """What became of a folder.

    Attributes:
        written: files, in order.
        problems: pictures that were passed over, and why.
        tiled: how many were translated in tiles.
    """

    written: tuple[Path, ...]
    problems: tuple[Problem, ...]
    tiled: int


class Translator:
    """A trained translation, ready to use.

    Args:
        run: the run's folder, or its model.
        reverse: from the second side to the first, where it was trained for both ways.
        checkpoint: `latest`, `best`, or images on the clock.
        device: where to compute.

    Attributes:
        inputs, outputs: channels that it takes and gives.
        size: (height, width) of what it was trained on.

    Raises:
        Refused: a run that translates nothing, or not that way.
    """

    def __init__(
        self, run: str | Path | Model, *, reverse: bool = False, checkpoint: str | int = "latest", device: str = "auto"
    ) -> None:
        self.model = run if isinstance(run, Model) else load(run, checkpoint=checkpoint, device=device)
        game, where = self.model.game, self.model.run.path
        if not hasattr(game, "translate"):
            raise Refused(f"{where}: was not trained to translate", "Recipes that are: pix2pix, cyclegan, cut.")
        if reverse and not game.two_ways:
            remedy = "cyclegan learns both ways; for others train with --data.reverse true."
            raise Refused(f"{where}: was trained to translate one way only", remedy)
        data = self.model.run.info().get("data") or {}
        sides = [tuple(data["shape"]), tuple(data.get("beside", {}).get("b", data["shape"]))]
        self.reverse = reverse
        self.inputs, self.outputs = (side[0] for side in (sides[::-1] if reverse else sides))
        self.size = (int(sides[0][1]), int(sides[0][2]))

    def __call__(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Translate one picture, uint8 [C, H, W] → [C', H, W]; a large one in tiles.

        Raises:
            Refused: another number of channels.
        """
        if picture.ndim != 3 or len(picture) != self.inputs:
            raise Refused(
                f"this model translates pictures of {self.inputs} channel{'s' if self.inputs > 1 else ''}, "
                f"[{self.inputs}, H, W], and not {list(picture.shape)}"
            )
        _, height, width = picture.shape
        if height * width <= WHOLE:
            return self._piece(picture).add(0.5).clamp_(0, 255).to(torch.uint8).numpy()
        return self._tiled(picture)

    def tiled(self, height: int, width: int) -> bool:
        """Whether a picture of this size is translated in tiles."""
        return height * width > WHOLE

    @torch.inference_mode()
    def _piece(self, picture: NDArray[np.uint8]) -> torch.Tensor:
        """float32 [C', H, W], 0 to 255."""
        x = torch.from_numpy(np.ascontiguousarray(picture)).to(self.model.device).float().div(127.5).sub(1)[None]
        with hardware.borrowed():
            torch.set_float32_matmul_precision(self.model.matmul)
            made = self.model.game.translate(x, back=self.reverse)  # type: ignore[operator]
        return made[0].float().mul(127.5).add(127.5).cpu()

    def _tiled(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        _, height, width = picture.shape
        whole = np.empty((self.outputs, height, width), np.uint8)
        tops, lefts = _starts(height), _starts(width)
        # A row of tiles at a time, so that no more than its sums are held in float.
        below = np.zeros((self.outputs, 0, width), np.float32)
        for i, top in enumerate(tops):
            tall = min(TILE, height)
            sums, weights = np.zeros((self.outputs, tall, width), np.float32), np.zeros(width, np.float32)
            for left in lefts:
                wide = min(TILE, width)
                ramp = _ramp(left, wide, width)
                made = self._piece(picture[:, top : top + tall, left : left + wide]).numpy()
                sums[:, :, left : left + wide] += made * ramp
                weights[left : left + wide] += ramp
            row = sums / weights
            shared = below.shape[1]
            if shared:  # the rows that the last tiles have made too
                share = (np.arange(shared, dtype=np.float32) + 0.5)[:, None] / shared
                row[:, :shared] = (1 - share) * below + share * row[:, :shared]
            end = tops[i + 1] - top if i + 1 < len(tops) else tall
            whole[:, top : top + end] = (row[:, :end] + 0.5).clip(0, 255).astype(np.uint8)
            below = row[:, end:]
        return whole


def _starts(side: int) -> list[int]:
    """Where tiles begin along a side, the last one at its end."""
    if side <= TILE:
        return [0]
    return [*range(0, side - TILE, TILE - OVERLAP), side - TILE]


def _ramp(start: int, length: int, side: int) -> NDArray[np.float32]:
    """Weights along a tile: up and down over the overlap, where it has a neighbour."""
    weights = np.ones(length, np.float32)
    rising = (np.arange(OVERLAP, dtype=np.float32) + 0.5) / OVERLAP
    if start > 0:
        weights[:OVERLAP] = rising
    if start + length < side:
        weights[-OVERLAP:] = np.minimum(weights[-OVERLAP:], rising[::-1])
    return weights


def translate(
    what: str | Path,
    out: str | Path,
    run: str | Path | Model | Translator,
    *,
    reverse: bool = False,
    convert: bool = False,
    fit: bool = False,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> Done:
    """Translate a picture or a folder of them, and write the results under their own names, as PNG.

    Args:
        what: a picture, or a folder.
        out: a folder; or a picture's name, for one picture.
        run: a run's folder, its model, or a translator.
        reverse: as of `Translator`.
        convert: make colour pictures grey for a model of grey ones; otherwise they are passed over.
        fit: shrink each picture to the size that the model was trained on, its middle cut out.
        device: where to compute.
        progress: told of pictures done, and of all.

    Returns:
        What was written, and what was passed over.

    Raises:
        Refused: nothing to translate, or a run that does not translate; nothing is written then.
    """
    source, target = Path(what).expanduser(), Path(out).expanduser()
    if source.is_dir():
        store, _ = stores.open_folder(source)
        if not store.names:
            raise Refused(f"{source}: holds no pictures")
    elif source.is_file():
        store = stores.Folder(source.parent, (source.name,))
    else:
        raise Refused(f"{source}: no such picture or folder")
    single = source.is_file() and target.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp")
    if source.is_dir() and target.is_file():
        raise Refused(f"{target}: is a file; a folder of pictures needs a folder")
    translator = run if isinstance(run, Translator) else Translator(run, reverse=reverse, device=device)
    files = [target] if single else _names(store.names, target)
    written: list[Path] = []
    problems: list[Problem] = []
    tiled = 0
    with quietly():
        for i, file in enumerate(files):
            try:
                picture = _read(store, i, translator, convert, fit)
            except Unreadable as error:
                problems.append(Problem(store.names[i], str(error)))
            else:
                tiled += translator.tiled(*picture.shape[1:])
                file.parent.mkdir(parents=True, exist_ok=True)
                media.save_image(file, media.picture(translator(picture)))
                written.append(file)
            if progress is not None:
                progress(i + 1, len(files))
    if not written:
        first = ", ".join(f"{problem.path} {problem.reason}" for problem in problems[:3])
        raise Refused(f"{source}: nothing could be translated: {first}")
    return Done(tuple(written), tuple(problems), tiled)


def _names(names: Sequence[str], target: Path) -> list[Path]:
    """Where each goes: under its own name as PNG, and under its whole name where two would be the same."""
    plain = [PurePosixPath(name).with_suffix(".png") for name in names]
    twice = {name for name in plain if plain.count(name) > 1} if len(set(plain)) < len(plain) else set()
    return [target / (f"{name}.png" if short in twice else short) for name, short in zip(names, plain, strict=True)]


def _read(store: stores.Store, i: int, translator: Translator, convert: bool, fit: bool) -> NDArray[np.uint8]:
    found = Decoder(size=translator.size if fit else None, channels=translator.inputs)(store.read(i))
    grey = translator.inputs in (1, 2)
    if grey and found.channels >= 3 and not convert:
        raise Unreadable(
            f"is {CHANNELS[found.channels]}, and the model translates grey pictures (--convert makes it so)"
        )
    return found.array


# --- a page to look at ------------------------------------------------------------------------------


def examples(model: Model, data: Dataset | None = None) -> tuple[Held, str]:
    """Examples of a run that it did not train on, and what they are; those that it did where there are no others.

    Raises:
        Refused: the data are gone.
    """
    spec = model.recipe.data
    known = open_dataset(spec) if data is None else data
    if spec.reserve is not None:
        held, what = reserve(known, spec.reserve)[1], "kept out of the training"
    else:
        unseen = unseen_split(known, spec, opened=data is None)
        held, what = (blinded(known), "of the training") if unseen is None else (unseen, f"of the {unseen.split} split")
    return Held(model.game, held, model.device), f"{held.count:,} examples {what}"


def write_page(model: Model, out: str | Path, *, data: Dataset | None = None, n: int = 16, scored: int = 1000) -> Path:
    """Write a page with inputs, outputs and truths of examples held out, and their scores.

    Args:
        model: of a translation.
        out: an .html file.
        data: the run's data, where it cannot open them by itself.
        n: rows, 16 at most.
        scored: examples that are scored, at most.

    Returns:
        The file.
    """
    from html import escape

    held, what = examples(model, data)
    shown, numbers = held.pictures(n), held.numbers(scored)
    head = "".join(f"<th>{escape(name)}</th>" for name in shown)
    rows = "".join(
        "<tr>" + "".join(f'<td><img src="{page.picture_uri(media.picture(images[i]))}" alt=""></td>' for images in
                         shown.values()) + "</tr>"
        for i in range(len(next(iter(shown.values()))))
    )  # fmt: skip
    better = {"lower": "lower is better", "higher": "higher is better"}
    scores = "".join(
        f"<tr><td>{escape(name)}</td><td>{page.figure(mean.value)} ± {page.rough(mean.error)}</td>"
        f"<td>{better[held.better[name]]}</td></tr>"
        for name, mean in numbers.items()
    )
    title = f"{model.recipe.name}: {what}"
    over = f"After {model.images:,} images; means over {min(scored, held.dataset.count):,} of them."
    body = (
        f"<h1>{escape(title)}</h1>\n<p>{over}</p>\n"
        f"<table>{scores}</table>\n<style>.shown img {{ width: 160px; image-rendering: pixelated }}</style>\n"
        f'<table class="shown"><tr>{head}</tr>{rows}</table>\n'
    )
    file = Path(out)
    write_text(file, page.whole(title, body))
    return file
