"""Both stages against their formulas in float64, traced and eager; what is shown and counted; what is refused."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from gansmith.augmentations.resizing import resize
from gansmith.build import Facts, build
from gansmith.data.dataset import Batch
from gansmith.draws import Draws
from gansmith.engine.step import Compiled, Eager
from gansmith.errors import Refused
from gansmith.games import superresolution
from gansmith.games.game import Turn
from gansmith.games.superresolution import Superresolution, turned
from gansmith.losses import adversarial, perceptual
from gansmith.networks import srresnet, vgg
from gansmith.networks.layers import read, still
from gansmith.recipe import validate

SHAPE = (3, 32, 32)


@pytest.fixture(autouse=True)
def no_weights(monkeypatch, tmp_path):
    monkeypatch.setenv("GANSMITH_CACHE", str(tmp_path))
    monkeypatch.delenv(perceptual.VARIABLE, raising=False)


def game(second: bool = False, **fields: object) -> Superresolution:
    torch.manual_seed(0)
    generator = srresnet.Generator(SHAPE, 4, width=4, blocks=1, direct=True)
    critic = vgg.Discriminator(SHAPE, width=4, hidden=6, norm=False) if second else None
    made = Superresolution(generator, critic, loss=adversarial.relativistic_average(), shape=SHAPE, **fields)  # type: ignore[arg-type]
    return made.double()


def turn(count: int = 4) -> Turn:
    torch.manual_seed(1)
    data = (torch.rand(count, *SHAPE) * 255).round() / 127.5 - 1
    return Turn(Batch(data.double()), Draws(0, 0, count, prefix="generator"))


def test_the_first_stage_is_likeness_alone():
    now = turn()
    for content, apart in (("l1", torch.abs), ("l2", torch.square)):
        made = game(content=content, weight=3.0)
        assert [move.name for move in made.moves()] == ["generator"]
        assert made.moves()[0].fresh
        low, high = made.pair(now)
        assert torch.equal(low, resize(high, 8, 8, rounded=True))
        terms = made.play("generator", now).terms
        # Pixels count from 0 to 1.
        wanted = apart((made.generator(low) + 1) / 2 - (high + 1) / 2).flatten(1).mean(1)
        assert list(terms) == ["content"]
        torch.testing.assert_close(terms["content"], 3 * wanted)


def test_the_second_stage_by_hand():
    made, now = game(True, weight=0.1, adversarial=0.005, perceptual=0.2), turn()
    assert [move.name for move in made.moves()] == ["discriminator", "generator"]
    assert made.notes == ("perceptual: the discriminator's own features, as no weights of VGG-19 are at hand",)
    low, high = made.pair(now)
    fake, critic = made.generator(low), made.discriminator
    r, f = critic(high), critic(fake)
    over, under = r - f.mean(), f - r.mean()
    terms = made.play("discriminator", now).terms
    torch.testing.assert_close(terms["adversarial"], F.softplus(-over) + F.softplus(under))
    terms = made.play("generator", now).terms
    torch.testing.assert_close(terms["adversarial"], 0.005 * (F.softplus(-under) + F.softplus(over)))
    torch.testing.assert_close(terms["content"], 0.05 * (fake - high).abs().flatten(1).mean(1))
    apart = (read(critic, fake) - read(critic, high)).abs().mean(1)
    torch.testing.assert_close(terms["perceptual"], 0.2 * apart)
    assert made.coupled


def test_both_moves_of_a_round_see_the_same_pair_and_the_next_round_another():
    made, now = game(True), turn()
    other = Turn(now.batch, Draws(0, 0, 4, prefix="discriminator"))
    assert torch.equal(made.pair(now)[0], made.pair(other)[0])
    later = Turn(now.batch, Draws(0, 4, 4, prefix="generator"))
    assert not torch.equal(made.pair(now)[1], made.pair(later)[1])
    assert torch.equal(game(turns=False).pair(now)[1], now.batch.data)


@pytest.mark.parametrize("move", ["discriminator", "generator"])
def test_traced_it_is_the_same(move: str):
    made, now = game(True).train(), turn()
    targets = tuple(getattr(made, move).parameters())

    def plain(game: Superresolution) -> Compiled:
        return Compiled(game, lambda graph: graph)  # traced, and not compiled: that takes long

    with still():
        eager, traced = (stepper(made)(move, now, targets) for stepper in (Eager, plain))
    for one, other in zip(eager.grads, traced.grads, strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-8)


def test_turns_are_the_eight_symmetries():
    x = torch.arange(16.0).view(1, 1, 4, 4).expand(200, -1, -1, -1)
    found = {tuple(one.flatten().tolist()) for one in turned(x, Draws(0, 0, 200))}
    eight = [x[0, 0].rot90(k) for k in range(4)] + [x[0, 0].flip(1).rot90(k) for k in range(4)]
    assert found == {tuple(one.flatten().tolist()) for one in eight}


def test_what_is_shown_and_counted():
    made, now = game(crop=2), turn(2)
    seen = made.pictures(now.batch, now.draws)
    assert [tuple(v.shape[1:]) for v in seen.values()] == [(3, 8, 8), SHAPE, SHAPE]
    assert list(seen) == ["low", "output", "truth"]
    numbers = made.numbers(now.batch, now.draws)
    assert list(numbers) == list(made.better) == ["psnr", "ssim"]
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=torch.float64).view(3, 1, 1)
    a, b = ((weights * (seen[k] + 1) / 2).sum(1)[:, 2:-2, 2:-2] for k in ("output", "truth"))
    torch.testing.assert_close(numbers["psnr"], 10 * (255**2 / (a - b).square().flatten(1).mean(1)).log10())
    with pytest.raises(Refused, match="makes nothing of noise alone"):
        made.generate(torch.zeros(1, 4))


def test_features_of_vgg_where_they_are_at_hand(monkeypatch):
    seen = perceptual.Perceptual([(torch.zeros(1), torch.zeros(1))], "VGG-19's features, as published")
    monkeypatch.setattr(superresolution, "at_hand", lambda: seen)
    monkeypatch.setattr(perceptual.Perceptual, "features", lambda self, x: 2 * x.mean((2, 3)))
    made, now = game(True, perceptual=0.5), turn()
    assert made.notes == ("perceptual: VGG-19's features, as published",)
    low, high = made.pair(now)
    wanted = (made.generator(low) - high).mean((2, 3)).abs().mean(1)
    torch.testing.assert_close(made.play("generator", now).terms["perceptual"], wanted)
    assert game(True, features="discriminator").sees is None
    assert "sees" not in dict(made.named_children())  # neither trained nor saved


def test_what_is_wrong_is_said():
    cases = (
        ({"generator": {"network": "mlp", "hidden": [4]}}, "does not say its scale"),
        ({"game": {"name": "superresolution", "content": "l3"}}, "content must be l1 or l2"),
        ({"game": {"name": "superresolution", "degradation": "snow"}}, "must be bicubic or real"),
        ({"penalties": {"r1": {"weight": 1}}}, "takes none"),
        ({"discriminator": "vgg", "game": {"name": "superresolution", "features": "vgg19"}}, "no weights of VGG-19"),
    )
    for fields, what in cases:
        whole = {"game": "superresolution", "generator": {"network": "srresnet", "width": 4, "blocks": 1}, **fields}
        with pytest.raises(Refused, match=what):
            build(validate(whole, "test"), Facts(SHAPE))
    with pytest.raises(ValueError, match="offers no features"):
        Superresolution(game().generator, torch.nn.Flatten(), loss=adversarial.hinge(), shape=SHAPE)
