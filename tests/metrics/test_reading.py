import numpy as np
import pytest

from gansmith.data.dataset import Dataset
from gansmith.metrics import reading

IMAGES = np.random.RandomState(0).randint(256, size=(50, 1, 4, 4), dtype=np.uint8)
HELD = Dataset("toy", "image", (1, 4, 4), 50, array=IMAGES)
BY_FILE = Dataset("toy", "image", (1, 4, 4), 50, read=lambda i: IMAGES[i])


def test_a_choice_is_seeded_in_order_and_without_repeats():
    rows = reading.some(HELD, 20, 3)
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, reading.some(HELD, 20, 3))
    assert not np.array_equal(rows, reading.some(HELD, 20, 4))
    np.testing.assert_array_equal(reading.some(HELD, 99, 0), np.arange(50))
    shuffled = reading.some(HELD, 50, 0, shuffled=True)
    assert sorted(shuffled) == list(range(50))
    assert list(shuffled) != list(range(50))


@pytest.mark.parametrize("dataset", [HELD, BY_FILE])
@pytest.mark.parametrize("rows", [[4, 2, 9], range(50)])
def test_examples_come_as_asked_for_in_parts_that_fit(dataset, rows, monkeypatch):
    rows = np.array(rows)
    np.testing.assert_array_equal(reading.array(dataset, rows), IMAGES[rows])
    monkeypatch.setattr(reading, "BYTES", 7 * 16)
    parts = list(reading.read(dataset, rows))
    np.testing.assert_array_equal(np.concatenate(parts), IMAGES[rows])
    assert max(map(len, parts)) <= 7


def test_all_of_what_lies_in_memory_is_not_copied():
    assert reading.array(HELD, np.arange(50)) is IMAGES
