"""The main directions of a generator's latent space, found without labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gansmith.engine.sampler import Sampler
from gansmith.errors import Refused
from gansmith.games.game import Game
from gansmith.networks.modulation import Mapping, StyledConv2d, ToImage

WAYS = ("outputs", "weights")
"""How directions are found: by the principal components of outputs, or the singular vectors of weights."""

DRAWN = 1024
"""Latents of which outputs are looked at."""

ROWS = 256
"""Latents at a time."""


@dataclass(frozen=True)
class Directions:
    """Directions of a space, the most telling first.

    Attributes:
        vectors: float32 [k, D], of length 1; the largest number of each is positive.
        deviations: float64 [k], the standard deviation of what the space holds along each.
        shares: float64 [k], what each accounts for of the variance, or of the squared singular values.
        space: `noise`, the latents; or `styles`, what a mapping network makes of them.
    """

    vectors: NDArray[np.float32]
    deviations: NDArray[np.float64]
    shares: NDArray[np.float64]
    space: str = "noise"

    def shift(self, amounts: Sequence[float]) -> NDArray[np.float32]:
        """The step of so many deviations along the first so many directions, [D].

        Raises:
            ValueError: more amounts than directions.
        """
        if len(amounts) > len(self.vectors):
            raise ValueError(f"there are {len(self.vectors)} directions, and {len(amounts)} amounts")
        steps = np.asarray(amounts, np.float64) * self.deviations[: len(amounts)]
        return (steps @ self.vectors[: len(amounts)].astype(np.float64)).astype(np.float32)


# --- the mathematics -------------------------------------------------------------------------------


def principal(outputs: NDArray[Any], k: int) -> Directions:
    """The principal components of outputs: eigenvectors of their covariance, the greatest variance first.

    Args:
        outputs: [N, D].
        k: how many at most.

    Raises:
        Refused: fewer than two outputs, or outputs that are not finite.
    """
    centred = _centred(outputs)
    _, values, rows = _decomposed(centred, k)
    variances = values**2 / (len(centred) - 1)
    total = float((centred**2).sum()) / (len(centred) - 1)
    return Directions(_signed(rows), np.sqrt(variances), variances / max(total, 1e-300))


def regressed(outputs: NDArray[Any], latents: NDArray[Any], k: int) -> Directions:
    """The latent directions that move outputs along their principal components.

    With x the coordinates of an output in its components, u_k = argmin Σ_n ‖z_n − z̄ − u x_nk‖², so u_k = Σ_n x_nk
    (z_n − z̄) / Σ_n x_nk²: Härkönen et al., 2020, Section 2 (arXiv:2004.02546), where the layer's outputs are not the
    space that is edited. Made of length 1; latents are standard normal, so the deviation along each is 1.

    Args:
        outputs: [N, D], of a layer.
        latents: [N, Z], that they were made of.
        k: how many at most.

    Raises:
        Refused: fewer than two outputs, unlike numbers, or what is not finite.
    """
    if len(outputs) != len(latents):
        raise Refused(f"expected as many outputs as latents, not {len(outputs)} and {len(latents)}")
    centred, z = _centred(outputs), _centred(latents)
    left, values, _ = _decomposed(centred, min(k, z.shape[1]))
    found = left.T @ z  # x_k is s_k times the k-th left singular vector: of a regression only the length differs
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    shares = values**2 / max(float((centred**2).sum()), 1e-300)
    # What latents do not move cannot be regressed on them: it would be noise of length 1.
    there = (lengths[:, 0] > 1e-6) & (shares > 1e-12)
    return Directions(_signed(found[there] / lengths[there]), np.ones(int(there.sum())), shares[there])


def singular(weight: NDArray[Any], k: int) -> Directions:
    """The directions that weights stretch most: right singular vectors, or eigenvectors of AᵀA.

    max ‖A n‖² over ‖n‖ = 1. Shen and Zhou, 2021, Section 3.2 (arXiv:2007.06600).

    Args:
        weight: A, [outputs, D].
        k: how many at most.

    Raises:
        Refused: what is not finite.
    """
    a = np.asarray(weight, np.float64)
    if a.ndim != 2 or not np.isfinite(a).all():
        raise Refused("directions need finite weights [outputs, inputs]")
    values, vectors = np.linalg.eigh(a.T @ a)
    values, vectors = values[::-1][:k].clip(min=0), vectors[:, ::-1][:, :k]
    there = values > 1e-12 * max(float(values[0]), 1e-300)
    shares = values[there] / max(float((a**2).sum()), 1e-300)
    return Directions(_signed(vectors.T[there]), np.ones(len(shares)), shares)


def _centred(rows: NDArray[Any]) -> NDArray[np.float64]:
    wide = np.asarray(rows, np.float64).reshape(len(rows), -1)
    if len(wide) < 2 or not np.isfinite(wide).all():
        raise Refused("directions need two finite vectors or more")
    return wide - wide.mean(0)


def _decomposed(centred: NDArray[np.float64], k: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The greatest singular values with their vectors, by the smaller of the two products with itself."""
    n, width = centred.shape
    if n <= width:
        squares, left = np.linalg.eigh(centred @ centred.T)
        left, squares = left[:, ::-1][:, :k], squares[::-1][:k].clip(min=0)
        values = np.sqrt(squares)
        return left, values, (left.T @ centred) / np.maximum(values, 1e-300)[:, None]
    squares, right = np.linalg.eigh(centred.T @ centred)
    right, squares = right[:, ::-1][:, :k], squares[::-1][:k].clip(min=0)
    values = np.sqrt(squares)
    return (centred @ right) / np.maximum(values, 1e-300), values, right.T


