"""The code in the documentation runs, and the sketches of games in the design are played by the real player."""

import copy
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import gansmith
from gansmith import recipe as recipes
from gansmith.data.dataset import Batch, Dataset
from gansmith.draws import Draws
from gansmith.engine.hardware import Numerics
from gansmith.engine.player import Player
from gansmith.engine.step import Compiled
from gansmith.games.game import Turn

DOCS = Path(__file__).parent.parent / "docs"


def blocks(page, language):
    return re.findall(
        rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


@pytest.fixture(scope="module")
def sketches():
    names = {}
    for block in blocks("design.md", "python"):
        exec(compile(block, "docs/design.md", "exec"), names)
    return names


# --- toy networks ------------------------------------------------------------------------------------


def dense(width, *shape, squash=False):
    """A perceptron to [B, *shape]."""
    layers = [nn.Flatten(), nn.Linear(width, 16), nn.LeakyReLU(0.2), nn.Linear(16, int(np.prod(shape)))]
    return nn.Sequential(*layers, *([nn.Tanh()] if squash else []), nn.Unflatten(1, shape))


class Styled(nn.Module):
    layers = 3

    def __init__(self):
        super().__init__()
        self.mapping = nn.Sequential(nn.Linear(8, 6), nn.Tanh())
        self.blocks = nn.ModuleList(nn.Linear(6, 16) for _ in range(3))

    def synthesis(self, styles):
        return sum(block(styles[:, i]) for i, block in enumerate(self.blocks)).tanh().view(-1, 1, 4, 4)


class Grows(nn.Module):
    def __init__(self):
        super().__init__()
        self.small, self.large = dense(8, 1, 2, 2), nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, noise, grown, alpha):
        small = self.small(noise)
        if not grown:
            return small
        up = nn.functional.interpolate(small, scale_factor=2)
        return (1 - alpha) * up + alpha * self.large(up)


