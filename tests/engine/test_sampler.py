import numpy as np
import pytest
import torch

from gansmith.engine.sampler import Sampler, examples_of, latents


def sampler(classes=("cat", "dog", "7"), modality="image", shape=(1, 2, 2), noise=4, coded=False):
    def generate(z, labels):
        if modality != "image":
            return z[:, :2]
        level = 0 if labels is None else labels.view(-1, 1, 1, 1) / 10
        return z[:, :1, None, None].expand(-1, *shape) * 0 + z.mean(1).view(-1, 1, 1, 1) + level

    return Sampler(generate, shape=shape, modality=modality, noise=noise, classes=classes, coded=coded)


def test_latents_are_standard_normal_and_the_first_of_more_are_those_of_fewer():
    many = latents(20_000, 3, seed=5)
    assert np.array_equal(many[:7], latents(7, 3, seed=5))
    assert not np.array_equal(many[:7], latents(7, 3, seed=6))
    assert np.abs(many.mean(0)).max() < 5 / np.sqrt(20_000)
    assert np.abs(many.std(0) - 1).max() < 5 / np.sqrt(40_000)


@pytest.mark.parametrize("n", [1, 255, 256, 257, 600])
def test_the_first_of_more_samples_are_those_of_fewer(n):
    assert np.array_equal(sampler().sample(700, seed=2)[:n], sampler().sample(n, seed=2))


def test_a_pixel_is_the_nearest_of_256_levels():
    def generate(z, labels):
        return torch.linspace(-1.1, 1.1, len(z)).view(-1, 1, 1, 1)

    drawn = Sampler(generate, shape=(1, 1, 1), modality="image", noise=1).sample(101).ravel()
    exact = np.clip(np.floor(np.linspace(-1.1, 1.1, 101, dtype=np.float32) * np.float32(127.5) + 128), 0, 255)
    assert np.array_equal(drawn, exact)
    assert drawn.dtype == np.uint8


def test_labels_are_named_or_numbered_or_each_in_turn():
    one = sampler()
    assert one.labels_for(5).tolist() == [0, 1, 2, 0, 1]
    assert one.labels_for(2, "dog").tolist() == [1, 1]
    assert one.labels_for(2, 1).tolist() == [1, 1]
    assert one.labels_for(2, "7").tolist() == [2, 2]  # a name before a number
    for wrong in ("bird", 3, -1):
        with pytest.raises(ValueError, match=r"no label .*; the model knows cat, dog, 7"):
            one.labels_for(2, wrong)
    assert np.array_equal(one.sample(3, label="dog"), one.sample(3, label=1))
    assert (one.sample(3, label=2).astype(int) > one.sample(3, label=0)).all()


def test_an_unconditional_one_knows_no_labels():
    one = sampler(classes=None)
    assert one.labels_for(3) is None
    with pytest.raises(ValueError, match="trained without labels"):
        one.sample(3, label=0)


def test_classes_that_are_codes_are_asked_for_but_are_no_labels():
    one, other, neither = sampler(), sampler(coded=True), sampler(classes=None)
    assert [each.labelled for each in (one, other, neither)] == [True, False, False]
    assert other.labels_for(4).tolist() == [0, 1, 2, 0]
    assert other.labels_for(2, "dog").tolist() == [1, 1]


def test_a_walk_varies_one_number_by_even_shares():
    one = sampler()
    z = one.walk(2, 3, 5, seed=4)
    assert z.shape == (15, 4)
    assert z.dtype == np.float32
    others = [0, 1, 3]
    assert np.array_equal(z[:, others], one.latents(3, 4).repeat(5, axis=0)[:, others])
    shares = torch.special.ndtr(torch.from_numpy(z[:, 2]).double()).reshape(3, 5)
    torch.testing.assert_close(shares, torch.tensor([[0.1, 0.3, 0.5, 0.7, 0.9]] * 3).double(), atol=1e-6, rtol=0)
    with pytest.raises(ValueError, match="the dimensions 0 to 3, and not 4"):
        one.walk(4, 1)


def test_vectors_are_asked_for_or_taken_from_the_training_in_turn():
    rows = np.arange(200, dtype=np.float32).reshape(100, 2)
    kept = examples_of(rows)
    assert kept.shape == (64, 2)
    assert np.array_equal(kept[[0, -1]], rows[[0, -1]])
    assert np.array_equal(examples_of(rows[:5]), rows[:5])
    one = Sampler(lambda z, v: z[:, :1] + v, shape=(2,), modality="points", noise=4, conditions=rows[:3])
    assert np.array_equal(one.labels_for(5), rows[[0, 1, 2, 0, 1]])
    assert one.labels_for(2, (0.5, -1)).tolist() == [[0.5, -1], [0.5, -1]]
    assert np.array_equal(one.sample(3, label=[7, 7]), one.latents(3)[:, :1] + np.float32([7, 7]))
    assert not one.labelled
    for wrong in ((1.0,), 3, "cat"):
        with pytest.raises(ValueError, match="told vectors of 2 numbers, not"):
            one.labels_for(2, wrong)
    for other in (sampler(), sampler(None)):
        with pytest.raises(ValueError, match="not trained with vectors"):
            other.labels_for(2, (1.0, 2.0))


def test_truncation_scales_the_latents():
    wide, narrow = (sampler(None, "points", (2,)).sample(9, seed=1, truncation=t) for t in (1.0, 0.25))
    assert np.array_equal(narrow, wide * np.float32(0.25))
    assert narrow.dtype == np.float32


def test_truncation_is_the_generators_own_where_it_has_one():
    def generate(z, labels):
        return z[:, :2]

    def truncated(z, labels, psi):
        return 10 + psi * z[:, :2]

    own = Sampler(generate, shape=(2,), modality="points", noise=4, truncated=truncated)
    z = latents(9, 4, seed=1)[:, :2]
    assert np.array_equal(own.sample(9, seed=1), z)  # 1 is no truncation
    assert np.array_equal(own.sample(9, seed=1, truncation=0.5), 10 + np.float32(0.5) * z)
    assert np.array_equal(own.decode(latents(9, 4, seed=1), truncation=0.5), own.sample(9, seed=1, truncation=0.5))


def test_no_samples_have_their_shape_still():
    assert sampler().sample(0).shape == (0, 1, 2, 2)


def test_images_are_rendered_without_rounding_or_clipping():
    def generate(z, labels):
        return torch.linspace(-1.1, 1.1, len(z)).view(-1, 1, 1, 1)

    drawn = Sampler(generate, shape=(1, 1, 1), modality="image", noise=1).render(latents(101, 1, 0))
    np.testing.assert_allclose(drawn.ravel(), np.linspace(-1.1, 1.1, 101) * 127.5 + 127.5, rtol=1e-5, atol=1e-4)
