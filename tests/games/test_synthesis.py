"""Synthesis against loops written out by hand, in float64."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gansmith.augmentations.ada import Ada
from gansmith.data.dataset import Batch
from gansmith.draws import Draws
from gansmith.engine.step import Compiled, Eager
from gansmith.games.game import Turn
from gansmith.games.synthesis import Lazy, Synthesis
from gansmith.losses import adversarial, penalties
from gansmith.networks import mlp
from gansmith.networks.layers import BatchNorm
from gansmith.schedule import Adaptive

BATCH, NOISE, ROUNDS, LR = 6, 3, 4, 0.05
KNOBS = {"r1": 0.3, "r2": 0.2, "gradient_penalty": 0.5}


def nets(shape: tuple[int, ...] = (2,), dropout: float = 0.0) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    generator = mlp.Generator(shape, NOISE, hidden=(8,), dropout=dropout)
    return generator.double(), mlp.Discriminator(shape, hidden=(8,), dropout=dropout).double()


def batch_of(round_: int, shape: tuple[int, ...] = (2,)) -> torch.Tensor:
    seeded = torch.Generator().manual_seed(round_)
    return torch.rand(BATCH, *shape, generator=seeded, dtype=torch.float64) * 2 - 1


def draws_of(round_: int, move: str) -> Draws:
    return Draws(0, round_ * BATCH, BATCH, prefix=move)


def lazies(*names: str, every: int = 1) -> dict[str, Lazy]:
    return {name: Lazy(getattr(penalties, name)(), every) for name in names}


def step(network: nn.Module, grads: list[torch.Tensor | None]) -> None:
    with torch.no_grad():
        for parameter, grad in zip(network.parameters(), grads, strict=True):
            parameter -= LR * (0 if grad is None else grad)


def play(game: Synthesis, shape: tuple[int, ...] = (2,), knobs: dict[str, float] = KNOBS) -> list[dict[str, float]]:
    """A few rounds by the game's moves, with plain gradient descent."""
    eager, log = Eager(game), []
    for round_ in range(ROUNDS):
        shared: dict[str, torch.Tensor] = {}
        said: dict[str, float] = {}
        for move in game.moves():
            turn = Turn(Batch(batch_of(round_, shape)), draws_of(round_, move.name), knobs, {}, shared, round_)
            network = getattr(game, move.name)
            result = eager(move.name, turn, list(network.parameters()))
            shared |= result.shared
            step(network, list(result.grads))
            said |= {f"{move.name}/{name}": value.mean().item() for name, value in result.terms.items()}
        log.append(said)
    return log


View = Callable[[torch.Tensor, str, int], torch.Tensor]


def by_hand(shared: bool, view: View = lambda x, at, round_: x, shape: tuple[int, ...] = (2,)) -> list[torch.Tensor]:
    """The relativistic game with R1 and R2, written out; `view` is what the discriminator sees (data, where, round)."""
    generator, discriminator = nets(shape)
    for round_ in range(ROUNDS):
        real = batch_of(round_, shape)
        z = draws_of(round_, "fakes" if shared else "discriminator").normal("noise", NOISE).double()
        fake = generator(z).detach()
        x, y = real.clone().requires_grad_(), fake.clone().requires_grad_()
        on_real = discriminator(view(x, "discriminator/augment real", round_))
        on_fake = discriminator(view(y, "discriminator/augment fake", round_))
        (dx,) = torch.autograd.grad(on_real.sum(), x, create_graph=True)
        (dy,) = torch.autograd.grad(on_fake.sum(), y, create_graph=True)
        r1, r2 = (0.5 * (g**2).flatten(1).sum(1) for g in (dx, dy))
        loss = (F.softplus(on_fake - on_real) + KNOBS["r1"] * r1 + KNOBS["r2"] * r2).mean()
        step(discriminator, list(torch.autograd.grad(loss, list(discriminator.parameters()), allow_unused=True)))

        if not shared:
            z = draws_of(round_, "generator").normal("noise", NOISE).double()
            on_real = discriminator(view(real, "generator/augment real", round_))
        # With shared fakes, the real logits are those of the discriminator before its step.
        on_fake = discriminator(view(generator(z), "generator/augment fake", round_))
        loss = F.softplus(on_real.detach() - on_fake).mean()
        step(generator, list(torch.autograd.grad(loss, list(generator.parameters()))))
    return [p.detach() for network in (generator, discriminator) for p in network.parameters()]


