"""Trained models, each loaded once, and within a bound of memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import gansmith
from gansmith.errors import Refused
from gansmith.insight.directions import Directions, directions
from gansmith.model import Model
from gansmith.playground.folder import Folder
from gansmith.run import Run

BYTES = 1 << 30
"""Bytes of weights that are held; of more, those go that were not used for longest."""

MOST = 6
"""Models that are held."""

K = 10
"""Directions of a model."""

Load = Callable[..., Model]


@dataclass
class Held:
    """A model that is held.

    Attributes:
        model: the model.
        bytes: of its weights.
        stamp: of its file, which tells whether that was written anew.
        notes: what was said as it was loaded.
        found: its directions, by the way in which they were found.
    """

    model: Model
    bytes: int
    stamp: tuple[int, int]
    notes: list[str]
    found: dict[str, Directions] = field(default_factory=dict)

    def directions(self, by: str) -> Directions:
        """Its main directions, found when they are first asked for.

        Raises:
            Refused: it has none.
        """
        if by not in self.found:
            self.found[by] = directions(self.model.game, self.model, by, K)
        return self.found[by]


class Models:
    """The models of a folder's runs.

    Args:
        folder: the runs.
        most: models that are held.
        bound: bytes of their weights; the last one used is held whatever it needs.
        load: gives a model of a run's path and a checkpoint.
    """

    def __init__(self, folder: Folder, most: int = MOST, bound: int = BYTES, load: Load = gansmith.load) -> None:
        self.folder, self.most, self.bound, self._load = folder, most, bound, load
        self._held: dict[tuple[str, int], Held] = {}

    def get(self, name: str, images: int | None = None) -> Held:
        """The model of a run.

        Args:
            name: of the run.
            images: the clock of its checkpoint; None is the newest.

        Raises:
            Refused: no such run or checkpoint, or a model that makes no images of noise.
        """
        run = self.folder.run(name)
        files = run.checkpoints()
        if not files:
            raise Refused(f"{name}: has no checkpoint yet")
        clock = int(files[-1].stem) if images is None else images
        key, stamp = (name, clock), _stamp(run, clock)
        held = self._held.pop(key, None)
        if held is None or stamp not in (None, held.stamp):  # a checkpoint that has gone is still held
            held = self._loaded(run, name, "latest" if images is None else str(clock), stamp or (0, 0))
        self._held[key] = held  # the last one now
        self._drop()
        return held

    def sizes(self) -> dict[tuple[str, int], int]:
        """Bytes of each model that is held, by run and clock."""
        return {key: held.bytes for key, held in self._held.items()}

    def _loaded(self, run: Run, name: str, which: str, stamp: tuple[int, int]) -> Held:
        info = run.info()
        use, kind = info.get("use"), (info.get("data") or {}).get("modality")
        if use is not None:
            raise Refused(f"{name}: makes nothing of noise alone", f"It is used by `gansmith {use}`.")
        if kind != "image":
            raise Refused(f"{name}: makes {kind or 'no images'}, and only images can be explored")
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                model = self._load(run.path, checkpoint=which)
            except Refused as error:
                # In the page's words: a run is known by its name there.
                what = error.what.replace(f"{run.path}: ", f"{name}: ").replace(f"{run.path}/", "")
                raise Refused(what, error.remedy) from None
        tensors = [*model.game.parameters(), *model.game.buffers()]
        size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return Held(model, size, stamp, [str(each.message).replace(f"{run.path}/", "") for each in said])

    def _drop(self) -> None:
        while len(self._held) > 1 and (len(self._held) > self.most or sum(self.sizes().values()) > self.bound):
            del self._held[next(iter(self._held))]


def _stamp(run: Run, images: int) -> tuple[int, int] | None:
    try:
        state = run.checkpoint_file(images).stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_ino
