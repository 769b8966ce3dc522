"""Images a second of `gan`, `dcgan` and `r3gan-small` on one CUDA device, in under eight minutes.

    python bench/gpu.py [--minutes 7.5] [--json FILE]

Runs the package from its source folder: of other packages it needs torch (2.11 or later), numpy, pillow,
scikit-learn, safetensors, pyyaml and pydantic. For each recipe and batch: the same networks in torch's stock
layers in a naive eager loop (float32; and under bf16 autocast, which is what most people would do), and
gansmith's trainer eagerly and compiled. `of peak` is the operations of gansmith's own eager round, as torch's
counter sees them, by the images/s, as a share of what a large bf16 matrix product reaches here. The data are
random pictures that lie on the device. Exits with 2 where there is no CUDA device; `--device cpu --quick` is a
smoke test of the script alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "src"), str(Path(__file__).resolve().parent)]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from common import processor, table  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils.flop_counter import flop_registry  # noqa: E402

SHAPE = (1, 28, 28)


def wait(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak(device: torch.device, dtype: torch.dtype, size: int) -> float:
    """Measure the operations a second of a large matrix product."""
    a = torch.randn(size, size, device=device, dtype=dtype)
    for _ in range(3):
        a @ a
    wait(device)
    best, times = float("inf"), 10 if device.type == "cuda" else 1
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(times):
            a @ a
        wait(device)
        best = min(best, (time.perf_counter() - start) / times)
    return 2 * size**3 / best


def rate(round_: Callable[[], object], batch: int, device: torch.device, seconds: float, warm_up: int) -> float:
    """Measure images/s of rounds, the warm-up (and with it any compiling) excluded."""
    for _ in range(warm_up):
        round_()
    wait(device)
    start, done = time.perf_counter(), 0
    while True:
        for _ in range(5):
            round_()
        wait(device)
        done += 5
        passed = time.perf_counter() - start
        if passed >= seconds:
            return done * batch / passed


def naive_round(kind: str, recipe: Any, data: np.ndarray, device: torch.device, autocast: bool) -> Callable[[], object]:
    """Make a round of the naive loop."""
    import naive

    torch.set_float32_matmul_precision("highest")  # a player may have left another route
    loop = naive.NAIVE[kind](recipe, SHAPE, device)
    images = torch.from_numpy(data).to(device)
    count, at = len(images) // recipe.batch, [0]

    def round_() -> None:
        first = (at[0] % count) * recipe.batch
        at[0] += 1
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            loop.step(images[first : first + recipe.batch])

    return round_


def make_player(recipe: Any, data: np.ndarray, device: torch.device, precision: str, compiled: bool) -> Any:
    """Make gansmith's player of a recipe on random pictures."""
    from gansmith.build import Facts, build
    from gansmith.data.dataset import Dataset
    from gansmith.engine import hardware
    from gansmith.engine.player import Player

    numerics = hardware.decide(precision, "on" if compiled else "off", device, 1)
    hardware.apply(numerics)
    dataset = Dataset("random", "image", SHAPE, len(data), array=data)
    return Player(build(recipe, Facts(SHAPE, 0)), dataset, recipe, device, numerics)


class Counter(TorchDispatchMode):
    """Counts floating-point operations by torch's own formulas, but for convolutions' gradients.

    There torch's formula leaves groups out, and counts too many; each gradient costs what the way forward does.
    (`FlopCounterMode` itself follows modules through backward hooks, and those do not bear `autograd.grad`.)
    """

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if func._overloadpacket is torch.ops.aten.convolution_backward:
            grad, x, weight, transposed, wanted = args[0], args[1], args[2], args[7], args[10]
            places = x.shape if transposed else grad.shape
            self.total += 2 * places.numel() * weight.shape[1:].numel() * sum(wanted[:2])
        elif formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=out)
        return out


def operations(recipe: Any, data: np.ndarray, device: torch.device) -> float:
    """Count the floating-point operations of one eager round, for each image."""
    player = make_player(recipe, data, device, "fp32", compiled=False)
    player.round()
    with Counter() as counter:
        player.round()
    player.close()
    return counter.total / recipe.batch


def main() -> None:
    """Print the table."""
    flags = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    flags.add_argument("--device", default="cuda")
    flags.add_argument("--minutes", type=float, default=7.5, help="begin nothing new after so many")
    flags.add_argument("--batches", type=int, nargs="+", default=[64, 1024])
    flags.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    flags.add_argument("--json", type=Path, help="write the rows there too")
    flags.add_argument("--quick", action="store_true", help="a smoke test: the numbers mean nothing")
    args = flags.parse_args()
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        print("gpu.py: torch finds no CUDA device here, so there is nothing to measure.", file=sys.stderr)
        raise SystemExit(2)
    from speed import OVERRIDES

    from gansmith.recipe import load

    began, device = time.perf_counter(), torch.device(args.device)
    seconds, batches = (0.3, [16]) if args.quick else (args.seconds, args.batches)
    size = 512 if args.quick else 8192
    top = peak(device, torch.bfloat16, size)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    print(f"{name}; torch {torch.__version__}; a bf16 matrix product of {size} reaches {top / 1e12:.1f} TFLOP/s\n")
    data = np.random.default_rng(0).integers(256, size=(2048 if args.quick else 60_000, *SHAPE), dtype=np.uint8)
    rows: list[dict[str, Any]] = []
    for kind, overrides in OVERRIDES.items():
        for batch in batches:
            recipe = load(kind, {**overrides, "batch": batch, "images": 10**9})
            each = operations(recipe, data, device)
            measured: dict[str, float] = {}
            ways: list[tuple[str, Callable[[], Callable[[], object]]]] = [
                ("naive fp32", lambda k=kind, r=recipe: naive_round(k, r, data, device, False)),
                ("naive bf16 autocast", lambda k=kind, r=recipe: naive_round(k, r, data, device, True)),
                ("gansmith fp32 eager", lambda r=recipe: make_player(r, data, device, "fp32", False).round),
                ("gansmith fp32 compiled", lambda r=recipe: make_player(r, data, device, "fp32", True).round),
                ("gansmith bf16 compiled", lambda r=recipe: make_player(r, data, device, "bf16", True).round),
            ]
            for way, make in ways:
                if time.perf_counter() - began > args.minutes * 60:
                    print(f"(time is up: {kind}, batch {batch}, {way} and what follows are left out)")
                    break
                note = ""
                start = time.perf_counter()
                try:
                    measured[way] = rate(make(), batch, device, seconds, warm_up=2 if args.quick else 12)
                except Exception as error:  # one way that fails must not lose the table
                    note = f"{type(error).__name__}: {str(error).splitlines()[0][:80]}"
                speed = measured.get(way)
                rows.append(
                    {
                        "recipe": kind,
                        "batch": batch,
                        "way": way,
                        "images/s": speed,
                        "x naive fp32": speed / measured["naive fp32"] if speed and "naive fp32" in measured else None,
                        "TFLOP/s": speed * each / 1e12 if speed else None,
                        "of peak": f"{speed * each / top:.2%}" if speed else None,
                        "seconds": round(time.perf_counter() - start, 1),
                        "note": note,
                    }
                )
                print(table(rows[-1:]).splitlines()[-1], flush=True)
    print("\n" + table(rows) + f"\n\n{time.perf_counter() - began:.0f} seconds in all")
    if args.json:
        args.json.write_text(json.dumps({"device": name, "torch": torch.__version__, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
