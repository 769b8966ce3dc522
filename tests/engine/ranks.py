"""Run by torchrun in test_distributed.py: plays recipes on two ranks, and writes what it came to."""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from gansmith import collectives
from gansmith import run as runs
from gansmith.engine import distributed, trainer, watch
from gansmith.engine import player as playing
from gansmith.engine.trainer import Trainer
from gansmith.run import Run

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from engine.playing import make_player, pictures, play, state, unlike
from engine.test_distributed import GRADIENTS, ROUNDS, STEPS, first_gradients, recipe_for
from engine.test_player import SGD, Stateful
from engine.test_trainer import DEAD, Scores, make_trainer


def spread(tensors):
    """How far the ranks' tensors are from the first one's, at most."""
    worst = torch.zeros((), dtype=torch.float64)
    for tensor in tensors.values():
        first = tensor.clone()
        torch.distributed.broadcast(first, 0)
        worst = torch.maximum(worst, (first.double() - tensor.double()).abs().max())
    torch.distributed.all_reduce(worst, torch.distributed.ReduceOp.MAX)
    return float(worst)


def gloo_threads():
    """Threads of gloo that still run; none where the system does not list threads."""
    names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    return [name for name in names if "gloo" in name]


def main(out):
    torch.set_num_threads(1)
    found, facts = {}, {}
    with distributed.joined(torch.device("cpu")):
        facts["world"] = collectives.world()
        for name in STEPS:
            player = play(make_player(recipe_for(name)), ROUNDS)
            found |= {f"{name}/{key}": value for key, value in state(player).items()}
            facts[f"{name}/terms"] = player.terms()
        for name in GRADIENTS:
            gradients, player = first_gradients(name)
            found |= {f"first {name}/{key}": value for key, value in gradients.items()}
            play(player, 12)
            facts[f"{name}/spread"] = spread(state(player))
            whole = state(player)
            # Resumed on as many ranks it is exact.
            recipe = recipe_for(name, precision="fp32")
            stopped = play(make_player(recipe), 5)
            resumed = make_player(recipe)
            resumed.load(state(stopped), stopped.clock())
            play(resumed, 13 - 5)
            facts[f"{name}/resume"] = len(unlike(whole, resumed))
        # A first rank whose weights differ: they are the first one's after the start.
        torch.manual_seed(collectives.rank())
        odd = make_player(recipe_for("gan"))
        for flat in odd.flats.values():
            flat.master.normal_()
        assert spread(state(odd)) > 0.1
        odd._synchronise()
        facts["broadcast"] = spread(state(odd))
        # States are brought together.
        recipe = recipe_for("toy", optimizer={**SGD, "lr": 1.0})
        toy = play(make_player(recipe, game=Stateful()), 3)
        found |= {f"stateful/{key}": value for key, value in state(toy).items() if key != "state.last"}
        # The trainer: snapshots and scores on the first rank, a stop that one rank is asked for stops all.
        folder = Path(out).parent
        if collectives.rank() == 0:
            made, ear = make_trainer(folder, scores=Scores(9, 5, 6, 7))
        else:
            base = recipe_for("gan", images=160, snapshots=4, precision="fp32")
            made, ear = Trainer(make_player(base), Run(folder / "run")), None
        facts["trained"] = made.train()
        if ear is not None:
            facts["snapshots"] = [call[0] for call in ear.all("snapshot")]
        asked = make_player(recipe_for("gan", images=8000, precision="fp32", snapshots=1))
        stopper = Trainer(asked)
        if collectives.rank() == 1:
            stopper.interrupt()
        facts["stopped"] = stopper.train()
        facts["stopped at"] = asked.images
        # One that adapts: the ranks go back together, to what the first has written, and on alike.
        watch.APART, playing.SAMPLED_ROUNDS, trainer.PROGRESS_SECONDS = 1, 1, 1e6
        base = recipe_for("gan", images=240, snapshots=10, precision="fp32", on_trouble="adapt", **DEAD)
        adapts = make_player(base)
        run = runs.create(folder / "adapts", base, {}) if collectives.rank() == 0 else Run(folder / "adapts")
        Trainer(adapts, run, held=pictures(seed=7)).train()
        facts["adapted"] = [adapts.eased, adapts.attempt, spread(state(adapts)), len(run.checkpoints())]
        first = collectives.rank() == 0
    facts["threads"] = gloo_threads()
    if first:
        save_file({k: v.contiguous() for k, v in found.items()}, out)
    Path(out).with_suffix(".json" if first else ".other").write_text(json.dumps(facts))


if __name__ == "__main__":
    main(sys.argv[1])
