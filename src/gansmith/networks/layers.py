"""Layers that several networks share, and how a network is called."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import nn

from gansmith import collectives, draws
from gansmith.networks.convolution import Conv2d, conv2d

SLOPE = 0.2
"""Of LeakyReLU for negative inputs."""

GAIN = math.sqrt(2 / (1 + SLOPE**2))
"""What keeps the variance through a LeakyReLU (He et al., 2015)."""

Weighted = TypeVar("Weighted", nn.Conv2d, nn.Linear)


def scaled(layer: Weighted, gain: float = 1.0) -> Weighted:
    """Begin a layer with weights of deviation gain / √(inputs of an output), and biases of zero.

    He et al., 2015, Section 2.2 (arXiv:1502.01852).
    """
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def squashed(x: torch.Tensor) -> torch.Tensor:
    """tanh, by way of float32: near ±1 bfloat16 has no slope left, and who is once there would never come back."""
    return x.float().tanh().to(x.dtype) if x.dtype == torch.bfloat16 else x.tanh()


class Squash(nn.Module):
    """`squashed` as a layer."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[…] → the same, within -1 and 1."""
        return squashed(x)


def run(
    network: nn.Module, data: torch.Tensor, labels: torch.Tensor | None = None, *, logits: bool = False
) -> torch.Tensor:
    """Call a network in the precision of its own weights.

    Args:
        network: any module; labels are passed on where there are any.
        data: cast to the weights' floating type.
        labels: int64 [B], or None.
        logits: the result is a discriminator's: made [B] (of P patches, it stays [B, P]), and float32 at least,
            whatever it ran in.
    """
    data = data.to(next(network.parameters(), data).dtype)
    out = network(data) if labels is None else network(data, labels)
    return _logits(out) if logits else out


def wide(x: torch.Tensor) -> torch.Tensor:
    """In float32 at least: what a loss wants, whatever the network ran in."""
    return x if x.dtype == torch.float64 else x.float()


def _logits(out: torch.Tensor) -> torch.Tensor:
    return wide(out.squeeze(1) if out.dim() == 2 and out.shape[1] == 1 else out)


