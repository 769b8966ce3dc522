"""A name or a path in, a dataset out."""

from __future__ import annotations

import re
from pathlib import Path

from gansmith.data import arrays, collection, pairs, stores
from gansmith.data.catalogue import CATALOGUE
from gansmith.data.collection import Collection
from gansmith.data.dataset import Dataset
from gansmith.data.finish import finish
from gansmith.data.pictures import decoder, named_as_picture, starts_as_picture
from gansmith.data.scan import Progress
from gansmith.errors import Refused, nearest
from gansmith.fields import Data

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_KINDS = "a folder or zip of pictures, a picture, an .npz of images, or .parquet files"


def open_dataset(spec: Data, *, progress: Progress | None = None) -> Dataset:
    """The dataset that a recipe's data options name, checked through.

    Args:
        spec: the options; `source` is a catalogue name, a path, or a Hugging Face id (`org/name`).
        progress: called now and then with (files read, files in all), where files are read one by one.

    Raises:
        Refused: no such dataset, or one that cannot be used as it is; the message says what would do.
    """
    if spec.derive is not None:
        whole = open_dataset(spec.model_copy(update={"derive": None, "pairs": None}), progress=progress)
        return pairs.derived(whole, spec)
    if spec.pairs is not None:
        folders = pairs.named_folders(spec.source or "")
        if len(folders) == 1 and not folders[0].is_dir():
            resolve(spec)  # a misspelt name is told by its nearest
        return pairs.open_pairs(spec, progress)
    found = resolve(spec)
    if isinstance(found, Dataset):
        return finish(found, spec)
    return collection.assemble(found, collection.examine(found, spec, progress), spec)


def resolve(spec: Data) -> Dataset | Collection:
    """What `source` names: arrays in memory, or encoded pictures that are still to be decoded.

    Raises:
        Refused: no such dataset, or nothing in it.
    """
    if spec.source is None or not spec.source.strip():
        raise Refused("no data is named", "Give --data NAME_OR_PATH, such as --data digits or --data photos/.")
    decoder(spec)  # options that make no sense are refused before anything is read
    if spec.source in CATALOGUE:
        return CATALOGUE[spec.source].open(spec)
    path = Path(spec.source).expanduser()
    try:
        exists = path.exists()
    except (OSError, ValueError):  # a name too long, or with a zero byte, is no path
        exists = False
    if exists:
        return _from_path(path, spec)
    # A path of which only the end is wrong is a slip, and not worth asking the network about.
    if _HUB_ID.fullmatch(spec.source) and not Path(spec.source).parent.exists():
        from gansmith.data import hub

        return hub.load(spec)
    near = nearest(spec.source, list(CATALOGUE))
    raise Refused(
        f"no data is called {spec.source!r}, and there is no such path" + (f"; did you mean {near!r}?" if near else ""),
        f"Known by name: {', '.join(CATALOGUE)}. Or a path: {_KINDS}.",
    )


def _from_path(path: Path, spec: Data) -> Dataset | Collection:
    name, where = _name_of(path), str(path)
    if path.is_dir():
        tables = sorted(path.rglob("*.parquet"))
        if tables:
            from gansmith.data import parquet

            return parquet.load(path, tables, name, spec)
        folder, others = stores.open_folder(path)
        return collection.by_names(name, where, folder, others, spec.split)
    kind = path.suffix.lower()
    if kind == ".npz":
        return arrays.read_npz(path, name, spec.split)
    if kind == ".parquet":
        from gansmith.data import parquet

        return parquet.load(path, [path], name, spec)
    head = stores.head_of(path)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06") or kind == ".zip":
        archive, others = stores.open_zip(path)
        return collection.by_names(name, where, archive, others, spec.split)
    if named_as_picture(path.name) or starts_as_picture(head):
        return collection.by_names(name, where, stores.Folder(path.parent, (path.name,)), 0, spec.split)
    if kind in (".csv", ".tsv"):
        raise Refused(f"{path}: is a table", f"`gansmith table fit {path}` learns its rows.")
    raise Refused(f"{path}: not a kind of data that is read here", f"Read are {_KINDS}.")


def _name_of(path: Path) -> str:
    return path.resolve().stem if path.is_file() else path.resolve().name or "data"
