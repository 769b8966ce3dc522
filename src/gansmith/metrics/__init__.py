"""Features to numbers, in float64, one file a metric; extractors; and the card of a score."""

from gansmith.metrics.domain import DomainExtractor, fit_domain
from gansmith.metrics.extractor import Extractor
from gansmith.metrics.frechet import Gaussian, Moments, floor, frechet_distance, frechet_of
from gansmith.metrics.pixels import PixelExtractor
from gansmith.metrics.score import Scorer
from gansmith.metrics.wasserstein import sliced_wasserstein

__all__ = [
    "DomainExtractor",
    "Extractor",
    "Gaussian",
    "Moments",
    "PixelExtractor",
    "Scorer",
    "fit_domain",
    "floor",
    "frechet_distance",
    "frechet_of",
    "sliced_wasserstein",
]
