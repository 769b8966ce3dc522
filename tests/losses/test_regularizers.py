"""Every regularizer: its value against the paper's formula in float64, eager and traced; its states by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gansmith.build import functions
from gansmith.data.dataset import Batch
from gansmith.draws import Draws, current
from gansmith.engine.step import Compiled, Eager, Stepper
from gansmith.games.game import Turn
from gansmith.games.synthesis import Lazy, Synthesis
from gansmith.losses import regularizers
from gansmith.losses.adversarial import nonsaturating
from gansmith.losses.regularizers import Regularizer
from gansmith.networks import mlp

BATCH, NOISE, SHAPE, WEIGHT = 6, 3, (1, 4, 4), 0.3
STEPPERS: dict[str, Callable[[Synthesis], Stepper]] = {
    "eager": Eager,
    "traced": lambda game: Compiled(game, lambda graph: graph),
}


class Styled(nn.Module):
    """A generator in two parts, with three styles of four numbers; its synthesis takes noise of the step."""

    def __init__(self) -> None:
        super().__init__()
        self.mapping = nn.Linear(NOISE, 4)
        self.blocks = nn.ModuleList(nn.Linear(4, math.prod(SHAPE)) for _ in range(3))

    def styles(self, noise: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        return self.mapping(noise).tanh()[:, None].expand(-1, 3, -1)

    def synthesis(self, styles: torch.Tensor) -> torch.Tensor:
        draws = current()
        assert draws is not None
        shaken = draws.normal("layer", 1)[: len(styles)].to(styles.dtype)
        made = torch.stack([block(w) for block, w in zip(self.blocks, styles.unbind(1), strict=True)]).sum(0)
        return (made * (1 + 0.1 * shaken)).tanh().view(-1, *SHAPE)

    def forward(self, noise: torch.Tensor) -> torch.Tensor:
        return self.synthesis(self.styles(noise))


class Decodes(nn.Module):
    """A discriminator that draws again what it sees: the whole, and a half of each, chosen at random."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(16, 5), nn.Linear(5, 1)
        self.whole, self.part = nn.Linear(5, 16), nn.Linear(5, 8)

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        return self.head(F.leaky_relu(self.body(data.flatten(1)))).squeeze(1)

    def reconstructions(self, data: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        draws = current()
        assert draws is not None
        flat = data.flatten(1)
        code = F.leaky_relu(self.body(flat))
        lower = (draws.integers("half", 2) == 1)[:, None]
        return [(self.whole(code), flat), (self.part(code), torch.where(lower, flat[:, 8:], flat[:, :8]))]


def networks(name: str) -> tuple[nn.Module, nn.Module]:
    generator: nn.Module = mlp.Generator(SHAPE, NOISE, hidden=(8,))
    discriminator: nn.Module = mlp.Discriminator(SHAPE, hidden=(8, 5))
    if name == "path_length":
        generator = Styled()
    elif name == "reconstruction":
        discriminator = Decodes()
    return generator, discriminator


def setting(case: str, every: int = 1, **arguments: object) -> tuple[Synthesis, Turn]:
    """A game with one regularizer, and a turn of its move; states are random."""
    torch.manual_seed(0)
    name, arguments = case.split()[0], {**ARGUMENTS.get(case, {}), **arguments}
    made = getattr(regularizers, name)(**arguments)
    game = Synthesis(
        *networks(name), loss=nonsaturating(), penalties={name: Lazy(made, every)}, noise=NOISE, shared_fakes=False
    ).double()
    state = {key: torch.randn(first.shape, dtype=torch.float64) for key, (first, _) in game.states().items()}
    real = torch.rand(BATCH, *SHAPE, dtype=torch.float64) * 2 - 1
    draws = Draws(0, 0, BATCH, prefix=made.side)
    return game, Turn(Batch(real), draws, {name: WEIGHT}, state)


def play(
    how: str, name: str, turn: Turn, game: Synthesis
) -> tuple[torch.Tensor, list[torch.Tensor], Mapping[str, torch.Tensor]]:
    """The term, the gradient of the whole loss, and the new state."""
    side = game.regularizers[name].side
    network = getattr(game, side)
    result = STEPPERS[how](game)(side, turn, list(network.parameters()))
    grads = [torch.zeros_like(p) if g is None else g for g, p in zip(result.grads, network.parameters(), strict=True)]
    return result.terms[name], grads, result.state


def noise_of(turn: Turn) -> torch.Tensor:
    return turn.draws.normal("noise", NOISE).double()


def shifted(x: torch.Tensor, draws: Draws, most: int = 1) -> torch.Tensor:
    """Each image mirrored or not, and moved by up to one pixel, with the edge repeated beyond it."""
    right, down = (draws.integers(f"shift {i}", 2 * most + 1) - most for i in (0, 1))
    mirrored = draws.uniform("flip") < 0.5
    out = []
    for image, dx, dy, turned in zip(x.detach().numpy(), right.tolist(), down.tolist(), mirrored.tolist(), strict=True):
        wide = np.pad(image[:, :, ::-1] if turned else image, ((0, 0), (most, most), (most, most)), "symmetric")
        rows, columns = slice(most - dy, most - dy + 4), slice(most - dx, most - dx + 4)
        out.append(wide[:, rows, columns].copy())
    return torch.tensor(np.stack(out))


def squares(*layers: tuple[torch.Tensor, bool]) -> torch.Tensor:
    """Σ_{i,j} (w_i·w_j − [i = j])² over rows i, j of each matrix, without i = j where the second says so."""
    total = torch.zeros((), dtype=torch.float64)
    for weight, others in layers:
        for i, one in enumerate(weight):
            for j, other in enumerate(weight):
                if not (others and i == j):
                    total = total + (one @ other - float(i == j)) ** 2
    return total


def by_hand(case: str, game: Synthesis, turn: Turn) -> torch.Tensor:
    """The paper's formula, before the weight; differentiable in the weights."""
    name = case.split()[0]
    generator, discriminator = game.generator, game.discriminator
    own, real, noise = turn.draws.under(f"{turn.draws.prefix}/{name}"), turn.batch.data, noise_of(turn)
    if name == "path_length":
        noise = noise[:: 2 if "shrink" in case else 1]
        w = generator.mapping(noise).tanh()
        shaken = 1 + 0.1 * own.normal("layer", 1).double()[: len(noise)]
        probe = own.normal("probe", *SHAPE).double()[:: 2 if "shrink" in case else 1].flatten(1) / 4
        before = sum(block(w) for block in generator.blocks) * shaken
        inner = probe * (1 - before.tanh() ** 2) * shaken
        slopes = torch.stack([inner @ block.weight for block in generator.blocks])  # [layers, B, 4]
        return ((slopes**2).sum(2).mean(0).sqrt() - turn.state["path_length/mean"]) ** 2
    if name == "reconstruction":
        flat = real.flatten(1)
        code = F.leaky_relu(discriminator.body(flat))
        halves = [row[8:] if lower else row[:8] for row, lower in zip(flat, own.integers("half", 2), strict=True)]
        return (discriminator.whole(code) - flat).abs().mean(1) + (
            discriminator.part(code) - torch.stack(halves)
        ).abs().mean(1)
    fake = generator(noise)
    on_real, on_fake = discriminator(real), discriminator(fake)
    if name == "drift":
        return on_real**2
    if name == "lecam":
        return (on_real - turn.state["lecam/fake"]) ** 2 + (on_fake - turn.state["lecam/real"]) ** 2
    if name == "consistency":
        return (on_real - discriminator(shifted(real, own.under(f"{own.prefix}/moved")))) ** 2
    if name == "balanced_consistency":
        moved = [shifted(x, own.under(f"{own.prefix}/moved {k}")) for k, x in (("real", real), ("fake", fake))]
        a, b = ((on - discriminator(x)) ** 2 for on, x in zip((on_real, on_fake), moved, strict=True))
        return 3 * a + 2 * b
    if name.startswith("latent"):
        other = generator((turn.draws.normal("noise", NOISE) + 0.5 * own.normal("near", NOISE)).double())
        if name == "latent_consistency":
            return (on_fake - discriminator(other.detach())) ** 2
        return -((fake - other) ** 2).sum((1, 2, 3))
    if name == "orthogonal":
        network = discriminator if "discriminator" in case else generator
        return squares(*[(p, "plain" not in case) for p in network.parameters() if p.dim() == 2])
    if name == "pulling_away":
        features = discriminator.layers(fake.flatten(1))
        cosines = [F.cosine_similarity(a, b, 0) ** 2 for i, a in enumerate(features) for b in features[:i]]
        return 2 * torch.stack(cosines).sum() / (BATCH * (BATCH - 1))
    assert name == "feature_matching"
    body = discriminator.layers
    apart = body(real.flatten(1)).mean(0).detach() - body(fake.flatten(1)).mean(0)
    return apart.norm() ** 2


ARGUMENTS: dict[str, dict[str, object]] = {
    "consistency": {"shift": 0.25},
    "balanced_consistency": {"shift": 0.25, "real": 3.0, "fake": 2.0},
    "latent_consistency": {"deviation": 0.5},
    "latent_diversity": {"deviation": 0.5},
    "orthogonal of discriminator": {"of": "discriminator"},
    "orthogonal plain": {"plain": True},
    "path_length shrink": {"shrink": 2},
}
NAMES = [
    "drift", "feature_matching", "lecam", "consistency", "balanced_consistency", "latent_consistency",
    "latent_diversity", "orthogonal", "orthogonal of discriminator", "orthogonal plain", "path_length",
    "path_length shrink", "pulling_away", "reconstruction",
]  # fmt: skip


def test_every_regularizer_is_here():
    assert functions(regularizers, Regularizer) == sorted({case.split()[0] for case in NAMES})


@pytest.mark.parametrize("how", STEPPERS)
@pytest.mark.parametrize("case", NAMES)
def test_values_and_gradients_are_the_papers(case: str, how: str):
    game, turn = setting(case)
    name = case.split()[0]
    wanted = WEIGHT * by_hand(case, game, turn)
    term, grads, _ = play(how, name, turn, game)
    torch.testing.assert_close(term, wanted.detach(), rtol=1e-9, atol=1e-12)
    # The gradient of the whole move without the term is another by the term's own.
    bare = Synthesis(game.generator, game.discriminator, loss=nonsaturating(), noise=NOISE, shared_fakes=False)
    side = game.regularizers[name].side
    network: nn.Module = getattr(game, side)
    alone = Eager(bare)(side, turn, list(network.parameters())).grads
    mean = wanted.mean()
    slopes = torch.autograd.grad(mean, list(network.parameters()), allow_unused=True)
    for whole, rest, slope, p in zip(grads, alone, slopes, network.parameters(), strict=True):
        rest, slope = (torch.zeros_like(p) if one is None else one for one in (rest, slope))
        torch.testing.assert_close(whole, rest + slope, rtol=1e-8, atol=1e-10)
    assert any(slope is not None and slope.abs().max() > 1e-6 for slope in slopes)


@pytest.mark.parametrize("case", NAMES)
def test_a_lazy_one_is_due_at_each_nth_step_at_n_times_the_weight(case: str):
    game, turn = setting(case, every=4)
    name = case.split()[0]
    side = game.regularizers[name].side
    other = {"discriminator": "generator", "generator": "discriminator"}[side]
    assert [game.variant(side, step) for step in range(5)] == [(name,), (), (), (), (name,)]
    assert game.variant(other, 0) == ()
    once = play("eager", name, turn, setting(case)[0])[0]
    assert torch.allclose(play("eager", name, turn, game)[0], 4 * once)
    assert name not in Eager(game)(side, Turn(turn.batch, turn.draws, turn.knobs, turn.state, step=1),
                                   list(getattr(game, side).parameters())).terms  # fmt: skip


@pytest.mark.parametrize("how", STEPPERS)
def test_lecams_anchors_move_towards_the_mean_logits(how: str):
    game, turn = setting("lecam", decay=0.9)
    _, _, state = play(how, "lecam", turn, game)
    with torch.no_grad():
        on_real, on_fake = game.discriminator(turn.batch.data), game.discriminator(game.generator(noise_of(turn)))
    for key, on in (("lecam/real", on_real), ("lecam/fake", on_fake)):
        torch.testing.assert_close(state[key], 0.9 * turn.state[key] + 0.1 * on.mean())
    with pytest.raises(ValueError, match="decay must be in"):
        regularizers.lecam(decay=1)


def test_a_discriminator_without_features_is_refused():
    plain = nn.Sequential(nn.Flatten(), nn.Linear(16, 1))
    with pytest.raises(ValueError, match="feature_matching reads the discriminator's features"):
        Synthesis(mlp.Generator(SHAPE, NOISE), plain, loss=nonsaturating(),
                  penalties={"feature_matching": Lazy(regularizers.feature_matching())})  # fmt: skip


@pytest.mark.parametrize("how", STEPPERS)
def test_the_mean_path_length_follows_a_hundredth_a_step(how: str):
    game, turn = setting("path_length")
    before = turn.state["path_length/mean"]
    _, _, state = play(how, "path_length", turn, game)
    lengths = by_hand(
        "path_length", game, Turn(turn.batch, turn.draws, {}, {"path_length/mean": torch.zeros(())})
    ).sqrt()
    torch.testing.assert_close(state["path_length/mean"], 0.99 * before + 0.01 * lengths.mean())


@pytest.mark.parametrize("case", NAMES)
def test_terms_are_per_example_unless_it_is_said(case: str):
    game, turn = setting(case)
    name = case.split()[0]
    side = game.regularizers[name].side
    whole = game.play(side, turn).terms[name]
    if whole.dim() and not game.regularizers[name].coupled:
        assert whole.shape == (BATCH,)
        parts = []
        for start, stop in ((0, 2), (2, BATCH)):
            draws = Draws(0, 0, BATCH, start=start, stop=stop, prefix=side)
            part = Turn(Batch(turn.batch.data[start:stop]), draws, turn.knobs, turn.state)
            parts.append(game.play(side, part).terms[name])
        torch.testing.assert_close(torch.cat(parts), whole)
    assert game.coupled == (case in ("feature_matching", "pulling_away", "path_length shrink"))


def test_two_ranks_pull_the_fakes_of_both_apart(monkeypatch: pytest.MonkeyPatch):
    game, turn = setting("pulling_away")
    whole = game.play("generator", turn).terms["pulling_away"]
    with torch.no_grad():
        features = game.discriminator.layers(game.generator(noise_of(turn)).flatten(1))
    monkeypatch.setattr(regularizers.collectives, "gather_rows", lambda own: features)
    half = Turn(Batch(turn.batch.data[:3]), Draws(0, 0, BATCH, stop=3, prefix="generator"), turn.knobs)
    torch.testing.assert_close(game.play("generator", half).terms["pulling_away"], whole)


def test_filters_of_every_kind_of_layer_are_told_apart_by_their_outputs():
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.ConvTranspose2d(3, 4, 2), nn.BatchNorm2d(4), nn.Linear(5, 6), nn.Embedding(7, 8)
    )
    shapes = [tuple(weight.shape) for weight in regularizers._matrices(net)]
    assert shapes == [(3, 18), (4, 12), (6, 5)]
    first = next(iter(regularizers._matrices(net[1:2])))
    assert torch.equal(first[1], net[1].weight[:, 1].flatten())