def same(game: Synthesis, expected: list[torch.Tensor]) -> bool:
    return all(torch.allclose(p, q, rtol=1e-10, atol=1e-12) for p, q in zip(game.parameters(), expected, strict=True))


@pytest.mark.parametrize("joint", [True, False], ids=["joint", "apart"])
@pytest.mark.parametrize("shared", [True, False], ids=["shared", "own"])
def test_it_plays_what_is_written_out_by_hand(shared: bool, joint: bool):
    game = Synthesis(
        *nets(), loss=adversarial.relativistic(), penalties=lazies("r1", "r2"), noise=NOISE, shared_fakes=shared,
        joint_pass=joint,
    )  # fmt: skip
    play(game)
    assert same(game, by_hand(shared))
    assert not same(game, by_hand(not shared))


@pytest.mark.parametrize("joint", [True, False], ids=["joint", "apart"])
@pytest.mark.parametrize("shared", [True, False], ids=["shared", "own"])
def test_both_moves_augment_and_penalties_differentiate_through_it(shared: bool, joint: bool):
    shape = (3, 4, 4)
    ada = Ada(shape)

    def augment(x: torch.Tensor, draws: Draws, knobs: object) -> torch.Tensor:
        return ada(x, draws, knobs["augment"])  # type: ignore[index]

    game = Synthesis(
        *nets(shape), loss=adversarial.relativistic(), penalties=lazies("r1", "r2"), noise=NOISE, shared_fakes=shared,
        joint_pass=joint, augment=augment,
    )  # fmt: skip
    play(game, shape, {**KNOBS, "augment": 0.7})
    expected = by_hand(shared, lambda x, at, round_: ada(x, draws_of(round_, at), 0.7), shape)
    assert same(game, expected)
    assert not same(game, by_hand(shared, shape=shape))


def test_a_probability_of_zero_augments_nothing():
    shape = (3, 4, 4)
    ada = Ada(shape)
    games = [
        Synthesis(*nets(shape), loss=adversarial.relativistic(), penalties=lazies("r1"), noise=NOISE, augment=augment)
        for augment in (None, lambda x, draws, knobs: ada(x, draws, knobs["augment"]))
    ]
    for game in games:
        play(game, shape, {**KNOBS, "augment": 0.0})
    assert same(games[0], [p.detach() for p in games[1].parameters()])


def test_an_augmented_move_traces_for_any_probability():
    shape = (3, 4, 4)
    ada = Ada(shape)
    game = Synthesis(
        *nets(shape), loss=adversarial.relativistic(), penalties=lazies("r1", "r2"), noise=NOISE,
        augment=lambda x, draws, knobs: ada(x, draws, knobs["augment"]),
    )  # fmt: skip
    eager, traced = Eager(game), Compiled(game, lambda graph: graph)
    targets = list(game.discriminator.parameters())
    for round_, p in enumerate((0.0, 0.4, 1.0)):
        turn = Turn(Batch(batch_of(round_, shape)), draws_of(round_, "discriminator"), {**KNOBS, "augment": p})
        both = (stepper("discriminator", turn, targets).grads for stepper in (eager, traced))
        for mine, theirs in zip(*both, strict=True):
            assert (mine is None) == (theirs is None)
            assert mine is None or torch.allclose(mine, theirs, rtol=1e-9, atol=1e-12)  # type: ignore[arg-type]
    assert len(traced.traced) == 1


