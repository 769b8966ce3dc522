"""Perceptual path length: how evenly a generator's images change along a walk through its latent space."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from gansmith.errors import Refused
from gansmith.metrics.measure import Materials, Measure, Value, Walk

EPSILON, PATHS, KEPT = 1e-4, 2000, (0.01, 0.99)


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

    Karras et al., 2019, Section 4.1 (arXiv:1812.04948), where φ is VGG-16 with LPIPS's weights; in another φ it
    bears that one's name. Images are float throughout: steps of ε are lost in eight bits.

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
    found = []
    for at in range(0, n, 100):
        one, other = path(min(100, n - at), epsilon, seed + at)
        with torch.inference_mode():
            apart = (embed(other).to(torch.float64) - embed(one).to(torch.float64)).flatten(1)
        found.append(apart.square().sum(1).cpu().numpy() / epsilon**2)
    lengths = np.concatenate(found)
    if not np.isfinite(lengths).all():
        raise Refused("path length: some images are not finite")
    return lengths


def _measured(materials: Materials) -> dict[str, Value]:
    assert materials.path is not None
    embed = getattr(materials.extractor, "embed", None)
    if embed is None:
        raise Refused("ppl: this extractor takes no float images")
    lengths = perceptual_path_length(materials.path, embed, seed=materials.seed)
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
