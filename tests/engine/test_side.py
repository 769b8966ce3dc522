import pytest
import torch
from torch import nn

from gansmith.engine.side import Flat, Side
from gansmith.fields import Optimizer

CPU = torch.device("cpu")


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 3))


OPTIMIZERS = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.5, 0.9), eps=1e-6, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.5, 0.9), eps=1e-6, weight_decay=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9, eps=1e-6, weight_decay=0.1),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.5, weight_decay=0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_flat_step_is_torchs_own_parameter_by_parameter(name):
    mine, theirs = network().double(), network().double()
    flat = Flat(dict(mine.named_parameters()), CPU, torch.float64, torch.float64)
    recipe = Optimizer(name=name, lr=0.01, betas=(0.5, 0.9), eps=1e-6, weight_decay=0.1)
    side, reference = Side([flat], recipe, None), OPTIMIZERS[name](theirs.parameters())
    draw = torch.Generator().manual_seed(1)
    for step in range(5):
        x = torch.randn(7, 2, 8, 8, generator=draw, dtype=torch.float64)
        side.collect(torch.autograd.grad(mine(x).square().sum(), side.targets), first=True)
        side.step(step, 5)
        reference.zero_grad()
        theirs(x).square().sum().backward()
        reference.step()
    for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-12)


def test_weights_are_views_of_one_flat_tensor_and_convolutions_lie_channels_last():
    net = network()
    before = [p.detach().clone() for p in net.parameters()]
    flat = Flat(dict(net.named_parameters()), CPU, torch.float32, torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    assert net[0].weight.is_contiguous(memory_format=torch.channels_last)
    flat.master.zero_()
    assert all(not p.any() for p in net.parameters())
    assert flat.size == sum(p.numel() for p in before)


def test_in_bf16_the_master_weights_stay_float32():
    net = network().to(torch.bfloat16)
    flat = Flat(dict(net.named_parameters()), CPU, torch.float32, torch.bfloat16)
    side = Side([flat], Optimizer(name="sgd", lr=1e-3, betas=(0.0, 0.0)), None)
    flat.master.fill_(1.0)
    for _ in range(8):  # each step is far below bf16's resolution of 1/128 at 1
        side.collect([torch.ones_like(t) for t in side.targets], first=True)
        side.step(0, 1)
    assert flat.master[0].item() == pytest.approx(1 - 8e-3, abs=1e-6)
    assert net[2].bias[0].item() == pytest.approx(1 - 8e-3, abs=1 / 256)
    assert net[2].bias.dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_gradients_taken_as_they_come_give_the_step_that_flat_ones_give(name):
    after = []
    for flat_first in (False, True):
        net = network()
        side = Side([Flat(dict(net.named_parameters()), CPU, torch.float32, torch.float32)], Optimizer(name=name), None)
        draw = torch.Generator().manual_seed(2)
        for step in range(3):
            grads = [torch.randn(t.shape, generator=draw) for t in side.targets]
            grads = [g.contiguous(memory_format=torch.channels_last) if g.dim() == 4 else g for g in grads]
            side.collect(grads, first=True)
            if flat_first:
                assert side.grads[0].numel() == side.flats[0].size
            side.step(step, 3)
        after.append((side.flats[0].master, side.state()))
    # Not to the bit: the kernel rounds what is left over of its vectors otherwise, and that is at other places.
    (weights, state), (others, other_state) = after
    assert torch.allclose(weights, others, rtol=0, atol=1e-7)
    for key, value in state.items():
        assert torch.allclose(value, other_state[key], rtol=1e-6, atol=1e-9), key


def test_gradients_can_be_looked_at_after_the_step():
    net = nn.Linear(2, 1)
    side = Side([Flat(dict(net.named_parameters()), CPU, torch.float32, torch.float32)], Optimizer(), None)
    side.collect([torch.full((1, 2), 2.0), torch.ones(1)], first=True)
    side.step(0, 1)
    assert side.grads[0].tolist() == [2.0, 2.0, 1.0]


def test_microbatches_add_up():
    net = nn.Linear(2, 1)
    side = Side([Flat(dict(net.named_parameters()), CPU, torch.float32, torch.float32)], Optimizer(), None)
    side.collect([torch.ones(1, 2), None], first=True)
    side.collect([torch.ones(1, 2), torch.ones(1)], first=False)
    assert side.grads[0].tolist() == [2.0, 2.0, 1.0]
    side.collect([torch.ones(1, 2), None], first=True)
    assert side.grads[0].tolist() == [1.0, 1.0, 0.0]


def test_a_loss_that_reaches_no_weight_is_a_defect_that_is_heard_of():
    net = nn.Linear(2, 1)
    side = Side([Flat(dict(net.named_parameters()), CPU, torch.float32, torch.float32)], Optimizer(), None)
    with pytest.raises(ValueError, match="does not depend on any of the weights"):
        side.collect([None, None], first=True)


def test_health_is_finite_where_all_gradients_are():
    net = nn.Linear(2, 1)
    side = Side([Flat(dict(net.named_parameters()), CPU, torch.float32, torch.float32)], Optimizer(), None)
    side.collect([torch.full((1, 2), 3e38), torch.ones(1)], first=True)
    assert torch.isfinite(side.health())
    side.collect([torch.tensor([[float("inf"), -float("inf")]]), torch.ones(1)], first=True)
    assert not torch.isfinite(side.health())


@pytest.mark.parametrize("working", [torch.float32, torch.bfloat16])
def test_weights_are_clipped_after_a_step(working: torch.dtype):
    net = network().to(working)
    flat = Flat(dict(net.named_parameters()), CPU, torch.float32, working)
    plain = flat.master.clone()
    side = Side([flat], Optimizer(name="sgd", lr=0.1, betas=(0.0, 0.0), weight_clip=0.125), None)
    side.collect([torch.ones_like(t) for t in side.targets], first=True)
    side.step(0, 1)
    torch.testing.assert_close(flat.master, (plain - 0.1).clamp(-0.125, 0.125))
    assert all(p.abs().max() <= 0.125 for p in net.parameters())


def test_the_norm_is_that_of_all_gradients_as_they_were_given_or_summed():
    net = nn.Linear(2, 1)
    side = Side([Flat(dict(net.named_parameters()), CPU, torch.float32, torch.float32)], Optimizer(), None)
    side.collect([torch.tensor([[2.0, 3.0]]), torch.tensor([6.0])], first=True)
    assert side.norm().item() == 7.0
    side.collect([torch.zeros(1, 2), torch.tensor([-6.0])], first=False)
    assert side.norm().item() == pytest.approx(13**0.5)


def test_an_eased_step_is_one_of_a_smaller_rate():
    def stepped(lr, ease):
        net = nn.Linear(2, 1, bias=False)
        nn.init.ones_(net.weight)
        side = Side(
            [Flat(dict(net.named_parameters()), CPU, torch.float64, torch.float64)], Optimizer(name="sgd", lr=lr), None
        )
        side.collect([torch.full((1, 2), 3.0, dtype=torch.float64)], first=True)
        side.step(0, 1, ease)
        return net.weight.detach()

    assert torch.equal(stepped(0.5, 0.25), stepped(0.125, 1.0))
