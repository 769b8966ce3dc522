from __future__ import annotations

import subprocess
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gansmith.data import Feed, open_dataset
from gansmith.errors import Refused
from gansmith.fields import Data

from .making import encoded, idx_set, picture, pixels


def test_names(tmp_path):
    assert open_dataset(Data(source="digits")).count == 1500
    assert open_dataset(Data(source="ring", split="test", limit=100)).count == 100
    idx_set(tmp_path)
    data = open_dataset(Data(source="mnist", root=str(tmp_path), resolution=32))
    assert data.shape == (1, 32, 32)
    assert len(data.notes) == 2


def test_paths(tmp_path):
    for kind in ("cat", "dog"):
        for i in range(3):
            picture(tmp_path / f"photos/{kind}/{i}.png", seed=i)
    folder = open_dataset(Data(source=str(tmp_path / "photos")))
    assert (folder.name, folder.count, folder.classes) == ("photos", 6, ("cat", "dog"))
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for file in sorted((tmp_path / "photos").rglob("*.png")):
            archive.write(file, file.relative_to(tmp_path))
    packed = open_dataset(Data(source=str(tmp_path / "photos.zip")))
    assert packed.fingerprint == folder.fingerprint
    assert (packed.name, packed.classes) == ("photos", folder.classes)
    assert folder.array is not None
    np.savez(tmp_path / "photos.npz", images=folder.array, labels=np.array(["cat", "dog"]).repeat(3))
    arrays = open_dataset(Data(source=str(tmp_path / "photos.npz")))
    assert arrays.fingerprint == folder.fingerprint
    one = open_dataset(Data(source=str(tmp_path / "photos/cat/0.png")))
    assert (one.name, one.count) == ("0", 1)


def test_the_home_folder_and_odd_suffixes(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    picture(tmp_path / "it/a.PNG")
    assert open_dataset(Data(source="~/it")).count == 1
    with zipfile.ZipFile(tmp_path / "it.cbz", "w") as archive:
        archive.writestr("a.png", encoded(pixels()))
    assert open_dataset(Data(source=str(tmp_path / "it.cbz"))).count == 1


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (None, "no data is named"),
        (" ", "no data is named"),
        ("mnits", "did you mean 'mnist'"),
        ("digit", "did you mean 'digits'"),
        ("zzzzzz", "no such path"),
        ("x" * 5000, "no such path"),
        ("a\0b", "no such path"),
        ("./none/here", "no such path"),
        ("/none/here/at/all", "no such path"),
    ],
)
def test_unknown_sources(source, says):
    with pytest.raises(Refused, match=says):
        open_dataset(Data(source=source))


def test_a_path_that_is_half_right_is_no_id_of_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    with pytest.raises(Refused, match="there is no such path"):
        open_dataset(Data(source="photos/cats"))


def test_unusable_paths(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n")
    (tmp_path / "a.txt").write_text("x,y\n")
    known = ((tmp_path / "a.txt", "not a kind of data"), (tmp_path / "a.csv", "gansmith table fit"))
    for path, says in (*known, (tmp_path, "holds no pictures")):
        with pytest.raises(Refused, match=says):
            open_dataset(Data(source=str(path)))


def test_options_are_refused_before_anything_is_read(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"damaged")
    with pytest.raises(Refused, match="is no colour"):
        open_dataset(Data(source=str(tmp_path / "a.zip"), background="whyte"))


KINDS = st.sampled_from(["L", "LA", "RGB", "RGBA", "empty", "cut", "text", "none"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(KINDS, st.integers(1, 20), st.integers(1, 20), st.sampled_from(["", "a/", "b/c/"])), max_size=6),
    st.sampled_from(["crop", "pad", "stretch"]),
    st.booleans(),
)
def test_a_folder_of_anything_is_fed_or_refused(tmp_path_factory, files, fit, skip):
    folder = tmp_path_factory.mktemp("odd")
    for i, (kind, height, width, below) in enumerate(files):
        (folder / below).mkdir(parents=True, exist_ok=True)
        data = {"empty": b"", "text": b"no picture", "none": b"x"}.get(kind)
        if data is None:
            data = encoded(pixels("RGB" if kind == "cut" else kind, height, width))
        if kind == "cut":
            data = data[: len(data) // 2]
        (folder / below / f"{i}.{'txt' if kind == 'none' else 'png'}").write_bytes(data)
    bad = sum(kind in ("empty", "cut", "text") for kind, *_ in files)
    good = sum(kind in ("L", "LA", "RGB", "RGBA") for kind, *_ in files)
    spec = Data(source=str(folder), resolution=8, channels=3, fit=fit, skip_bad=skip)
    if not good or (bad and not skip):
        with pytest.raises(Refused) as caught:
            open_dataset(spec)
        assert str(folder) in caught.value.what
        return
    data = open_dataset(spec)
    assert (data.count, len(data.problems)) == (good, bad)
    assert Feed(data, batch=3, seed=0).at(0).data.shape == (3, 3, 8, 8)


def test_importing_is_cheap():
    code = (
        "import sys, gansmith.data; print(*[m for m in ('sklearn', 'PIL', 'pyarrow', 'datasets') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == ""
