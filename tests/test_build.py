"""From names to objects: the nearest name, arguments by signature, the user's own files, seeded weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gansmith import zoo
from gansmith.build import Facts, accepted, build, find, functions
from gansmith.data.dataset import Dataset
from gansmith.draws import Draws
from gansmith.engine.hardware import Numerics
from gansmith.engine.player import Player
from gansmith.engine.step import Compiled
from gansmith.errors import Refused
from gansmith.games.synthesis import Synthesis
from gansmith.losses import adversarial, penalties
from gansmith.networks import dcgan, mlp
from gansmith.recipe import Recipe, load, validate

FACTS = Facts((1, 8, 8), 0)


def recipe(**fields: Any) -> Recipe:
    base = {"generator": {"network": "mlp", "hidden": [8]}, "discriminator": {"network": "mlp", "hidden": [8]}}
    return validate({**base, **fields}, "test")


def refusal(made: Recipe, facts: Facts = FACTS) -> str:
    with pytest.raises(Refused) as caught:
        build(made, facts)
    said = str(caught.value)
    assert len(said.splitlines()) <= 2
    return said


@pytest.mark.parametrize("name", [name for name in zoo.names() if load(name).rule is None])
def test_every_shipped_recipe_builds(name: str):
    made = load(name)
    side = made.data.resolution or (32 if name != "dcgan" else 16)
    with torch.device("meta"):  # hundreds of millions of weights, none of them stored
        game = build(made, Facts((2,) if "mlp" in name else (3, int(side), int(side)), 5 if made.conditional else 0))  # type: ignore[arg-type]
    if not isinstance(game, Synthesis):
        assert set(getattr(game, "penalties", ())) == set(made.penalties)
        assert not made.augment
        return
    assert (game.augment is not None) == bool(made.augment)
    assert set(game.penalties) == set(made.penalties)


@pytest.mark.parametrize("name", ["ali", "bigan", "vae", "vae-gan"])
def test_every_game_with_an_encoder_plays(name: str):
    small = {f"{place}.width": 4 for place in ("networks.encoder", "generator", "discriminator")}
    if name == "vae":
        del small["discriminator.width"]
    made = load(name, {"batch": 8, "images": 800, "precision": "fp32", **small})
    images = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (24, 1, 8, 8)).astype(np.uint8)
    dataset = Dataset("tiny", "image", (1, 8, 8), 24, array=images)
    game = build(made, Facts((1, 8, 8)))
    first = {key: parameter.detach().clone() for key, parameter in game.named_parameters()}
    numerics = Numerics("cpu", "fp32", "highest", 1, False, torch.__version__, 1, "test")
    player = Player(game, dataset, made, torch.device("cpu"), numerics)
    player.round()
    player.round()
    assert player.images == 16
    assert player.healthy()
    assert all(math.isfinite(value) for value in player.terms().values())
    still = {key for key, parameter in game.named_parameters() if torch.equal(first[key], parameter)}
    assert still <= {"discriminator.last.weight", "discriminator.last.bias"}  # of BiGAN a head stands in its place
    assert player.sampler().sample(2, seed=0).shape == (2, 1, 8, 8)
    player.close()


CLASSICS = (
    "began", "cgan", "dcgan", "dragan", "ebgan", "fgan-hellinger", "fgan-kl", "fgan-pearson", "fgan-reverse-kl", "gan",
    "lsgan", "minimax-gan", "pacgan", "ragan", "rahinge", "ralsgan", "rsgan", "unrolled-gan", "wgan", "wgan-gp",
    "wgan-lp",
)  # fmt: skip
REGULARIZED = ("crgan", "icrgan", "lecam-gan")


@pytest.mark.parametrize("name", [*CLASSICS, *REGULARIZED])
def test_every_classic_plays(name: str):
    narrow = {"generator.width": 8, "discriminator.width": 8} if name in REGULARIZED else {}
    made = load(name, {"batch": 8, "images": 800, "precision": "fp32", **narrow})
    draw = np.random.Generator(np.random.PCG64(0))
    images, labels = draw.integers(0, 256, (24, 1, 8, 8)).astype(np.uint8), np.arange(24) % 3
    dataset = Dataset("tiny", "image", (1, 8, 8), 24, array=images, labels=labels if made.conditional else None)
    game = build(made, Facts((1, 8, 8), 3 if made.conditional else 0))
    assert isinstance(game, Synthesis)
    first = [parameter.detach().clone() for parameter in game.parameters()]
    numerics = Numerics("cpu", "fp32", "highest", 1, False, torch.__version__, 1, "test")
    player = Player(game, dataset, made, torch.device("cpu"), numerics)
    player.round()
    player.round()
    assert player.images == 16 * made.discriminator_steps
    assert player.healthy()
    terms = player.terms()
    sides = {name: lazy.penalty.side for name, lazy in game.penalties.items()} | {"adversarial": "discriminator"}
    assert {f"{side}/{term}" for term, side in sides.items()} <= terms.keys()
    assert all(math.isfinite(value) for value in terms.values())
    moved = [not torch.equal(a, b) for a, b in zip(first, game.parameters(), strict=True)]
    assert sum(moved) >= len(moved) - 1  # a bias at the end does not change a difference of logits
    player.close()


@pytest.mark.parametrize("name", ["stylegan2", "stylegan2-ada"])
def test_a_narrow_stylegan2_plays(name: str):
    narrow = {"base": 64, "most": 8, "mapping_layers": 1}
    made = load(name, {"batch": 8, "images": 800, "precision": "fp32", "noise": 4,
                       "generator": {**narrow, "width_w": 6}, "discriminator": narrow})  # fmt: skip
    images = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (24, 3, 8, 8)).astype(np.uint8)
    dataset = Dataset("tiny", "image", (3, 8, 8), 24, array=images, labels=np.arange(24) % 3)
    game = build(made, Facts((3, 8, 8), 3))
    first = [parameter.detach().clone() for parameter in game.parameters()]
    numerics = Numerics("cpu", "fp32", "highest", 1, False, torch.__version__, 1, "test")
    player = Player(game, dataset, made, torch.device("cpu"), numerics)
    player.round()
    player.round()
    assert player.healthy()
    terms = player.terms()
    assert {"discriminator/r1", "generator/path_length"} <= terms.keys()
    assert all(math.isfinite(value) for value in terms.values())
    assert all(not torch.equal(a, b) for a, b in zip(first, game.parameters(), strict=True))
    samples = [player.sampler().sample(6, truncation=psi) for psi in (1.0, 0.5)]
    assert not np.array_equal(*samples)
    player.close()


PLAIN = {"generator.attention": None, "discriminator.attention": None}
NARROW = {"generator.width": 4, "discriminator.width": 4}
HEADS: dict[str, dict[str, Any]] = {
    "acgan": NARROW, "mhgan": {**NARROW, **PLAIN}, "ssgan": NARROW, "infogan": {**NARROW, "game.hidden": [8]},
    "reacgan": {"generator.width": 2, "discriminator.width": 2, "game.embedding": 4, **PLAIN},
}  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
def test_every_recipe_with_a_head_plays_eagerly_and_traced(name: str):
    made = load(name, {"batch": 8, "images": 800, "precision": "fp32", "discriminator_steps": 1, **HEADS[name]})
    draw = np.random.Generator(np.random.PCG64(0))
    images, labels = draw.integers(0, 256, (24, 1, 8, 8)).astype(np.uint8), np.arange(24) % 3
    dataset = Dataset("tiny", "image", (1, 8, 8), 24, array=images, labels=labels if made.conditional else None)
    numerics = Numerics("cpu", "fp32", "highest", 1, False, torch.__version__, 1, "test")
    played = []
    for traced in (False, True):
        player = Player(
            build(made, Facts((1, 8, 8), 3 if made.conditional else 0)), dataset, made, torch.device("cpu"), numerics
        )
        if traced:
            player.stepper = Compiled(player.game, lambda graph: graph)
        first = [parameter.detach().clone() for parameter in player.game.parameters()]
        player.round()
        player.round()
        assert player.healthy()
        assert all(math.isfinite(value) for value in player.terms().values())
        moved = [not torch.equal(a, b) for a, b in zip(first, player.game.parameters(), strict=True)]
        assert all(moved)
        played.append(torch.cat([parameter.detach().flatten() for parameter in player.game.parameters()]))
        player.close()
    torch.testing.assert_close(*played, rtol=1e-3, atol=1e-4)


def test_weights_are_seeded_and_the_callers_generator_is_left_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = (build(recipe(seed=seed), FACTS).state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_arguments_reach_their_parts():
    made = recipe(
        noise=5, game={"name": "synthesis", "shared_fakes": False}, discriminator_steps=3,
        penalties={"r1": {"weight": 1, "every": 4}, "gradient-penalty": {"weight": 1, "target": 0.5}},
    )  # fmt: skip
    game = build(made, Facts((1, 8, 8), 4))
    assert isinstance(game, Synthesis)
    assert game.noise == 5
    assert not game.shared_fakes
    assert game.discriminator_steps == 3
    assert game.penalties["r1"].every == 4
    gradient = torch.full((1, 1), 0.5)
    assert game.penalties["gradient-penalty"].penalty.value(gradient).item() == pytest.approx(0)
    assert game.generate(torch.zeros(2, 5), torch.tensor([0, 3])).shape == (2, 1, 8, 8)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"generator": "dcgn"}, "networks: none is called 'dcgn'; did you mean 'dcgan'?"),
        ({"generator": "zzz"}, "networks: none is called 'zzz'; there are "),
        ({"generator": "layers"}, "networks: none is called 'layers'"),
        ({"game": "sinthesis"}, "games: none is called 'sinthesis'; did you mean 'synthesis'?"),
        ({"loss": "hing"}, "loss: none is called 'hing'; did you mean 'hinge'?"),
        ({"loss": "zzz"}, "there are boundary, energy, hinge, jensen_shannon, kl"),
        ({"loss": {"name": "hinge", "margin": 2}}, "loss.hinge.margin: no such argument"),
        ({"penalties": {"r3": {"weight": 1}}}, "penalties: none is called 'r3'; did you mean 'r"),
        ({"penalties": {"gradient_penalty": {"weight": 1, "goal": 2}}}, "penalties.gradient_penalty.goal: no such"),
        ({"augment": {"adda": {"probability": 1}}}, "augmentations: none is called 'adda'; did you mean 'ada'?"),
        ({"augment": {"geometry": {"probability": 1}}}, "augmentations: none is called 'geometry'"),
        (
            {"augment": {"ada": {"probability": 1, "hues": 1}}},
            "augment.ada.hues: no such argument; did you mean 'hue'?",
        ),
        ({"augment": {"ada": {"probability": 1, "hue": 2}}}, "augment.ada: hue: a strength is a probability"),
        ({"generator": {"network": "mlp", "hiden": [3]}}, "generator.hiden: no such argument; did you mean 'hidden'?"),
        ({"generator": {"network": "mlp", "zzz": 3}}, "it takes hidden, dropout, slope, squash"),
        ({"generator": {"network": "mlp", "dropout": 2}}, "generator: dropout must be in [0, 1), not 2"),
        ({"game": {"name": "synthesis", "share": 1}}, "game.share: no such argument; did you mean 'shared_fakes'?"),
        ({"generator": "nowhere.py:Generator"}, "nowhere.py: no such file"),
        ({"generator": "mlp:Generatr"}, "mlp:Generatr: has no class 'Generatr'"),
        ({"generator": None}, "game"),
    ],
)
def test_what_is_wrong_is_said(fields: dict[str, Any], said: str):
    assert said in refusal(recipe(**fields))


def test_a_part_that_does_not_fit_the_data_says_so():
    assert "8 pixels a side" in refusal(recipe(generator="dcgan"), Facts((1, 6, 6)))
    assert "makes images" in refusal(recipe(discriminator="r3gan"), Facts((2,)))
    assert "augments images" in refusal(recipe(augment={"ada": {"probability": 1}}), Facts((2,)))


# --- the user's own --------------------------------------------------------------------------------

NET = '''
import torch
from torch import nn

class Small(nn.Module):
    """Noise to points."""
    def __init__(self, shape, noise, width: int = 3):
        super().__init__()
        self.width = width
        self.layers = nn.Linear(noise, shape[0])
    def forward(self, noise, labels=None):
        return self.layers(noise)
'''


def test_a_class_of_the_users_own_file(tmp_path: Path):
    (tmp_path / "net.py").write_text(NET)
    made = recipe(generator={"network": f"{tmp_path}/net.py:Small", "width": 7})
    game = build(made, Facts((2,)))
    assert game.generator.width == 7
    assert game.generate(torch.zeros(3, made.noise)).shape == (3, 2)
    wrong = recipe(generator={"network": f"{tmp_path}/net.py:Small", "wide": 7})
    assert "generator.wide: no such argument; did you mean 'width'?" in refusal(wrong)
    assert "has no class 'Large'" in refusal(recipe(generator=f"{tmp_path}/net.py:Large"))
    assert "has no class 'Generator'" in refusal(recipe(generator=f"{tmp_path}/net.py"))


def test_a_file_that_fails_to_import_says_why(tmp_path: Path):
    (tmp_path / "net.py").write_text("1 / 0\n")
    said = refusal(recipe(generator=f"{tmp_path}/net.py:Small"))
    assert "net.py: cannot be imported (ZeroDivisionError: division by zero)" in said


def test_a_game_of_the_users_own_takes_what_it_names(tmp_path: Path):
    (tmp_path / "game.py").write_text(
        "from gansmith.games.game import Game\n"
        "class Mine(Game):\n"
        "    def __init__(self, generator, discriminator, shape, power: int = 1):\n"
        "        super().__init__()\n"
        "        self.generator, self.discriminator = generator, discriminator\n"
        "        self.shape, self.power = shape, power\n"
    )
    name = f"{tmp_path}/game.py:Mine"
    game = build(recipe(game={"name": name, "power": 2}), FACTS)
    assert (game.shape, game.power) == ((1, 8, 8), 2)
    # What it does not take must not be passed over in silence.
    assert "penalties: the game" in refusal(recipe(game=name, penalties={"r1": {"weight": 1}}))
    assert "augment: the game" in refusal(recipe(game=name, augment={"ada": {"probability": 1}}))
    assert "loss: the game" in refusal(recipe(game=name, loss="hinge"))
    assert "discriminator_steps: the game" in refusal(recipe(game=name, discriminator_steps=2))
    assert "encoder: the game" in refusal(recipe(game=name, networks={"encoder": "mlp"}))
    (tmp_path / "still.py").write_text(
        "from gansmith.games.game import Game\n"
        "class Still(Game):\n"
        "    def __init__(self, generator, discriminator, augment):\n"
        "        super().__init__()\n"
    )
    adapts = recipe(game=f"{tmp_path}/still.py:Still", augment={"ada": {"probability": {"target": 0.6}}})
    assert "moves no probability; give a number or a ramp" in refusal(adapts)


def test_a_probability_that_adapts_is_a_state_by_its_knobs_name():
    made = recipe(augment={"ada": {"probability": {"target": 0.6, "start": 0.25}}, "diffaugment": {"probability": 1}})
    game = build(made, FACTS)
    assert set(game.states()) == {"augment/ada", "augment/ada/signs", "augment/ada/steps"}
    first, how = game.states()["augment/ada"]
    assert (first.item(), how) == (0.25, "same")


def test_a_constructor_that_hands_on_others_takes_what_the_one_above_takes(tmp_path: Path):
    (tmp_path / "game.py").write_text(
        "from gansmith.games.synthesis import Synthesis\n"
        "class Mine(Synthesis):\n"
        "    def __init__(self, generator, discriminator, *, power: int = 1, **others):\n"
        "        super().__init__(generator, discriminator, **others)\n"
        "        self.power = power\n"
    )
    name = f"{tmp_path}/game.py:Mine"
    made = recipe(game={"name": name, "power": 2, "shared_fakes": False}, penalties={"r1": {"weight": 1}}, noise=7)
    game = build(made, FACTS)
    assert isinstance(game, Synthesis)
    assert (game.power, game.shared_fakes, game.noise, list(game.penalties)) == (2, False, 7, ["r1"])
    assert "game.pover: no such argument; did you mean 'power'?" in refusal(recipe(game={"name": name, "pover": 2}))
    assert "did you mean 'shared_fakes'?" in refusal(recipe(game={"name": name, "shared_fake": True}))
    own, anything = accepted(type(game))
    assert list(own)[:5] == ["generator", "discriminator", "power", "loss", "penalties"]
    assert not anything
    assert accepted(dict)[1]  # whatever cannot be told is left to the call


def test_augmentations_follow_one_another_each_by_its_own_knob(tmp_path: Path):
    (tmp_path / "more.py").write_text(
        "class Add:\n"
        "    def __init__(self, amount: float = 1.0):\n"
        "        self.amount = amount\n"
        "    def __call__(self, images, draws, p):\n"
        "        return images + self.amount * p\n"
    )
    mine = f"{tmp_path}/more.py:Add"
    only_cut = dict.fromkeys(("xflip", "rotate90", "xint", "scale", "rotate", "aniso", "xfrac", "contrast"), 0)
    colours = dict.fromkeys(("brightness", "lumaflip", "hue", "saturation"), 0)
    made = recipe(augment={mine: {"probability": 0.5, "amount": 4}, "ada": {"probability": 0.1, **only_cut, **colours}})
    game = build(made, FACTS)
    assert isinstance(game, Synthesis)
    assert game.augment is not None
    knobs = {made.augment_knobs()[mine]: 0.5, made.augment_knobs()["ada"]: 1.0}
    out = game.augment(torch.ones(4, 1, 8, 8), Draws(0, 0, 4), knobs)
    assert set(out.unique().tolist()) == {0.0, 3.0}


# --- names -----------------------------------------------------------------------------------------


def test_find_gives_the_class_of_a_name():
    assert find("networks", "mlp", "Generator") is mlp.Generator
    assert find("networks", "dcgan:Discriminator", "Generator") is dcgan.Discriminator
    assert find("games", "synthesis", "Synthesis") is Synthesis


def test_the_functions_that_a_recipe_can_name():
    assert functions(adversarial, adversarial.AdversarialLoss) == [
        "boundary", "energy", "hinge", "jensen_shannon", "kl", "least_squares", "minimax", "nonsaturating", "pearson",
        "relativistic", "relativistic_average", "relativistic_average_hinge", "relativistic_average_least_squares",
        "reverse_kl", "squared_hellinger", "wasserstein",
    ]  # fmt: skip
    assert functions(penalties, penalties.Penalty) == [
        "dragan", "gradient_penalty", "lipschitz_penalty", "r1", "r2", "zero_centred_penalty",
    ]  # fmt: skip
