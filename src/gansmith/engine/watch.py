"""The watch over a training's stability: what is going wrong, in one plain line, and what helps.

The rules are pure functions of a list of signals, so that they can be tried on any series. None looks at a loss,
whose sign and scale mean something else in each recipe. Their thresholds were set on beds of runs, A to C, and then
tried on runs that they had not seen, D; `bench/watch.py` makes all, and docs/stability.md explains each line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, median_low
from typing import Any

from gansmith.data.dataset import Dataset
from gansmith.engine.player import Player
from gansmith.engine.signals import Signal, Signals

PROBES, APART = 128, 64
"""Probes of a training at most, and batches between two of them at least, so that they cost under a hundredth."""

LONG, WINDOW, STEADY, SOON = 12, 8, 6, 5
"""Probes that a rule looks back over: for what may pass by itself as a training begins (samples that are alike or
restless, a discriminator that wins), for what grows, for what a discriminator knows, and for what is plain at once."""

# What follows was set on bed A (bench/watch_beds.py): 30 healthy runs, and 30 that were made to fail; KNOWN, CREEP,
# EVEN and POINT also on B and C, 60 of each.

FAR, BETTER = 0.1, 0.8
"""The distance to the data from which samples are bad: all healthy runs ended below 0.07, and all that failed by their
samples above 0.1. And the share of it to which it must have fallen within a window for samples to be getting better:
as a training begins, everything else looks like a failure."""

SPREAD, GROWN = 5.0, 3.0
"""Times the data's spread (healthy at most 2.4, diverging 10 and more), and times the first weights (diverging 13 to
42; a healthy DCGAN, from tiny ones, 6.4: so samples must be restless and bad as well)."""

SAME, STILL, FADED = 1e-3, 1e-4, 0.01
"""Spread of samples that are one (dead below 1e-5; the least of a collapse 0.018); the way between two probes of
samples that stand still (healthy at least 0.006); and the share of its first gradient from which a generator's has
faded."""

WON, GAP, CREEP = 0.99, 5.0, 0.005
"""Share of real examples ranked above fakes, and how far apart they are: too strong 1.0 and 7 to 55. Healthy runs had
0.999 and 5.8 at most, while they got better. Or the way between two probes of samples that creep (healthy at least
0.006)."""

KNOWN, FORGOTTEN = 0.7, 0.1
"""Share of training examples ranked above held-out ones (overfitting 0.73 to 0.99, healthy at most 0.61), and how much
less often held-out ones are ranked above fakes than training examples are (0.20 to 0.50; at most 0.11)."""

ALIKE, NARROW, POINT = 0.3, 0.4, 0.18
"""Diversity and spread, relative to the data's: collapsed 0.15 to 0.24, or 0.02 to 0.38; healthy at least 0.45 and
0.41, the least as a training begins. A point that goes round has 0.04 to 0.17, what cycles 0.2 and more."""

EVEN = 0.35, 0.65
"""Share of real examples ranked above fakes where neither side is ahead: cycling 0.46 to 0.6; most collapses that go
round fool the discriminator (0.09 to 0.29)."""

MOVED, SWING = 0.4, 0.4
"""The samples' way between two probes, and how far their middle goes to and fro: cycling 0.76 to 1.2 and 0.77 to 0.89.
Healthy runs had as much (1.3 and 0.43) only while they got better."""


@dataclass(frozen=True)
class Trouble:
    """What is going wrong.

    Attributes:
        name: in two words.
        line: how it shows, in one plain sentence.
        remedy: what helps.
    """

    name: str
    line: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.name}: {self.line}. {self.remedy}"


# --- the rules -------------------------------------------------------------------------------------

History = Sequence[Signal]
Rule = Callable[[History], Trouble | None]


def diagnose(history: History) -> list[Trouble]:
    """What is going wrong, by what the probes so far have found; the first is the one to act on.

    Args:
        history: signals of each probe, oldest first.
    """
    found = [rule(history) for rule in RULES]
    return [trouble for trouble in found if trouble is not None]


def divergence(history: History) -> Trouble | None:
    """Samples or weights that grow without end; what is not finite at all is found by the trainer."""
    remedy = "Lower the learning rate (--optimizer.lr), or raise the penalty (--penalties.r1.weight)"
    if len(history) < WINDOW:
        return None
    recent = history[-WINDOW:]
    spread = _values(recent, "spread")
    if len(spread) == WINDOW and min(spread[-3:]) > SPREAD and spread[-1] > 1.5 * spread[0]:
        line = f"samples are spread {spread[-1]:,.0f} times as far as the data, and ever farther"
        return Trouble("divergence", line, remedy)
    if _restless(recent) and _grown(recent) > GROWN:
        line = (
            f"samples jump about from probe to probe, and weights are {_grown(recent):.0f} times as large as at first"
        )
        return Trouble("divergence", line, remedy)
    return None


def dead_generator(history: History) -> Trouble | None:
    """A generator that gives one answer to all noise, or that no longer moves while it is told apart at once."""
    remedy = "Begin anew with other first weights or a lower learning rate; look at the generator's last activation"
    if len(history) < SOON:
        return None
    recent = history[-SOON:]
    spread, moved = (_values(recent, name) for name in ("spread", "moved"))
    if len(spread) == SOON and max(spread) < SAME:
        return Trouble("dead generator", "it makes one and the same sample of all noise", remedy)
    # One that stands still because its gradient has faded away has a discriminator that is too strong.
    pulls = _values(history, "pull")
    faded = bool(pulls) and pulls[-1] < FADED * pulls[0]
    still = len(moved) == SOON and max(_values(history, "moved")) < STILL and not faded
    if still and min(_values(recent, "far"), default=0.0) > FAR:
        return Trouble("dead generator", "its samples do not change at all, and are far from the data", remedy)
    return None


def overfitting(history: History) -> Trouble | None:
    """A discriminator that knows its training examples by heart: it takes held-out real ones for fakes."""
    if len(history) < WINDOW:
        return None
    recent = history[-STEADY:]
    # The lower median: more than half of the probes have to show it.
    known, seen, held = (median_low(_values(recent, name) or [0.0]) for name in ("known", "won_seen", "won_held"))
    if known < KNOWN or seen - held < FORGOTTEN:
        return None
    line = (
        f"the discriminator ranks {known:.0%} of its training examples above held-out real ones, and only {held:.0%} "
        "of those above fakes"
    )
    remedy = "Augment more (--augment.ada.probability 0.5), raise the penalty (--penalties.r1.weight), or get more data"
    return Trouble("discriminator overfitting", line, remedy)


def mode_collapse(history: History) -> Trouble | None:
    """Samples that are all alike, though the data are not."""
    recent = history[-LONG:]
    diversity, spread, far = (_values(recent, name) for name in ("diversity", "spread", "far"))
    if min(len(diversity), len(far)) < LONG or median(far) < FAR or _better(recent) or _hopeless(recent[-STEADY:]):
        return None
    # What goes round is cycling, unless it is a point, or nearly so, that goes round, or runs ahead of the other side.
    if median(spread) >= NARROW and max(diversity) >= ALIKE:
        return None
    if _restless(recent) and (median(spread) >= NARROW or (_even(recent) and median(spread) >= POINT)):
        return None
    line = f"samples have {spread[-1]:.0%} of the data's spread, and {min(diversity[-1], 1):.0%} of their diversity"
    remedy = (
        "Add R1 or raise it (--penalties.r1.weight 1), lower the learning rate (--optimizer.lr), or give the "
        "discriminator more steps (--discriminator-steps 2)"
    )
    return Trouble("mode collapse", line, remedy)


def too_strong(history: History) -> Trouble | None:
    """A discriminator that tells all fakes from real ones, from which a generator does not learn."""
    if len(history) < LONG or not _hopeless(history[-LONG:]):
        return None
    won = _values(history[-LONG:], "won")
    line = f"it ranks {_share(min(won))} of real examples above fakes, and samples do not get better"
    remedy = (
        "Add R1 or raise it (--penalties.r1.weight 1), lower the learning rate (--optimizer.lr), or take fewer "
        "discriminator steps; a loss that saturates (minimax) makes it worse"
    )
    return Trouble("discriminator too strong", line, remedy)


def cycling(history: History) -> Trouble | None:
    """Samples that go round and round the data."""
    recent = history[-LONG:]
    if len(recent) < LONG or not _restless(recent) or _grown(recent) > GROWN:  # which is divergence
        return None
    line = f"samples go to and fro by {_swing(recent):.1f} times the data's spread, and do not settle"
    remedy = "Add R1 or raise it (--penalties.r1.weight), lower Adam's first beta to 0, or lower the learning rate"
    return Trouble("cycling", line, remedy)


RULES: tuple[Rule, ...] = (dead_generator, divergence, overfitting, too_strong, mode_collapse, cycling)
"""In the order of what is acted on first."""


def _values(history: History, name: str) -> list[float]:
    return [float(each[name]) for each in history if name in each and math.isfinite(each[name])]


def _grown(recent: History) -> float:
    """How many times its first size the network's weights have that have grown most."""
    return max((float(value) for name, value in recent[-1].items() if name.startswith("grown/")), default=1.0)


