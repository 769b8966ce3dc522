"""What a training leaves behind for people: events, sample grids, TensorBoard files and the report."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import math
import os
import time
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from gansmith import media
from gansmith.engine.listener import Listener, Progress
from gansmith.errors import Refused
from gansmith.report import write_report
from gansmith.run import Run

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from gansmith.data.dataset import Dataset
    from gansmith.engine.sampler import Sampler
    from gansmith.recipe import Recipe

SEED = 0
"""Seed of the samples in every grid: the same latents at every snapshot, so that one sees them change."""

PIXELS = 1_200_000
"""A grid has fewer samples where images are large, so that it stays within about so many pixels."""

COLUMNS = 16
"""Classes shown in a conditional grid; of more, evenly spaced ones."""

POINTS = 2000
"""Samples in a scatter plot, and real points beneath them."""


class Recorder(Listener):
    """Writes `events.jsonl`, `samples/`, `tensorboard/` and `report.html` of a run.

    A resumed training begins at a checkpoint's clock; what was written later than that is dropped first.

    Args:
        tensorboard: write TensorBoard files too (where tensorboard is installed).
    """

    def __init__(self, *, tensorboard: bool = True) -> None:
        self._wants_tensorboard = tensorboard
        self._run: Run | None = None
        self._events: IO[str] | None = None
        self._board: Board | None = None
        self._real: NDArray[Any] | None = None
        self._background: int | None = None

    def begin(self, run: Run, recipe: Recipe, dataset: Dataset, images: int) -> None:
        """Open the files, after dropping whatever is later than this clock."""
        self._close()
        self._run = run
        run.truncate_events(images)
        for at, file in run.samples():
            if at > images:
                file.unlink(missing_ok=True)
        self._events = open(run.events_file, "a", encoding="utf-8")  # noqa: SIM115  (closed in `end`)
        if self._wants_tensorboard:
            self._board = Board.open(run, images)
        if dataset.modality == "points" and dataset.array is not None:
            self._real = np.asarray(dataset.array[:POINTS])
        elif dataset.modality == "image":
            # From the data, so that it is the same in every grid: the first samples are noise.
            self._background = media.background_for(_first(dataset, 64))
        self._write("begin", images, recipe=recipe.name, data=dataset.name, total=recipe.images)

    def progress(self, progress: Progress) -> None:
        """Write the losses, knobs and speed."""
        self._write(
            "progress",
            progress.images,
            total=progress.total,
            seconds=round(progress.seconds, 3),
            cpu_seconds=round(progress.cpu_seconds, 3),
            rate=progress.rate,
            terms=dict(progress.terms),
            knobs=dict(progress.knobs),
        )
        if self._board:
            scalars = {f"loss/{name}": value for name, value in progress.terms.items()}
            scalars |= {f"schedule/{name}": value for name, value in progress.knobs.items()}
            self._board.scalars(progress.images, {**scalars, "images per second": progress.rate})

    def snapshot(self, images: int, sampler: Sampler) -> None:
        """Write a grid of samples from the same latents as every time."""
        assert self._run is not None, "snapshot before begin"
        picture = snapshot_picture(sampler, self._real, self._background)
        if picture is None:  # a modality that has no picture
            return
        path = self._run.sample_file(images)
        media.save_image(path, picture)
        self._write("snapshot", images, file=path.relative_to(self._run.path).as_posix())
        if self._board:
            self._board.image(images, "samples", picture)

    def score(self, images: int, scores: Mapping[str, float]) -> None:
        """Write the scores."""
        self._write("score", images, scores=dict(scores))
        if self._board:
            self._board.scalars(images, {f"score/{name}": value for name, value in scores.items()})

    def warning(self, images: int, text: str) -> None:
        """Write the warning."""
        self._write("warning", images, text=text)

    def end(self, images: int, reason: str) -> None:
        """Close the files and write the report, however the training ended."""
        self._write("end", images, reason=reason)
        self._close()
        if self._run is not None:
            write_report(self._run)

    def _write(self, event: str, images: int, **fields: Any) -> None:
        assert self._run is not None, f"{event} before begin"
        assert self._events is not None, f"{event} after end"
        line = {"event": event, "images": images, "time": round(time.time(), 3), **fields}
        try:
            self._events.write(json.dumps(finite(line), ensure_ascii=False, allow_nan=False) + "\n")
            self._events.flush()
        except OSError as error:
            raise _unwritable(self._run, error) from None

    def _close(self) -> None:
        for file in (self._events, self._board):
            if file is not None:
                with contextlib.suppress(OSError):  # a full disk: what could be written was flushed line by line
                    file.close()
        self._events = self._board = None


def _unwritable(run: Run, error: OSError) -> Refused:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = f"Free some space; then `gansmith resume {run.path}` goes on from the last checkpoint."
        return Refused(f"{run.events_file}: the disk is full", remedy)
    return Refused(f"{run.events_file}: cannot be written ({error.strerror or error})")


def finite(value: Any) -> Any:
    """The value as JSON can hold it: NaN and infinities become null, at any depth."""
    if isinstance(value, Mapping):
        return {str(key): finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def _first(dataset: Dataset, n: int) -> NDArray[np.uint8]:
    if dataset.array is not None:
        return np.asarray(dataset.array[:n], np.uint8)
    assert dataset.read is not None
    return np.stack([dataset.read(i) for i in range(min(n, dataset.count, 16))])


def snapshot_picture(sampler: Sampler, real: NDArray[Any] | None = None, background: int | None = None) -> Image | None:
    """A picture of samples, the same latents each time; one class per column where there are classes.

    Args:
        sampler: the generator.
        real: [M, 2] real points to draw beneath the samples of points.
        background: grey level between images; None finds one that fits.

    Returns:
        A picture, or None for a modality that has none. Of a game that makes nothing of noise alone: held-out examples
        and what it makes of them, a row each.
    """
    if sampler.held is not None:
        shown = sampler.held.pictures()
        return media.side_by_side(shown) if shown else None
    if sampler.modality == "points":
        labels = sampler.labels_for(POINTS) if sampler.classes is not None else None
        return media.scatter(sampler.sample(POINTS, seed=SEED), real, labels)
    if sampler.modality != "image":
        return None
    _, height, width = sampler.shape
    side = max(height, width, media.VISIBLE)
    if sampler.classes is None:
        columns = max(2, min(8, int(PIXELS**0.5 / side)))
        return media.grid(sampler.sample(columns * columns, seed=SEED), columns, background=background)
    shown = np.unique(np.linspace(0, len(sampler.classes) - 1, COLUMNS).round().astype(np.int64))
    columns = len(shown)
    rows = max(2, min(8, PIXELS // (columns * side * side)))
    labels = np.tile(shown, rows)
    return media.grid(sampler.decode(sampler.latents(len(labels), SEED), labels), columns, background=background)


class Board:
    """TensorBoard's file format, written at once and without threads, so that a full disk is heard of."""

    def __init__(self, file: IO[bytes], images: int) -> None:
        from tensorboard.compat.proto import event_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        made: Any = event_pb2  # its classes are made at run time, where a type checker does not see them
        self._file, self._records, self._event = file, RecordWriter(file), made.Event
        self._put(file_version="brain.Event:2")
        if images:  # TensorBoard drops what an earlier session wrote at this step and later
            self._put(step=images + 1, session_log=made.SessionLog(status=made.SessionLog.START))

    @classmethod
    def open(cls, run: Run, images: int) -> Board | None:
        """A new event file of this run, or None where tensorboard is not installed.

        Args:
            run: the run.
            images: the clock; points later than it, of earlier sessions, are purged.
        """
        try:
            import tensorboard.summary.writer.record_writer  # noqa: F401
        except ImportError:
            return None
        try:
            run.tensorboard_folder.mkdir(parents=True, exist_ok=True)
            name = f"events.out.tfevents.{time.time_ns() // 1000:017d}.{os.getpid()}.gansmith"
            return cls(open(run.tensorboard_folder / name, "wb"), images)
        except OSError as error:
            raise _unwritable(run, error) from None

    def scalars(self, images: int, values: Mapping[str, float]) -> None:
        """Write numbers at this clock."""
        self._summary(images, [{"tag": tag, "simple_value": float(value)} for tag, value in values.items()])

    def image(self, images: int, tag: str, picture: Image) -> None:
        """Write a picture at this clock."""
        packed = io.BytesIO()
        picture.save(packed, format="PNG")
        image = {"width": picture.width, "height": picture.height, "colorspace": len(picture.getbands())}
        self._summary(images, [{"tag": tag, "image": {**image, "encoded_image_string": packed.getvalue()}}])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _summary(self, images: int, values: list[dict[str, Any]]) -> None:
        self._put(step=images, summary={"value": values})

    def _put(self, **fields: Any) -> None:
        try:
            self._records.write(self._event(wall_time=time.time(), **fields).SerializeToString())
            self._file.flush()
        except OSError as error:
            # The numbers are in events.jsonl too; but a disk that is full will be so for the checkpoint.
            raise Refused(f"TensorBoard's file: cannot be written ({error.strerror or error})") from None