def test_alike_fakes_are_pulled_and_a_single_one_is_not():
    game, turn = setting("pulling_away")
    with torch.no_grad():
        for p in game.generator.parameters():
            p.zero_()
    assert game.play("generator", turn).terms["pulling_away"].item() == pytest.approx(WEIGHT, rel=1e-6)
    one = Turn(Batch(turn.batch.data[:1]), Draws(0, 0, 1, prefix="generator"), turn.knobs)
    assert game.play("generator", one).terms["pulling_away"].item() == 0


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("shape", [(40, 5), (11, 5), (10, 5), (5, 40), (40, 1)])
def test_overlap_of_many_rows_is_that_of_the_definition_without_their_square(shape, plain):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    a, b = weight.clone().requires_grad_(), weight.clone().requires_grad_()
    one = torch.eye(len(weight), dtype=torch.float64)
    gram = b @ b.T
    wanted = (gram - one if plain else gram * (1 - one)).square().sum()
    found = regularizers._overlap(a, plain)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    found.backward()
    wanted.backward()
    torch.testing.assert_close(a.grad, b.grad, rtol=1e-11, atol=1e-11)
    # In float32, at rows as orthogonal as so many can be: what is left is no noise.
    tight = (torch.linalg.qr(weight)[0] if shape[0] >= shape[1] else torch.linalg.qr(weight.T)[0].T).float()
    exact = regularizers._overlap(tight.double(), plain)
    torch.testing.assert_close(regularizers._overlap(tight, plain).double(), exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [
        ("consistency", {"shift": -1}, "shift must not be negative"),
        ("balanced_consistency", {"shift": -1}, "shift must not be negative"),
        ("latent_consistency", {"deviation": -1}, "deviation must not be negative"),
        ("latent_diversity", {"deviation": -1}, "deviation must not be negative"),
        ("orthogonal", {"of": "reader"}, "of is `generator` or `discriminator`, not 'reader'"),
        ("path_length", {"decay": 0}, "decay must be in"),
        ("path_length", {"shrink": 0}, "shrink is a whole number from 1"),
    ],
)
def test_arguments_out_of_range_are_refused(name: str, wrong: dict[str, object], said: str):
    with pytest.raises(ValueError, match=said):
        getattr(regularizers, name)(**wrong)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("path_length", r"path_length needs a generator with styles\(…\)"),
        ("reconstruction", r"reconstruction needs a discriminator with reconstructions\(…\)"),
    ],
)
def test_networks_that_do_not_offer_what_is_needed_are_refused(name: str, said: str):
    lazy = {name: Lazy(getattr(regularizers, name)())}
    with pytest.raises(ValueError, match=said):
        Synthesis(*networks("drift"), loss=nonsaturating(), penalties=lazy, noise=NOISE)
