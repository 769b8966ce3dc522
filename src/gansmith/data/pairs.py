"""Pictures and what they are to become: two folders, halves of pictures, or pictures derived of others."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from gansmith.data import collection, derive, stores
from gansmith.data.collection import Collection
from gansmith.data.dataset import Beside, Dataset
from gansmith.data.pictures import Unreadable
from gansmith.data.scan import Progress
from gansmith.data.stores import Store
from gansmith.errors import Refused
from gansmith.fields import Data

TWO = re.compile(r"\s*A:(.+?)\s+B:(.+?)\s*")
"""Two folders as one source: `A:photos B:paintings`."""

LAYOUTS = (
    "Read are folders A and B of equal names, trainA and trainB (and testA, testB), pictures of two halves side by "
    "side, `--data A:DIR B:DIR`; or make pairs of any pictures with --derive edges, grey, blur or mask."
)
_FOR = {"train": ("train", "training"), "test": ("test", "testing", "val", "valid", "validation")}
_NAMED = 5


@dataclass(frozen=True)
class Half:
    """The left or the right half of each picture of a store, as a file of its own.

    Attributes:
        store: of the whole pictures.
        right: which half.
    """

    store: Store
    right: bool

    @property
    def names(self) -> Sequence[str]:
        """Those of the whole pictures."""
        return self.store.names

    def read(self, i: int) -> bytes:
        """The bytes of the i-th half.

        Raises:
            Unreadable: it cannot be read, or has no halves.
        """
        from PIL import Image

        whole = _opened(self.store.read(i))
        if whole.width % 2:
            raise Unreadable(f"is {whole.width} pixels wide, which has no halves")
        middle = whole.width // 2
        box = (middle, 0, whole.width, whole.height) if self.right else (0, 0, middle, whole.height)
        file = io.BytesIO()
        half = whole.crop(box)
        Image.init()
        half.save(file, "PNG", compress_level=1)
        return file.getvalue()


def named_folders(source: str) -> list[Path]:
    """The folders that a source of pairs names: one, or two as `A:photos B:drawings`."""
    two = TWO.fullmatch(source)
    return [Path(path).expanduser() for path in (two.groups() if two is not None else [source])]


def open_pairs(spec: Data, progress: Progress | None = None) -> Dataset:
    """The dataset of one side of a translation, with the other beside it as `b`.

    Where `pairs` is hidden, `b` comes in an order of its own; where it is known which belongs to which, that is told
    by `truth`, which `blinded` takes away before a training.

    Args:
        spec: the options; `pairs` is set, and its source is a folder or two.
        progress: as in `open_dataset`.

    Raises:
        Refused: no such layout, names or sizes that do not match, or pictures that cannot be used.
    """
    one, other, known = _sides(spec)
    return _beside(*_both(one, other, known, spec, progress), known, spec)


def derived(whole: Dataset, spec: Data) -> Dataset:
    """The pairs of pictures and of what is derived of each (`derive`), told as by `open_pairs`.

    Raises:
        Refused: these are no pictures.
    """
    assert spec.derive is not None
    if whole.modality != "image":
        raise Refused(f"{whole.name}: these are {whole.modality}, of which no picture is derived")
    make, count = derive.KINDS[spec.derive], whole.count
    array = None if whole.array is None else np.stack([make(one) for one in whole.array.astype(np.uint8, copy=False)])
    read = None if whole.read is None else derive.Derived(whole.read, spec.derive)
    shape = array.shape[1:] if array is not None else read(0).shape if read is not None else ()
    print_of = hashlib.sha256(f"{whole.fingerprint} {spec.derive}".encode()).hexdigest()
    a = replace(
        whole, array=array, read=read, shape=shape, fingerprint=print_of,
        notes=(*whole.notes, f"{count:,} pictures derived of them: {spec.derive}"),
    )  # fmt: skip
    return _beside(a, whole, True, spec)


def _beside(a: Dataset, b: Dataset, known: bool, spec: Data) -> Dataset:
    """The one side, with the other beside it."""
    if spec.reverse:
        a, b = b, a
    if a.shape[1:] != b.shape[1:]:
        sizes = " and ".join(f"{height}x{width}" for _, height, width in (a.shape, b.shape))
        raise Refused(f"{a.name}: both sides must be of one size, and are {sizes}", "Say which: --resolution 64.")
    hidden = spec.pairs == "hidden"
    beside = {"b": Beside(b, paired=not hidden)}
    if hidden and known:
        beside["truth"] = Beside(b, paired=True)
    note = f"{b.count:,} of {'x'.join(map(str, b.shape))} beside them, {'in no order' if hidden else 'one for each'}"
    print_of = hashlib.sha256(f"{a.fingerprint} {b.fingerprint} {spec.pairs}".encode()).hexdigest()
    return replace(a, beside=beside, notes=(*a.notes, note), fingerprint=print_of)


def blinded(dataset: Dataset) -> Dataset:
    """A dataset to train on: without the truth, which only examples held out may be scored by.

    What is left of `b` are the pictures that belong to these examples, though nothing says which to which: so none
    of them belongs to an example that is held out.
    """
    truth = dataset.beside.get("truth")
    return dataset if truth is None else replace(dataset, beside={"b": Beside(truth.dataset, paired=False)})


def absolute(source: str) -> str:
    """The source with its folders' whole paths, since a resume may start in another folder."""
    two = TWO.fullmatch(source)
    if two is not None:
        return " ".join(
            f"{side}:{Path(path).expanduser().resolve()}" for side, path in zip("AB", two.groups(), strict=True)
        )
    return source


