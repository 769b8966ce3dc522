"""pix2pix's terms against its formulas, with any loss and penalties; what is shown and told of examples held out."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from gansmith.data.dataset import Batch
from gansmith.draws import Draws
from gansmith.errors import Refused
from gansmith.games.game import Turn
from gansmith.games.synthesis import Lazy
from gansmith.games.translation import Translation
from gansmith.losses import adversarial, regularizers
from gansmith.losses.likeness import absolute

from .translating import KNOBS, batch, discriminator, drawer, lazies, played, turn_of


def make(**fields) -> Translation:
    torch.manual_seed(0)
    conditional = fields.pop("conditional", True)
    fields = {"loss": adversarial.nonsaturating(), **fields}
    return Translation(drawer(), discriminator(conditional=conditional, affine=True), **fields).double()


def test_both_sides_are_the_papers():
    game = make(l1=100.0)
    a, b = batch().data, batch().more["b"]
    fake = game.generator(a)
    on_fake, on_real = game.discriminator(fake, a), game.discriminator(b, a)
    assert on_fake.shape[1] == 1  # 24 pixels have one patch of three layers
    made = played(game, "generator", traced=True)
    torch.testing.assert_close(made.terms["adversarial"], F.softplus(-on_fake).mean(1))
    torch.testing.assert_close(made.terms["l1"], 100 * (fake - b).abs().mean((1, 2, 3)))
    assert not made.shared["fake"].requires_grad
    torch.testing.assert_close(made.shared["fake"], fake)
    judged = played(game, "discriminator", made.shared)
    torch.testing.assert_close(judged.terms["adversarial"], (F.softplus(-on_real) + F.softplus(on_fake)).mean(1))


@pytest.mark.parametrize("conditional", [False, True])
def test_penalties_are_on_the_slope_of_the_patches_mean_at_the_output_alone(conditional):
    game = make(
        loss=adversarial.relativistic(), penalties=lazies("r1", "r2", "gradient_penalty"), conditional=conditional
    )
    a, b = batch().data, batch().more["b"].requires_grad_()
    fake = game.generator(a).detach().requires_grad_()
    given = a if conditional else None
    judged = played(game, "discriminator", {"fake": fake.detach()}, traced=conditional)
    on_real, on_fake = game.discriminator(b, given), game.discriminator(fake, given)
    torch.testing.assert_close(judged.terms["adversarial"], F.softplus(on_fake - on_real).mean(1))
    for name, at, logits in (("r1", b, on_real), ("r2", fake, on_fake)):
        (slope,) = torch.autograd.grad(logits.mean(1).sum(), at, retain_graph=True)
        torch.testing.assert_close(judged.terms[name], KNOBS[name] * 0.5 * slope.square().sum((1, 2, 3)))
    assert judged.terms["gradient_penalty"].shape == (3,)
    fooled = played(game, "generator").terms["adversarial"]
    torch.testing.assert_close(fooled, F.softplus(on_real - on_fake).mean(1))


def test_one_penalty_gives_the_same_as_both_in_one_pass():
    one, both = (make(penalties=lazies(*names)) for names in (("r1",), ("r1", "r2")))
    shared = {"fake": one.generator(batch().data).detach()}
    terms = [played(game, "discriminator", shared).terms["r1"] for game in (one, both)]
    torch.testing.assert_close(*terms)


def test_a_lazy_penalty_is_due_now_and_then_and_weighs_as_much():
    game = make(penalties={"r1": Lazy(lazies("r1")["r1"].penalty, 4)})
    assert [bool(game.variant("discriminator", step)) for step in range(5)] == [True, False, False, False, True]
    assert game.variant("generator", 0) == ()
    plain = make(penalties=lazies("r1"))
    shared = {"fake": game.generator(batch().data).detach()}
    lazy, often = (
        each.play("discriminator", turn_of(each, "discriminator", shared)).terms["r1"] for each in (game, plain)
    )
    torch.testing.assert_close(lazy, 4 * often)


def test_the_discriminators_move_alone_makes_its_fakes_afresh():
    game = make()
    alone = game.play("discriminator", turn_of(game, "discriminator"))
    told = game.play("discriminator", turn_of(game, "discriminator", {"fake": game.generator(batch().data).detach()}))
    torch.testing.assert_close(alone.terms["adversarial"], told.terms["adversarial"])


def test_without_an_adversarial_term_there_is_no_discriminator_to_train():
    game = make(adversarial=0.0)
    assert [move.name for move in game.moves()] == ["generator"]
    assert set(played(game, "generator").terms) == {"l1"}
    assert set(played(make(l1=0.0), "generator").terms) == {"adversarial"}


def test_examples_do_not_mix_and_its_loss_may():
    assert not make().coupled
    assert make(loss=adversarial.relativistic_average()).coupled


def test_what_is_shown_and_told():
    game = make().eval()
    shown = game.pictures(batch(), Draws(0, 0, 3))
    assert list(shown) == ["input", "output", "truth"]
    torch.testing.assert_close(shown["output"], game.generator(batch().data))
    told = game.numbers(batch(), Draws(0, 0, 3))
    assert list(told) == ["l1", "psnr", "ssim"]
    torch.testing.assert_close(told["l1"], absolute(shown["output"], shown["truth"]))
    assert set(told) <= set(game.better)
    with pytest.raises(ValueError, match="one way only"):
        game.translate(batch().data, back=True)
    with pytest.raises(Refused, match="gansmith translate"):
        game.generate(torch.zeros(1, 4))


def test_what_it_cannot_be_is_said():
    with pytest.raises(ValueError, match="takes energies"):
        make(loss=adversarial.energy())
    with pytest.raises(ValueError, match="such as r1 and r2, and not lecam"):
        make(penalties={"lecam": Lazy(regularizers.lecam())})
    with pytest.raises(ValueError, match="not both 0"):
        make(l1=0.0, adversarial=0.0)
    game = make()
    with pytest.raises(Refused, match="two sides, and the data have one"):
        game.play("generator", Turn(Batch(batch().data), Draws(0, 0, 3)))
