"""Short trials of the real step: how fast it is, with how many threads, and in how much memory."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from gansmith.engine import distributed, hardware
from gansmith.engine.phases import Span
from gansmith.engine.player import Player
from gansmith.engine.step import Compiled, Eager
from gansmith.errors import Refused

TRIAL_SECONDS = 0.4
TRIAL_SHARE, LONGEST_TRIAL = 0.02, 3.0
"""Of a training whose length is a time: the share of it that a trial takes, if that is longer; and seconds at most."""

LONG = 1800.0
"""Seconds of training from which a trial of compilation, which costs up to a minute on a CPU, can pay."""


OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")
"""What torch's allocators say on Linux's CPUs, on Windows', and on devices."""


@dataclass(frozen=True)
class Rate:
    """What a trial came to.

    Attributes:
        images_per_second: of the wall clock.
        images_per_cpu_second: of all processors' time.
    """

    images_per_second: float
    images_per_cpu_second: float


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or a CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in OUT_OF_MEMORY)


def trial(player: Player, seconds: float = TRIAL_SECONDS, *, warmup: int = 0) -> Rate:
    """Play some rounds, and go back to where the player was.

    Args:
        player: what plays.
        seconds: to play for.
        warmup: rounds that are not looked at, in which a compiler works.

    Raises:
        Refused: out of memory, with the batch that failed and one that fits.
    """
    tensors = {key: value.detach().clone() for key, value in player.tensors().items()}
    clock = player.clock()
    try:
        _rounds(player, warmup)
        wall, cpu, images, done = time.perf_counter(), time.process_time(), player.images, 0
        _rounds(player, 1)
        # A round so long that its warm-up does not matter is the trial; nobody waits for five of them.
        slow = distributed.agree(time.perf_counter() - wall > 5 * seconds, player.device)
        if not slow:
            _rounds(player, 1)
            wall, cpu, images = time.perf_counter(), time.process_time(), player.images
        while not slow:
            _rounds(player, 1)
            done += 1
            enough = time.perf_counter() - wall > seconds and done >= 2
            if distributed.agree(enough, player.device):
                break
        spent, spent_cpu = time.perf_counter() - wall, time.process_time() - cpu
        shown = player.images - images
    except Exception as error:
        if out_of_memory(error):
            raise explain_memory(player, lambda: player.load(tensors, clock)) from None
        player.load(tensors, clock)  # a compiler may fail half-way through a round
        raise
    player.load(tensors, clock)
    rate = distributed.share(shown / spent, player.device)
    return Rate(rate, shown / max(spent_cpu, 1e-9))


def throughout(player: Player, seconds: float = TRIAL_SECONDS) -> Rate:
    """The rate over a whole training: a trial in each of its phases, which may cost very differently.

    Args:
        player: what plays.
        seconds: of a trial, where there is one alone.

    Raises:
        Refused: out of memory in one of them.
    """
    spans = [span for span in player.spans() if span.end > span.begin and span.begin < player.total]
    if len(spans) < 2:
        return trial(player, seconds)
    wall = cpu = 0.0
    for span, end in zip(spans, [*[span.begin for span in spans[1:]], player.total], strict=True):
        rate = _during(player, span, lambda: trial(player))
        wall += (end - span.begin) / rate.images_per_second
        cpu += (end - span.begin) / rate.images_per_cpu_second
    return Rate(player.total / wall, player.total / cpu)


def _during(player: Player, span: Span, measured: Callable[[], Rate]) -> Rate:
    """Measure where a phase begins, and go back to where the player was."""
    tensors = {key: value.detach().clone() for key, value in player.tensors().items()}
    clock = player.clock()
    begin = math.ceil(span.begin / player.recipe.batch) * player.recipe.batch
    try:
        player.load(tensors, {**clock, "images": begin, "first": begin})
        return measured()
    finally:
        player.load(tensors, clock)


def _longest(player: Player, measured: Callable[[], Rate]) -> Rate:
    """Measure in the longest phase, or where the player is if there is one alone."""
    spans = player.spans()
    if len(spans) == 1:
        return measured()
    return _during(player, max(spans, key=lambda span: span.end - span.begin), measured)


def _rounds(player: Player, n: int) -> None:
    for _ in range(n):
        player.round()
    if player.device.type == "cuda":
        torch.cuda.synchronize(player.device)


