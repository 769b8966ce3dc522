"""Time and memory of the metrics, as multiples of one symmetric eigen-solve, and against scipy and the package prdc.

    python bench/metrics.py [--only frechet] [--pairs 5] [--threads 1 --threads 2]
    python bench/metrics.py --only large        (50,000 against 50,000: minutes)

Each row is a fresh process pinned to so many cores, in which the metric and two eigen-solves alternate: torch's
`eigvalsh`, which is the cheaper, and `eigh`, which gives vectors too. A ratio is of neighbours. On one thread the
clock is the process's CPU time, so that a busy machine does not show; on more it is the wall's. scipy's `sqrtm`
of the product is timed once. PRDC is timed in a process for each side, whose peak memory is its own.

What is measured on is drawn: `white` features; `natural` ones, whose variances fall as a power to 1e-8 of the
largest, as those of Inception do, turned at random; `nearly singular` ones, the same from hardly more rows than
dimensions. The error is relative to the distance itself, against scipy's singular values of the Cholesky factors,
or the closed form of covariances that commute.
"""

from __future__ import annotations

import math
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from common import child, flags, record, run_child, table

SIZES = {"d": 2048, "n": 10_000, "few": 1000, "subsets": 100, "neighbours": 20_000, "large": 50_000}
QUICK = {"d": 64, "n": 400, "few": 40, "subsets": 3, "neighbours": 300, "large": 400}
LAWS = ("white", "natural", "nearly singular")
OTHERS = ("moments", "kd", "vendi", "sw2", "mind")
ASKED = {"frechet": 1.5, "features": 1 / 3}
CONDITION = 1e8


