"""Datasets that a Python user made."""

from dataclasses import replace

import numpy as np
import pytest

from gansmith.data import Dataset
from gansmith.data.dataset import Beside
from gansmith.data.given import checked
from gansmith.errors import Refused


def vectors(count=6, scale=1.0):
    array = scale * np.arange(count, dtype=np.float32)[:, None]
    return Dataset("mine", "vectors", (1,), count, array)


def test_what_is_left_out_is_filled_in():
    data = checked(replace(vectors(), labels=np.array([0, 1, 0, 1, 2, 0], np.int32)))
    assert data.labels.dtype == np.int64
    assert data.classes == ("0", "1", "2")
    assert len(data.fingerprint) == 64
    assert data.kinds == "vectors"


def test_what_lies_beside_is_part_of_its_fingerprint():
    alone, paired, other, apart = (
        checked(replace(vectors(), beside=beside)).fingerprint
        for beside in (
            {}, {"b": Beside(vectors())}, {"b": Beside(vectors(scale=2))}, {"b": Beside(vectors(), paired=False)}
        )
    )  # fmt: skip
    assert len({alone, paired, other, apart}) == 4
    assert checked(replace(vectors(), beside={"b": Beside(vectors())})).fingerprint == paired


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"array": np.zeros((6, 1))}, r"its array is float64 \[6, 1\], but 6 vectors of \[1\] are float32"),
        ({"labels": np.zeros(7, np.int64)}, "its labels must be 6 numbers"),
        ({"beside": {"b": Beside(vectors(5))}}, "b beside it holds 5 examples, and not 6"),
        ({"beside": {"b": Beside(replace(vectors(), array=np.zeros((6, 1))), False)}}, "its array is float64"),
    ],
)
def test_what_does_not_fit_is_refused(wrong, said):
    with pytest.raises(Refused, match=said):
        checked(replace(vectors(), **wrong))
