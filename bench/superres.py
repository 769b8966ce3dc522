"""Super-resolution, x4: bicubic as the gate, then runs of T91 on Set5; how sharp they are; how fast.

    python bench/superres.py --data-root DIR                              the gate: bicubic, up and down
    python bench/superres.py --data-root DIR --part train --out runs      both stages, trained one after the other
    python bench/superres.py --data-root DIR --part score --runs RUN ...  what runs reach
    python bench/superres.py --data-root DIR --part speed --runs RUN      seconds a megapixel, against a naive loop
    python bench/superres.py --part picture --runs RUN RUN --out FILE     the picture of docs/upscaling.md

Sharpness is told by two numbers of the brightness, each the distance to the truth's: of the spectrum, mean
|log10 P(f) - log10 P*(f)| over the frequencies that the small picture cannot hold, P the power in rings of equal
frequency; and of the edges, the first Wasserstein distance between the distributions of |gradient|, in levels of 255.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import child, flags, record, run_child, table
from numpy.typing import NDArray

SCALE = 4
TRAINED = (("srresnet-small", 14.0), ("esrgan-small", 10.0))
"""Recipes of the two stages, and their CPU-minutes."""


def pairs(root: Path) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Set5's small and large pictures, uint8 [H, W, 3]."""
    from PIL import Image

    folder = root / "superres" / "Set5" / f"image_SRF_{SCALE}"
    out = []
    for large in sorted(folder.glob("*HR.png")):
        small = large.with_name(large.name.replace("HR", "LR"))
        out.append(tuple(np.asarray(Image.open(file).convert("RGB")) for file in (small, large)))
    return out  # type: ignore[return-value]


