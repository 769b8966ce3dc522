from __future__ import annotations

import gzip
import hashlib
import pickle
from dataclasses import replace

import numpy as np
import pytest

from gansmith.data import published
from gansmith.data.download import Source
from gansmith.errors import Refused

from .making import cifar_records, idx, idx_set

LAYOUTS = ["MNIST/raw", "mnist/MNIST/raw", "raw", "", "mnist", "MNIST"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("zipped", [False, True])
def test_mnist_in_the_layouts_that_people_have(tmp_path, layout, zipped):
    idx_set(tmp_path / layout, zipped=zipped)
    data = published.mnist("train", str(tmp_path))
    assert data.array is not None
    assert data.labels is not None
    assert data.array.shape == (6, 1, 28, 28)
    assert data.labels.tolist() == list(range(6))
    assert data.notes == ("6 of the 60,000 published train images are there",)
    with pytest.raises(Refused, match="t10k-images"):
        published.mnist("test", str(tmp_path))


def test_names_with_a_dot(tmp_path):
    idx_set(tmp_path, zipped=False)
    for file in list(tmp_path.iterdir()):
        file.rename(tmp_path / file.name.replace("-idx", ".idx"))
    assert published.mnist("train", str(tmp_path)).count == 6


def test_each_set_takes_its_own_folder(tmp_path):
    idx_set(tmp_path / "FashionMNIST/raw", count=7)
    idx_set(tmp_path / "MNIST/raw", count=5)
    assert published.fashion_mnist("train", str(tmp_path)).count == 7
    assert published.mnist("train", str(tmp_path)).count == 5


def test_the_files_of_another_set_are_refused(tmp_path):
    idx_set(tmp_path, count=10)
    labels = np.array([5, 0, 4, 1, 9, 2, 1, 3, 1, 4], dtype=np.uint8)
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    assert published.mnist("train", str(tmp_path)).count == 10
    with pytest.raises(Refused, match="labels of mnist, not of fashion-mnist"):
        published.fashion_mnist("train", str(tmp_path))


@pytest.mark.parametrize(
    ("labels", "says"), [(np.arange(3, dtype=np.uint8), "6 images"), (np.full(6, 10, np.uint8), "label 10")]
)
def test_labels_that_do_not_fit(tmp_path, labels, says):
    idx_set(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    with pytest.raises(Refused, match=says):
        published.mnist("train", str(tmp_path))


def test_no_such_root(tmp_path):
    for read in (published.mnist, published.cifar10):
        with pytest.raises(Refused, match="no such folder"):
            read("train", str(tmp_path / "none"))
        with pytest.raises(Refused, match="holds no"):
            read("train", str(tmp_path))


@pytest.mark.parametrize("layout", ["cifar-10-batches-bin", "cifar10/cifar-10-batches-bin", ""])
def test_cifar_binary(tmp_path, layout):
    (tmp_path / layout).mkdir(parents=True, exist_ok=True)
    (tmp_path / layout / "test_batch_first4.bin").write_bytes(cifar_records(4).tobytes())
    data = published.cifar10("test", str(tmp_path))
    assert (data.count, data.shape) == (4, (3, 32, 32))
    assert data.notes == ("4 of the 10,000 published test images are there",)


def test_cifar_python(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    records = cifar_records(4)
    fields = {"data": np.ascontiguousarray(records[:, 1:]), "labels": records[:, 0].tolist()}
    (folder / "data_batch_1").write_bytes(pickle.dumps(fields, protocol=2))
    (folder / "batches.meta").write_bytes(b"not read")
    data = published.cifar10("train", str(tmp_path))
    assert data.count == 4
    assert data.classes is not None
    assert data.classes[3] == "cat"


def test_without_a_root_it_is_downloaded_once(tmp_path, monkeypatch):
    idx_set(tmp_path / "server")
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path / "cache"))
    files = {("train", "images"): "train-images-idx3-ubyte.gz", ("train", "labels"): "train-labels-idx1-ubyte.gz"}
    sums = {key: hashlib.md5((tmp_path / "server" / name).read_bytes()).hexdigest() for key, name in files.items()}
    here = replace(published.mnist, url=f"{(tmp_path / 'server').as_uri()}/", md5=sums)
    assert here("train", None).count == 6
    for name in files.values():
        (tmp_path / "server" / name).unlink()
    assert here("train", None).count == 6
    (tmp_path / "cache" / "mnist" / files["train", "labels"]).unlink()
    with pytest.raises(Refused, match="cannot be downloaded"):
        here("train", None)


def test_cifar_is_downloaded_and_unpacked(tmp_path, monkeypatch):
    import io
    import tarfile

    packed = tmp_path / "cifar.tar.gz"
    with tarfile.open(packed, "w:gz") as tar:
        for i, name in enumerate(published._CIFAR_FILES):
            data = cifar_records(2, seed=i).tobytes()
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path / "cache"))
    url = Source(packed.as_uri(), hashlib.md5(packed.read_bytes()).hexdigest(), 1 << 20)
    here = published.CifarSet(url)
    assert here("train", None).count == 10
    packed.unlink()
    assert here("test", None).count == 2
    assert [f.name for f in (tmp_path / "cache" / "cifar10").iterdir()] == ["cifar-10-batches-bin"]


def test_the_published_checksums_are_whole():
    for known in (published.mnist, published.fashion_mnist):
        assert len(set(known.md5.values())) == 4
        assert all(len(value) == 32 for value in known.md5.values())
        assert known.url.startswith("https://")
