"""The numbers of the field's own libraries on the same features and images, to 1e-6 of them."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from gansmith.metrics.classifier import classifier_score
from gansmith.metrics.frechet import frechet_distance
from gansmith.metrics.kernel import kernel_distance, squared_mmd
from gansmith.metrics.neighbours import precision_recall_density_coverage
from gansmith.metrics.similarity import WEIGHTS, ms_ssim, ssim

pytestmark = pytest.mark.usefixtures("peers")


def pair(n=300, m=260, d=24, seed=0):
    """Features of two laws that overlap, float64 [n, d] and [m, d]."""
    r = np.random.RandomState(seed)
    mix = r.randn(d, d) / d**0.5
    return torch.from_numpy(r.randn(n, d) @ mix), torch.from_numpy(r.randn(m, d) @ mix * 1.2 + 0.2)


def pictures(n, height, width):
    r = np.random.RandomState(0)
    smooth = gaussian_filter(r.rand(n, 3, height, width), (0, 0, 3, 3))
    x = (smooth - smooth.min()) / (smooth.max() - smooth.min()) * 255
    y = np.clip(x + r.randn(*x.shape) * np.linspace(3, 40, n)[:, None, None, None], 0, 255)
    return x, y


# --- torch-fidelity ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "m", "d"), [(300, 260, 24), (40, 300, 24), (30, 25, 64)])
def test_frechet_distance_as_torch_fidelity(n, m, d):
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    x, y = pair(n, m, d)
    theirs = fid_statistics_to_metric(fid_features_to_statistics(x), fid_features_to_statistics(y), False)
    # Of rank-deficient covariances, theirs sums the roots of eigenvalues that are zero to within rounding.
    assert frechet_distance(x, y) == pytest.approx(theirs["frechet_inception_distance"], rel=1e-6)


def test_kernel_distance_as_torch_fidelity():
    from torch_fidelity.metric_kid import kid_features_to_metric

    x, y = pair(200, 200)
    # One subset of all rows: theirs draws subsets by another generator.
    theirs = kid_features_to_metric(x, y, kid_subsets=1, kid_subset_size=200, verbose=False)
    expected = theirs["kernel_inception_distance_mean"]
    assert squared_mmd(x, y) == pytest.approx(expected, rel=1e-6)
    assert kernel_distance(x, y, subsets=1, size=200).mean == pytest.approx(expected, rel=1e-6)


def test_kernel_distance_over_subsets_as_torch_fidelity():
    from torch_fidelity.metric_kid import kid_features_to_metric

    x, y = pair(400, 350)
    theirs = kid_features_to_metric(x, y, kid_subsets=400, kid_subset_size=100, verbose=False)
    ours = kernel_distance(x, y, subsets=400, size=100)
    error = theirs["kernel_inception_distance_std"] / 400**0.5
    assert abs(ours.mean - theirs["kernel_inception_distance_mean"]) < 4 * error
    assert ours.deviation == pytest.approx(theirs["kernel_inception_distance_std"], rel=0.15)


@pytest.mark.parametrize(("n", "splits"), [(300, 10), (103, 1)])
def test_classifier_score_as_torch_fidelity(n, splits):
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = 3 * pair(n)[0]
    theirs = isc_features_to_metric(logits, splits, shuffle=True, rng_seed=2020)
    ours = classifier_score(logits[np.random.RandomState(2020).permutation(n)], splits=splits)
    assert ours.mean == pytest.approx(theirs["inception_score_mean"], rel=1e-6)
    assert ours.deviation == pytest.approx(theirs["inception_score_std"], rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("k", [3, 5])
def test_precision_and_recall_as_torch_fidelity(k):
    from torch_fidelity.metric_prc import prc_features_to_metric

    fake, real = pair(d=6)
    fake = fake * torch.linspace(0.6, 1.8, 6) + 0.3
    theirs = prc_features_to_metric(fake, real, prc_neighborhood=k, verbose=False)
    ours = precision_recall_density_coverage(real, fake, k=k)
    assert 0.1 < min(ours.precision, ours.recall) <= max(ours.precision, ours.recall) < 0.95
    assert ours.precision == pytest.approx(theirs["precision"], rel=1e-6)
    assert ours.recall == pytest.approx(theirs["recall"], rel=1e-6)


# --- torchmetrics -----------------------------------------------------------------------------------


class Given(torch.nn.Module):
    """Stands for an extractor: an "image" [N, 1, 1, 1] holds the number of a row of features."""

    def __init__(self, rows):
        super().__init__()
        self.rows, self.num_features = rows, rows.shape[1]

    def forward(self, images):
        return self.rows[images.flatten().long()]


def numbers(start, stop):
    return torch.arange(start, stop).view(-1, 1, 1, 1)


def told(metric, x, y):
    metric.set_dtype(torch.float64)
    metric.update(numbers(0, len(x)), real=True)
    metric.update(numbers(len(x), len(x) + len(y)), real=False)
    return metric.compute()


def test_frechet_distance_as_torchmetrics():
    from torchmetrics.image import FrechetInceptionDistance

    x, y = pair()
    theirs = told(FrechetInceptionDistance(Given(torch.cat([x, y]))), x, y)
    assert frechet_distance(x, y) == pytest.approx(float(theirs), rel=1e-6)


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance` will save all extracted features")
def test_kernel_distance_as_torchmetrics():
    from torchmetrics.image import KernelInceptionDistance

    x, y = pair(200, 200)
    with torch.random.fork_rng():
        mean, _ = told(KernelInceptionDistance(Given(torch.cat([x, y])), subsets=1, subset_size=200), x, y)
    assert squared_mmd(x, y) == pytest.approx(float(mean), rel=1e-6)


@pytest.mark.filterwarnings("ignore:Metric `InceptionScore` will save all extracted features")
def test_classifier_score_as_torchmetrics():
    from torchmetrics.image import InceptionScore

    logits = 3 * pair()[0]
    metric = InceptionScore(Given(logits), splits=10)
    metric.update(numbers(0, 300))
    with torch.random.fork_rng():
        torch.manual_seed(7)
        mean, deviation = metric.compute()
        torch.manual_seed(7)
        order = torch.randperm(300)
    ours = classifier_score(logits[order], splits=10)
    assert ours.mean == pytest.approx(float(mean), rel=1e-6)
    assert ours.deviation == pytest.approx(float(deviation) * (9 / 10) ** 0.5, rel=1e-6)  # theirs divides by 9


def theirs_ssim(x, y):
    """Their SSIM over the whole padded image, and over the pixels whose windows lie in it; [N] each.

    They give the former, where the border counts with reflected pixels; Wang et al. and we take the latter.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    whole, each = structural_similarity_index_measure(x, y, data_range=255.0, reduction="none", return_full_image=True)
    return whole, each[:, :, 5:-5, 5:-5].flatten(1).mean(1)


def test_ssim_as_torchmetrics():
    x, y = pictures(6, 40, 52)
    _, theirs = theirs_ssim(torch.from_numpy(x), torch.from_numpy(y))
    np.testing.assert_allclose(ssim(x, y), theirs, rtol=1e-6)


def test_ms_ssim_as_torchmetrics():
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    x, y = (torch.from_numpy(each) for each in pictures(4, 176, 192))
    theirs = multiscale_structural_similarity_index_measure(x, y, data_range=255.0, betas=WEIGHTS, reduction="none")
    # Of the scales, theirs pads the last alone. And the published weights sum to 1.0001, but ours to 1.
    whole, inside = theirs_ssim(*(torch.nn.functional.avg_pool2d(each, 16) for each in (x, y)))
    expected = (theirs * (inside / whole) ** WEIGHTS[-1]) ** (1 / sum(WEIGHTS))
    np.testing.assert_allclose(ms_ssim(x, y), expected, rtol=1e-6)