def luma(x: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The brightness, 16 to 235, without the edges."""
    y = 16 + (x.astype(np.float64) @ np.array([65.481, 128.553, 24.966])) / 255
    return y[SCALE:-SCALE, SCALE:-SCALE]


def spectrum(y: NDArray[np.float64], rings: int = 32) -> NDArray[np.float64]:
    """log10 of the power in rings of equal frequency, up to half a cycle a pixel; a Hann window takes off the edges."""
    window = np.outer(np.hanning(y.shape[0]), np.hanning(y.shape[1]))
    power = np.abs(np.fft.fft2((y - y.mean()) * window)) ** 2
    far = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in y.shape), indexing="ij"))
    ring = np.minimum((far * 2 * rings).astype(int), rings)
    sums, counts = (np.bincount(ring.ravel(), w, rings + 1)[:rings] for w in (power.ravel(), None))
    return np.log10(sums / counts)


def edges(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """|gradient| of each pixel, sorted."""
    down, across = np.diff(y, axis=0)[:, :-1], np.diff(y, axis=1)[:-1]
    return np.sort(np.hypot(down, across).ravel())


def scored(name: str, enlarge: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], root: Path) -> dict[str, Any]:
    """Enlarge Set5, and score the means over its pictures."""
    from gansmith.metrics.similarity import psnr, ssim

    rows = []
    for small, large in pairs(root):
        made = enlarge(small)
        large = large[: made.shape[0], : made.shape[1]]
        a, b = (x.transpose(2, 0, 1)[None] for x in (made, large))
        y, truth = luma(made), luma(large)
        beyond = np.abs(spectrum(y) - spectrum(truth))[32 // SCALE :].mean()
        rows.append((
            float(psnr(a, b, luma=True, crop=SCALE)), float(ssim(a, b, luma=True, crop=SCALE)),
            float(psnr(a, b, crop=SCALE)), beyond, np.abs(edges(y) - edges(truth)).mean(), edges(y).mean(),
        ))  # fmt: skip
    means = np.mean(rows, 0)
    apart = _lpips(enlarge, root)
    return {
        "what": name, "PSNR, Y": f"{means[0]:.2f}", "SSIM, Y": f"{means[1]:.4f}", "PSNR, RGB": f"{means[2]:.2f}",
        "spectrum off by": f"{means[3]:.3f}", "edges off by": f"{means[4]:.3f}", "mean edge": f"{means[5]:.2f}",
        **({} if apart is None else {"LPIPS": f"{apart:.4f}"}),
    }  # fmt: skip


def _lpips(enlarge: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], root: Path) -> float | None:
    """The mean LPIPS to the truth, where its weights are at hand."""
    from gansmith.metrics import lpips

    if lpips.found() is None:
        return None
    extractor, found = lpips.LpipsExtractor(), []
    for small, large in pairs(root):
        made = enlarge(small)
        a, b = (x[: made.shape[0], : made.shape[1]].transpose(2, 0, 1)[None] for x in (made, large))
        found.append(float(lpips.lpips_distance(a, b, extractor)))
    return float(np.mean(found))


def bicubic(small: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Four times larger, as MATLAB's imresize does it."""
    import torch

    from gansmith.augmentations.resizing import resize

    x = torch.from_numpy(small.astype(np.float64)).permute(2, 0, 1)[None] / 127.5 - 1
    large = resize(x, SCALE * small.shape[0], SCALE * small.shape[1], rounded=True)
    return ((large[0].permute(1, 2, 0) + 1) * 127.5).round().numpy().astype(np.uint8)


def gate(root: Path) -> list[dict[str, Any]]:
    """The gate row, and how many pixels of Set5's small halves are made otherwise here."""
    import torch

    from gansmith.augmentations.resizing import resize

    row, off = scored("bicubic", bicubic, root), []
    for small, large in pairs(root):
        x = torch.from_numpy(large.astype(np.float64)).permute(2, 0, 1)[None] / 127.5 - 1
        made = resize(x, small.shape[0], small.shape[1], edges="repeat", rounded=True)[0].permute(1, 2, 0)
        off.append(np.abs(((made + 1) * 127.5).round().numpy() - small))
    both = np.concatenate([one.ravel() for one in off])
    row["small halves"] = f"{(both > 0).sum()} of {both.size:,} values differ, by {both.max():.0f} at most"
    if (row["PSNR, Y"], row["SSIM, Y"][:5]) != ("28.43", "0.811"):
        raise SystemExit(f"the gate is 28.43 dB / .811, not {row['PSNR, Y']} / {row['SSIM, Y']}: nothing else counts")
    return [row]


def score(root: Path, runs: list[str]) -> list[dict[str, Any]]:
    """The gate, then each run, with and without the mean over eight turns; and between the last two."""
    from gansmith.applications.upscaling import of_run
    from gansmith.run import Run

    rows = [{k: v for k, v in gate(root)[0].items() if k != "small halves"}]
    rows.append(scored("the truth itself", lambda small: _truth(small, root), root))
    for run in runs:
        made, info = of_run(run, device="cpu"), Run(Path(run)).info()
        size = {"parameters": sum(p.numel() for p in made.network.parameters()), "images": info.get("images")}
        rows.append({**scored(Path(run).name, made, root), **size})
        made.ensemble = True
        rows.append(scored(f"{Path(run).name}, mean over 8 turns", made, root))
    if len(runs) > 1:
        for share in (0.25, 0.5, 0.75):
            between = of_run(runs[-1], sharpness=share, psnr_run=runs[-2], device="cpu")
            rows.append(scored(f"sharpness {share}", between, root))
    return rows


def _truth(small: NDArray[np.uint8], root: Path) -> NDArray[np.uint8]:
    return next(large for low, large in pairs(root) if np.array_equal(low, small))


def train(root: Path, out: Path, factor: float) -> list[str]:
    """Both stages, the second from the first."""
    import gansmith

    made: list[str] = []
    for name, minutes in TRAINED:
        gansmith.train(
            name, str(root / "superres" / "T91"), out / name, cpu_minutes=minutes * factor, device="cpu",
            start_from=made[-1] if made else None,
        )  # fmt: skip
        made.append(str(out / name))
    return made


def work(order: dict[str, Any]) -> dict[str, float]:
    """Seconds a megapixel of one large picture, and pictures a second of Set5, by one way of enlarging."""
    import torch
    from naive import stock

    from gansmith.applications.upscaling import of_run

    made, root = of_run(order["run"], device="cpu"), Path(order["root"])
    enlarge: Callable[[Any], Any] = made
    if order["naive"]:
        network = stock(made.network).eval().to(memory_format=torch.contiguous_format)

        def enlarge(small: NDArray[np.uint8]) -> NDArray[np.uint8]:
            x = torch.from_numpy(small).permute(2, 0, 1)[None].float().div(127.5).sub(1).contiguous()
            with torch.no_grad():
                y = network(x)
            return y.add(1).mul(127.5).round().clamp(0, 255)[0].permute(1, 2, 0).byte().numpy()

    large = np.tile(pairs(root)[0][1], (2, 2, 1))[: order["side"], : order["side"]].copy()
    smalls = [small for small, _ in pairs(root)]
    enlarge(smalls[2])
    seconds, busy, each = [], [], []
    for _ in range(order["repeats"]):
        begun, worked = time.perf_counter(), time.process_time()
        whole = enlarge(large)
        megapixels = whole.shape[0] * whole.shape[1] / 1e6
        seconds.append((time.perf_counter() - begun) / megapixels)
        busy.append((time.process_time() - worked) / megapixels)
        begun = time.perf_counter()
        for small in smalls:
            enlarge(small)
        each.append(len(smalls) / (time.perf_counter() - begun))
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    found = {"megapixel": seconds, "busy": busy, "pictures": each}
    return {**{name: float(np.median(values)) for name, values in found.items()}, "memory": peak}


def speed(root: Path, run: str, quick: bool) -> list[dict[str, Any]]:
    """Tiled and naive, turn about."""
    rows = []
    for threads in range(1, min(2, len(os.sched_getaffinity(0))) + 1):
        order = {"run": run, "root": str(root), "side": 96 if quick else 768, "repeats": 1 if quick else 3}
        ours, naive = (child("superres.py", {**order, "naive": which}, threads=threads) for which in (False, True))
        for name, found in (("tiles, channels_last", ours), ("naive: untiled, eager, stock layers", naive)):
            rows.append({
                "threads": threads, "way": name, "s a megapixel": found["megapixel"],
                "CPU s a megapixel": found["busy"],
                "Set5 pictures/s": found["pictures"], "peak memory, GB": found["memory"],
                "times naive": naive["megapixel"] / found["megapixel"], "by CPU": naive["busy"] / found["busy"],
            })  # fmt: skip
    return rows


def picture(runs: list[str], out: Path) -> None:
    """A detail of a photograph that comes along with scikit-learn, made small and large again by each stage.

    It is china.jpg, by danielbuechele, CC BY 2.0.
    """
    import torch
    from PIL import Image
    from sklearn.datasets import load_sample_image

    from gansmith.applications.upscaling import of_run
    from gansmith.augmentations.resizing import resize

    truth = load_sample_image("china.jpg")[:424, :640]
    x = torch.from_numpy(truth.astype(np.float64)).permute(2, 0, 1)[None] / 127.5 - 1
    low = resize(x, 424 // SCALE, 640 // SCALE, rounded=True)[0].permute(1, 2, 0)
    small = ((low + 1) * 127.5).round().numpy().astype(np.uint8)
    made = [bicubic(small), of_run(runs[0], device="cpu")(small)]
    if len(runs) > 1:
        made += [of_run(runs[1], sharpness=s, psnr_run=runs[0], device="cpu")(small) for s in (0.5, 1.0)]
    row = np.concatenate([each[130:290, 230:390] for each in (*made, truth)], 1)
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(row).save(out, quality=90)


def main() -> None:
    """Print the table of a part."""
    parser = flags(__doc__)
    parser.add_argument("--part", choices=("gate", "train", "score", "speed", "picture"), default="gate")
    parser.add_argument("--runs", nargs="+", default=[], metavar="DIR", help="runs to score, the last stage last")
    parser.add_argument(
        "--out", type=Path, default=Path("runs"), metavar="DIR", help="where trainings go, or the picture"
    )
    args = parser.parse_args()
    if run_child(args.child, work):
        return
    if args.part == "picture":
        picture(args.runs, args.out)
        return
    if args.part == "gate":
        rows = gate(args.data_root)
    elif args.part == "speed":
        rows = speed(args.data_root, args.runs[-1], args.quick)
    else:
        runs = train(args.data_root, args.out, 0.01 if args.quick else 1.0) if args.part == "train" else args.runs
        rows = score(args.data_root, runs)
    record("superres", rows, quick=args.quick)
    print(table(rows))


if __name__ == "__main__":
    main()
