"""What is kept of made examples: known points in the plane."""

import numpy as np

from gansmith.applications.screening import COPY, FAR, Screen


class Halves:
    """Left is class 0 and right class 1, the surer the farther."""

    def shares(self, data):
        right = 1 / (1 + np.exp(-data[:, 0]))
        return np.stack([1 - right, right], 1)

    def features(self, data):
        return data


def real():
    random = np.random.default_rng(0)
    left, right = random.normal(-3, 1, (200, 2)), random.normal(3, 1, (200, 2))
    return np.concatenate([left, right]), np.repeat([0, 1], 200)


def test_another_class_a_copy_and_far_from_all():
    data, labels = real()
    screen = Screen(Halves(), data, labels, 2)
    made = np.array([[3.1, 0.2], [-3.0, 0.1], data[250], [30, 30], data[250]])
    found = screen(made, np.array([1, 1, 1, 1, 0]))
    assert found.reason.tolist() == [0, 1, 2, 3, 1]
    distance = np.linalg.norm(data[200:] - made[0], axis=1)
    assert found.nearest[0] == 200 + distance.argmin()
    assert found.nearest[2] == 250
    assert np.isclose(found.distance[0], distance.min())
    assert found.share[1] < 0.1 < 0.9 < found.share[0]


def test_the_bounds_are_quantiles_of_the_real_ones_own_distances():
    data, labels = real()
    mine = data[labels == 1]
    apart = np.linalg.norm(mine[:, None] - mine[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    low, high = np.quantile(apart.min(1), [COPY, FAR])
    screen = Screen(Halves(), data, labels, 2)
    edge = mine[mine[:, 0].argmax()]  # nothing is beyond it
    for away, reason in ((low * 0.9, 2), (low * 1.1, 0), (high * 0.99, 0), (high * 1.01, 3)):
        assert screen((edge + np.array([away, 0]))[None], np.array([1])).reason.tolist() == [reason]


def test_a_rare_class_is_named_where_it_is_likelier_than_it_is_frequent():
    class Doubtful(Halves):
        def shares(self, data):
            return np.tile([0.8, 0.2], (len(data), 1))

    data, labels = real()
    few = np.r_[np.arange(200), np.arange(200, 220)]
    screen = Screen(Doubtful(), data[few], labels[few], 2)
    assert screen(data[200:203] + 0.05, np.array([1, 1, 1])).reason.tolist() == [0, 0, 0]  # 0.2 is above 1 in 11


def test_a_class_of_one_example_has_no_bounds():
    data = np.array([[-1.0, 0], [-2, 0], [5, 0]])
    screen = Screen(Halves(), data, np.array([0, 0, 1]), 2)
    assert screen(np.array([[50.0, 0], [5, 0]]), np.array([1, 1])).reason.tolist() == [0, 0]
