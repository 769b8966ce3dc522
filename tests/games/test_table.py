"""The table games' terms and gradients against the paper's formulas in float64, eager and traced; what chooses rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gansmith import recipe as recipes
from gansmith.build import Facts, build
from gansmith.data.dataset import Batch, Dataset
from gansmith.draws import Draws
from gansmith.engine.hardware import Numerics
from gansmith.engine.player import Player
from gansmith.engine.step import Compiled, Eager
from gansmith.games.game import Turn
from gansmith.games.synthesis import Lazy
from gansmith.games.table import Autoencoder, Blocks, Rows, Table
from gansmith.losses import adversarial, penalties
from gansmith.networks import ctgan, mlp, packed

COLUMNS, WIDTH = [[1, 3], [0, 4], [0, 2]], 10  # a number of three modes, and two columns of kinds
KINDS, TOLD, OWN, BATCH = 9, 6, 5, 8
NOISE = OWN + KINDS + 1
STEPPERS = {"eager": Eager, "traced": lambda game: Compiled(game, lambda graph: graph)}


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    parts = [rng.uniform(-1, 1, (n, 1)), np.eye(3)[rng.integers(0, 3, n)]]
    parts += [np.eye(4)[rng.choice(4, n, p=[0.6, 0.3, 0.09, 0.01])], np.eye(2)[rng.choice(2, n, p=[0.9, 0.1])]]
    return np.hstack(parts).astype(np.float32)


def game(pack=1, told=TOLD, **options):
    torch.manual_seed(0)
    inner = {"pack": pack, "hidden": (8,)} if pack > 1 else {"hidden": (8,)}
    critic = (packed if pack > 1 else mlp).Discriminator((WIDTH,), classes=told, **inner)
    made = ctgan.Generator((WIDTH,), OWN, told, hidden=(6, 6), norm=False, slope=0.2)
    given = {"loss": adversarial.relativistic(), "noise": NOISE, "shape": (WIDTH,), "columns": COLUMNS, **options}
    return Table(made, critic, **given).double()


def turn(move, prefix=None, knobs=None):
    data = torch.from_numpy(rows(BATCH, 1)).double()
    condition = torch.eye(TOLD, dtype=torch.float64)[[0, 1, 2, 3, 4, 5, 4, 0]]
    return Turn(Batch(data, None, {"condition": condition}), Draws(0, 0, BATCH, prefix=prefix or move), knobs or {})


def by_hand(raw, uniform, tau=0.2):
    gumbel = -(-uniform.double().clamp(1e-9, 1 - 1e-7).log()).log()
    parts, at = [raw[:, :1].tanh()], 0
    for begin, end in ((1, 4), (4, 8), (8, 10)):
        parts.append(((raw[:, begin:end] + gumbel[:, at : at + end - begin]) / tau).softmax(1))
        at += end - begin
    return torch.cat(parts, 1)


# --- blocks ------------------------------------------------------------------------------------------


def test_numbers_are_squashed_and_kinds_drawn():
    raw = torch.randn(BATCH, WIDTH, dtype=torch.float64)
    uniform = torch.rand(BATCH, KINDS)
    blocks = Blocks(COLUMNS, (WIDTH,))
    torch.testing.assert_close(blocks.activated(raw, uniform, 0.2), by_hand(raw, uniform), rtol=1e-6, atol=1e-7)
    plain = blocks.activated(raw, None, 0.2)
    torch.testing.assert_close(plain[:, 4:8], raw[:, 4:8].softmax(1))


def test_kinds_come_as_often_as_their_softmax_says():
    raw = torch.randn(1, WIDTH, dtype=torch.float64).repeat(20_000, 1)
    uniform = torch.rand(20_000, KINDS, generator=torch.Generator().manual_seed(0))
    drawn = Blocks(COLUMNS, (WIDTH,)).activated(raw, uniform, 0.2)[:, 4:8].argmax(1).bincount(minlength=4) / 20_000
    torch.testing.assert_close(drawn.double(), raw[0, 4:8].softmax(0), atol=0.012, rtol=0)


def test_what_was_asked_for_costs_its_cross_entropy():
    raw = torch.randn(BATCH, WIDTH, dtype=torch.float64)
    condition = turn("x").batch.more["condition"]
    wanted = [
        F.cross_entropy(raw[i : i + 1, 4:8], told[:4].argmax()[None])
        if told[:4].any()
        else F.cross_entropy(raw[i : i + 1, 8:], told[4:].argmax()[None])
        for i, told in enumerate(condition)
    ]
    torch.testing.assert_close(Blocks(COLUMNS, (WIDTH,)).asked(raw, condition), torch.stack(wanted))


@pytest.mark.parametrize("columns", [[[2, 1]], [[0, 0]], [[1, 3]]])
def test_columns_that_do_not_fit_are_refused(columns):
    with pytest.raises(ValueError, match="columns"):
        Blocks(columns, (WIDTH,))


# --- which rows ----------------------------------------------------------------------------------------


def test_rows_are_chosen_by_the_log_of_their_kinds_frequency():
    array = rows(2000)
    chooser = Rows(array, [(4, 4), (8, 2)], seed=3, frequency="log")
    n = 40_000
    condition, index = chooser.more(0, n)["condition"], chooser.indices(0, n)
    assert np.array_equal(condition.sum(1), np.ones(n))
    # Each row has the kind that was told.
    assert np.array_equal((array[index][:, 4:] * condition).sum(1), np.ones(n))
    counts = [array[:, 4:8].sum(0), array[:, 8:].sum(0)]
    wanted = np.concatenate([0.5 * np.log1p(c) / np.log1p(c).sum() for c in counts])
    assert condition.mean(0) == pytest.approx(wanted, abs=0.01)
    plain = Rows(array, [(4, 4), (8, 2)], seed=3, frequency="true").more(0, n)["condition"].mean(0)
    assert plain == pytest.approx(np.concatenate(counts) / 4000, abs=0.01)
    assert chooser.shares == pytest.approx(np.concatenate(counts) / 4000)


def test_which_row_comes_when_is_a_pure_function():
    chooser = Rows(rows(100), [(4, 4), (8, 2)], seed=1, frequency="log")
    whole = chooser.indices(0, 50), chooser.more(0, 50)["condition"]
    assert np.array_equal(chooser.indices(20, 30), whole[0][20:])
    assert np.array_equal(chooser.more(20, 30)["condition"], whole[1][20:])
    other = Rows(rows(100), [(4, 4), (8, 2)], seed=2, frequency="log")
    assert not np.array_equal(other.indices(0, 50), whole[0])


def test_a_table_of_numbers_alone_has_no_conditions():
    made = game(told=0, columns=[[1, 0]] * WIDTH, noise=OWN)
    assert made.condition == 0
    assert made.sampler(Dataset("t", "vectors", (WIDTH,), 5, rows(5)), 0) is None
    outcome = made.play("generator", Turn(Batch(torch.from_numpy(rows(BATCH)).double()), Draws(0, 0, BATCH), {}))
    assert list(outcome.terms) == ["adversarial"]


# --- terms ---------------------------------------------------------------------------------------------


def check(how, made, move, now, expected, network):
    trained = list(network.parameters())
    result = STEPPERS[how](made)(move, now, trained)
    terms = {name: value for name, value in result.terms.items() if not name.startswith("watched/")}
    assert terms.keys() == expected.keys()
    for name, term in expected.items():
        torch.testing.assert_close(terms[name], term.detach(), rtol=1e-6, atol=1e-8)
    slopes = torch.autograd.grad(sum(term.mean() for term in expected.values()), trained)
    for mine, theirs in zip(result.grads, slopes, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("how", STEPPERS)
def test_the_generators_terms(how):
    made, now = game(condition=0.7), turn("generator")
    condition = now.batch.more["condition"]
    shared = Draws(0, 0, BATCH, prefix="fakes")
    raw = made.generator(shared.normal("noise", OWN).double(), condition)
    fake = by_hand(raw, shared.uniform("gumbel", KINDS))
    on_fake, on_real = (made.discriminator(x, condition) for x in (fake, now.batch.data))
    expected = {
        "adversarial": F.softplus(on_real.detach() - on_fake), "condition": 0.7 * made.blocks.asked(raw, condition),
    }  # fmt: skip
    check(how, made, "generator", now, expected, made.generator)


@pytest.mark.parametrize("how", STEPPERS)
def test_the_packed_critics_terms_are_wgan_gps(how):
    penalty = {"gradient-penalty": Lazy(penalties.gradient_penalty(pack=4))}
    made = game(4, loss=adversarial.wasserstein(), penalties=penalty, shared_fakes=False)
    now = turn("discriminator", knobs={"gradient-penalty": 10.0})
    condition, draws = now.batch.more["condition"], now.draws
    raw = made.generator(draws.normal("noise", OWN).double(), condition)
    real, fake = now.batch.data, by_hand(raw, draws.uniform("gumbel", KINDS)).detach()
    share = draws.uniform("between")[::4].repeat_interleave(4).double()[:, None]
    between = (real + share * (fake - real)).requires_grad_()
    (slope,) = torch.autograd.grad(made.discriminator(between, condition).sum(), between, create_graph=True)
    norm = (slope.reshape(2, -1).square().sum(1) + 1e-12).sqrt()
    on_real, on_fake = (made.discriminator(x, condition) for x in (real, fake))
    expected = {"adversarial": on_fake - on_real, "gradient-penalty": 10 * (norm - 1).square()}
    check(how, made, "discriminator", now, expected, made.discriminator)


@pytest.mark.parametrize("how", STEPPERS)
def test_a_classifier_of_the_target_learns_from_real_rows(how):
    torch.manual_seed(1)
    made = game(classifier=mlp.Encoder((WIDTH,), 2, hidden=(8,)), target=1, agreement=2.0)
    assert [move.trains for move in made.moves()] == [("discriminator", "classifier"), ("generator",)]
    now = turn("discriminator")
    real, condition = now.batch.data, now.batch.more["condition"]
    shared = Draws(0, 0, BATCH, prefix="fakes")
    fake = by_hand(made.generator(shared.normal("noise", OWN).double(), condition), shared.uniform("gumbel", KINDS))
    on_real, on_fake = made.discriminator(real, condition), made.discriminator(fake.detach(), condition)
    blind = torch.cat([real[:, :8], torch.zeros(BATCH, 2, dtype=torch.float64)], 1)
    wanted = F.cross_entropy(made.classifier(blind), real[:, 8:].argmax(1), reduction="none")
    expected = {"adversarial": F.softplus(on_fake - on_real), "classifier": wanted}
    check(how, made, "discriminator", now, expected, nn.ModuleList([made.discriminator, made.classifier]))


@pytest.mark.parametrize("agreement", [0.0, 1.0, 2.0])
def test_the_target_is_drawn_anew_by_the_classifier(agreement):
    made = game(classifier=mlp.Encoder((WIDTH,), 2, hidden=(8,)), target=1, agreement=agreement).float()
    plain = game().float()
    made.generator, told = plain.generator, torch.eye(TOLD)[torch.zeros(20_000, dtype=torch.int64)]
    z = torch.randn(20_000, NOISE, generator=torch.Generator().manual_seed(0))
    rows, others = made.generate(z, told), plain.generate(z, told)
    torch.testing.assert_close(rows[:, :8], others[:, :8])
    if not agreement:
        assert torch.equal(rows, others)
        return
    kinds = torch.cat([F.one_hot(rows[:, b:e].argmax(1), e - b) for b, e in ((1, 4), (4, 8))], 1).float()
    blind = torch.cat([rows[:, :1], kinds, torch.zeros(20_000, 2)], 1)
    share = (agreement * made.classifier(blind)).softmax(1)[:, 1].detach()
    found = rows[:, 9] > 0.5
    for low, high in ((0.0, 0.5), (0.5, 1.0)):  # as often as the classifier says, where it says little and where much
        part = (share > low) & (share <= high)
        if part.sum() > 500:
            assert float(found[part].float().mean()) == pytest.approx(float(share[part].mean()), abs=0.03)


def test_hard_rows_have_one_kind_and_the_soft_ones_gradient():
    made, now = game(hard=True), turn("generator")
    raw = torch.randn(BATCH, WIDTH, dtype=torch.float64, requires_grad=True)
    hard = made.rows(now, raw)
    assert set(np.round(hard[:, 1:].detach().numpy(), 9).ravel()) == {0.0, 1.0}
    weight = torch.randn(BATCH, WIDTH, dtype=torch.float64)
    soft = by_hand(raw, Draws(0, 0, BATCH, prefix="fakes").uniform("gumbel", KINDS))
    (one,) = torch.autograd.grad((hard * weight).sum(), raw)
    (two,) = torch.autograd.grad((soft * weight).sum(), raw)
    torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("how", STEPPERS)
def test_the_autoencoders_terms(how):
    torch.manual_seed(0)
    encoder = mlp.Encoder((WIDTH,), OWN, moments=2, hidden=(8,), slope=0.0)
    decoder = mlp.Generator((WIDTH,), OWN, hidden=(8,), squash=False)
    made = Autoencoder(encoder, decoder, shape=(WIDTH,), columns=COLUMNS, noise=OWN + KINDS).double()
    now = turn("autoencoder")
    x = now.batch.data
    out = made.encoder(x)
    mean, log_variance = out.chunk(2, 1)
    z = mean + (0.5 * log_variance).exp() * Draws(0, 0, BATCH, prefix="fakes").normal("posterior", OWN).double()
    raw, sigma = made.generator(z), 0.1
    energy = 0.5 * ((x[:, 0] - raw[:, 0].tanh()) / sigma).square() + math.log(sigma)
    for begin, end in ((1, 4), (4, 8), (8, 10)):
        energy = energy + F.cross_entropy(raw[:, begin:end], x[:, begin:end].argmax(1), reduction="none")
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
    check(how, made, "autoencoder", now, {"reconstruction": 2 * energy, "divergence": divergence}, made.encoder)


# --- use -----------------------------------------------------------------------------------------------


def test_a_row_is_a_function_of_its_noise():
    made = game().float()
    made.sampler(Dataset("t", "vectors", (WIDTH,), 2000, rows(2000)), 0)
    z = torch.randn(3000, NOISE, generator=torch.Generator().manual_seed(0))
    out = made.generate(z)
    assert torch.equal(out[:10], made.generate(z[:10]))
    assert torch.allclose(out[:, 4:8].sum(1), torch.ones(3000))
    told = torch.eye(TOLD)[torch.full((10,), 2)]
    raw = made.generator(z[:10, :OWN], told)
    wanted = by_hand(raw.double(), torch.special.ndtr(z[:10, OWN : OWN + KINDS].double()))
    torch.testing.assert_close(made.generate(z[:10], told).double(), wanted, rtol=1e-3, atol=1e-4)


def test_conditions_come_as_often_as_in_the_table():
    made = game().float()
    made.sampler(Dataset("t", "vectors", (WIDTH,), 2000, rows(2000)), 0)
    seen = []
    made.generator.register_forward_pre_hook(lambda module, given: seen.append(given[1]))
    made.generate(torch.randn(20_000, NOISE, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(seen[0].mean(0), made.shares, atol=0.01, rtol=0)


@pytest.mark.parametrize("options", [{"tau": 0}, {"condition": -1}, {"frequency": "rare"}, {"noise": KINDS + 1}])
def test_refusals(options):
    with pytest.raises(ValueError, match=r"tau|noise"):
        game(**options)
    for wrong in ({"target": 0}, {"target": 2, "classifier": nn.Identity()}):
        with pytest.raises(ValueError, match="classifier and target go together"):
            game(**wrong)
    with pytest.raises(ValueError, match="noise"):
        Autoencoder(nn.Identity(), nn.Identity(), shape=(WIDTH,), columns=COLUMNS, noise=KINDS)


def player(name, images=96):
    fields, where = recipes.read_fields(name)
    pack = {"discriminator": {"pack": 4}, "penalties": {"gradient-penalty": {"pack": 4}}} if name == "ctgan" else {}
    fields = recipes.merge(fields, {
        "batch": 16, "images": images, "game": {"columns": COLUMNS}, "noise": OWN + KINDS + (name != "tvae"),
        "generator": {"noise": OWN, "hidden": [8, 8], "classes": 0 if name == "tvae" else TOLD},
        **({"networks": {"encoder": {"noise": OWN}}} if name == "tvae" else {"discriminator": {"classes": TOLD}}),
    })  # fmt: skip
    fields = recipes.merge(fields, pack)
    recipe = recipes.validate(fields, where)
    data = Dataset("t", "vectors", (WIDTH,), 60, rows(60))
    numerics = Numerics("cpu", "fp32", "highest", 1, False, torch.__version__, 1, "test")
    return Player(build(recipe, Facts((WIDTH,))), data, recipe, torch.device("cpu"), numerics)


@pytest.mark.parametrize("name", ["tablegan", "ctgan", "tvae"])
def test_a_resume_is_exact(name):
    whole, half = player(name), player(name)
    for _ in range(6):
        whole.round()
    for _ in range(3):
        half.round()
    kept, clock = {k: v.clone() for k, v in half.tensors().items()}, half.clock()
    again = player(name)
    again.load(kept, clock)
    for _ in range(3):
        again.round()
    for key, value in whole.tensors().items():
        assert torch.equal(value, again.tensors()[key]), key