def explain_memory(player: Player, restore: Callable[[], None]) -> Refused:
    """Find out which share of the batch fits at a time, and say so."""
    failed, player_micro = player.micro, player.micro
    what = f"out of memory on {player.device}: a batch of {failed} does not fit"
    if player.world > 1:  # the other ranks would not join in a trial
        return Refused(what, "Give a smaller --batch" + ("." if player.game.coupled else ", or a --microbatch."))
    fits = None
    while player_micro > 1 and not player.game.coupled:
        player_micro //= 2
        while player.share % player_micro:
            player_micro -= 1
        player.micro = player_micro
        try:
            restore()
            if player.device.type == "cuda":
                torch.cuda.empty_cache()
            _rounds(player, 1)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
        else:
            fits = player_micro
            break
    if fits is not None:
        return Refused(what, f"{fits} at a time fit, with the same result: --microbatch {fits} (or --batch {fits}).")
    remedy = "Give a smaller --batch" + ("." if player.game.coupled else ", or narrower networks: not even 1 fits.")
    return Refused(what, remedy)


def choose_threads(player: Player, by_cpu: bool = False, asked: float = 0.0) -> Rate:
    """Try one thread against all, set the faster, and tell the rate.

    With a busy machine two threads can be far slower than one, which no rule would foresee.

    Args:
        player: on a CPU; elsewhere, or among several ranks, only the rate is measured.
        by_cpu: count processor seconds instead of the wall's.
        asked: seconds that the training shall take, where those are what is given; the rate decides its length.
    """
    seconds = max(TRIAL_SECONDS, min(TRIAL_SHARE * asked, LONGEST_TRIAL))
    most = torch.get_num_threads()
    if player.device.type != "cpu" or player.world > 1 or most == 1:
        return throughout(player, seconds)
    rates: dict[int, Rate] = {}
    for threads in (1, most):
        torch.set_num_threads(threads)
        rates[threads] = throughout(player, seconds)

    def key(threads: int) -> float:
        rate = rates[threads]
        return rate.images_per_cpu_second if by_cpu else rate.images_per_second

    best = max(rates, key=key)
    # More threads must pay clearly; a tie goes to one thread, which noise from other work cannot stall.
    if best != 1 and key(best) < 1.1 * key(1):
        best = 1
    torch.set_num_threads(best)
    player.numerics = replace(player.numerics, threads=best)
    return rates[best]


def choose_compilation(player: Player, rate: Rate, wanted: str) -> tuple[Rate, str]:
    """Try compiled moves where they are wanted or can pay, keep the faster, and say which in one line."""
    if wanted == "off":
        return rate, "compile: off, as asked"
    if player.world > 1 and player.game.coupled:
        return rate, "compile: off (the ranks exchange statistics within a move)"
    seconds = player.total / rate.images_per_second
    if wanted == "auto" and seconds < LONG * len(player.spans()):  # each phase is compiled by itself
        return rate, f"compile: off (about {seconds:.0f} s of training would not repay the trial)"
    eager = rate if len(player.spans()) == 1 else _longest(player, lambda: trial(player))
    before = player.stepper
    hardware.trim()  # a compiler takes as much as a step does: the two need not lie side by side
    player.stepper = Compiled(player.game)
    try:
        # Rounds with and without lazy penalties are compiled apart.
        lazy = max((penalty.every for penalty in player.recipe.penalties.values()), default=1)
        compiled = _longest(player, lambda: trial(player, warmup=lazy + 1))
    except Refused:
        raise
    except Exception as error:  # whatever a compiler says, there is an eager step with the same numbers
        player.stepper = before if isinstance(before, Eager) else Eager(player.game)
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
        return rate, f"compile: off ({reason})"
    by_cpu = compiled.images_per_cpu_second / eager.images_per_cpu_second
    gain = compiled.images_per_second / eager.images_per_second
    if player.device.type == "cpu" and player.numerics.threads == 1:
        gain = by_cpu  # what one thread takes of the processor does not depend on what else it is busy with
    if wanted == "auto" and gain < 1.05:
        player.stepper = Eager(player.game)
        return rate, f"compile: off (a trial gave {gain:.2f}x)"
    player.numerics = replace(player.numerics, compiled=True)
    rate = Rate(rate.images_per_second * gain, rate.images_per_cpu_second * by_cpu)
    return rate, f"compile: on (a trial gave {gain:.2f}x)"


def peak_memory(device: torch.device) -> int:
    """Bytes at most in use so far: the device's, or the process's resident set."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def hardware_note(player: Player) -> str:
    """One line: how this run computes, and why."""
    n = player.numerics
    found = hardware.probe(player.device)
    gain = f"bf16 is {found.bf16_gain:.1f}x as fast here" if not math.isclose(found.bf16_gain, 0) else "no bf16 here"
    route = f", float32 products by `{n.matmul}`" if n.precision == "fp32" else ""
    return f"{n.device}, {n.threads} thread{'s' if n.threads > 1 else ''}, {n.precision} ({gain}{route})"