def _gap(each: Signal) -> float:
    """How far apart real and fake logits are, in their own spread: free of the loss's sign and scale but for order."""
    if any(name not in each for name in ("real", "fake", "real_std", "fake_std")):
        return 0.0
    spread = math.sqrt((each["real_std"] ** 2 + each["fake_std"] ** 2) / 2)
    return (each["real"] - each["fake"]) / spread if spread > 0 else math.inf


def _hopeless(recent: History) -> bool:
    """Whether fakes are told from real examples throughout, and by far, and come no nearer to them."""
    won, far = _values(recent, "won"), _values(recent, "far")
    if len(won) < len(recent) or len(far) < len(recent) or min(far) < FAR or _better(recent):
        return False
    apart = sum(_gap(each) for each in recent) / len(recent) > GAP or max(_values(recent, "moved"), default=1.0) < CREEP
    return len(recent) >= STEADY and min(won) > WON and apart


def _share(value: float) -> str:
    """A share in per cent, which is only 100% where it is all."""
    return "100%" if value == 1 else f"{min(value, 0.999):.1%}"


def _better(recent: History) -> bool:
    """Whether samples have come nearer to the data within the window, or those of the averaged weights have.

    Where weights spiral in or a collapse comes undone, the average is the first to tell.
    """
    for name in ("far", "far_average"):
        far = _values(recent, name)
        half = len(far) // 2
        if half and sum(far[half:]) / (len(far) - half) < BETTER * sum(far[:half]) / half:
            return True
    return False