@pytest.mark.parametrize("loss", ["nonsaturating", "relativistic"])
def test_a_probability_that_adapts_follows_the_discriminators_verdict(loss: str):
    shape, rule = (3, 4, 4), Adaptive(target=0.2, start=0.5, over=60, every=1)
    ada = Ada(shape)
    game = Synthesis(
        *nets(shape), loss=getattr(adversarial, loss)(), noise=NOISE, joint_pass=False,
        augment=lambda x, draws, knobs: ada(x, draws, knobs["augment"]), adaptive={"augment": rule},
    )  # fmt: skip
    eager, traced = Eager(game), Compiled(game, lambda graph: graph)
    targets = list(game.discriminator.parameters())
    state: dict[str, torch.Tensor] = {key: first for key, (first, _) in game.states().items()}
    p, before = 0.5, None
    for round_ in range(6):
        # The engine gives a state that has a knob's name as that knob.
        draws = draws_of(round_, "discriminator")
        turn = Turn(Batch(batch_of(round_, shape)), draws, {**KNOBS, "augment": state["augment"]}, state)
        results = [stepper("discriminator", turn, targets) for stepper in (eager, traced)]
        with torch.no_grad():
            real = ada(batch_of(round_, shape), draws_of(round_, "discriminator/augment real"), p)
            z = draws_of(round_, "fakes").normal("noise", NOISE).double()
            fake = ada(game.generator(z), draws_of(round_, "discriminator/augment fake"), p)
            on_real, on_fake = game.discriminator(real), game.discriminator(fake)
        sign = (on_real if loss == "nonsaturating" else on_real - on_fake).sign()
        if before is not None:
            p += 0.1 if before > 0.2 else -0.1
        before = sign.mean().item()
        for result in results:
            assert torch.equal(result.terms["watched/sign"].double(), sign)
            assert result.state["augment"].item() == pytest.approx(p)
        state |= results[0].state
        p = state["augment"].item()
    assert len(traced.traced) == 1


@pytest.mark.parametrize("names", [(), ("r1",), ("r2",), ("r1", "r2"), ("gradient_penalty",), tuple(KNOBS)], ids=str)
@pytest.mark.parametrize("loss", ["nonsaturating", "relativistic"])
def test_a_joint_pass_equals_two(names: tuple[str, ...], loss: str):
    logs, games = [], []
    for joint in (True, False):
        game = Synthesis(
            *nets(), loss=getattr(adversarial, loss)(), penalties=lazies(*names), noise=NOISE, joint_pass=joint
        )
        logs.append(play(game))
        games.append(game)
    assert same(games[0], [p.detach() for p in games[1].parameters()])
    for one, other in zip(*logs, strict=True):
        assert one == pytest.approx(other)
        assert {name for name in one if name.startswith("discriminator/") and "on_" not in name} == {
            "discriminator/adversarial", *(f"discriminator/{name}" for name in names),
        }  # fmt: skip


def test_real_logits_are_looked_at_by_relativistic_generators_only():
    def terms(loss: str, shared: bool) -> torch.Tensor:
        game = Synthesis(*nets(), loss=getattr(adversarial, loss)(), noise=NOISE, shared_fakes=shared)
        seen = []
        game.discriminator.register_forward_hook(lambda _, given, __: seen.append(given[0].clone()))
        turn = Turn(Batch(batch_of(0)), draws_of(0, "generator"))
        term = game.play("generator", turn).terms["adversarial"]
        assert len(seen) == (2 if loss == "relativistic" else 1)
        return term

    assert terms("relativistic", False).shape == terms("nonsaturating", True).shape == (BATCH,)


@pytest.mark.parametrize("move", ["discriminator", "generator"])
@pytest.mark.parametrize("loss", ["nonsaturating", "relativistic", "wasserstein", "hinge"])
def test_terms_are_per_example(loss: str, move: str):
    game = Synthesis(*nets(), loss=getattr(adversarial, loss)(), penalties=lazies(*KNOBS), noise=NOISE)
    assert not game.coupled
    data, whole = batch_of(0), {}
    parts: list[dict[str, torch.Tensor]] = []
    for start, stop in ((0, BATCH), (0, 2), (2, BATCH)):
        draws = Draws(0, 0, BATCH, start=start, stop=stop, prefix=move)
        terms = dict(game.play(move, Turn(Batch(data[start:stop]), draws, KNOBS)).terms)
        if stop - start == BATCH:
            whole = terms
        else:
            parts.append(terms)
    for name, value in whole.items():
        assert value.shape == (BATCH,)
        assert torch.allclose(value, torch.cat([part[name] for part in parts]))


