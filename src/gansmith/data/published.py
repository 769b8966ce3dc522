"""Published image sets: found in the layouts that people have, or downloaded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gansmith.data import cifar
from gansmith.data.dataset import Dataset
from gansmith.data.download import Source, cache_folder, fetch, unpack
from gansmith.data.idx import read_idx
from gansmith.errors import Refused

_STEMS = {"train": "train", "test": "t10k"}
_FIRST_LABELS = {
    "mnist": {"train": (5, 0, 4, 1, 9, 2, 1, 3, 1, 4), "test": (7, 2, 1, 0, 4, 1, 4, 9, 5, 9)},
    "fashion-mnist": {"train": (9, 0, 0, 3, 0, 2, 7, 2, 5, 5), "test": (9, 2, 1, 1, 6, 1, 4, 6, 5, 7)},
}
_PUBLISHED = {"train": 60_000, "test": 10_000}


@dataclass(frozen=True)
class IdxSet:
    """A set in MNIST's four files.

    Attributes:
        name: in the catalogue.
        folder: what torchvision calls its folder.
        classes: a name for each label.
        url: where the files are, up to their names.
        md5: of each gzipped file, as published, by (split, `images` or `labels`).
    """

    name: str
    folder: str
    classes: tuple[str, ...]
    url: str
    md5: dict[tuple[str, str], str] = field(repr=False)

    def __call__(self, split: str, root: str | None) -> Dataset:
        """Read one split.

        Raises:
            Refused: not there, damaged, or the files of another set.
        """
        images_file, labels_file = (self._file(split, kind, root) for kind in ("images", "labels"))
        images, labels = read_idx(images_file, 3), read_idx(labels_file, 1).astype(np.int64)
        if len(images) != len(labels):
            raise Refused(f"{images_file}: has {len(images):,} images, but {labels_file.name} {len(labels):,} labels")
        if labels.max() >= len(self.classes):
            raise Refused(f"{labels_file}: has the label {labels.max()}; {self.name} has 0 to {len(self.classes) - 1}")
        self._refuse_another(labels_file, labels, split)
        notes: tuple[str, ...] = ()
        if len(images) != _PUBLISHED[split]:
            notes = (f"{len(images):,} of the {_PUBLISHED[split]:,} published {split} images are there",)
        return _images(self.name, images[:, None], labels, self.classes, split, notes)

    def _file(self, split: str, kind: str, root: str | None) -> Path:
        axes = {"images": 3, "labels": 1}[kind]
        stem = f"{_STEMS[split]}-{kind}-idx{axes}-ubyte"
        if root is None:
            file = f"{stem}.gz"
            # No published file is larger than 27 MB.
            return fetch(Source(self.url + file, self.md5[split, kind], 32 << 20), cache_folder() / self.name / file)
        tried = _folders(root, self.name, self.folder, (f"{self.folder}/raw", self.folder, "raw", ""))
        # Some unpackers write a dot where the published name has a hyphen.
        names = [f"{s}{suffix}" for s in (stem, stem.replace("-idx", ".idx")) for suffix in ("", ".gz")]
        for folder in tried:
            for name in names:
                if (folder / name).is_file():
                    return folder / name
        raise Refused(
            f"{root}: holds no {stem} of {self.name}",
            f"Looked for as {self.folder}/raw/{stem}[.gz] and in plain folders; without --data-root it is downloaded.",
        )

    def _refuse_another(self, file: Path, labels: NDArray[np.int64], split: str) -> None:
        # Both sets have the same file names and shapes: in a folder called only `raw`, it may be either.
        start = tuple(int(label) for label in labels[:10])
        for other, first in _FIRST_LABELS.items():
            if other != self.name and start == first[split]:
                raise Refused(f"{file}: these are the labels of {other}, not of {self.name}")


_CIFAR_FILES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
_CIFAR_FOLDERS = ("cifar-10-batches-bin", "cifar-10-batches-py")


@dataclass(frozen=True)
class CifarSet:
    """CIFAR-10.

    Attributes:
        source: the archive of the binary layout, with its published checksum.
    """

    source: Source

    def __call__(self, split: str, root: str | None) -> Dataset:
        """Read one split, of as much as is there.

        Raises:
            Refused: not there, or damaged.
        """
        images = cifar.read_cifar(self._folder(split, root), split)
        return _images("cifar10", images.array, images.labels, cifar.CLASSES, split, images.notes)

    def _folder(self, split: str, root: str | None) -> Path:
        if root is None:
            folder = cache_folder() / "cifar10" / _CIFAR_FOLDERS[0]
            if not folder.exists():
                archive = fetch(self.source, folder.parent / "cifar-10-binary.tar.gz")
                unpack(archive, _CIFAR_FILES, folder)
                archive.unlink(missing_ok=True)
            return folder
        for folder in _folders(root, "cifar10", "CIFAR10", (*_CIFAR_FOLDERS, "raw", "")):
            if folder.is_dir() and cifar.files(folder, split):
                return folder
        layouts = " or ".join(_CIFAR_FOLDERS)
        raise Refused(
            f"{root}: holds no {split} files of cifar10", f"Looked for {layouts}; without --data-root it is downloaded."
        )


def _folders(root: str, name: str, folder: str, inner: Sequence[str]) -> list[Path]:
    base = Path(root).expanduser()
    if not base.is_dir():
        raise Refused(f"--data-root {root}: no such folder")
    # What carries the set's name comes before what only might be it.
    return [part / each for part in (base / name, base / folder, base) for each in inner]


def _images(
    name: str,
    array: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: tuple[str, ...],
    split: str,
    notes: tuple[str, ...],
) -> Dataset:
    return Dataset(
        name, "image", array.shape[1:], len(array), array, labels=labels, classes=classes, split=split, notes=notes
    )


mnist = IdxSet(
    "mnist",
    "MNIST",
    tuple(str(digit) for digit in range(10)),
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    {
        ("train", "images"): "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        ("train", "labels"): "d53e105ee54ea40749a09fcbcd1e9432",
        ("test", "images"): "9fb629c4189551a2d022fa330f9573f3",
        ("test", "labels"): "ec29112dd5afa0611ce80d1b7f02629c",
    },
)
fashion_mnist = IdxSet(
    "fashion-mnist",
    "FashionMNIST",
    ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    {
        ("train", "images"): "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        ("train", "labels"): "25c81989df183df01b3e8a0aad5dffbe",
        ("test", "images"): "bef4ecab320f06d8554ea6380940ec79",
        ("test", "labels"): "bb300cfdad3c16e7a12a480ee83cd310",
    },
)
cifar10 = CifarSet(
    Source("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530", 200 << 20)
)
