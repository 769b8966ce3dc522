"""A discriminator that is an autoencoder: its energy is how badly it draws an example again. EBGAN's and BEGAN's.

Zhao et al., 2017 (arXiv:1609.03126); Berthelot et al., 2017 (arXiv:1703.10717), whose convolutions these are, for any
size from 8 pixels up. What is no image goes through perceptrons.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from gansmith.networks.convolution import Conv2d
from gansmith.networks.layers import Critic, Squash, one_hot, pad_to, scaled, stages

ERRORS = ("l1", "l2", "norm")
"""Of a reconstruction: the mean of |x̂ − x| or of (x̂ − x)² over the numbers of an example, or ‖x̂ − x‖."""


class Decoder(nn.Module):
    """Code → example: a grid of 8 pixels, and at each of its doublings two 3x3 convolutions and ELU.

    All grids have the same number of channels; sizes are doubled by nearest neighbours, and the end is linear.
    Berthelot et al., 2017, Section 3.5 and Figure 1 (arXiv:1703.10717).

    Args:
        shape: of one example.
        inputs: length of a code, with what is joined to it.
        width: channels.
        hidden: widths of the layers for what is no image.
    """

    def __init__(self, shape: Sequence[int], inputs: int, width: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.grids = nn.ModuleList()
        if len(shape) != 3:
            self.first = _dense(inputs, hidden)
            self.last = scaled(nn.Linear(hidden[-1] if hidden else inputs, math.prod(shape)))
            return
        number, self.base = stages(shape, 8)
        self.first = scaled(nn.Linear(inputs, width * self.base[0] * self.base[1]))
        for _ in range(number + 1):
            self.grids.append(nn.Sequential(*_layers(width, width), *_layers(width, width)))
        self.last = scaled(Conv2d(width, shape[0], 3, padding=1))

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        """[B, inputs] → [B, *shape]."""
        x = self.first(code)
        if not self.grids:
            return self.last(x).view(-1, *self.shape)
        # The linear layer's outputs are laid out as (H, W, C): the convolutions' own memory format.
        x = x.view(len(code), *self.base, -1).permute(0, 3, 1, 2)
        for i, grid in enumerate(self.grids):
            x = grid(F.interpolate(x, scale_factor=2) if i else x)
        return self.last(x)[:, :, : self.shape[1], : self.shape[2]]


class Encoder(nn.Module):
    """Example → code: two 3x3 convolutions and ELU on each grid, and one of stride 2 to the next, which is wider.

    The i-th grid has i times the first one's channels; the code is linear. Berthelot et al., 2017, Section 3.5 and
    Figure 1 (arXiv:1703.10717).

    Args:
        shape: of one example.
        code: length of a code.
        width: channels of the first grid.
        hidden: widths of the layers for what is no image.
    """

    def __init__(self, shape: Sequence[int], code: int, width: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.padded: tuple[int, int] | None = None
        if len(shape) != 3:
            self.layers = _dense(math.prod(shape), hidden)
            self.last = scaled(nn.Linear(hidden[-1] if hidden else math.prod(shape), code))
            return
        number, base = stages(shape, 8)
        self.padded = (base[0] << number, base[1] << number)
        layers = _layers(shape[0], width)
        for i in range(1, number + 2):
            layers += [*_layers(i * width, i * width), *_layers(i * width, i * width)]
            if i <= number:
                layers += _layers(i * width, (i + 1) * width, stride=2)
        self.layers = nn.Sequential(*layers)
        self.last = scaled(nn.Linear((number + 1) * width * base[0] * base[1], code))

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        """[B, *shape] → [B, code]."""
        if self.padded is None:
            return self.last(self.layers(data.flatten(1)))
        # As (H, W, C), which is how convolutions lay it out: no copy.
        return self.last(self.layers(pad_to(data, *self.padded)).permute(0, 2, 3, 1).flatten(1))


class Generator(nn.Module):
    """Noise → data by the decoder's layers. A class is given by its one-hot vector, joined to the noise.

    Args:
        shape: of one example; sides of images from 8.
        noise: dimensions of the latent vector.
        classes: number of classes; 0 is unconditional.
        width: channels of images.
        hidden: widths of the layers for what is no image.
        squash: end in tanh; the paper's end is linear.
    """

    def __init__(
        self,
        shape: Sequence[int],
        noise: int,
        classes: int = 0,
        width: int = 64,
        hidden: Sequence[int] = (256, 256),
        squash: bool = False,
    ) -> None:
        super().__init__()
        self.classes = classes
        self.decoder = Decoder(_checked(shape), noise + classes, width, hidden)
        self.end = Squash() if squash else nn.Identity()

    def forward(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, noise], int64 [B] → [B, *shape]."""
        return self.end(self.decoder(_told(noise, labels, self.classes)))


class Discriminator(Critic):
    """Data → energy: the error of what it draws again of its code, low for what is real; a loss must know.

    The decoder is told the class, as a one-hot vector beside the code. Its features are the code, and the energy is not
    to be had of them alone: so there is no second half.

    Args:
        shape: of one example; sides of images from 8.
        classes: number of classes; 0 is unconditional.
        code: length of a code.
        width: channels of images.
        hidden: widths of the layers for what is no image; the decoder's are the same from behind.
        error: `l1` (BEGAN), `l2`, the means over the numbers of an example, or `norm`, its Euclidean norm (EBGAN).

    Attributes:
        energy: what a loss is told: low is real.
    """

    energy = True

    def __init__(
        self,
        shape: Sequence[int],
        classes: int = 0,
        code: int = 64,
        width: int = 64,
        hidden: Sequence[int] = (256, 256),
        error: str = "l1",
    ) -> None:
        super().__init__()
        if error not in ERRORS:
            raise ValueError(f"error is one of {', '.join(ERRORS)}, not {error!r}")
        self.classes, self.error, self.feature_width = classes, error, code
        self.encoder = Encoder(_checked(shape), code, width, hidden)
        self.decoder = Decoder(shape, code + classes, width, tuple(hidden)[::-1])

    def features(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, *shape] → the code [B, F]."""
        return self.encoder(data)

    def drawn_again(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """What it makes of its own code of examples, [B, *shape] → the same."""
        return self.decoder(_told(self.encoder(data), labels, self.classes))

    def forward(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, *shape], int64 [B] → energies [B]."""
        apart = (self.drawn_again(data, labels) - data).flatten(1)
        apart = apart if apart.dtype == torch.float64 else apart.float()
        if self.error == "l1":
            return apart.abs().mean(1)
        if self.error == "l2":
            return apart.square().mean(1)
        return (apart.square().sum(1) + 1e-12).sqrt()


def _layers(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    return [scaled(Conv2d(inputs, outputs, 3, stride, 1)), nn.ELU()]


def _dense(inputs: int, hidden: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for wide in hidden:
        layers += [scaled(nn.Linear(inputs, wide)), nn.ELU()]
        inputs = wide
    return nn.Sequential(*layers)


def _told(code: torch.Tensor, labels: torch.Tensor | None, classes: int) -> torch.Tensor:
    if labels is None or not classes:
        return code
    return torch.cat([code, one_hot(labels, classes, code)], 1)


def _checked(shape: Sequence[int]) -> Sequence[int]:
    if len(shape) == 3 and min(shape[1:]) < 8:
        raise ValueError(f"autoencoder takes images of 8 pixels a side or more, not {tuple(shape)}")
    return shape
