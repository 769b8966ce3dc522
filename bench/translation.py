"""Translation on emoji at 64 pixels: pix2pix, CycleGAN and CUT against truths, trivial baselines and the authors' code.

    python bench/translation.py --data-root DIR [--part quality|speed] [--peer DIR] [--images 20000] [--threads 1]

`--peer DIR` is a checkout of junyanz/pytorch-CycleGAN-and-pix2pix. Its own `Pix2PixModel` and `CycleGANModel` are
trained: `set_input`, `optimize_parameters` and its linear schedule, step by step. Of its programs only the loader is
left out, since it needs torchvision: pictures lie in memory as tensors, which favours it. Its `define_G` knows U-Nets
of 128 and 256 pixels, so the U-Net of 64 is made by its `UnetGenerator` and `init_net`. Networks are the same on both
sides: 16 base filters, a U-Net of six halvings, nine residual blocks, patches of 70 pixels, batches of one; so are
losses, optimisers, and the number of pictures.

383 of the 3,583 emoji are kept from every training, and scored on: mean absolute difference (of black to white), PSNR
and SSIM of 8-bit pictures, and, blind to which belongs to which, the Frechet distance of their coarse pixels. CycleGAN
and CUT get grey and coloured emoji each in an order of its own, and never learn which belong together. Baselines: the
training's mean colour; the mean colour of each grey level, pixel by pixel; and the same U-Net by the distance alone,
without a discriminator.

Speed is of one core and in CPU seconds unless `--threads` says otherwise (then by the clock): rounds of both sides in
turn in one process, the first rounds of each not counted; `fp32` is both sides' eager float32; against the authors'
float32 `bf16` is gansmith's usual precision, and `auto` what a long training gets: compiled where that pays, for which
the compiler takes `CPU s to compile` once.
"""

from __future__ import annotations

import contextlib
import io
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from common import child, flags, record, run_child, table

SIDE, HELD, WIDTH = 64, 383, 16
PUBLISHED = 200 * 3200  # the authors train for 200 epochs
NETWORKS = ("generator", "discriminator", "networks.back", "networks.back_discriminator")
TASKS = {
    "pix2pix edges": ("pix2pix", "edges", {}),
    "pix2pix grey": ("pix2pix", "grey", {}),
    "U-Net without discriminator, edges": ("pix2pix", "edges", {"game.adversarial": 0}),
    "U-Net without discriminator, grey": ("pix2pix", "grey", {"game.adversarial": 0}),
    "pix2pix-r3 grey": ("pix2pix-r3", "grey", {}),
    "CycleGAN grey": ("cyclegan", "grey", {"game.identity": 0}),
    "CycleGAN-r3 grey": ("cyclegan-r3", "grey", {"game.identity": 0}),
    "CUT grey": ("cut", "grey", {}),
    "FastCUT grey": ("fastcut", "grey", {}),
}
PEERS = {"authors' pix2pix edges": "edges", "authors' pix2pix grey": "grey", "authors' CycleGAN grey": "grey"}


def overrides(recipe: str, kind: str, own: dict[str, Any], root: Path) -> dict[str, Any]:
    """What the recipes are trained with here."""
    found: dict[str, Any] = {
        "data.source": str(root / "emoji"), "data.resolution": SIDE, "data.channels": 3, "data.derive": kind,
        "data.reserve": HELD, "snapshots": 4, **own,
    }  # fmt: skip
    for name in NETWORKS[: 4 if recipe.startswith("cyclegan") else 2]:
        found[f"{name}.width"] = WIDTH
    if recipe.startswith("pix2pix"):
        found["generator.spared"] = 1  # dropout where the authors' code has it
    return {**found, "optimizer.lr": {"start": 2e-4, "end": 0.0, "shape": "linear", "hold": 0.5}}


def opened(root: Path, kind: str) -> tuple[Any, Any]:
    """The pictures to train on and those held out, as each training gets them."""
    from gansmith import recipe
    from gansmith.data import open_dataset
    from gansmith.data.finish import reserve

    spec = recipe.load("pix2pix", overrides("pix2pix", kind, {}, root)).data
    return reserve(open_dataset(spec), HELD)


