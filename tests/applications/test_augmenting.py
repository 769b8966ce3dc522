"""Making until enough are kept, and folds that know nothing of each other: on a kind of plain numbers."""

import numpy as np
import pytest

from gansmith.applications.augmenting import TRIES, Task, by_test_set, cross_validated, grow
from gansmith.applications.benefit import PLAIN
from gansmith.engine.listener import Progress
from gansmith.errors import Refused


class Nearer:
    """Knows the means of the classes."""

    def __init__(self, data, labels):
        self.means = np.array([data[labels == c].mean(0) for c in (0, 1)])

    def shares(self, data):
        closer = -np.linalg.norm(data[:, None] - self.means[None], axis=2)
        e = np.exp(closer)
        return e / e.sum(1, keepdims=True)

    def features(self, data):
        return data


class Numbers:
    """Points about −1 and 1 in the plane; its generator draws from the right law, and tells what it was shown."""

    words = "points"
    ways = {PLAIN: None, "SMOTE": None, "GAN": PLAIN}  # noqa: RUF012

    def __init__(self, off=0.0, refuse=False):
        self.off, self.refuse = off, refuse
        self.shown, self.judged = [], []

    def take(self, data, rows):
        return data[rows]

    def join(self, parts):
        return np.concatenate(parts)

    def generator(self, data, labels, seed, folder, listeners=()):
        self.shown.append(data)
        for listener in listeners:
            listener.progress(Progress(50, 100, 1, 1, 1))

        def made(label, n, draw):
            if self.refuse:
                raise Refused("too seldom")
            return np.random.default_rng([draw, label]).normal(2 * label - 1 + self.off, 0.5, (n, 2))

        return made

    def judge(self, data, labels, seed, way=PLAIN, made=None, made_labels=None):
        self.judged.append((way, len(data), None if made is None else len(made)))
        return Nearer(data, labels)


def task(kind, n=100, **wanted):
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], n // 2)
    return Task(kind, random.normal(2 * labels[:, None] - 1, 0.5, (n, 2)), labels, ("a", "b"), wanted or {0: 30, 1: 20})


def test_so_many_are_kept_as_are_wanted(tmp_path):
    said = []
    whole = task(Numbers())
    made = grow(Task(whole.kind, whole.data, whole.labels, whole.classes, whole.wanted, 4, said.append), tmp_path)
    assert np.bincount(made.labels).tolist() == [30, 20]
    assert made.lacking == {}
    assert made.data.shape == (50, 2)
    assert said == ["generator 50% trained"]
    # Each can be made again by its draw and its place.
    for i in (0, 29, 49):
        draw, place = made.draw[i]
        again = whole.kind.generator(None, None, 0, None)(int(made.labels[i]), place + 1, int(draw))
        assert again[place].tolist() == made.data[i].tolist()
    distance = np.linalg.norm(whole.data[made.nearest] - made.data, axis=1)
    assert made.distance == pytest.approx(distance)
    assert (whole.labels[made.nearest] == made.labels).all()


def test_where_nearly_all_are_rejected_it_gives_up_and_says_so(tmp_path):
    made = grow(task(Numbers(off=2.0)), tmp_path)  # those of class 0 are where class 1 is
    assert made.lacking[0] < 30
    assert made.reasons["another class"] > 0.9 * TRIES * 30
    assert 1 not in made.lacking or made.lacking[1] < 20
    assert len(made.data) == sum(made.lacking.get(c, n) for c, n in ((0, 30), (1, 20)))


def test_nothing_at_all(tmp_path):
    made = grow(task(Numbers(refuse=True)), tmp_path)
    assert (made.data.shape, len(made.labels), made.lacking) == ((0, 2), 0, {0: 0, 1: 0})


def test_a_fold_knows_its_training_part_alone():
    kind = Numbers()
    whole = task(kind)
    found = cross_validated(whole, 4, None)
    assert found.how == "by 4 folds of 100 points"
    assert [len(shown) for shown in kind.shown] == [75] * 4
    rows = [{tuple(row) for row in shown} for shown in kind.shown]
    assert len(set.union(*rows)) == 100
    assert len(set.intersection(*rows)) == 0
    # The plain one screens too, and is trained once.
    assert kind.judged == 4 * [(PLAIN, 75, None), ("SMOTE", 75, 50), ("GAN", 75, 50)]
    assert [row.way for row in found.rows] == [PLAIN, "SMOTE", "GAN"]
    assert found.rows[0].score > 0.9


def test_there_are_no_more_folds_than_the_rarest_class_has_examples():
    whole = task(Numbers())
    rows = np.r_[np.arange(50), 50, 51, 52]
    part = Task(whole.kind, whole.data[rows], whole.labels[rows], whole.classes, {1: 10})
    assert cross_validated(part, 5, 1).how == "by 3 folds of 53 points"


def test_by_a_test_set_each_seed_has_its_generator_but_the_first(tmp_path):
    kind = Numbers()
    whole = task(kind)
    first = grow(whole, tmp_path)
    other = task(Numbers())
    found = by_test_set(whole, first, 3, other.data, other.labels, 1, "F1")
    assert len(kind.shown) == 3
    assert (found.measure, found.how) == ("F1", "on 100 points, over 3 seeds")
    assert len(found.rows[2].scores) == 3
