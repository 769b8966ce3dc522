"""Perceptual path length: how evenly a generator's images change along a walk through its latent space."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from gansmith.errors import Refused
from gansmith.metrics.extractor import TellsApart
from gansmith.metrics.measure import Materials, Measure, Value, Walk

EPSILON, PATHS, KEPT = 1e-4, 2000, (0.01, 0.99)

Apart = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Two sets of images to the squared distances of their pairs, [n]."""


def perceptual_path_length(
    path: Walk,
    embed: Callable[[torch.Tensor], torch.Tensor],
    *,
    n: int = PATHS,
    epsilon: float = EPSILON,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Compute the squared speed of features along random latent paths.

        PPL = E |φ(G(z(t + ε))) − φ(G(z(t)))|² / ε²,   t uniform in [0, 1)

    Karras et al., 2019, Section 4.1 (arXiv:1812.04948), where |φ(x) − φ(y)|² is LPIPS on VGG-16: as a measure that is
    `ppl-lpips`, and in another φ it bears that one's name. Images are float throughout: steps of ε are lost in eight
    bits.

    Args:
        path: images at t and t + ε of random paths, float, 0 to 255.
        embed: images to features, [n, d].
        n: number of paths.
        epsilon: step.
        seed: of the paths.

    Returns:
        The values of the paths, float64 [n]; the length is their mean without the lowest and highest hundredth.

    Raises:
        Refused: where some are not finite.
    """

    def apart(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return (embed(other).to(torch.float64) - embed(one).to(torch.float64)).flatten(1).square().sum(1)

    return _lengths(path, apart, n, epsilon, seed)


def _lengths(path: Walk, apart: Apart, n: int, epsilon: float, seed: int) -> NDArray[np.float64]:
    found = []
    for at in range(0, n, 100):
        one, other = path(min(100, n - at), epsilon, seed + at)
        found.append(apart(one, other).cpu().numpy() / epsilon**2)
    lengths = np.concatenate(found)
    if not np.isfinite(lengths).all():
        raise Refused("path length: some images are not finite")
    return lengths


def _measured(materials: Materials) -> dict[str, Value]:
    assert materials.path is not None
    embed = getattr(materials.extractor, "embed", None)
    if isinstance(materials.extractor, TellsApart):
        lengths = _lengths(materials.path, materials.extractor.apart, PATHS, EPSILON, materials.seed)
    elif embed is not None:
        lengths = perceptual_path_length(materials.path, embed, seed=materials.seed)
    else:
        raise Refused("ppl: this extractor takes no float images")
    low, high = np.quantile(lengths, KEPT)
    kept = lengths[(lengths >= low) & (lengths <= high)]
    return {"": Value(float(kept.mean()), float(kept.std() / len(kept) ** 0.5), "standard error over paths")}


MEASURES = (
    Measure(
        "ppl", _measured, "perceptual path length in the extractor's features (smaller: smoother)", "lower",
        frozenset({"path"}), least=1, slow=True,
        settings={"epsilon": EPSILON, "paths": PATHS, "space": "Z, spherical", "kept": list(KEPT)},
    ),
)  # fmt: skip
