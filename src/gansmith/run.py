"""The layout of a run: the folder that a training writes, and from which everything else is loaded.

    run/
      run.json                    schema version, status, versions, host, facts of the data
      recipe.yaml                 the resolved recipe
      events.jsonl                one JSON object a line: progress, snapshots, scores, warnings
      checkpoints/000012800.safetensors   tensors, and the rest as JSON in the file's metadata
      samples/000012800.png       a grid of samples at each snapshot
      tensorboard/                the same numbers for TensorBoard
      report.html                 one self-contained page, written at the end
      scores.json                 evaluations, each score with its card
      neighbours.png              samples beside the training examples that are nearest to them

Knows no torch.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from gansmith import recipe as recipes
from gansmith.errors import Refused

try:
    import fcntl
except ImportError:
    fcntl = None

SCHEMA = 1
"""Version of the layout, stored in `run.json`."""

WHOLE = ("done", "converged")
"""The status of a training that came to its end."""

MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""For each old schema version, the function that brings `run.json` one version up."""


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_UMASK = _umask()


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Have `write` fill a temporary file beside `path`; then fsync it and rename it into place.

    A kill at any instant leaves the old file or the new one, never a part.

    Raises:
        Refused: where the disk is full or cannot be written; the old file is untouched.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from None
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        os.chmod(temporary, 0o666 & ~_UMASK)  # mkstemp's files are private; a run is to be shared
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise _cannot_write(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # Windows cannot open a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _cannot_write(path: Path, error: OSError) -> Refused:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "Free some space, then `gansmith resume` goes on from the last save."
        return Refused(f"{path}: the disk is full", remedy)
    return Refused(f"{path}: cannot be written ({error.strerror or error})")


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file atomically."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    write_atomically(path, lambda p: _fill(p, text))


def _mapping(value: Any) -> dict[str, Any]:
    """JSON that should be an object, or an empty one where it is not."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _fill(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class Run:
    """Where everything in a run folder is."""

    path: Path

    @property
    def info_file(self) -> Path:
        """Status, versions, host and facts of the data."""
        return self.path / "run.json"

    @property
    def recipe_file(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.yaml"

    @property
    def events_file(self) -> Path:
        """One JSON object a line."""
        return self.path / "events.jsonl"

    @property
    def report_file(self) -> Path:
        """The page written at the end."""
        return self.path / "report.html"

    @property
    def scores_file(self) -> Path:
        """Evaluations, each score with its card."""
        return self.path / "scores.json"

    @property
    def neighbours_file(self) -> Path:
        """Samples beside the training examples that are nearest to them."""
        return self.path / "neighbours.png"

    @property
    def samples_folder(self) -> Path:
        """Sample grids."""
        return self.path / "samples"

    @property
    def tensorboard_folder(self) -> Path:
        """Event files for TensorBoard."""
        return self.path / "tensorboard"

    @property
    def lock_file(self) -> Path:
        """Held by the process that trains it, with its number."""
        return self.path / ".lock"

    @property
    def checkpoint_folder(self) -> Path:
        """Checkpoints."""
        return self.path / "checkpoints"

    def checkpoint_file(self, images: int) -> Path:
        """The checkpoint at this clock."""
        return self.checkpoint_folder / f"{images:012d}.safetensors"

    def sample_file(self, images: int) -> Path:
        """The sample grid at this clock."""
        return self.samples_folder / f"{images:012d}.png"

    def checkpoints(self) -> list[Path]:
        """Finished checkpoints, oldest first."""
        return sorted(self.checkpoint_folder.glob("[0-9]*.safetensors"))

    def samples(self) -> list[tuple[int, Path]]:
        """Clock and file of each sample grid, oldest first."""
        return [(int(f.stem), f) for f in sorted(self.samples_folder.glob("[0-9]*.png"))]

    def info(self) -> dict[str, Any]:
        """The contents of `run.json`, brought to this schema version.

        Raises:
            Refused: where it is damaged or of a newer gansmith.
        """
        try:
            info: Any = json.loads(self.info_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise Refused(f"{self.path}: not a run (it has no run.json)", "`gansmith runs` lists runs.") from None
        except (OSError, ValueError):
            raise Refused(f"{self.info_file}: damaged, or not readable") from None
        version = _mapping(info).get("schema_version")
        if not isinstance(version, int) or version > SCHEMA:
            raise Refused(f"{self.info_file}: schema version {version!r}; this gansmith reads up to {SCHEMA}")
        while version < SCHEMA:
            info = MIGRATIONS[version](info)
            version += 1
        return info

    @property
    def whole(self) -> bool:
        """Whether its training came to its end, rather than being stopped, failing or still going on."""
        return self.info().get("status") in WHOLE

    def finished(self) -> Run:
        """This run, for what must not go on silently with half a training.

        Raises:
            KeyboardInterrupt: its training was stopped; the engine saved at the first Ctrl-C, and returned.
        """
        if not self.whole:
            raise KeyboardInterrupt
        return self

    def update_info(self, **fields: Any) -> None:
        """Put fields into `run.json`, atomically."""
        old = self.info() if self.info_file.exists() else {}
        write_json(self.info_file, {"schema_version": SCHEMA, **old, **fields})

    def recipe(self) -> recipes.Recipe:
        """The resolved recipe."""
        return recipes.load(self.recipe_file)

    def events(self, kind: str | None = None) -> Iterator[dict[str, Any]]:
        """The events of a kind (`progress`, `snapshot`, `score`, `warning`, …), or all, in order.

        A last line that a kill cut short is passed over.
        """
        if not self.events_file.exists():
            return
        with open(self.events_file, encoding="utf-8") as file:
            for line in file:
                try:
                    event = _mapping(json.loads(line))
                except ValueError:
                    continue
                if event and (kind is None or event.get("event") == kind):
                    yield event

    @contextmanager
    def locked(self) -> Generator[None]:
        """Keep other processes from writing this run, inside the block; a kill ends it too.

        Raises:
            Refused: where another process is training it.
        """
        if fcntl is None:  # Windows: two at once are not noticed
            yield
            return
        path = self.lock_file
        try:
            file = open(path, "a", encoding="utf-8")  # noqa: SIM115  (not emptied: another may hold it)
        except OSError as error:
            raise _cannot_write(path, error) from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                remedy = "Wait until it has ended, or stop it with Ctrl-C there."
                raise Refused(f"{self.path}: another process is training it", remedy) from None
            except OSError:  # a file system without locks
                pass
            with suppress(OSError):  # who holds it; a full disk will be heard of elsewhere
                file.truncate(0)
                file.write(str(os.getpid()))
                file.flush()
            yield

    def trained_by(self) -> int | None:
        """The process of this machine that trains it now; None where none does, or where that cannot be told.

        The number in the lock file is believed only of a process that has that very file open: numbers are given
        again, and mean nothing on another machine.
        """
        try:
            number = int(self.lock_file.read_text(encoding="utf-8"))
            lock = self.lock_file.stat()
            for each in Path(f"/proc/{number}/fd").iterdir():  # Linux alone has it
                with suppress(OSError):
                    if os.path.samestat(each.stat(), lock):
                        return number
        except (OSError, ValueError):
            pass
        return None

    def truncate_events(self, images: int) -> None:
        """Drop events later than a clock, so that a resumed training does not write them twice."""
        if self.events_file.exists():
            kept = [json.dumps(event) for event in self.events() if event.get("images", 0) <= images]
            write_text(self.events_file, "".join(line + "\n" for line in kept))


def create(path: str | Path, recipe: recipes.Recipe, info: Mapping[str, Any]) -> Run:
    """Make a new run folder with its recipe and `run.json`.

    Raises:
        Refused: where the folder exists and is not empty, or cannot be made.
    """
    run = Run(Path(path))
    refuse_existing(run.path)
    try:
        run.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(run.path, error) from None
    write_text(run.recipe_file, recipes.dump(recipe))
    run.update_info(**info)
    return run


def refuse_existing(path: Path) -> None:
    """Refuse a run folder that already holds something.

    Raises:
        Refused: where the path is a file, or a folder that is not empty.
    """
    if path.is_file():
        raise Refused(f"{path}: is a file; a run needs a folder")
    if path.is_dir() and any(path.iterdir()):
        remedy = f"`gansmith resume {path}` goes on with it; or give another --out."
        raise Refused(f"{path}: the folder exists and is not empty", remedy)


def find(folder: str | Path) -> list[Run]:
    """All runs at or below a folder (two levels), by name."""
    root = Path(folder)
    found = {f.parent for pattern in ("run.json", "*/run.json", "*/*/run.json") for f in root.glob(pattern)}
    return [Run(path) for path in sorted(found)]
