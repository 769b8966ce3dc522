"""What a detector is given: CSVs of several kinds, pictures with their names, and what is refused."""

import numpy as np
import pytest
from PIL import Image

from gansmith.applications.examples import images_of, read_examples, read_labelled
from gansmith.errors import Refused
from gansmith.fields import Data


@pytest.fixture
def write(tmp_path):
    def at(text, name="t.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return Data(source=str(path))

    return at


def test_a_table_is_read_and_columns_are_left_out(write):
    found = read_examples(write("a,name,b,fault\n1,x,2,0\n3,y,,1\n"), ignored=["name"], label="fault")
    np.testing.assert_array_equal(found.data, [[1, 2], [3, np.nan]])
    assert found.columns == ("a", "b")
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1]
    assert found.names == ("1", "2")
    assert found.notes == ()


@pytest.mark.parametrize(("separator", "word"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_the_separator_is_found_and_said(write, separator, word):
    found = read_examples(write(f"a{separator}b\n1{separator}2\n"))
    assert found.data.tolist() == [[1, 2]]
    assert found.notes == (f"fields are separated by {word}",)


def test_text_in_another_encoding_is_read_and_said(write):
    found = read_examples(write("größe,b\n1,2\n", encoding="cp1252"))
    assert found.columns == ("größe", "b")
    assert "read as cp1252" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("a,b\n", "rows"),
        ("a,b\n1,2\n3\n", "line 3 has 1 field, and the first has 2"),
        ("a,b\n1,3\n1,x\n", "column 'b' holds 'x' .line 3., which is no number"),
        ("a,b\n1,\n2,\n", "column 'b' is empty"),
        ("a,b\n1,007\n", "holds '007'"),
        (b"\x00\x01\x02", "is no text"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(write, text, wrong):
    with pytest.raises(Refused, match=wrong):
        read_examples(write(text))


def test_columns_that_are_not_there_are_refused(write):
    with pytest.raises(Refused, match="no column 'faults'; did you mean 'fault'"):
        read_examples(write("a,fault\n1,0\n"), label="faults")
    with pytest.raises(Refused, match="no column is left"):
        read_examples(write("a,b\n1,0\n"), label="b", ignored=["a"])
    with pytest.raises(Refused, match="cannot be read"):
        read_examples(Data(source="nowhere.csv"))


def test_pictures_keep_their_names(tmp_path):
    for name in ("b.png", "a.png"):
        Image.new("L", (8, 8), 50).save(tmp_path / name)
    found = read_examples(Data(source=str(tmp_path)))
    assert found.names == ("a.png", "b.png")
    assert found.data.shape == (2, 1, 8, 8)
    with pytest.raises(Refused, match="pictures have no columns"):
        read_examples(Data(source=str(tmp_path)), label="fault")
    with pytest.raises(Refused, match="holds points"):
        read_examples(Data(source="ring"))


def test_images_of_another_kind_are_refused():
    with pytest.raises(ValueError, match="must be uint8"):
        images_of(np.zeros((3, 8, 8)))
    with pytest.raises(ValueError, match="sides of 8"):
        images_of(np.zeros((3, 1, 4, 4), np.uint8))
    assert images_of(np.zeros((3, 8, 9, 3), np.uint8)).shape == (3, 3, 8, 9)


def test_labelled_pictures_and_tables(write, tmp_path):
    found = read_labelled(write("a;kind\n1;x\n2;y\n3;x\n"), target="kind")
    assert (found.words, found.classes, list(found.data)) == ("rows", ("x", "y"), ["a"])
    assert found.labels.tolist() == ["x", "y", "x"]
    assert "semicolons" in found.notes[0]
    for kind in ("cats", "dogs"):
        (tmp_path / "set" / kind).mkdir(parents=True)
        for i in range(2):
            Image.new("L", (8, 9), 40 * i).save(tmp_path / "set" / kind / f"{i}.png")
    found = read_labelled(Data(source=str(tmp_path / "set")))
    assert (found.words, found.classes, found.data.shape) == ("pictures", ("cats", "dogs"), (4, 1, 9, 8))
    assert sorted(found.labels.tolist()) == ["cats", "cats", "dogs", "dogs"]


def test_what_has_no_labels_is_refused(write, tmp_path):
    with pytest.raises(Refused, match="which column holds the class"):
        read_labelled(write("a,b\n1,2\n"))
    with pytest.raises(Refused, match="'b' is empty in line 3"):
        read_labelled(write("a,b\n1,x\n2,\n"), target="b")
    with pytest.raises(Refused, match="did you mean 'kind'"):
        read_labelled(write("a,kind\n1,x\n"), target="kin")
    Image.new("L", (8, 8)).save(tmp_path / "0.png")
    Image.new("L", (8, 8)).save(tmp_path / "1.png")
    with pytest.raises(Refused, match="have no classes"):
        read_labelled(Data(source=str(tmp_path)))
    with pytest.raises(Refused, match="holds points"):
        read_labelled(Data(source="ring"))
