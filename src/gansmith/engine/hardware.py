"""What this machine does fast: measured in well under a second, never assumed."""

from __future__ import annotations

import ctypes
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F

from gansmith.errors import Refused

ACCURATE = 1e-5
"""Relative error above which a float32 matrix product is not a float32 product any more."""

PAYS = 1.4
"""Times as fast from which another arithmetic is taken: under the 1.6 of an EPYC's bf16, over what noise makes of 1."""

TURNS = 3
"""How often what is compared is measured in turn: what else a machine does changes by the tenth of a second."""


@dataclass(frozen=True)
class Numerics:
    """How a run computes; stored with it and kept when it is resumed, since other choices round otherwise.

    Attributes:
        device: `cpu`, `cuda` or `mps`.
        precision: `fp32`, `bf16` or `fp64`.
        matmul: torch's float32 matmul precision.
        threads: of the CPU.
        compiled: whether moves are compiled.
        torch: torch's version.
        world: number of ranks.
        processor: the device's name.
        deterministic: whether only kernels are used that give the same bits at each repeat.
    """

    device: str
    precision: str
    matmul: str
    threads: int
    compiled: bool
    torch: str
    world: int
    processor: str
    deterministic: bool = False

    def record(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)

    def differs(self, other: dict[str, Any]) -> list[str]:
        """What another record says otherwise: one `field then → now` for each."""
        return [f"{k} {other[k]} → {v}" for k, v in self.record().items() if k in other and other[k] != v]


@dataclass(frozen=True)
class Probe:
    """What a probe of the CPU or device found.

    Attributes:
        matmul: the fastest float32 route that is as accurate as the exact one.
        matmul_gain: its speed over `highest`.
        medium_error: relative error of `medium`, which on some CPUs means bf16.
        bf16_gain: speed of a bf16 convolution, forward and backward, over float32.
        seconds: that the probe took.
    """

    matmul: str
    matmul_gain: float
    medium_error: float
    bf16_gain: float
    seconds: float

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"float32 matmul route: {self.matmul} "
            f"({self.matmul_gain:.2f}x; `medium` is off by {self.medium_error:.0e})",
            f"bf16 convolutions: {self.bf16_gain:.1f}x the speed of float32",
        ]


def pick_device(name: str = "auto") -> torch.device:
    """The device to train on: the one named, or the best there is.

    Raises:
        Refused: a device that this machine or torch does not have.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    kind = name.split(":")[0]
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(kind, False):
        have = ", ".join(k for k, ok in there.items() if ok)
        raise Refused(f"--device {name}: not available here", f"This machine has {have}; `gansmith doctor` says more.")
    if kind == "cuda" and ":" not in name and "LOCAL_RANK" in os.environ:
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    return torch.device(name)


def processor(device: torch.device) -> str:
    """A name for what computes."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def _seconds(work: Callable[[], object], device: torch.device, times: int) -> float:
    # On a CPU, this process's own time: what else the machine does must not decide how a run computes.
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    best = float("inf")
    for _ in range(3):
        start = clock()
        for _ in range(times):
            work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, (clock() - start) / times)
    return best


@contextmanager
def _one_thread(device: torch.device) -> Iterator[None]:
    # Threads that wait for one another take time of the processor too: on two, a probe this short tells nothing apart.
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@lru_cache(maxsize=4)
def probe(device: torch.device = torch.device("cpu")) -> Probe:  # noqa: B008
    """Measure the float32 matmul routes, their accuracy, and bf16 against float32; on a CPU by one thread."""
    with _one_thread(device):
        return _measured(device)


def _measured(device: torch.device) -> Probe:
    began = time.perf_counter()
    before = torch.get_float32_matmul_precision()
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(128, 512, generator=generator).to(device)
    b = torch.randn(512, 512, generator=generator).to(device)
    exact = a.cpu().double() @ b.cpu().double()
    errors: dict[str, float] = {}
    times: dict[str, float] = {}
    try:
        for route in ("highest", "high", "medium") * TURNS:
            torch.set_float32_matmul_precision(route)
            if route not in errors:
                errors[route] = float((F.linear(a, b.t()).cpu().double() - exact).norm() / exact.norm())
            seconds = _seconds(lambda: F.linear(a, b.t()), device, 4)
            times[route] = min(times.get(route, seconds), seconds)
    finally:
        torch.set_float32_matmul_precision(before)
    fair = {route: seconds for route, seconds in times.items() if errors[route] < ACCURATE}
    route = min(fair, key=lambda r: fair[r])
    # A route must be clearly faster to be taken: noise alone should not change how a run rounds.
    if fair[route] * PAYS > fair["highest"]:
        route = "highest"
    return Probe(
        route, fair["highest"] / fair[route], errors["medium"], _bf16_gain(device), time.perf_counter() - began
    )  # fmt: skip