class Critic(nn.Module):
    """A discriminator in two halves, so that others may read its features: D(x, y) = logits(features(x, y), y).

    What another term or head needs of a discriminator (feature matching, an auxiliary classifier, InfoGAN's reader)
    is this, and `read` gives it.

    Attributes:
        feature_width: F, the length of a feature vector.
        told: whether the features know the labels, so that no head can be asked to find them.
    """

    feature_width: int
    told: bool = False

    def features(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, …], int64 [B] → [B, F]."""
        raise NotImplementedError

    def logits(self, features: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, F], int64 [B] → [B], or [B, P] for P patches, whose losses are averaged."""
        raise NotImplementedError

    def forward(self, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, …], int64 [B] → logits [B]."""
        return self.logits(self.features(data, labels), labels)


def read(network: nn.Module, data: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
    """The features [B, F] of a `Critic`, in the precision of its own weights."""
    assert isinstance(network, Critic)
    return network.features(data.to(next(network.parameters(), data).dtype), labels)


def judge(network: nn.Module, features: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
    """The logits [B] of a `Critic` on its own features, float32 at least."""
    assert isinstance(network, Critic)
    return _logits(network.logits(features, labels))


def couples(network: nn.Module) -> bool:
    """Whether a network mixes the examples of a batch: it has batch norm, or says `coupled = True`."""
    norms = (nn.modules.batchnorm._BatchNorm, BatchNorm)
    return any(isinstance(m, norms) or getattr(m, "coupled", False) for m in network.modules())


class Dropout(nn.Module):
    """Dropout whose mask is one of the step's keyed draws (torch's own draws from a hidden state).

    Srivastava et al., 2014. The probability is kept to 1/65536.

    Args:
        p: probability that an entry is dropped.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout must be in [0, 1), not {p}")
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Drop entries while training; [B, …] → the same."""
        if not self.training or self.p == 0:
            return x
        source = draws.current()
        if source is None:
            return F.dropout(x, self.p)
        return x * source.dropout(source.unnamed(), self.p, *x.shape).to(x.dtype)


_STILL: ContextVar[bool] = ContextVar("gansmith_still", default=False)


@contextmanager
def still() -> Iterator[None]:
    """Leave running statistics as they are, inside the block: for a pass that only repeats an earlier one."""
    token = _STILL.set(True)
    try:
        yield
    finally:
        _STILL.reset(token)


@contextmanager
def fixed(network: nn.Module) -> Iterator[None]:
    """Take a network's weights for constants, inside the block: so that no backward pass works out their gradients.

    A move differentiates by what it trains alone; but a convolution of ours cannot know that of itself.
    """
    held = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in held:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in held:
            parameter.requires_grad_(True)


def is_still() -> bool:
    """Whether a pass only repeats an earlier one, so that no running statistic is to move."""
    return _STILL.get()


class BatchNorm(nn.Module):
    """Batch normalisation over the whole batch, all ranks included (Ioffe and Szegedy, 2015).

    Its statistics are float32 whatever it runs in, and pass through collectives that differentiate
    twice; torch's SyncBatchNorm does neither, and refuses CPUs.

    Args:
        features: channels.
        momentum: share of the newest batch in the running statistics.
        eps: added to the variance.
        affine: learn a scale and a shift for each channel; otherwise they are 1 and 0.
    """

    def __init__(self, features: int, momentum: float = 0.1, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        for name, value in (("weight", torch.ones(features)), ("bias", torch.zeros(features))):
            if affine:
                self.register_parameter(name, nn.Parameter(value))
            else:
                self.register_buffer(name, value, persistent=False)
        self.weight: torch.Tensor
        self.bias: torch.Tensor
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))
        self.running_mean: torch.Tensor
        self.running_var: torch.Tensor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise [B, C, …] → the same."""
        wide = self.running_mean.dtype  # bf16 data are normalised by float32 weights, as torch wants it
        weight, bias = self.weight.to(wide), self.bias.to(wide)
        if not self.training or collectives.world() == 1:
            running = (None, None) if self.training and _STILL.get() else (self.running_mean, self.running_var)
            return F.batch_norm(x, *running, weight, bias, self.training, self.momentum, self.eps)
        axes = [0, *range(2, x.dim())]
        view = [1, -1, *[1] * (x.dim() - 2)]
        wide_x = x.to(wide)
        mean = collectives.all_mean(wide_x.mean(axes))
        var = collectives.all_mean((wide_x - mean.view(view)).square().mean(axes))
        if not _STILL.get():
            with torch.no_grad():
                n = x.numel() // x.shape[1] * collectives.world()
                self.running_mean.lerp_(mean.detach(), self.momentum)
                self.running_var.lerp_(var.detach() * (n / max(n - 1, 1)), self.momentum)
        scale = weight * (var + self.eps).rsqrt()
        return ((wide_x - mean.view(view)) * scale.view(view) + bias.view(view)).to(x.dtype)


class InstanceNorm(nn.Module):
    """Each channel of each example by its own mean and deviation over places, in training and in use alike.

    (x − μ) / √(σ² + ε), with μ and σ over (H, W). Ulyanov et al., 2016 (arXiv:1607.08022). No example knows another,
    and no statistics are kept: so a batch of one is as good as any, and the same picture always gives the same.

    Args:
        features: channels.
        affine: learn a scale and a shift for each channel.
        eps: added to the variance.
    """

    def __init__(self, features: int, affine: bool = False, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(features)) if affine else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise [B, C, H, W], of more than one place → the same."""
        if len(x) == 1:  # the same by definition, and without a copy out of channels_last and back
            return F.batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)
        return F.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)


def stages(shape: Sequence[int], least: int = 4) -> tuple[int, tuple[int, int]]:
    """How often an image is halved on the way to a base of at least `least` pixels a side.

    Args:
        shape: (C, H, W).
        least: the smallest base, in pixels.

    Returns:
        The number of halvings, and the base (height, width). Sides that do not divide are rounded up:
        a generator cuts the surplus off, a discriminator pads by reflection.
    """
    _, height, width = shape
    number = max(int(math.log2(min(height, width) / least)), 0)
    return number, (math.ceil(height / 2**number), math.ceil(width / 2**number))


def pad_to(x: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Reflect an image's lower and right edges until it is so large."""
    down, right = height - x.shape[2], width - x.shape[3]
    return F.pad(x, (0, right, 0, down), mode="reflect") if down or right else x