def arrays(dataset: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both sides of a dataset of pairs, uint8."""
    return np.asarray(dataset.array), np.asarray(dataset.beside["b"].dataset.array)


def pixels(array: np.ndarray) -> torch.Tensor:
    """Pictures as networks want them, in [-1, 1]."""
    return torch.from_numpy(array).float() / 127.5 - 1


def levels(made: torch.Tensor) -> np.ndarray:
    """Pictures as they are looked at, uint8."""
    return made.float().mul(127.5).add(128).clamp(0, 255).to(torch.uint8).numpy()


def scores(made: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Mean absolute difference, PSNR and SSIM, each a mean over pictures; and how far the heaps are apart."""
    from gansmith.metrics.frechet import frechet_distance
    from gansmith.metrics.pixels import PixelExtractor
    from gansmith.metrics.similarity import ssim

    apart = (made.astype(np.float64) - truth) / 255
    mse = (apart**2).mean((1, 2, 3)).clip(1e-12)
    like = ssim(torch.from_numpy(made), torch.from_numpy(truth))
    seen = PixelExtractor(made.shape[1:])
    return {
        "L1": float(np.abs(apart).mean()), "PSNR": float((-10 * np.log10(mse)).mean()), "SSIM": float(like.mean()),
        "fd-pixels": frechet_distance(seen.features(made), seen.features(truth)),
    }  # fmt: skip


# --- children: each a training ----------------------------------------------------------------------


def trained(order: dict[str, Any]) -> dict[str, Any]:
    """Train a recipe of the house, and leave what it makes of the pictures held out."""
    import gansmith

    root, folder = Path(order["root"]), Path(order["folder"])
    recipe, kind, own = TASKS[order["task"]]
    given = {
        **overrides(recipe, kind, own, root),
        "seed": order["seed"],
        "compile": "off",
        "precision": order["precision"],
    }
    began = time.process_time()
    run = gansmith.train(recipe, out=str(folder / "run"), overrides=given, images=order["images"])
    seconds = time.process_time() - began
    info = run.info()
    game = gansmith.load(run.path, device="cpu").game
    held = opened(root, kind)[1]
    a, b = arrays(held)
    found = {"images": info["images"], "CPU s": seconds, "precision": info["numerics"]["precision"]}
    found["compiled"] = info["numerics"]["compiled"]
    with torch.inference_mode():
        made = levels(torch.cat([game.translate(pixels(a[i : i + 16])) for i in range(0, len(a), 16)]))
        if game.two_ways:
            back = torch.cat([game.translate(pixels(b[i : i + 16]), back=True) for i in range(0, len(b), 16)])
            found["way back, L1"] = scores(levels(back), a)["L1"]
    np.savez(folder / "made.npz", made=made)
    return found


def model_of(peer: Path, which: str, images: int) -> Any:
    """The authors' model with their options, as its own test of options would make it."""
    sys.path.insert(0, str(peer))
    from models import networks  # type: ignore[import-not-found]

    paired = "pix2pix" in which
    opt = SimpleNamespace(
        gpu_ids=[], isTrain=True, checkpoints_dir="", name="", preprocess="none", input_nc=1, output_nc=3, ngf=WIDTH,
        ndf=WIDTH, norm="batch" if paired else "instance", no_dropout=not paired, init_type="normal", init_gain=0.02,
        n_layers_D=3, netD="basic", gan_mode="vanilla" if paired else "lsgan", lr=2e-4, beta1=0.5, pool_size=50,
        direction="AtoB", lambda_A=10.0, lambda_B=10.0, lambda_identity=0.0, lambda_L1=100.0, lr_policy="linear",
        epoch_count=1, n_epochs=images // 2, n_epochs_decay=images - images // 2,
        netG="unet_128" if paired else "resnet_9blocks",
    )  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        if paired:
            from models.pix2pix_model import Pix2PixModel  # type: ignore[import-not-found]

            model = Pix2PixModel(opt)
            net = networks.UnetGenerator(1, 3, 6, WIDTH, networks.get_norm_layer("batch"), True)
            model.netG = networks.init_net(net)
            model.optimizer_G = torch.optim.Adam(net.parameters(), lr=opt.lr, betas=(opt.beta1, 0.999))
            model.optimizers = [model.optimizer_G, model.optimizer_D]
        else:
            from models.cycle_gan_model import CycleGANModel  # type: ignore[import-not-found]

            model = CycleGANModel(opt)
    model.schedulers = [networks.get_scheduler(optimizer, opt) for optimizer in model.optimizers]
    return model


def authors(order: dict[str, Any]) -> dict[str, Any]:
    """Train the authors' model on the same pictures, as many of them."""
    which, folder = order["task"], Path(order["folder"])
    kept, held = opened(Path(order["root"]), PEERS[which])
    torch.manual_seed(order["seed"])
    draw = np.random.default_rng(order["seed"])
    a, b = (pixels(side) for side in arrays(kept))
    model = model_of(Path(order["peer"]), which, order["images"])
    paired = "pix2pix" in which
    one = other = np.empty(0, np.int64)
    began = time.process_time()
    for step in range(order["images"]):
        at = step % len(a)
        if at == 0:
            one = draw.permutation(len(a))
            other = one if paired else draw.permutation(len(b))
        model.set_input({"A": a[one[at]][None], "B": b[other[at]][None], "A_paths": "", "B_paths": ""})
        model.optimize_parameters()
        for scheduler in model.schedulers:
            scheduler.step()
    seconds = time.process_time() - began
    net = model.netG if paired else model.netG_A
    x = arrays(held)[0]
    if paired:  # as its test.py does: batch norm by the picture's own statistics; dropout off, as here
        for module in net.modules():
            if isinstance(module, torch.nn.Dropout):
                module.eval()
    with torch.inference_mode():
        made = levels(torch.cat([net(pixels(x[i : i + 1])) for i in range(len(x))]))
    np.savez(folder / "made.npz", made=made)
    return {"images": order["images"], "CPU s": seconds, "precision": "fp32", "compiled": False}


def scored(order: dict[str, Any]) -> dict[str, Any]:
    """Train, unless `--work` holds that training's pictures already, and score them."""
    folder, images = Path(order["folder"]), order["images"]
    kept = folder / "row.json"
    row = json.loads(kept.read_text()) if kept.exists() else {}
    if row.get("images") != images:
        folder.mkdir(parents=True, exist_ok=True)
        row = child("translation.py", order, threads=order["threads"])
        kept.write_text(json.dumps(row))
    kind = TASKS[order["task"]][1] if order["task"] in TASKS else PEERS[order["task"]]
    with np.load(folder / "made.npz") as held:
        return {"what": order["task"], **scores(held["made"], arrays(opened(Path(order["root"]), kind)[1])[1]), **row}


def baselines(root: Path) -> list[dict[str, Any]]:
    """The mean colour, and the mean colour of each level of the input."""
    rows = []
    for kind in ("edges", "grey"):
        kept, held = opened(root, kind)
        (a, b), (x, truth) = arrays(kept), arrays(held)
        mean = np.broadcast_to(b.mean((0, 2, 3)).round().astype(np.uint8)[None, :, None, None], truth.shape)
        rows.append({"what": f"mean colour, {kind}", **scores(np.ascontiguousarray(mean), truth)})
        counts = np.bincount(a.reshape(-1), minlength=256).clip(1)
        sums = [np.bincount(a.reshape(-1), b[:, c].reshape(-1), 256) for c in range(3)]
        colours = np.stack(sums, 1) / counts[:, None]
        by_level = colours.round().astype(np.uint8)[x[:, 0]].transpose(0, 3, 1, 2)
        rows.append({"what": f"mean colour of each level, {kind}", **scores(np.ascontiguousarray(by_level), truth)})
    return rows


def speed(order: dict[str, Any]) -> dict[str, Any]:
    """Rounds of both sides in turn."""
    from gansmith import recipe
    from gansmith.build import build
    from gansmith.data.pairs import blinded
    from gansmith.engine import hardware, measure
    from gansmith.engine.player import Player
    from gansmith.training import facts_of

    torch.set_num_threads(order["threads"])
    clock = time.process_time if order["threads"] == 1 else time.perf_counter
    task = order["task"]
    name, kind, own = TASKS[task]
    form = order["kind"]
    root = Path(order["root"])
    given = {
        **overrides(name, kind, own, root),
        "precision": "auto" if form == "auto" else form,
        "images": PUBLISHED,
    }
    made = recipe.load(name, given)
    kept = opened(root, kind)[0]
    a, b = (pixels(side) for side in arrays(kept))
    if made.data.pairs == "hidden":
        from dataclasses import replace

        from gansmith.data.dataset import Beside

        kept = blinded(replace(kept, beside={"b": Beside(kept.beside["b"].dataset, paired=False)}))
    place = torch.device("cpu")
    numerics = hardware.decide(made.precision, "off", place, 1, False)
    hardware.apply(numerics)
    torch.set_num_threads(order["threads"])
    player = Player(build(made, facts_of(kept)), kept, made, place, numerics)
    began = time.process_time()
    if form == "auto":
        measure.choose_compilation(player, measure.trial(player), "auto")
    compiling = time.process_time() - began
    model = model_of(Path(order["peer"]), task, PUBLISHED)

    def ours(count: int) -> float:
        began = clock()
        for _ in range(count):
            player.round()
        return count / (clock() - began)

    def theirs(count: int) -> float:
        began = clock()
        for i in range(count):
            at = i % len(a)
            model.set_input({"A": a[at][None], "B": b[at][None], "A_paths": "", "B_paths": ""})
            model.optimize_parameters()
        return count / (clock() - began)

    ours(4), theirs(4)
    pairs = [(ours(order["rounds"]), theirs(order["rounds"])) for _ in range(order["pairs"])]
    ratios = sorted(one / other for one, other in pairs)
    return {
        "ours, images/s": statistics.median(one for one, _ in pairs),
        "authors', images/s": statistics.median(other for _, other in pairs),
        "ratio": statistics.median(ratios), "least": ratios[0], "most": ratios[-1],
        "precision": numerics.precision, "compiled": player.numerics.compiled, "CPU s to compile": round(compiling),
    }  # fmt: skip


def picture(folder: Path, root: Path, kind: str, names: list[str], out: Path, count: int = 8) -> None:
    """Input, what each has made of it, and the truth; a row an example held out."""
    from gansmith import media

    a, b = arrays(opened(root, kind)[1])
    at = np.linspace(0, len(a) - 1, count).astype(int)
    shown = {"input": a[at]}
    for name in names:
        file = folder / name / "made.npz"
        if file.exists():
            with np.load(file) as held:
                shown[name] = held["made"][at]
    out.parent.mkdir(parents=True, exist_ok=True)
    media.save_image(out, media.side_by_side({**shown, "truth": b[at]}))


def main() -> None:
    """Run it."""
    parser = flags(__doc__)
    parser.add_argument("--part", choices=("quality", "speed", "baselines"), default="quality")
    parser.add_argument("--peer", type=Path, default=None, metavar="DIR", help="the authors' code")
    parser.add_argument("--images", type=int, default=20_000, help="pictures that each training sees (20000)")
    parser.add_argument("--only", action="append", metavar="NAME", help="one of the trainings; may be repeated")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=5, help="of measurements of speed (5)")
    parser.add_argument("--precision", default="auto", help="of gansmith's trainings (auto)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=None, metavar="DIR", help="keep runs here, for a next call")
    parser.add_argument("--pictures", type=Path, default=None, metavar="DIR", help="draw pictures into this folder")
    args = parser.parse_args()
    if run_child(args.child, lambda order: globals()[order["do"]](order)):
        return
    root = args.data_root.resolve()
    shared = {
        "root": str(root),
        "seed": args.seed,
        "precision": args.precision,
        "peer": str(args.peer.resolve()) if args.peer else None,
    }
    rows: list[dict[str, Any]] = []
    if args.part == "speed":
        if args.peer is None:
            raise SystemExit("--peer DIR is missing: speed is measured against the authors' code")
        for task in args.only or ("pix2pix edges", "CycleGAN grey"):
            for kind in ("fp32", "bf16", "auto"):
                rounds = 4 if args.quick else 60 if task.startswith("pix") else 25
                order = {**shared, "do": "speed", "task": task, "kind": kind, "rounds": rounds, "pairs": args.pairs}
                found = child("translation.py", {**order, "threads": args.threads}, threads=args.threads)
                rows.append({"what": task, "kind": kind, **found})
                print(table(rows[-1:]), flush=True)
    else:
        rows += baselines(root)
        work = args.work or Path(tempfile.mkdtemp(prefix="translation-"))
        trainings = [*TASKS, *(PEERS if args.peer else ())] if args.part == "quality" else []
        for task in trainings:
            if args.only and task not in args.only:
                continue
            do = "trained" if task in TASKS else "authors"
            images = 40 if args.quick else args.images
            order = {**shared, "do": do, "task": task, "folder": str(work / task), "images": images}
            rows.append(scored({**order, "threads": args.threads}))
            print(table(rows[-1:]), flush=True)
        if args.pictures is not None:
            for kind in ("edges", "grey"):
                names = [name for name in (*TASKS, *PEERS) if name.endswith(kind)]
                picture(work, root, kind, names, args.pictures / f"translation-{kind}.png")
    print(table(rows))
    record(f"translation-{args.part}", rows, quick=args.quick)


if __name__ == "__main__":
    main()