# --- where the two sides lie -----------------------------------------------------------------------


def _sides(spec: Data) -> tuple[Collection, Collection, bool]:
    """Both sides' pictures, in one order where their names match, and whether they do."""
    source = spec.source or ""
    roots = named_folders(source)
    for folder in roots:
        if not folder.is_dir():
            raise Refused(f"{folder}: no such folder" if len(roots) == 2 else f"{source}: holds no pairs", LAYOUTS)
    root = roots[0]
    if len(roots) == 2:
        return _matched(_of_split(root, spec.split), _of_split(roots[1], spec.split), source, spec)
    inner = _folders(root)
    if {"traina", "trainb"} <= inner.keys():
        names = [f"{part}{side}" for side in "ab" for part in _FOR.get(spec.split, ()) if f"{part}{side}" in inner]
        if len(names) < 2 or spec.split == "all":
            raise Refused(
                f"{root}: has no {spec.split} split of both sides", "Give --split train, or add testA and testB."
            )
        one, other = (next(name for name in names if name.endswith(side)) for side in "ab")
        return _matched((inner[one], spec.split), (inner[other], spec.split), source, spec)
    if {"a", "b"} <= inner.keys():
        return _matched(_of_split(inner["a"], spec.split), _of_split(inner["b"], spec.split), source, spec)
    base, split = _of_split(root, spec.split)
    inner = _folders(base)
    if {"a", "b"} <= inner.keys():
        return _matched((inner["a"], split), (inner["b"], split), source, spec)
    store, _ = stores.open_folder(base)
    if not store.names:
        raise Refused(f"{base}: holds no pictures", LAYOUTS)
    _check_halves(store, root)
    name = root.resolve().name
    left, right = (_collection(name, str(root), Half(store, right), split) for right in (False, True))
    return left, right, True


def _folders(root: Path) -> dict[str, Path]:
    try:
        return {one.name.lower(): one for one in sorted(root.iterdir()) if one.is_dir()}
    except OSError as error:
        raise Refused(f"{root}: cannot be read ({error.strerror or error})") from None


def _of_split(root: Path, wanted: str) -> tuple[Path, str]:
    """The folder of a split, and what split that is; the root itself where it has none."""
    inner = _folders(root)
    if "train" not in inner and "training" not in inner:
        if wanted == "test":
            raise Refused(f"{root}: has no test split", "Put pictures into folders train and test.")
        return root, "all"
    if wanted == "all":
        raise Refused(f"{root}: its splits are not read together", "Give --split train or --split test.")
    found = [inner[name] for name in _FOR[wanted] if name in inner]
    if not found:
        raise Refused(f"{root}: has no {wanted} split", "Put pictures into folders train and test.")
    return found[0], wanted


def _collection(name: str, where: str, store: Store, split: str) -> Collection:
    return Collection(name, where, store, np.arange(len(store.names)), None, None, split)


