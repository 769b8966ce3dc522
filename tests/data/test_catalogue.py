from __future__ import annotations

import numpy as np
import pytest

from gansmith.data import CATALOGUE
from gansmith.fields import Data

from .making import idx_set


@pytest.mark.parametrize("name", [name for name, entry in CATALOGUE.items() if entry.ships])
@pytest.mark.parametrize("split", ["train", "test", "all"])
def test_what_an_entry_says_is_so(name, split):
    entry = CATALOGUE[name]
    data = entry.open(Data(source=name, split=split))
    count = {"train": entry.count[0], "test": entry.count[1], "all": sum(entry.count)}[split]
    assert (data.name, data.modality, data.shape, data.count, data.split) == (
        name, entry.modality, entry.shape, count, split,
    )  # fmt: skip
    assert data.array is not None
    assert data.array.shape == (count, *entry.shape)
    assert data.labels is not None
    assert data.classes is not None
    assert data.labels.max() == len(data.classes) - 1


def test_all_joins_both(tmp_path):
    idx_set(tmp_path, "train", 6, seed=1)
    idx_set(tmp_path, "test", 4, seed=2)
    parts = [CATALOGUE["mnist"].open(Data(source="mnist", root=str(tmp_path), split=s)) for s in ("train", "test")]
    whole = CATALOGUE["mnist"].open(Data(source="mnist", root=str(tmp_path), split="all"))
    assert whole.array is not None
    assert np.array_equal(whole.array, np.concatenate([part.array for part in parts if part.array is not None]))
    assert len(whole.notes) == 2