def one_hot(labels: torch.Tensor, classes: int, like: torch.Tensor) -> torch.Tensor:
    """Labels [B] as [B, classes], in the type of `like`; vectors [B, classes] are what they are.

    So whatever takes a class by way of this takes a vector as well, for which `classes` is its length.
    """
    if labels.is_floating_point():
        return labels.to(like.dtype)
    # F.one_hot looks at the largest label, for which a device is waited for and a trace gives up.
    return like.new_zeros(len(labels), classes).scatter_(1, labels.unsqueeze(1), 1.0)


def checked_moments(moments: int) -> int:
    """How many vectors an encoder gives: 1, or 2 that are a mean and a log variance.

    Raises:
        ValueError: any other number.
    """
    if moments not in (1, 2):
        raise ValueError(f"moments must be 1 (a vector) or 2 (a mean and a log variance), not {moments}")
    return moments


class ClassNoise(nn.Module):
    """Noise, and beside it the embedding of a class.

    Args:
        classes: number of classes; 0 leaves the noise as it is.
        width: dimensions of an embedding.

    Attributes:
        width: what is added to the noise's dimensions.
    """

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.classes, self.width = classes, width if classes else 0
        self.embedding = scaled(nn.Linear(classes, width, bias=False)) if classes else None

    def forward(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, noise], int64 [B] → [B, noise + width]."""
        if labels is None or self.embedding is None:
            return noise
        return torch.cat([noise, self.embedding(one_hot(labels, self.classes, noise))], 1)


class ClassLogit(nn.Module):
    """Features → logit; with classes, their product with the embedding of a class.

    Miyato and Koyama, 2018, Equation 3 (arXiv:1802.05637), without the part that no class decides.

    Args:
        inputs: length of a feature vector.
        classes: number of classes; 0 is one linear layer.
        width: dimensions in which features and classes are compared.
        gain: of the embedding's weights at the start.
    """

    def __init__(self, inputs: int, classes: int, width: int, gain: float) -> None:
        super().__init__()
        self.classes = classes
        self.last = scaled(nn.Linear(inputs, width if classes else 1, bias=False))
        self.embedding = scaled(nn.Linear(classes, width, bias=False), gain) if classes else None

    def forward(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, inputs], int64 [B] → logits [B]."""
        x = self.last(x)
        if labels is None or self.embedding is None:
            return x.squeeze(1)
        return (x * self.embedding(one_hot(labels, self.classes, x))).sum(1)


