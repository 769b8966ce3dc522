"""Features to numbers, in float64, one file a metric; extractors; and the card of a score."""

from gansmith.metrics.classifier import classifier_score
from gansmith.metrics.dinov2 import Dinov2Extractor
from gansmith.metrics.domain import DomainExtractor, fit_domain
from gansmith.metrics.extractor import Extractor
from gansmith.metrics.fd import frechet_error
from gansmith.metrics.frechet import (
    Extrapolated,
    Gaussian,
    Moments,
    floor,
    frechet_against,
    frechet_distance,
    frechet_extrapolated,
    frechet_of,
    moments_of,
)
from gansmith.metrics.inception import InceptionExtractor
from gansmith.metrics.kernel import Spread, kernel_distance, squared_mmd
from gansmith.metrics.lpips import LpipsExtractor, lpips_distance, lpips_diversity
from gansmith.metrics.measure import Materials, Measure, Side, Value, measures
from gansmith.metrics.modes import Coverage, Shares, mode_coverage, mode_shares
from gansmith.metrics.neighbours import Neighbours, precision_recall_density_coverage
from gansmith.metrics.path import perceptual_path_length
from gansmith.metrics.pixels import PixelExtractor
from gansmith.metrics.points import PointExtractor
from gansmith.metrics.rows import Rows
from gansmith.metrics.score import Drawn, Scorer
from gansmith.metrics.similarity import Diversity, ms_ssim, ms_ssim_diversity, ssim
from gansmith.metrics.twosample import TwoSample, two_sample_test
from gansmith.metrics.vendi import vendi_score
from gansmith.metrics.wasserstein import mind, sliced_error, sliced_wasserstein, wasserstein_distance

__all__ = [
    "Coverage",
    "Dinov2Extractor",
    "Diversity",
    "DomainExtractor",
    "Drawn",
    "Extractor",
    "Extrapolated",
    "Gaussian",
    "InceptionExtractor",
    "LpipsExtractor",
    "Materials",
    "Measure",
    "Moments",
    "Neighbours",
    "PixelExtractor",
    "PointExtractor",
    "Rows",
    "Scorer",
    "Shares",
    "Side",
    "Spread",
    "TwoSample",
    "Value",
    "classifier_score",
    "fit_domain",
    "floor",
    "frechet_against",
    "frechet_distance",
    "frechet_error",
    "frechet_extrapolated",
    "frechet_of",
    "kernel_distance",
    "lpips_distance",
    "lpips_diversity",
    "measures",
    "mind",
    "mode_coverage",
    "mode_shares",
    "moments_of",
    "ms_ssim",
    "ms_ssim_diversity",
    "perceptual_path_length",
    "precision_recall_density_coverage",
    "sliced_error",
    "sliced_wasserstein",
    "squared_mmd",
    "ssim",
    "two_sample_test",
    "vendi_score",
    "wasserstein_distance",
]
