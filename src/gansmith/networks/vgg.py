"""The discriminator of SRGAN and ESRGAN: convolutions in the manner of VGG, each second one halves the sides.

Ledig et al., 2017, Section 2.1.1 and Figure 4 (arXiv:1609.04802).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from gansmith.networks.convolution import Conv2d
from gansmith.networks.layers import GAIN, SLOPE, BatchNorm, ClassLogit, Critic, scaled


class Discriminator(Critic):
    """Image → logit.

    Args:
        shape: (C, H, W), of 16 pixels a side or more.
        classes: number of classes, which the last layer compares; 0 is unconditional.
        width: channels of the first convolution; they double with each stage, up to eight times as many.
        stages: pairs of convolutions, the second of which halves the sides; None is as many as leave 5 to 8 pixels,
            four at least where they fit: 4 of 96 pixels (SRGAN), 5 of 128 or more (ESRGAN).
        hidden: width of the dense layer; 1024 in SRGAN, 100 in ESRGAN.
        norm: batch norm after each convolution but the first.
    """

    def __init__(
        self,
        shape: Sequence[int],
        classes: int = 0,
        width: int = 64,
        stages: int | None = None,
        hidden: int = 100,
        norm: bool = True,
    ) -> None:
        super().__init__()
        if len(shape) != 3 or min(shape[1:]) < 16:
            raise ValueError(f"vgg judges images of 16 pixels a side or more, not examples of shape {tuple(shape)}")
        most = int(math.log2(min(shape[1:]) / 4))
        stages = most if stages is None else stages
        if not 1 <= stages <= most + 2:
            raise ValueError(f"stages: images of {min(shape[1:])} pixels a side have 1 to {most + 2}, not {stages}")
        layers, inputs, size = [], shape[0], list(shape[1:])
        for i in range(stages):
            outputs = width * min(2**i, 8)
            for stride in (1, 2):
                first = inputs == shape[0] and not layers
                bare = first or not norm
                kernel = 3 if stride == 1 else 4
                layers.append(scaled(Conv2d(inputs, outputs, kernel, stride, 1, bias=bare), GAIN))
                if not bare:
                    layers.append(BatchNorm(outputs))
                layers.append(nn.LeakyReLU(SLOPE))
                inputs = outputs
            size = [side // 2 for side in size]
        self.body = nn.Sequential(*layers)
        self.dense = scaled(nn.Linear(inputs * math.prod(size), hidden), GAIN)
        self.feature_width = hidden
        self.end = ClassLogit(hidden, classes, hidden, 1.0)

    def features(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, C, H, W] → [B, F]."""
        return F.leaky_relu(self.dense(self.body(data).flatten(1)), SLOPE)

    def logits(self, features: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, F], int64 [B] → [B]."""
        return self.end(features, labels)