class ClassBatchNorm(nn.Module):
    """Batch norm whose scale and shift are the class's own: (1 + γ_c) (x − μ) / √(σ² + ε) + β_c.

    Dumoulin et al., 2017, Equation 5 (arXiv:1610.07629); μ and σ of the whole batch, and γ and β as changes that are 0
    at first, as in de Vries et al., 2017 (arXiv:1707.00683). Of a vector, both are linear in it.

    Args:
        features: channels.
        classes: number of classes, or the length of a vector; 0 is plain batch norm.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.norm = BatchNorm(features, affine=not classes)
        if classes:
            self.gain = nn.Parameter(torch.zeros(classes, features))
            self.shift = nn.Parameter(torch.zeros(classes, features))

    def forward(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """[B, C, H, W], int64 [B] (None takes the mean over classes) → [B, C, H, W]."""
        x = self.norm(x)
        if not self.classes:
            return x
        if labels is None:
            gain, shift = self.gain.mean(0, keepdim=True), self.shift.mean(0, keepdim=True)
        else:
            of = one_hot(labels, self.classes, x)
            gain, shift = of @ self.gain, of @ self.shift
        return torch.addcmul(shift[:, :, None, None], x, 1 + gain[:, :, None, None])


class SpectralNorm(nn.Module):
    """A weight divided by its largest singular value, as power iteration estimates it: W / (uᵀ W v).

    Miyato et al., 2018, Equation 8 and Algorithm 1 (arXiv:1802.05957): u ← W v / ‖W v‖, v ← Wᵀ u / ‖Wᵀ u‖, once
    for each pass in training; the gradient goes through W alone. Torch's own parametrization gives the same
    numbers, but it would iterate in a pass that only repeats another (`still`), and refuses bf16 weights. u and v
    are buffers, as batch norm's statistics are: saved, broadcast at the start, and written in place, so that a
    traced step has them as its inputs. Each rank iterates on the same weights, so none has to be told.

    Args:
        weight: [O, …], read as a matrix of O rows.
        eps: the least norm that is divided by.
    """

    def __init__(self, weight: torch.Tensor, eps: float = 1e-12) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("u", F.normalize(torch.randn(weight.shape[0]), dim=0, eps=eps))
        self.register_buffer("v", F.normalize(torch.randn(weight[0].numel()), dim=0, eps=eps))
        self.u: torch.Tensor
        self.v: torch.Tensor
        self.settle(weight)

    @torch.no_grad()
    def settle(self, weight: torch.Tensor, rounds: int = 15) -> None:
        """Iterate so often: on a weight that has just been given its first values, or others."""
        for _ in range(0 if weight.is_meta else rounds):
            self._iterate(self._matrix(weight))

    def _matrix(self, weight: torch.Tensor) -> torch.Tensor:
        # The engine lays convolutions out in channels_last, where these columns are a view.
        order = weight.permute(0, 2, 3, 1) if weight.dim() == 4 else weight
        return order.flatten(1).to(self.u.dtype)

    def _iterate(self, matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        u = F.normalize(matrix @ self.v, dim=0, eps=self.eps)
        v = F.normalize(u @ matrix, dim=0, eps=self.eps)
        self.u.copy_(u)
        self.v.copy_(v)
        return u, v

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """[O, …] → the same."""
        matrix = self._matrix(weight)
        if self.training and not _STILL.get():
            with torch.no_grad():
                u, v = self._iterate(matrix)
        else:  # copies, for a later pass writes into the buffers before this one is differentiated
            u, v = self.u.clone(), self.v.clone()
        sigma = (u * (matrix @ v)).sum()
        return (weight.to(sigma.dtype) / sigma).to(weight.dtype)


class SpectralConv2d(Conv2d):
    """A convolution whose weight goes through `SpectralNorm`.

    Args:
        inputs, outputs: channels.
        kernel: its side in pixels, or (height, width).
        padding: zeros beyond each edge.
        bias: add one.
        stride: pixels from one place to the next.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        padding: int = 0,
        bias: bool = True,
        stride: int = 1,
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding, bias=bias)
        self.norm = SpectralNorm(self.weight)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] → [B, O, …]."""
        assert not isinstance(self.padding, str)
        return conv2d(input, self.norm(self.weight), self.bias, self.stride[0], self.padding[0], self.groups)


class SpectralLinear(nn.Linear):
    """A linear layer whose weight goes through `SpectralNorm`.

    Args:
        inputs, outputs: dimensions.
        bias: add one.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, bias)
        self.norm = SpectralNorm(self.weight)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """[…, inputs] → […, outputs]."""
        return F.linear(input, self.norm(self.weight), self.bias)


def settle(network: nn.Module) -> None:
    """Let the spectral norms of a network find their singular vectors: after weights were given first values."""
    for module in network.modules():
        if isinstance(module, SpectralConv2d | SpectralLinear):
            module.norm.settle(module.weight)
