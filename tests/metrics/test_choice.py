"""Which extractor and which metrics: by what the data and the machine allow."""

import numpy as np
import pytest

from gansmith.data.dataset import Dataset, Modes
from gansmith.errors import Refused
from gansmith.metrics import choice, domain, inception
from gansmith.metrics.choice import Making


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path))
    monkeypatch.delenv("GANSMITH_INCEPTION", raising=False)
    monkeypatch.setattr(domain, "LEAST_STEPS", 20)
    monkeypatch.setattr(domain, "EPOCHS", 1)


def pictures(channels=1, labels=True, side=8, count=90):
    r = np.random.RandomState(0)
    array = r.randint(256, size=(count, channels, side, side), dtype=np.uint8)
    named = (np.arange(count) % 3).astype(np.int64) if labels else None
    return Dataset("Toy", "image", (channels, side, side), count, array, labels=named)


RING = Dataset(
    "ring", "points", (2,), 50, np.zeros((50, 2), np.float32), modes=Modes(np.zeros((1, 2), np.float32), 1.0)
)


def test_extractors_by_data():
    assert choice.default(pictures())[0] == "domain"
    assert choice.default(pictures(channels=3))[0] == "domain"
    for data, says in [
        (pictures(labels=False), "no labels"),
        (pictures(count=12), "fewer than 10"),
        (pictures(side=3), "smaller"),
    ]:
        assert choice.default(data)[0] == "pixels"
        assert says in choice.default(data)[1]
    assert choice.default(RING) == ("points", "points need no features")


def test_colours_go_to_inception_where_its_weights_are(tmp_path, monkeypatch):
    file = tmp_path / "weights.pth"
    file.write_bytes(b"")
    monkeypatch.setenv("GANSMITH_INCEPTION", str(file))
    assert inception.found() == file
    assert choice.default(pictures(channels=3))[0] == "inception"
    assert choice.default(pictures(channels=3), quick=True)[0] == "domain"  # too slow for every snapshot
    assert choice.default(pictures())[0] == "domain"


def test_metrics_by_extractor():
    grey = pictures()
    assert choice.metrics(grey, "domain", labelled=True) == ("fd", "kd", "prdc", "vendi", "accuracy")
    assert choice.metrics(grey, "domain", labelled=False) == ("fd", "kd", "prdc", "vendi")
    assert choice.metrics(grey, "inception", labelled=True)[-1] == "cs"
    assert choice.metrics(grey, "domain", labelled=True, quick=True) == ("fd",)
    assert choice.metrics(RING, "points", labelled=False) == ("sw2", "modes")


def test_extractors_are_made_and_named_by_the_data():
    train = pictures()
    made = choice.make("domain", train, None, Making(cache=False))
    assert (made.extractor.name, made.tag) == ("domain", "Toy")
    assert "right" in made.reason
    assert choice.extractors(train)["toy"] == "domain"
    assert choice.make("pixels", train, None, Making()).extractor.name == "pixels"
    assert choice.make("points", RING, None, Making()).tag == ""
    with pytest.raises(Refused, match="no classifier can be fitted"):
        choice.make("domain", pictures(labels=False), None, Making())
    with pytest.raises(Refused, match="points need no extractor"):
        choice.make("pixels", RING, None, Making())
    assert list(choice.extractors(RING)) == ["points"]