def covariance(law: str, d: int, seed: int, n: int | None = None) -> Any:
    """Draw the covariance of features of a law: two seeds have nearly the same one, as real and fake have."""
    rows = features(law, n or (d + max(2, d // 40) if law == "nearly singular" else 5 * d), d, seed)
    rows -= rows.mean(0)
    return rows.T @ rows / (len(rows) - 1)


def features(law: str, n: int, d: int, seed: int) -> Any:
    """Draw features, [n, d], float64."""
    import torch

    draw = torch.Generator().manual_seed(seed)
    rows = torch.randn(n, d, generator=draw, dtype=torch.float64)
    rows *= 1 + 0.3 * torch.rand(d, generator=draw, dtype=torch.float64)
    if law == "white":
        return rows
    power = math.log(CONDITION) / (2 * math.log(d))
    rows *= torch.arange(1, d + 1, dtype=torch.float64) ** -power
    turn = torch.linalg.qr(torch.randn(d, d, generator=torch.Generator().manual_seed(99), dtype=torch.float64)).Q
    return rows @ turn


def commuting(d: int) -> tuple[Any, Any, float]:
    """Make two Gaussians whose covariances commute, and their distance: Σ (√aᵢ − √bᵢ)², and the means' share."""
    import torch

    from gansmith.metrics import Gaussian

    draw = torch.Generator().manual_seed(0)
    turn = torch.linalg.qr(torch.randn(d, d, generator=draw, dtype=torch.float64)).Q
    roots = [torch.rand(d, generator=draw, dtype=torch.float64) + 0.01 for _ in range(2)]
    zero = torch.zeros(d, dtype=torch.float64)
    x, y = (Gaussian(zero, (turn * root.square()) @ turn.T, 10 * d) for root in roots)
    return x, y, float((roots[0] - roots[1]).square().sum())


def alternate(pairs: int, sides: Mapping[str, Callable[[], Any]], threads: int) -> dict[str, list[float]]:
    """Run the sides in turn, and give each one's seconds."""
    clock = time.process_time if threads == 1 else time.perf_counter
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(pairs):
        for name, run in sides.items():
            begun = clock()
            run()
            seconds[name].append(clock() - begun)
    return seconds


def beside_solves(order: Mapping[str, Any], run: Callable[[], Any]) -> dict[str, Any]:
    """Time a metric beside the eigen-solves, and give a row."""
    import torch

    matrix = covariance("white", order["d"], seed=3)
    solves = {"eigvalsh": lambda: torch.linalg.eigvalsh(matrix), "eigh": lambda: torch.linalg.eigh(matrix)}
    for each in (*solves.values(), run):
        each()  # the first call of each loads and allocates
    took = alternate(order["pairs"], {**solves, "run": run}, order["threads"])
    row: dict[str, Any] = {"seconds": statistics.median(took["run"])}
    for name in solves:
        ratios = [a / b for a, b in zip(took["run"], took[name], strict=True)]
        row |= {f"of {name}": statistics.median(ratios), f"{name}, s": statistics.median(took[name])}
        row |= {f"least of {name}": min(ratios), f"most of {name}": max(ratios)}
    return row


def frechet(order: Mapping[str, Any]) -> dict[str, Any]:
    """Time `frechet_of` on two covariances, and `sqrtm` on those that it can take."""
    import torch

    from gansmith.metrics import Gaussian, frechet_of

    law, d = order["what"], order["d"]
    if law == "commuting":
        x, y, truth = commuting(d)
    else:
        zero = torch.zeros(d, dtype=torch.float64)
        x, y = (Gaussian(zero, covariance(law, d, seed), 5 * d) for seed in (0, 1))
        truth = float(x.cov.trace() + y.cov.trace()) - 2 * _nuclear(_cholesky(y.cov).T @ _cholesky(x.cov))
    row = beside_solves(order, lambda: frechet_of(x, y))
    row["error"] = abs(frechet_of(x, y) - truth) / truth
    if law == "white":
        took = alternate(1, {"sqrtm": lambda: _sqrtm((x.cov @ y.cov).numpy())}, order["threads"])
        row["sqrtm, times"] = took["sqrtm"][0] / row["seconds"]
    return row


def from_features(order: Mapping[str, Any]) -> dict[str, Any]:
    """Time `frechet_against` on fewer feature vectors than dimensions."""
    import torch

    from gansmith.metrics import Gaussian
    from gansmith.metrics.frechet import frechet_against

    law, d, n = order["what"], order["d"], order["few"]
    reference = Gaussian(torch.zeros(d, dtype=torch.float64), covariance(law, d, seed=0), 5 * d)
    x = features(law, n, d, seed=1).float()
    rows = x.double()
    centred = (rows - rows.mean(0)) / (n - 1) ** 0.5
    traces = rows.mean(0).square().sum() + centred.square().sum() + reference.cov.trace()
    truth = float(traces) - 2 * _nuclear(centred.numpy() @ _cholesky(reference.cov))
    row = beside_solves(order, lambda: frechet_against(x, reference))
    return {**row, "error": abs(frechet_against(x, reference) - truth) / truth}


def other(order: Mapping[str, Any]) -> dict[str, Any]:
    """Time another metric on n natural features a side, in float32."""
    from gansmith.metrics import kernel_distance, mind, sliced_wasserstein, vendi_score
    from gansmith.metrics.frechet import moments_of

    x, y = (features("natural", order["n"], order["d"], seed).float() for seed in (0, 1))
    runs: dict[str, Callable[[], Any]] = {
        "moments": lambda: moments_of(x),
        "kd": lambda: kernel_distance(x, y, subsets=order["subsets"]),
        "vendi": lambda: vendi_score(x),
        "sw2": lambda: sliced_wasserstein(x, y),
        "mind": lambda: mind(x, y),
    }
    return beside_solves(order, runs[order["what"]])


def neighbours(order: Mapping[str, Any]) -> dict[str, Any] | None:
    """Time PRDC of one side on white float32 features, with peak memory; nothing where the package is missing."""
    import numpy as np

    compute: Callable[[], Mapping[str, float]]
    if order["what"] == "prdc":
        try:
            from prdc import compute_prdc  # pyright: ignore[reportMissingImports]
        except ImportError:
            return None
        compute = lambda: compute_prdc(real, fake, 5)  # noqa: E731
    else:
        from gansmith.metrics import precision_recall_density_coverage

        compute = lambda: precision_recall_density_coverage(real, fake, k=5)._asdict()  # noqa: E731
    imports = _peak()
    draw = np.random.default_rng(0)
    real, fake = (np.empty((order["n"], order["d"]), np.float32) for _ in range(2))
    for rows, scale in ((real, 1.0), (fake, 0.95)):
        for at in range(0, len(rows), 1000):
            rows[at : at + 1000] = draw.standard_normal(rows[at : at + 1000].shape, np.float32) * np.float32(scale)
    given = _peak()
    clock = time.process_time if order["threads"] == 1 else time.perf_counter
    begun = clock()
    found = compute()
    seconds = clock() - begun
    values = {name: float(found[name]) for name in ("precision", "recall", "density", "coverage")}
    return {"seconds": seconds, "imports": imports, "with inputs": given, "peak": _peak(), "values": values}


def _peak() -> float:
    """This process's peak resident memory so far, GB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def _cholesky(cov: Any) -> Any:
    import scipy.linalg

    return scipy.linalg.cholesky(cov.numpy(), lower=True)


def _nuclear(product: Any) -> float:
    import numpy as np
    import scipy.linalg

    return float(np.sum(scipy.linalg.svdvals(product)))


def _sqrtm(product: Any) -> Any:
    import scipy.linalg

    return scipy.linalg.sqrtm(product)


WORK = {"frechet": frechet, "features": from_features, "others": other, "prdc": neighbours, "large": neighbours}


def work(order: dict[str, Any]) -> Any:
    """Measure one row, or one side of PRDC once."""
    import torch

    torch.set_num_threads(order["threads"])
    return WORK[order["part"]](order)


def orders(part: str, sizes: Mapping[str, int], pairs: int, threads: int) -> list[dict[str, Any]]:
    """List the measurements of a part."""
    rows = {
        "frechet": (*LAWS, "commuting"),
        "features": ("white", "natural"),
        "others": OTHERS,
        "prdc": ("gansmith", "prdc"),
        "large": ("gansmith",),
    }[part]
    n = {"prdc": sizes["neighbours"], "large": sizes["large"]}.get(part, sizes["n"])
    return [{**sizes, "part": part, "what": what, "n": n, "pairs": pairs, "threads": threads} for what in rows]


def compare_neighbours(part: str, sizes: Mapping[str, int], pairs: int, threads: int) -> dict[str, Any]:
    """Measure PRDC, both sides in turn where there are two, and give the row."""
    sides = orders(part, sizes, pairs, threads)
    found: dict[str, list[Any]] = {order["what"]: [] for order in sides}
    for _ in range(pairs if part == "prdc" else 1):
        for order in sides:
            found[order["what"]].append(child("metrics.py", order, threads=threads))
    ours, theirs = found["gansmith"], [each for each in found.get("prdc", ()) if each]
    row: dict[str, Any] = {"part": part, "what": "gansmith", "n": sides[0]["n"], "threads": threads}
    row |= {"seconds": statistics.median(each["seconds"] for each in ours), **_memory(ours)}
    if part == "prdc" and not theirs:
        return {**row, "note": "prdc is not installed"}
    if theirs:
        ratios = [b["seconds"] / a["seconds"] for a, b in zip(ours, theirs, strict=True)]
        row |= {f"{name} of prdc": value for name, value in _memory(theirs).items()}
        row |= {"times faster": statistics.median(ratios), "least": min(ratios), "most": max(ratios), "asked": 3}
        a, b = ours[0]["values"], theirs[0]["values"]
        row["largest difference"] = max(abs(a[name] - b[name]) / max(b[name], 1e-9) for name in a)
    return row


def _memory(found: list[Any]) -> dict[str, float]:
    peak = max(each["peak"] for each in found)
    return {
        "peak, GB": peak,
        "beyond imports and inputs, GB": max(each["peak"] - each["with inputs"] for each in found),
    }


def main() -> None:
    """Print the tables."""
    parser = flags(__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--only", choices=sorted(WORK), action="append", help="all but large by default")
    parser.add_argument("--threads", type=int, action="append", help="1 and 2 by default")
    args = parser.parse_args()
    if run_child(args.child, work):
        return
    sizes, pairs, rows = (QUICK, 1, []) if args.quick else (SIZES, args.pairs, [])
    for part in args.only or [name for name in WORK if name != "large"]:
        of_part: list[dict[str, Any]] = []
        for threads in args.threads or (1, 2):
            if part in ("prdc", "large"):
                of_part.append(compare_neighbours(part, sizes, pairs, threads))
            else:
                for order in orders(part, sizes, pairs, threads):
                    found = child("metrics.py", order, threads=threads)
                    asked = {"asked": ASKED[part]} if part in ASKED else {}
                    of_part.append({"part": part, "what": order["what"], "threads": threads, **found, **asked})
            print(table(of_part).splitlines()[-1], flush=True)
        print("\n" + table(of_part) + "\n", flush=True)
        rows += of_part
    record("metrics", rows, quick=args.quick)


if __name__ == "__main__":
    main()