def _matched(
    one: tuple[Path, str], other: tuple[Path, str], source: str, spec: Data
) -> tuple[Collection, Collection, bool]:
    """The pictures of two folders, those of one name at one place; and whether all have their like."""
    name = Path(source).resolve().name if TWO.fullmatch(source) is None else f"{one[0].name}-{other[0].name}"
    found: list[dict[str, list[str]]] = []
    for folder, _ in (one, other):
        store, others = stores.open_folder(folder)
        if not store.names:
            raise Refused(f"{folder}: holds no pictures" + (f" ({others:,} other files)" if others else ""))
        stems: dict[str, list[str]] = {}
        for file in store.names:
            stems.setdefault(PurePosixPath(file).with_suffix("").as_posix(), []).append(file)
        found.append(stems)
    lonely = [
        f"{len(wrong):,} of {len(mine):,} in {folder} have no like in {there}: {_listed(wrong)}"
        for (folder, _), (there, _), mine, theirs in ((one, other, *found), (other, one, *found[::-1]))
        if (wrong := [stem for stem, files in mine.items() if len(files) > 1 or stem not in theirs])
    ]
    if lonely and spec.pairs != "hidden":
        raise Refused(
            f"names do not match: {'; '.join(lonely)}", "Each picture needs one of the same name on the other side."
        )
    sides = []
    for (folder, split), stems in zip((one, other), found, strict=True):
        files = tuple(file for stem in sorted(stems) for file in stems[stem])
        sides.append(_collection(name, str(folder), stores.Folder(folder, files), split))
    return sides[0], sides[1], not lonely


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f", and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")


# --- their pictures --------------------------------------------------------------------------------


def _opened(data: bytes):
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            return ImageOps.exif_transpose(image)
    except Exception as error:  # a damaged file reaches the deepest corners of a decoder
        raise Unreadable("is not a picture, or is damaged") from error


def _sizes(store: Store) -> list[tuple[int, int] | None]:
    """(width, height) of each picture as its head tells it, upright; None where that cannot be read."""
    from PIL import Image

    found: list[tuple[int, int] | None] = []
    for i in range(len(store.names)):
        try:
            with Image.open(io.BytesIO(store.read(i))) as image:
                turned = image.getexif().get(0x0112, 1) >= 5
                width, height = image.size
                found.append((height, width) if turned else (width, height))
        except Exception:  # what is damaged is told by the pass that decodes it
            found.append(None)
    return found


def _check_halves(store: Store, root: Path) -> None:
    sizes = _sizes(store)
    wrong = [
        f"{name} ({size[0]}x{size[1]})"
        for name, size in zip(store.names, sizes, strict=True)
        if size is not None and (size[0] % 2 or size[0] < size[1])
    ]
    if wrong:
        raise Refused(
            f"{root}: {len(wrong):,} of {len(sizes):,} pictures are not two halves side by side: {_listed(wrong)}",
            LAYOUTS,
        )


def _check_sizes(one: Collection, other: Collection, spec: Data) -> None:
    """Refuse pairs of unlike sizes; where a resolution is given, of unlike shapes."""
    wrong = []
    for name, mine, theirs in zip(one.store.names, _sizes(one.store), _sizes(other.store), strict=True):
        if mine is None or theirs is None or mine == theirs:
            continue
        if spec.resolution is None or abs(mine[0] * theirs[1] / (mine[1] * theirs[0]) - 1) > 0.02:
            wrong.append(f"{name} ({mine[0]}x{mine[1]} and {theirs[0]}x{theirs[1]})")
    if wrong:
        raise Refused(
            f"sizes do not match in {len(wrong):,} of {len(one.store.names):,} pairs: {_listed(wrong)}",
            "Both pictures of a pair show the same place; mend them"
            + ("." if spec.resolution else ", or fit them all with --resolution 64."),
        )


def _both(
    one: Collection, other: Collection, known: bool, spec: Data, progress: Progress | None
) -> tuple[Dataset, Dataset]:
    if known and not isinstance(one.store, Half):
        _check_sizes(one, other, spec)
    scans = [collection.examine(side, spec, progress) for side in (one, other)]
    problems = tuple(problem for found in scans for problem in found.problems)
    if known and problems and spec.skip_bad:
        # A pair goes when either half is bad: so that what is left still belongs together.
        kept = np.intersect1d(scans[0].good, scans[1].good)
        one, other = (replace(side, chosen=kept) for side in (one, other))
        spec = spec.model_copy(update={"limit": None})
        scans = [collection.examine(side, spec, progress) for side in (one, other)]
    a, b = (collection.assemble(side, found, spec) for side, found in zip((one, other), scans, strict=True))
    return replace(a, problems=problems, labels=None, classes=None), replace(b, labels=None, classes=None)