def _swing(recent: History) -> float:
    """How far the middle of the samples goes to and fro, in the data's spread: the root mean square."""
    places = [each["centre"] for each in recent if "centre" in each]
    axes = list(zip(*places, strict=True))
    total = 0.0
    for axis in axes:
        middle = sum(axis) / len(axis)
        total += sum((x - middle) ** 2 for x in axis) / len(axis)
    return math.sqrt(total / max(len(axes), 1))


def _even(recent: History) -> bool:
    """Whether neither side is ahead: real examples are about as often above fakes as below."""
    won = _values(recent, "won")
    return bool(won) and EVEN[0] < median(won) < EVEN[1]


def _restless(recent: History) -> bool:
    """Whether samples go far from probe to probe, and are no better for it."""
    moved, far = _values(recent, "moved"), _values(recent, "far")
    if len(moved) < len(recent) - 1 or len(far) < len(recent):
        return False
    lasting = median(moved) > MOVED and median(far) > FAR and sum(far[-4:]) / 4 > FAR
    return lasting and _swing(recent) > SWING and not _better(recent)


# --- on a training ---------------------------------------------------------------------------------


class Watch:
    """Probes one training at fixed marks on its clock, and says each trouble once.

    Args:
        player: whose training.
        held: examples that it does not train on, or None: then overfitting is not seen.

    Attributes:
        marks: clocks of the probes; none where the training is too short to be judged.
        history: what they found.
        said: names of the troubles that were said.
        failed: why there are no more probes, or None.
    """

    def __init__(self, player: Player, held: Dataset | None = None) -> None:
        total = player.total
        count = min(PROBES, total // (APART * player.recipe.batch))
        self.marks = [math.ceil(total * i / count) for i in range(1, count + 1)] if count >= WINDOW else []
        self.history: list[Signal] = []
        self.said: list[str] = []
        self.failed: str | None = None
        self.signals = Signals(player, held) if self.marks else None
        player.noted = None if self.signals is None else self.signals.note

    def look(self) -> Trouble | None:
        """Probe, and tell of the trouble to act on, where it is a new one."""
        if self.signals is None:
            return None
        try:
            self.history.append(self.signals.probe())
        except (NotImplementedError, RuntimeError, TypeError, ValueError, MemoryError) as error:
            # A game of a user's own may not answer; that must not end a training.
            reason = str(error).strip().splitlines()
            self.failed = f"stability is not watched from here on: {reason[0] if reason else type(error).__name__}"
            self.signals.player.noted, self.signals = None, None
            return None
        for trouble in diagnose(self.history)[:1]:
            if trouble.name not in self.said:
                self.said.append(trouble.name)
                return trouble
        return None

    def since(self) -> int:
        """The clock before which nothing of the newest trouble was to be seen."""
        before = self.history[:-LONG]
        return int(before[-1]["images"]) if before else 0

    def state(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        signals = None if self.signals is None else self.signals.state()
        return {"history": self.history, "said": self.said, "signals": signals}

    def load(self, state: Mapping[str, Any] | None, said: Sequence[str] | None = None) -> None:
        """Put back what `state` gave; None, of an older checkpoint, begins anew.

        Args:
            state: of a checkpoint.
            said: what was said since, where the same process goes back.
        """
        self.history = list(state["history"]) if state else []
        self.said = list(said) if said is not None else list(state["said"]) if state else []
        if self.signals is not None and state and state["signals"]:
            self.signals.load(state["signals"])