def _bf16_gain(device: torch.device) -> float:
    def both_ways(dtype: torch.dtype) -> Callable[[], None]:
        # Ones, not noise: the time does not depend on values, and torch's generator is the whole process's.
        x = torch.ones(32, 64, 8, 8, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
        w = torch.ones(64, 64, 3, 3, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)

        def work() -> None:
            y = torch.ops.aten.convolution(x, w, None, (1, 1), (1, 1), (1, 1), False, (0, 0), 1)
            torch.ops.aten.convolution_backward(
                y, x, w, None, (1, 1), (1, 1), (1, 1), False, (0, 0), 1, [True, True, False]
            )  # fmt: skip

        return work

    try:
        with torch.no_grad():
            wide, narrow = both_ways(torch.float32), both_ways(torch.bfloat16)
            times = [(_seconds(wide, device, 2), _seconds(narrow, device, 2)) for _ in range(TURNS)]
            return min(wide for wide, _ in times) / min(narrow for _, narrow in times)
    except RuntimeError:  # a device without bf16
        return 0.0


def decide(precision: str, compile_: str, device: torch.device, world: int, deterministic: bool = False) -> Numerics:
    """The numerics of a new run, before any trial of threads and compilation."""
    found = probe(device)
    if precision == "auto":
        precision = "bf16" if found.bf16_gain > PAYS else "fp32"
    return Numerics(
        device.type, precision, found.matmul, torch.get_num_threads(), compile_ == "on",
        torch.__version__, world, processor(device), deterministic,
    )  # fmt: skip


class _Found:
    """The settings of the whole process as a borrower found them."""

    def __init__(self) -> None:
        self.threads, self.matmul = torch.get_num_threads(), torch.get_float32_matmul_precision()
        self.deterministic = torch.are_deterministic_algorithms_enabled()
        self.benchmark = torch.backends.cudnn.benchmark
        self.keeps_memory = _memory.kept

    def put_back(self) -> None:
        torch.set_float32_matmul_precision(self.matmul)
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        if torch.are_deterministic_algorithms_enabled() != self.deterministic:  # to set it loads half of torch
            torch.use_deterministic_algorithms(self.deterministic)
        torch.backends.cudnn.benchmark = self.benchmark
        if _memory.kept and not self.keeps_memory:
            _memory.give_back()


_BORROWING = threading.Lock()
_borrowers: list[list[_Found]] = []
"""Who borrows now, in the order in which they came; each holds the one thing that it is to put back."""


@contextmanager
def borrowed() -> Iterator[None]:
    """Put back, afterwards, the settings of torch that hold for the whole process: they are the caller's.

    Where a training that began later still goes on, nothing is changed under it: it puts them back instead.
    """
    with _BORROWING:
        mine = [_Found()]
        _borrowers.append(mine)
    try:
        yield
    finally:
        with _BORROWING:
            place = next(i for i, each in enumerate(_borrowers) if each is mine)
            if place == len(_borrowers) - 1:
                mine[0].put_back()
            else:
                _borrowers[place + 1][:] = mine
            del _borrowers[place]


def apply(numerics: Numerics) -> None:
    """Set this process to compute so."""
    torch.set_float32_matmul_precision(numerics.matmul)
    if torch.get_num_threads() != numerics.threads:
        torch.set_num_threads(numerics.threads)
    if numerics.device == "cpu":
        _memory.keep()
    if numerics.deterministic:
        # cuBLAS reads this when it first multiplies; torch refuses to be deterministic without it.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False


_TRIM, _MMAP = -1, -3
"""glibc's M_TRIM_THRESHOLD and M_MMAP_THRESHOLD (malloc.h)."""


class _Memory:
    """What glibc does with freed memory, which it can be told and not asked."""

    kept = False

    def keep(self) -> None:
        """Have glibc keep what is freed for the next step, where it would give it back to the system at each.

        Every step of a training allocates the same activations anew; each page that comes from the system is
        zeroed first, which is a seventh of a convolutional step's time.
        """
        library = _glibc()
        if library is not None:
            library.mallopt(_MMAP, 32 << 20)  # the most that glibc allows
            library.mallopt(_TRIM, (1 << 31) - 1)
            self.kept = True

    def give_back(self) -> None:
        """Undo `keep`: to the thresholds that glibc itself comes to in a process with large blocks."""
        library = _glibc()
        if library is not None:
            library.mallopt(_TRIM, 64 << 20)
            library.malloc_trim(0)
            self.kept = False


_memory = _Memory()


def trim() -> None:
    """Give freed memory back to the system once, where work of another kind is about to need its own."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


@lru_cache(maxsize=1)
def _glibc() -> ctypes.CDLL | None:
    if platform.libc_ver()[0] != "glibc":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
