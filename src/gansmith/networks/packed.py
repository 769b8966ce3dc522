"""A discriminator that judges several examples at once: PacGAN (Lin et al., 2018, arXiv:1712.04086)."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

import gansmith.networks
from gansmith.errors import nearest
from gansmith.networks.layers import Critic, one_hot


class Discriminator(Critic):
    """A pack of m neighbours in the batch → one logit, by a discriminator for m times the channels (or numbers).

    Where the generator drops modes, m fakes are more alike than m real examples. Lin et al., 2018, Section 2
    (arXiv:1712.04086). A class joins its example, as a one-hot vector or as planes, so that a pack may hold several.
    Examples that are left over at the end of a batch are not judged. A penalty's gradient is of the whole pack.

    Args:
        shape: of one example.
        classes: number of classes; 0 is unconditional.
        pack: m.
        inner: network that judges, by its module; other arguments are its own.
        arguments: the inner network's.

    Attributes:
        pack: m.
        energy: whether the inner network gives energies.
    """

    coupled = True

    def __init__(
        self, shape: Sequence[int], classes: int = 0, pack: int = 2, inner: str = "mlp", **arguments: Any
    ) -> None:
        super().__init__()
        if pack < 1:
            raise ValueError(f"pack is a number of examples from 1, not {pack}")
        self.pack, self.classes, self.told = pack, classes, bool(classes)
        channels, *sides = shape
        self.inner: nn.Module = _class(inner)((pack * (channels + classes), *sides), **arguments)
        self.energy = bool(getattr(self.inner, "energy", False))
        if isinstance(self.inner, Critic):
            self.feature_width = self.inner.feature_width

    def packed(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, C, …], int64 [B] → [B / m, m (C + classes), …]."""
        number = len(data) // self.pack
        if number == 0:
            raise ValueError(f"packs of {self.pack} examples cannot be made of {len(data)}")
        if labels is not None and self.classes:
            told = one_hot(labels, self.classes, data).view(len(data), -1, *[1] * (data.dim() - 2))
            data = torch.cat([data, told.expand(-1, -1, *data.shape[2:])], 1)
        return data[: number * self.pack].reshape(number, -1, *data.shape[2:])

    def features(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, C, …], int64 [B] → the packs' features [B / m, F]."""
        assert isinstance(self.inner, Critic)
        return self.inner.features(self.packed(data, labels))

    def logits(self, features: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B / m, F] → [B / m]."""
        assert isinstance(self.inner, Critic)
        return self.inner.logits(features)

    def forward(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, C, …], int64 [B] → logits [B / m]."""
        return self.inner(self.packed(data, labels))


def _class(name: str) -> type[nn.Module]:
    key = name.replace("-", "_")
    known = [m.name for m in pkgutil.iter_modules(gansmith.networks.__path__) if m.name != "packed"]
    module = importlib.import_module(f"gansmith.networks.{key}") if key in known else None
    if module is None or not hasattr(module, "Discriminator"):
        near = nearest(key, known)
        hint = f"; did you mean {near!r}?" if near and near != key else ""
        raise ValueError(f"inner: no network with a discriminator is called {name!r}{hint}")
    return module.Discriminator