class Pools(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(1, 1)

    def forward(self, data):
        return self.head(data.square().mean((1, 2, 3))[:, None])


class Listens(nn.Module):
    def __init__(self, stride):
        super().__init__()
        self.first, self.last = nn.Conv1d(1, 4, 5, stride), nn.Conv1d(4, 1, 3)

    def forward(self, sound):
        features = self.first(sound)
        return self.last(features.relu()), [features]


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.start, self.weight, self.head = nn.Linear(1, 8), nn.Linear(7 + 8, 8), nn.Linear(8, 7)

    def forward(self, words):
        state = self.start(words.new_zeros(len(words), 1))
        for t in range(words.shape[1]):
            state = self.weight(torch.cat([words[:, t], state], 1)).tanh()
        return self.head(state)


IMAGE, SOUND, TEXT = (1, 4, 4), (1, 32), (5,)

TOYS = {
    "Pair": lambda cls: cls(dense(8, *IMAGE), dense(16, 1)),
    "PacGAN": lambda cls: cls(dense(8, *IMAGE), dense(32, 1)),
    "BEGAN": lambda cls: cls(dense(8, *IMAGE), dense(16, *IMAGE)),
    "Adaptive": lambda cls: cls(dense(8, *IMAGE), dense(16, 1)),
    "InfoGAN": lambda cls: cls(dense(18, *IMAGE), dense(16, 1), reader=dense(16, 10)),
    "StyleGAN2": lambda cls: cls(Styled(), dense(16, 1)),
    "Growing": lambda cls: cls(Grows(), Pools()),
    "HiFiGAN": lambda cls: cls(
        dense(8, *SOUND), Listens(2), Listens(3), lambda s: s.unfold(2, 4, 4).abs().mean(3)[:, 0]
    ),
    "SeqGAN": lambda cls: cls(Recurrent(), dense(35, 1)),
    "Unrolled": lambda cls: cls(dense(8, *IMAGE), dense(16, 1)),
}
PHASES = {
    "SeqGAN": [("pretrain", 0.25), ("play", 1)],
    "Growing": [("small", 0.25), ("large", 1)],
}
SHAPES = {"HiFiGAN": SOUND, "SeqGAN": TEXT}


def make(sketches, name, batch=20):
    torch.manual_seed(0)
    game = TOYS[name](sketches[name])
    if name == "Adaptive":
        game.target = -2  # so that the probability rises from the start
    shape = SHAPES.get(name, IMAGE)
    draw = np.random.Generator(np.random.PCG64(0))
    if shape == IMAGE:
        array = draw.integers(0, 256, (40, *shape)).astype(np.uint8)
    else:
        array = draw.integers(0, 7, (40, *shape)).astype(np.float32) / (1 if name == "SeqGAN" else 7)
    recipe = recipes.validate({
        "name": "toy", "batch": batch, "images": 40 * batch, "noise": 8, "optimizer": {"lr": 1e-2},
        "phases": [{"name": n, "until": u} for n, u in PHASES.get(name, [])], "ema": None,
    }, "test")  # fmt: skip
    # "points" here is any kind of example that is fed as it lies in memory.
    dataset = Dataset("toy", "image" if shape == IMAGE else "points", shape, len(array), array=array)
    numerics = Numerics("cpu", "fp32", "highest", 1, False, torch.__version__, 1, "test")
    player = Player(game, dataset, recipe, torch.device("cpu"), numerics)
    plain = player.feed.at

    def at(first):  # what a feed of pairs and a sampler of conditions would bring
        data = plain(first).data
        return Batch(data)

    player.feed.at = at
    return player


@pytest.mark.parametrize("name", TOYS)
def test_the_player_plays_each_sketch_and_all_that_it_trains_moves(sketches, name):
    player = make(sketches, name)
    before = {k: flat.master.clone() for k, flat in player.flats.items()}
    states = {k: v.clone() for k, v in player.states.items()}
    while player.images < player.total:
        player.round()
    assert player.healthy()
    assert set(before) == {network for move in player.moves for network in move.trains}
    for k, flat in player.flats.items():
        assert not torch.equal(before[k], flat.master), k
    for k, state in player.states.items():
        assert not torch.equal(states[k], state), k


@pytest.mark.parametrize("name", TOYS)
def test_each_sketch_traced_whole_is_what_it_is_eagerly(sketches, name):
    eager, traced = make(sketches, name), make(sketches, name)
    traced.stepper = Compiled(traced.game, compiler=lambda graph: graph)
    for _ in range(12):  # through a change of phase, where there is one
        eager.round()
        traced.round()
    for k, flat in eager.flats.items():
        torch.testing.assert_close(flat.master, traced.flats[k].master, rtol=1e-4, atol=1e-5)
    for k, state in eager.states.items():
        torch.testing.assert_close(state, traced.states[k], rtol=1e-4, atol=1e-5)


def test_the_gradient_of_each_example_is_clipped_as_one_by_one(sketches):
    torch.manual_seed(0)
    game = sketches["Pair"](dense(8, *IMAGE), dense(16, 1))
    data, bound = torch.randn(6, *IMAGE), 0.05
    got, norms = sketches["clipped_sum"](game, "discriminator", Turn(Batch(data), Draws(1, 0, 6)), bound)
    assert (norms > bound).any()
    names = [name for name, _ in game.named_parameters() if name.startswith("discriminator")]
    want = dict.fromkeys(names, 0.0)
    for i in range(6):
        one = copy.deepcopy(game)
        terms = one.play("discriminator", Turn(Batch(data[i : i + 1]), Draws(1, 0, 6, start=i, stop=i + 1))).terms
        weights = [dict(one.named_parameters())[n] for n in names]
        grads = dict(zip(names, torch.autograd.grad(terms["adversarial"].sum(), weights), strict=True))
        norm = torch.cat([g.flatten() for g in grads.values()]).norm()
        want = {n: want[n] + grads[n] * min(1.0, bound / float(norm)) for n in names}
    for n in names:
        torch.testing.assert_close(got[n], want[n])


def test_the_example_of_the_metrics_page_runs(capsys):
    (block,) = blocks("metrics.md", "python")
    exec(compile(block, "docs/metrics.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_the_metrics_page_names_every_metric():
    from gansmith import metrics

    named = set(re.findall(r"`(\w+)`", (DOCS / "metrics.md").read_text(encoding="utf-8")))
    assert named & set(metrics.__all__) >= {
        name
        for name in metrics.__all__
        if name.islower() and name not in {"fit_domain", "floor", "frechet_of", "measures", "moments_of", "squared_mmd"}
    }


def test_every_name_of_the_metrics_is_what_it_says_and_not_a_module():
    from gansmith import metrics

    assert [name for name in metrics.__all__ if not callable(getattr(metrics, name))] == []


def test_the_example_of_the_playground_page_runs(tmp_path, monkeypatch):
    fields = {"name": "small", "generator": {"network": "mlp"}, "discriminator": {"network": "mlp"}, "score": False}
    recipe = recipes.validate({**fields, "images": 64, "noise": 8, "compile": "off"}, "test")
    gansmith.train(recipe, "digits", tmp_path / "runs" / "first")
    monkeypatch.chdir(tmp_path)
    (block,) = blocks("playground-rooms.md", "python")
    names = {}
    exec(compile(block, "docs/playground-rooms.md", "exec"), names)
    assert names["images"].shape == (16, 1, 8, 8)
