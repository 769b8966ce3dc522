"""Every shipped recipe loads; overrides, ramps and messages; what is dumped is what is loaded."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gansmith import zoo
from gansmith.errors import Refused
from gansmith.recipe import Ema, Optimizer, Part, Recipe, dump, load, merge, parse_overrides, validate
from gansmith.schedule import Adaptive, Ramp


@pytest.mark.parametrize("name", zoo.names())
def test_every_shipped_recipe_loads_and_comes_back_from_its_dump(name: str):
    recipe = load(name)
    assert recipe.name == name
    assert recipe.summary.strip()
    assert validate(yaml.safe_load(dump(recipe)), "dump") == recipe
    if recipe.rule is None:
        assert recipe.paper is not None
        assert recipe.generator is not None
        assert recipe.deviations


def test_a_dump_is_loaded_from_a_file(tmp_path: Any):
    recipe = load("r3gan-cifar10", {"batch": 96})
    path = tmp_path / "mine.yaml"
    path.write_text(dump(recipe), encoding="utf-8")
    assert load(path) == recipe


# --- R3GAN's presets, from the numbers of its authors ---------------------------------------------


@pytest.mark.parametrize(
    ("name", "batch", "gamma", "augment", "half_life", "over", "conditional"),
    [
        ("r3gan-cifar10", 512, (0.05, 0.005), 0.55, 5e6, 20_000_000, True),
        ("r3gan-ffhq64", 256, (2.0, 0.2), 0.3, 5e5, 20_000_000, False),
        ("r3gan-ffhq256", 256, (150.0, 15.0), 0.3, 5e5, 20_000_000, False),
        ("r3gan-imagenet32", 4096, (0.5, 0.05), 0.5, 5e7, 200_000_000, True),
        ("r3gan-imagenet64", 4096, (1.0, 0.1), 0.4, 5e7, 200_000_000, True),
    ],
)
def test_presets_of_r3gan(
    name: str,
    batch: int,
    gamma: tuple[float, float],
    augment: float,
    half_life: float,
    over: int,
    conditional: bool,
):
    recipe = load(name)
    expected = Ramp(start=gamma[0], end=gamma[1], over=over)
    assert recipe.penalties["r1"].weight == recipe.penalties["r2"].weight == expected
    assert recipe.penalties["r1"].every == 1
    assert recipe.augment["ada"].probability == Ramp(start=0.0, end=augment, over=over)
    assert recipe.optimizer.lr == Ramp(start=2e-4, end=5e-5, over=over)
    assert recipe.optimizer.betas == (0.0, Ramp(start=0.9, end=0.99, over=over))
    assert recipe.ema == Ema(half_life=Ramp(start=0.0, end=half_life, over=over), warmup=None)
    assert recipe.batch == batch
    assert recipe.conditional is conditional
    assert recipe.noise == 64
    assert recipe.game.arguments == {"shared_fakes": False}
    assert recipe.images >= over


# --- the classics, from their papers ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "loss", "penalty", "steps", "batch", "lr", "betas"),
    [
        ("minimax-gan", Part(name="minimax"), {}, 1, 64, 2e-4, (0.5, 0.999)),
        ("cgan", Part(name="nonsaturating"), {}, 1, 100, 2e-4, (0.5, 0.999)),
        ("lsgan", Part(name="least_squares", a=0.0, b=1.0, c=1.0), {}, 1, 64, 2e-4, (0.5, 0.999)),
        ("wgan-lp", Part(name="wasserstein"), {"lipschitz_penalty": 10}, 5, 64, 2e-4, (0.0, 0.9)),
        ("dragan", Part(name="nonsaturating"), {"dragan": 10}, 1, 64, 2e-4, (0.5, 0.999)),
        ("fgan-kl", Part(name="kl", saturating=False), {}, 1, 64, 2e-4, (0.5, 0.999)),
        ("fgan-reverse-kl", Part(name="reverse_kl", saturating=False), {}, 1, 64, 2e-4, (0.5, 0.999)),
        ("fgan-pearson", Part(name="pearson", saturating=False), {}, 1, 64, 2e-4, (0.5, 0.999)),
        ("fgan-hellinger", Part(name="squared_hellinger", saturating=False), {}, 1, 64, 2e-4, (0.5, 0.999)),
        ("rsgan", Part(name="relativistic"), {}, 1, 32, 2e-4, (0.5, 0.999)),
        ("ragan", Part(name="relativistic_average"), {}, 1, 32, 2e-4, (0.5, 0.999)),
        ("ralsgan", Part(name="relativistic_average_least_squares"), {}, 1, 32, 2e-4, (0.5, 0.999)),
        ("rahinge", Part(name="relativistic_average_hinge"), {}, 1, 32, 2e-4, (0.5, 0.999)),
    ],
)
def test_settings_of_the_classics(
    name: str, loss: Part, penalty: dict[str, float], steps: int, batch: int, lr: float, betas: tuple[float, float]
):
    recipe = load(name)
    assert recipe.loss == loss
    assert {key: value.weight for key, value in recipe.penalties.items()} == penalty
    assert (recipe.discriminator_steps, recipe.batch) == (steps, batch)
    assert (recipe.optimizer.lr, recipe.optimizer.betas) == (lr, betas)
    assert recipe.conditional == (name == "cgan")


@pytest.mark.parametrize(
    ("name", "game", "loss", "penalties", "steps", "batch"),
    [
        ("wgan", Part(name="synthesis"), Part(name="wasserstein"), {}, 5, 64),
        ("ebgan", Part(name="synthesis"), Part(name="energy", margin=10.0), {"pulling_away": 0.1}, 1, 64),
        ("began", Part(name="equilibrium", gamma=0.5, rate=1e-3, shared_fakes=True), Part(name="boundary"), {}, 1, 16),
        ("pacgan", Part(name="synthesis", shared_fakes=True), Part(name="nonsaturating"), {}, 1, 200),
        ("crgan", Part(name="synthesis"), Part(name="hinge"), {"consistency": 10}, 5, 64),
        (
            "icrgan", Part(name="synthesis"), Part(name="hinge"),
            {"balanced_consistency": 10, "latent_consistency": 5, "latent_diversity": 0.5}, 5, 64,
        ),
        ("lecam-gan", Part(name="synthesis"), Part(name="hinge"), {"lecam": 0.3}, 5, 64),
    ],
)  # fmt: skip
def test_settings_of_regularized_and_energy_based_ones(
    name: str, game: Part, loss: Part, penalties: dict[str, float], steps: int, batch: int
):
    recipe = load(name)
    assert (recipe.game, recipe.loss, recipe.discriminator_steps, recipe.batch) == (game, loss, steps, batch)
    assert {key: value.weight for key, value in recipe.penalties.items()} == penalties


def test_only_wgans_critic_is_clipped():
    generator, critic = (load("wgan").optimizers[side] for side in ("generator", "discriminator"))
    assert critic == Optimizer(name="rmsprop", lr=5e-5, betas=(0.0, 0.99), weight_clip=0.01)
    assert generator == Optimizer(name="rmsprop", lr=5e-5, betas=(0.0, 0.99))


def test_settings_of_unrolling():
    recipe = load("unrolled-gan")
    assert recipe.game.arguments | {"unroll": 5, "inner": "adam", "rate": 1e-4, "saddle": True} == recipe.game.arguments
    assert recipe.loss == Part(name="minimax")
    assert [recipe.optimizers[side].lr for side in ("generator", "discriminator")] == [1e-3, 1e-4]
    assert (recipe.batch, recipe.noise) == (512, 256)


def test_settings_of_progressive_growing():
    recipe = load("pggan")
    assert recipe.game == Part(name="growing", grown=0.5, shared_fakes=False)
    assert recipe.loss == Part(name="wasserstein")
    assert {key: value.weight for key, value in recipe.penalties.items()} == {"gradient_penalty": 10, "drift": 0.001}
    assert (recipe.discriminator_steps, recipe.batch, recipe.noise) == (1, 16, 512)
    assert recipe.optimizer == Optimizer(lr=1e-3, betas=(0.0, 0.99), eps=1e-8)
    # The average's decay of 0.999 a step halves a weight in 693 steps of 16 images.
    assert recipe.ema is not None
    assert recipe.ema.half_life == pytest.approx(16 * math.log(0.5) / math.log(0.999), rel=0.01)


def test_metrics_are_listed_or_named_in_one_string():
    assert validate({"metrics": "fd, prdc"}, "x").metrics == ("fd", "prdc")
    assert validate({"metrics": ["kd"]}, "x").metrics == ("kd",)
    assert validate(parse_overrides({"metrics": "fid"}), "x").metrics == ("fid",)
    with pytest.raises(Refused, match="metrics"):
        validate({"metrics": []}, "x")


# --- overrides -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [("512,512", [512, 512]), ("0, .99", [0, 0.99]), ("[1, 2]", [1, 2]), ("0.5", 0.5), ("a,b", "a,b"), ("7,", "7,")],
)
def test_numbers_with_commas_are_a_list(text, value):
    assert parse_overrides({"x.y": text}) == {"x": {"y": value}}


def test_overrides_reach_any_field():
    flags = {
        "optimizer.lr": "1e-3", "images": "60k", "penalties.r1.weight": 2, "generator.width": "32",
        "optimizer.betas": "[0.5, 0.9]", "data.mirror": "true", "compile": "off", "ema": "null",
    }  # fmt: skip
    recipe = load("dcgan", flags)
    assert recipe.optimizer.lr == 1e-3
    assert recipe.optimizer.betas == (0.5, 0.9)
    assert recipe.images == 60_000
    assert recipe.penalties["r1"].weight == 2
    assert recipe.generator is not None
    assert recipe.generator.arguments == {"width": 32}
    assert recipe.data.mirror
    assert recipe.compile == "off"
    assert recipe.ema is None


@pytest.mark.parametrize(
    ("flags", "penalties", "augment"),
    [
        ({"penalties.r2": "null"}, ["r1"], ["ada"]),
        ({"penalties": "null", "augment.ada": "null"}, [], []),
        ({"augment.ada": "null", "augment.diffaugment.probability": "1"}, ["r1", "r2"], ["diffaugment"]),
    ],
)
def test_parts_are_left_out_by_null(flags: dict[str, str], penalties: list[str], augment: list[str]):
    both = {"penalties": {"r1": {"weight": 1}, "r2": {"weight": 1}}, "augment": {"ada": {"probability": 0.2}}}
    recipe = validate(merge(both, parse_overrides(flags)), "it")
    assert (list(recipe.penalties), list(recipe.augment)) == (penalties, augment)
    assert validate(yaml.safe_load(dump(recipe)), "it") == recipe


def test_overrides_keep_what_they_do_not_name():
    recipe = load("r3gan-cifar10", {"augment.ada.cutout": 0})
    assert recipe.augment["ada"].arguments == {"cutout": 0}
    assert recipe.augment["ada"].probability == Ramp(start=0.0, end=0.55, over=20_000_000)


def test_another_part_takes_none_of_the_old_ones_arguments():
    recipe = load("gan", {"generator": {"network": "dcgan"}})
    assert recipe.generator is not None
    assert recipe.generator.arguments == {}


def test_hyphens_and_underscores_are_one():
    fields = merge({"discriminator-steps": 2}, {"penalties": {"gradient-penalty": {"weight": 10}}})
    assert fields == {"discriminator_steps": 2, "penalties": {"gradient_penalty": {"weight": 10}}}


_LEAVES = st.one_of(st.integers(), st.booleans(), st.none(), st.lists(st.integers(), max_size=2))
_TREES = st.recursive(
    st.dictionaries(st.sampled_from("abcd"), _LEAVES, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), st.one_of(_LEAVES, inner), max_size=3),
    max_leaves=8,
)


@given(_TREES, _TREES)
def test_merge_is_idempotent_and_changes_neither(base: dict[str, Any], over: dict[str, Any]):
    before = yaml.safe_dump([base, over])
    once = merge(base, over)
    assert merge(once, over) == once
    assert merge(base, {}) == base
    assert merge({}, over) == over
    assert yaml.safe_dump([base, over]) == before


_SCHEDULED = st.one_of(
    st.floats(1e-6, 1e3),
    st.builds(
        lambda a, b, shape, over, hold: {"start": a, "end": b, "shape": shape, "over": over, "hold": hold},
        st.floats(1e-6, 1e3), st.floats(1e-6, 1e3), st.sampled_from(["cosine", "linear", "exponential"]),
        st.one_of(st.none(), st.integers(1, 10**9)), st.floats(0, 0.9),
    ),
)  # fmt: skip


@settings(max_examples=50)
@given(
    lr=_SCHEDULED, weight=_SCHEDULED, batch=st.integers(1, 4096), images=st.integers(1, 10**9),
    half_life=_SCHEDULED, seed=st.integers(0, 2**63 - 1), width=st.integers(1, 512),
)  # fmt: skip
def test_a_recipe_comes_back_from_its_dump(
    lr: object, weight: object, batch: int, images: int, half_life: object, seed: int, width: int
):
    recipe = validate(
        {
            "name": "mine", "optimizer": {"lr": lr}, "penalties": {"r1": {"weight": weight, "every": 2}},
            "batch": batch, "images": images, "ema": {"half_life": half_life, "warmup": None}, "seed": seed,
            "generator": {"network": "dcgan", "width": width},
        },
        "test",
    )  # fmt: skip
    assert validate(yaml.safe_load(dump(recipe)), "dump") == recipe


# --- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"optimiser": {}}, "optimiser: no such field; did you mean 'optimizer'?"),
        ({"optimizer": {"beta": 1}}, "optimizer.beta: no such field; did you mean 'betas'?"),
        ({"batch": 0}, "batch: Input should be greater than or equal to 1, not 0"),
        ({"batch": "many"}, "batch"),
        ({"images": "soon"}, "images: expected a number of images such as 60000, 60k or 2M, not 'soon'"),
        ({"optimizer": {"lr": -1}}, "lr must not be negative, but is -1"),
        ({"optimizer": {"betas": [0, 1]}}, "betas must be in [0, 1), but one is 1"),
        ({"penalties": {"r1": {}}}, "penalties.r1.weight: Field required"),
        ({"penalties": {"r1": {"weight": {"start": 0, "end": 1, "shape": "exponential"}}}}, "above zero"),
        ({"ema": {"half_life": 5, "share": 0.1}}, "not both"),
        ({"precision": "fp8"}, "precision"),
        ({"augment": {"ada": {"probability": 1.5}}}, "a probability must be in [0, 1], but is 1.5"),
        ({"augment": {"ada": {}}}, "augment.ada.probability: Field required"),
        ({"augment": {"ada": {"probability": {"target": 2}}}}, "augment.ada.probability.target: Input should be less"),
        ({"augment": {"ada": {"probability": {"target": 0.6, "end": 1}}}}, "augment.ada.probability.end: no such"),
        ({"augment": {"ada": {"probability": {"start": 1}}}}, "augment.ada.probability.end: Field required"),
        (
            {"augment": {"ada": {"probability": {"target": 0.6, "start": 0.5, "most": 0.2}}}},
            "augment.ada.probability: it starts at 0.5, above the most that is allowed, 0.2",
        ),
        ({"noise": float("nan")}, "noise"),
        ({"optimizer": {"lr": float("inf")}}, "optimizer.lr"),
        ({"schema_version": 99}, "schema version is 99; this gansmith reads up to 1"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], said: str):
    with pytest.raises(Refused) as caught:
        validate(fields, "mine.yaml")
    assert said in str(caught.value)
    assert str(caught.value).startswith("mine.yaml: ")
    assert len(str(caught.value).splitlines()) <= 2


def test_an_unknown_recipe_is_refused_with_the_nearest():
    with pytest.raises(Refused, match="did you mean 'r3gan-small'"):
        load("r3gan-smal")
    with pytest.raises(Refused, match="no recipe is called 'zzzz'"):
        load("zzzz")


def test_files_that_are_no_recipe_are_refused(tmp_path: Any):
    with pytest.raises(Refused, match=r"missing\.yaml"):
        load(tmp_path / "missing.yaml")
    bad = tmp_path / "bad.yaml"
    bad.write_text("batch: [1,\nimages: }", encoding="utf-8")
    with pytest.raises(Refused, match=r"line 2: not valid YAML"):
        load(bad)
    bad.write_text("- just\n- a list\n", encoding="utf-8")
    with pytest.raises(Refused, match="a mapping of fields"):
        load(bad)
    bad.write_text("!!python/object/apply:os.system ['true']", encoding="utf-8")
    with pytest.raises(Refused):
        load(bad)


def test_a_parts_argument_that_yaml_took_for_text_is_a_number():
    part = load(
        "gan", {"loss.name": "hinge", "loss.scale": "1e-3", "loss.other": "e-3", "loss.third": "mine.py:A"}
    ).loss
    assert part.arguments == {"scale": 0.001, "other": "e-3", "third": "mine.py:A"}


def test_an_override_that_cannot_be_read_is_refused():
    with pytest.raises(Refused, match=r"--optimizer.lr: cannot read"):
        parse_overrides({"optimizer.lr": "[1,"})


def test_knobs_of_augmentations():
    one = validate({"augment": {"ada": {"probability": 0.5}}}, "x")
    two = validate({"augment": {"ada": {"probability": 0.5}, "mine.py:Noise": {"probability": 1}}}, "x")
    assert one.augment_knobs() == {"ada": "augment"}
    assert two.augment_knobs() == {"ada": "augment/ada", "mine.py:Noise": "augment/mine.py:Noise"}
    assert Recipe().augment_knobs() == {}


def test_a_probability_that_adapts_is_a_third_form():
    over = {"augment.ada.probability.target": 0.5, "augment.ada.probability.over": "100k"}
    recipe = load("r3gan-cifar10", over)  # in the place of a ramp
    rule = Adaptive(target=0.5, over=100_000)
    assert recipe.adaptive_knobs() == {"augment": rule}
    assert recipe.augment["ada"].probability == rule
    assert validate(yaml.safe_load(dump(recipe)), "again") == recipe
    plain = validate(yaml.safe_load(dump(validate({"augment": {"ada": {"probability": {"target": 0.6}}}}, "x"))), "x")
    assert plain.adaptive_knobs() == {"augment": Adaptive(target=0.6)}
    assert load("r3gan-cifar10").adaptive_knobs() == {}
    held = {"augment": {"ada": {"probability": rule.model_dump()}}}
    assert merge(held, parse_overrides({"augment.ada.probability.most": 0.7}))["augment"]["ada"]["probability"] == {
        **rule.model_dump(), "most": 0.7,
    }  # fmt: skip
    # A target elsewhere is an argument of its part.
    assert merge({"gradient-penalty": {"weight": 10}}, {"gradient-penalty": {"target": 2}}) == {
        "gradient_penalty": {"weight": 10, "target": 2}
    }


def test_what_to_do_on_trouble_is_one_of_three():
    recipe = validate({}, "test")
    assert (recipe.on_trouble, recipe.duality_gap, recipe.data.reserve) == ("say", None, None)
    asked = validate({"on_trouble": "adapt", "duality_gap": 50, "data": {"reserve": "2k"}}, "test")
    assert (asked.on_trouble, asked.duality_gap, asked.data.reserve) == ("adapt", 50, 2000)
    assert validate(yaml.safe_load(dump(asked)), "test") == asked
    for wrong in ({"on_trouble": "panic"}, {"duality_gap": 0}, {"data": {"reserve": 0}}):
        with pytest.raises(Refused, match=next(iter(wrong))):
            validate(wrong, "test")