def _signed(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Each with its largest number positive, since a direction's sign is nobody's choice."""
    if not len(vectors):
        return vectors.astype(np.float32)
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(1)[:, None], 1)
    return (vectors * np.where(largest < 0, -1, 1)).astype(np.float32)


# --- of a model ------------------------------------------------------------------------------------


def directions(game: Game, sampler: Sampler, by: str = "outputs", k: int = 10, *, seed: int = 0) -> Directions:
    """The main directions of a trained generator.

    Where a mapping network makes styles of the latents, these are the space: by their principal components, or by the
    weights that take styles to each layer, stacked. Elsewhere the latents are: by the outputs of the first layer that
    has weights, regressed on them, or by its weights. Where that layer is linear the two agree, up to what is drawn.
    Differences between classes are taken out of outputs: a direction is of all classes.

    Args:
        game: in eval mode.
        sampler: of the same game: what latents and labels it takes.
        by: `outputs` or `weights`.
        k: how many at most.
        seed: of the latents that are drawn.

    Raises:
        Refused: another way, or a game in which no layer is found that latents reach.
    """
    if by not in WAYS:
        raise Refused(f"directions are found by {' or '.join(WAYS)}, not {by!r}")
    latents = sampler.latents(DRAWN, seed)
    mapping = mapping_of(game)
    if mapping is not None:
        styles = _within_classes(_seen(mapping, sampler, latents), sampler)
        if by == "outputs":
            found = principal(styles, k)
        else:
            found = singular(np.concatenate([_linear(layer, styles.shape[1]) for layer in _style_layers(game)]), k)
            spread = np.std(styles @ found.vectors.T.astype(np.float64), axis=0, ddof=1)
            found = Directions(found.vectors, spread, found.shares)
        return Directions(found.vectors, found.deviations, found.shares, "styles")
    first = _first_layer(game, sampler)
    if by == "outputs":
        return regressed(_within_classes(_seen(first, sampler, latents), sampler), latents, k)
    # The layer may be given more than latents, or only a part of them: so its weights are read off what it does.
    rows = np.concatenate([np.zeros((1, sampler.noise), np.float32), np.eye(sampler.noise, dtype=np.float32)])
    out = _seen(first, sampler, rows, label=0)
    return singular((out[1:] - out[0]).T, k)


@contextmanager
def shifted(game: Game, found: Directions, amounts: Sequence[float]) -> Iterator[NDArray[np.float32] | None]:
    """Inside the block the game's styles are moved along directions; or gives the step to add to the latents.

    Args:
        game: the model's.
        found: its directions.
        amounts: deviations along the first so many of them.

    Yields:
        A step [noise] for the latents, or None where nothing is to be added to them.
    """
    step = found.shift(amounts) if any(amounts) else None
    if step is None or found.space == "noise":
        yield step
        return
    mapping = mapping_of(game)
    assert mapping is not None, "styles without a mapping"
    handle = mapping.register_forward_hook(lambda module, given, out: out + torch.from_numpy(step).to(out))
    try:
        yield None
    finally:
        handle.remove()


def mapping_of(game: Game) -> Mapping | None:
    """The network that makes styles of latents, or None where there is none."""
    generator = getattr(game, "generator", None)
    mapping = getattr(generator, "mapping", None)
    return mapping if isinstance(mapping, Mapping) and mapping.noise else None


class _Enough(Exception):
    """What was to be seen was seen: the rest of the network need not run."""


def _seen(layer: nn.Module, sampler: Sampler, latents: NDArray[np.float32], label: int | None = None) -> NDArray[Any]:
    """A layer's outputs [N, …] flat, for latents; labels in turn, or all one."""
    kept: list[torch.Tensor] = []

    def keep(module: nn.Module, given: Any, out: torch.Tensor) -> None:
        kept.append(out.detach().flatten(1).double().cpu())
        raise _Enough

    labels = sampler.labels_for(len(latents))
    if labels is not None and label is not None:
        labels = labels[:1].repeat(len(latents), axis=0)
    handle = layer.register_forward_hook(keep)
    try:
        for at in range(0, len(latents), ROWS):
            part = None if labels is None else labels[at : at + ROWS]
            try:
                sampler.decode(latents[at : at + ROWS], part, ROWS)
            except _Enough:
                continue
            raise Refused("the layer in which directions are sought is not reached")
    finally:
        handle.remove()
    return torch.cat(kept).numpy()


def _first_layer(game: Game, sampler: Sampler) -> nn.Module:
    """The first layer with weights that is run, and whose outputs depend on latents."""
    order: list[tuple[nn.Module, Any]] = []
    weights = [(m, getattr(m, "weight", None)) for m in game.modules()]
    layers = [m for m, weight in weights if isinstance(weight, torch.Tensor) and weight.dim() > 1]

    def note(module: nn.Module, given: Any, out: Any) -> None:
        order.append((module, out))

    handles = [m.register_forward_hook(note) for m in layers]
    z = sampler.latents(2, 0)
    label = sampler.labels_for(1)
    try:
        sampler.decode(z, None if label is None else label.repeat(2, axis=0))
    finally:
        for handle in handles:
            handle.remove()
    for layer, out in order:
        if isinstance(out, torch.Tensor) and len(out) == 2 and not torch.equal(out[0], out[1]):
            return layer
    raise Refused("no layer of this generator is found that latents reach")


def _style_layers(game: Game) -> list[nn.Module]:
    return [m.style for m in game.modules() if isinstance(m, StyledConv2d | ToImage)]


def _linear(layer: nn.Module, width: int) -> NDArray[Any]:
    """The matrix [outputs, width] of an affine layer, whatever it scales its weights by."""
    like = next(layer.parameters())
    rows = torch.cat([torch.zeros(1, width), torch.eye(width)]).to(like)
    with torch.inference_mode():
        out = layer(rows).double().cpu().numpy()
    return (out[1:] - out[0]).T


def _within_classes(outputs: NDArray[Any], sampler: Sampler) -> NDArray[Any]:
    """Outputs about the mean of their class, whose labels came in turn; as they are where there are no classes."""
    if sampler.classes is None:
        return outputs
    out, kinds = outputs.copy(), len(sampler.classes)
    for kind in range(min(kinds, len(out))):
        out[kind::kinds] -= out[kind::kinds].mean(0)
    return out