def test_dropout_follows_the_step():
    game = Synthesis(*nets(dropout=0.4), loss=adversarial.nonsaturating(), noise=NOISE)
    eager = Eager(game)

    def values(round_: int) -> torch.Tensor:
        turn = Turn(Batch(batch_of(0)), draws_of(round_, "discriminator"))
        return eager("discriminator", turn, list(game.discriminator.parameters())).terms["adversarial"]

    assert torch.equal(values(0), values(0))
    assert not torch.equal(values(0), values(1))


def test_lazy_penalties_are_due_now_and_then_at_a_multiple_of_their_weight():
    game = Synthesis(*nets(), loss=adversarial.relativistic(), penalties=lazies("r1", "r2", every=2), noise=NOISE)
    assert [game.variant("discriminator", s) for s in range(3)] == [("r1", "r2"), (), ("r1", "r2")]
    assert game.variant("generator", 0) == ()
    log = play(game)
    assert ["discriminator/r1" in said for said in log] == [True, False, True, False]

    always = Synthesis(*nets(), loss=adversarial.relativistic(), penalties=lazies("r1", "r2"), noise=NOISE)
    first = play(always)[0]
    assert log[0]["discriminator/r1"] == pytest.approx(2 * first["discriminator/r1"])


def test_several_discriminator_steps_do_not_share_fakes():
    game = Synthesis(*nets(), loss=adversarial.wasserstein(), noise=NOISE, discriminator_steps=5)
    assert [(m.name, m.steps, m.fresh) for m in game.moves()] == [("discriminator", 5, True), ("generator", 1, False)]
    assert not game.shared_fakes


def test_batch_norm_couples_and_keeps_the_passes_apart():
    generator, _ = nets()
    discriminator = nn.Sequential(nn.Linear(2, 4), BatchNorm(4), nn.Linear(4, 1)).double()
    game = Synthesis(generator, discriminator, loss=adversarial.nonsaturating(), noise=NOISE)
    assert game.coupled
    assert not game.joint_pass


def test_labels_reach_both_networks():
    torch.manual_seed(0)
    generator = mlp.Generator((2,), NOISE, 3, hidden=(8,)).double()
    discriminator = mlp.Discriminator((2,), 3, hidden=(8,)).double()
    game = Synthesis(generator, discriminator, loss=adversarial.relativistic(), penalties=lazies(*KNOBS), noise=NOISE)

    def values(labels: list[int]) -> torch.Tensor:
        turn = Turn(Batch(batch_of(0), torch.tensor(labels)), draws_of(0, "discriminator"), KNOBS)
        return game.play("discriminator", turn).terms["adversarial"]

    a, b = values([0, 1, 2, 0, 1, 2]), values([1, 1, 2, 0, 1, 2])
    assert a[0] != b[0]
    assert torch.allclose(a[1:], b[1:])
    assert game.generate(torch.randn(2, NOISE), torch.tensor([0, 1])).shape == (2, 2)


def test_truncation_scales_the_noise_unless_the_generator_knows_better():
    class Own(nn.Linear):
        def truncated(self, noise: torch.Tensor, labels: torch.Tensor | None, psi: float) -> torch.Tensor:
            return self(noise) * 0 + psi

    noise = torch.randn(3, 4, dtype=torch.float64)
    critic = nn.Linear(2, 1)
    plain = Synthesis(nn.Linear(4, 2), critic, loss=adversarial.nonsaturating())
    assert torch.equal(plain.truncated(noise, None, 0.5), plain.generate(0.5 * noise))
    made = Synthesis(Own(4, 2), critic, loss=adversarial.nonsaturating()).truncated(noise, None, 0.5)
    assert made.dtype == torch.float32
    assert torch.equal(made, torch.full((3, 2), 0.5))


def test_several_generator_steps_are_moves_of_a_round_each_of_its_own_noise():
    game = Synthesis(*nets(), loss=adversarial.nonsaturating(), noise=NOISE, generator_steps=3)
    assert [(move.name, move.steps) for move in game.moves()] == [("discriminator", 1), ("generator", 3)]
    assert not game.shared_fakes
    noises = [game.latents(Turn(Batch(batch_of(0)), draws_of(0, prefix))) for prefix in ("generator", "generator.1")]
    assert not torch.equal(*noises)
    with pytest.raises(ValueError, match="generator_steps must be 1 or more"):
        Synthesis(*nets(), loss=adversarial.nonsaturating(), noise=NOISE, generator_steps=0)
