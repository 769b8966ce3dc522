"""How every metric answers as fakes get worse in known ways: what it sees, sees late, does not see, or applauds.

    python bench/behaviour.py --data-root DIR [--part behaviour|behaviour-cas] [--data mnist|cifar10]

The fakes are real images, so that at strength 0 nothing is wrong with them, and at each other strength one known
thing is. Four sets of images that share none: those taught (to which the classifier is fitted, and from which a
memorising generator would copy), the reference, and the pool that fakes are drawn from, in draws that share none
either. On MNIST the reference is of the test split; of CIFAR-10 only 20,000 training images are at hand, so that all
sets are parts of those. Each draw holds 2,000 images, as the reference does.

A response is (value − value of the same draw before it was degraded) / (standard deviation of the clean draws' values),
the mean of two draws, with its sign turned so that above 0 is worse. A verdict compares the responses with 3:

    sees      above 3 at the weakest strength that a person sees, and at all stronger ones
    late      above 3 only at stronger ones
    blind     3 or less at every strength from there on
    wrong     below −3 at one of them: the score gets better
    too good  a score that should equal the reals' own leaves it on the side that its readers call better

At which strength a person sees the fault, in a hundred samples and with the training images beside them where copies
are concerned, is the author's judgement (`seen`).
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import flags, record, table
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

N, DRAWS = 2000, 2
SIZES = {"mnist": (20_000, 20_000), "cifar10": (6_000, 12_000)}
"""Images taught, and in the pool."""
CLUSTERS = 8
LIMIT = 3.0
MIND_DIRECTIONS = 256

Images = NDArray[np.uint8]
Draw = np.random.Generator

# --- fakes -----------------------------------------------------------------------------------------------


class Fakes(NamedTuple):
    """Images uint8 [n, C, H, W], and the labels that they were asked for."""

    images: Images
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """What fakes are made from.

    Attributes:
        pool: images that nothing else has seen, in random order.
        taught: what the classifier was fitted to.
        reference: what fakes are measured against.
        rank: of each image of the pool, its place in its class by distance from the class's mean, 0 to 1.
        cluster: of each image of the pool, its cluster within its class.
        n: images in a draw.
    """

    pool: Fakes
    taught: Fakes
    reference: Fakes
    rank: NDArray[np.float64]
    cluster: NDArray[np.int64]
    n: int

    def rows(self, draw: int, keep: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """The first n rows of the pool, from the draw's own on, that are kept."""
        order = np.roll(np.arange(len(self.pool.labels)), -draw * self.n)
        return (order if keep is None else order[keep[order]])[: self.n]

    def clean(self, draw: int) -> Fakes:
        """A draw with nothing wrong."""
        return take(self.pool, self.rows(draw))


def take(fakes: Fakes, rows: NDArray[np.int64]) -> Fakes:
    """Some rows."""
    return Fakes(fakes.images[rows], fakes.labels[rows])


def _to_bytes(x: NDArray[Any]) -> Images:
    return np.clip(np.rint(x), 0, 255).astype(np.uint8)


def noise(images: Images, sigma: float, draw: Draw) -> Images:
    """Add Gaussian noise."""
    return _to_bytes(images + draw.standard_normal(images.shape, np.float32) * np.float32(sigma))


def blur(images: Images, sigma: float, draw: Draw) -> Images:
    """Blur by a Gaussian of so many pixels."""
    return _to_bytes(gaussian_filter(images.astype(np.float32), (0, 0, sigma, sigma), mode="nearest"))


def brighter(images: Images, by: float, draw: Draw) -> Images:
    """Add to all values."""
    return _to_bytes(images + np.float32(by))


def flatter(images: Images, lost: float, draw: Draw) -> Images:
    """Draw all values towards the image's mean."""
    mean = images.mean((1, 2, 3), keepdims=True, dtype=np.float32)
    return _to_bytes(mean + (images - mean) * np.float32(1 - lost))


def hue(images: Images, degrees: float, draw: Draw) -> Images:
    """Turn the colours about the grey axis, which keeps each pixel's mean."""
    angle, third = np.deg2rad(degrees), 1 / 3
    one, other = (1 - np.cos(angle)) * third, np.sin(angle) * third**0.5
    first = [np.cos(angle) + one, one - other, one + other]
    turn = np.array([np.roll(first, i) for i in range(3)], np.float32)
    return _to_bytes(np.einsum("ij,njhw->nihw", turn, images.astype(np.float32)))


def moved(images: Images, by: float, draw: Draw) -> Images:
    """Move each image by so many pixels in one of eight directions; its border is continued."""
    far = int(by)
    padded = np.pad(images, ((0, 0), (0, 0), (far, far), (far, far)), mode="edge")
    steps = np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x])[draw.integers(8, size=len(images))]
    height, width = images.shape[2:]
    out = np.empty_like(images)
    for i, (y, x) in enumerate(far + far * steps):
        out[i] = padded[i, :, y : y + height, x : x + width]
    return out


def _some(count: int, share: float, draw: Draw) -> NDArray[np.int64]:
    return draw.permutation(count)[: round(share * count)]


def mirrored(images: Images, share: float, draw: Draw) -> Images:
    """Mirror a share of the images, left to right."""
    out, rows = images.copy(), _some(len(images), share, draw)
    out[rows] = images[rows][..., ::-1]
    return out


def patch(images: Images, side: float, draw: Draw) -> Images:
    """Put a grey square somewhere on each image."""
    out, side, (height, width) = images.copy(), int(side), images.shape[2:]
    top, left = (draw.integers(size - side + 1, size=len(out)) for size in (height, width))
    for image, y, x in zip(out, top, left, strict=True):
        image[:, y : y + side, x : x + side] = 128
    return out


def outliers(images: Images, share: float, draw: Draw) -> Images:
    """Replace a share of the images by uniform noise."""
    out, rows = images.copy(), _some(len(images), share, draw)
    out[rows] = draw.integers(0, 256, (len(rows), *images.shape[1:]), dtype=np.uint8)
    return out


def spliced(source: Source, at: int, share: float, draw: Draw) -> Fakes:
    """Give a share of the images the lower half of another one of their class."""
    fakes = source.clean(at)
    out, half = fakes.images.copy(), fakes.images.shape[2] // 2
    for label in np.unique(fakes.labels):
        own = np.flatnonzero(fakes.labels == label)
        rows = own[_some(len(own), share, draw)]
        out[rows, :, half:] = fakes.images[np.roll(own, 1)[np.searchsorted(own, rows)], :, half:]
    return Fakes(out, fakes.labels)


def lost_classes(source: Source, at: int, count: float, draw: Draw) -> Fakes:
    """Draw from the pool without its last classes."""
    return take(source.pool, source.rows(at, source.pool.labels <= source.pool.labels.max() - count))


def lost_clusters(source: Source, at: int, count: float, draw: Draw) -> Fakes:
    """Draw without so many of the clusters that each class falls into."""
    return take(source.pool, source.rows(at, source.cluster < source.cluster.max() + 1 - count))


def typical(source: Source, at: int, lost: float, draw: Draw) -> Fakes:
    """Draw without the share of each class that is farthest from its mean."""
    return take(source.pool, source.rows(at, source.rank <= 1 - lost))


def repeats(source: Source, at: int, times: float, draw: Draw) -> Fakes:
    """Repeat few images so many times each; 0 and 1 repeat none."""
    own = source.rows(at)
    return take(source.pool, np.resize(own[: -(-source.n // max(1, int(times)))], source.n))


def copies(source: Source, at: int, share: float, draw: Draw, *, of: str) -> Fakes:
    """Replace a share of a clean draw by images of another set, as they are."""
    fakes, originals = source.clean(at), getattr(source, of)
    rows = _some(source.n, share, draw)
    start = at * source.n if of == "taught" else 0
    copied = take(originals, (start + np.arange(len(rows))) % len(originals.labels))
    images, labels = fakes.images.copy(), fakes.labels.copy()
    images[rows], labels[rows] = copied.images, copied.labels
    return Fakes(images, labels)


def wrong_labels(source: Source, at: int, share: float, draw: Draw) -> Fakes:
    """Give a share of the images the label of another class."""
    images, labels = source.clean(at)
    rows, labels, classes = _some(len(labels), share, draw), labels.copy(), int(source.pool.labels.max()) + 1
    labels[rows] = (labels[rows] + draw.integers(1, classes, len(rows))) % classes
    return Fakes(images, labels)


def _image(change: Callable[[Images, float, Draw], Images], source: Source, at: int, by: float, draw: Draw) -> Fakes:
    images, labels = source.clean(at)
    return Fakes(change(images, by, draw), labels)


@dataclass(frozen=True)
class Degradation:
    """One known way to be worse.

    Attributes:
        name: as in the tables.
        unit: of its strengths.
        strengths: weakest first; 0, which is none, is not among them.
        seen: the weakest of them that a person sees.
        make: source, number of the draw, strength, randomness to fakes.
        colour: of colour images alone.
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    seen: float
    make: Callable[[Source, int, float, Draw], Fakes]
    colour: bool = False

    def __call__(self, source: Source, at: int, strength: float) -> Fakes:
        """Fakes of a draw at a strength; the same ones each time."""
        if not strength:
            return source.clean(at)
        seed = [at, zlib.crc32(self.name.encode()), round(1000 * strength)]
        return self.make(source, at, strength, np.random.Generator(np.random.PCG64(seed)))


SHARES = (0.1, 0.25, 0.5, 1.0)
DEGRADATIONS = (
    Degradation("noise", "standard deviation of 255", (8, 16, 32, 64), 16, partial(_image, noise)),
    Degradation("blur", "pixels", (0.4, 0.7, 1.2, 2), 0.7, partial(_image, blur)),
    Degradation("brighter", "of 255", (8, 16, 32, 64), 32, partial(_image, brighter)),
    Degradation("flatter", "share of contrast lost", (0.1, 0.2, 0.4, 0.7), 0.4, partial(_image, flatter)),
    Degradation("hue", "degrees", (15, 45, 90, 180), 45, partial(_image, hue), colour=True),
    Degradation("moved", "pixels", (1, 2, 3, 5), 3, partial(_image, moved)),
    Degradation("mirrored", "share", SHARES, 0.25, partial(_image, mirrored)),
    Degradation("patch", "pixels", (2, 4, 8, 14), 4, partial(_image, patch)),
    Degradation("spliced", "share", SHARES, 0.25, spliced),
    Degradation("outliers", "share", (0.01, 0.05, 0.2, 0.5), 0.05, partial(_image, outliers)),
    Degradation("lost classes", "of 10", (1, 2, 3, 5), 1, lost_classes),
    Degradation("lost clusters", "of 8 a class", (1, 2, 4, 5), 2, lost_clusters),
    Degradation("only typical", "share lost", (0.1, 0.25, 0.5, 0.7), 0.5, typical),
    Degradation("repeats", "times", (2, 5, 20, 100), 5, repeats),
    Degradation("copies of training", "share", SHARES, 0.25, partial(copies, of="taught")),
    Degradation("copies of reference", "share", SHARES, 0.25, partial(copies, of="reference")),
    Degradation("wrong labels", "share", (0.02, 0.1, 0.3, 0.9), 0.1, wrong_labels),
)

# --- data --------------------------------------------------------------------------------------------------


def open_source(name: str, root: Path, n: int = N, say: Callable[[str], None] | None = None) -> tuple[Source, Any, Any]:
    """The sets of images, the classifier fitted to those taught, and the pixel extractor."""
    from gansmith.data import open_dataset
    from gansmith.fields import Data
    from gansmith.metrics.domain import fit_domain
    from gansmith.metrics.pixels import PixelExtractor

    order, split = np.random.Generator(np.random.PCG64(0)), {}
    for which in ("train", "test"):
        data = open_dataset(Data(source=name, root=str(root), split=which))
        assert data.array is not None
        assert data.labels is not None
        split[which] = take(Fakes(data.array, data.labels.astype(np.int64)), order.permutation(data.count))
    train, (taught_count, pool_count) = split["train"], SIZES[name]
    taught = take(train, np.arange(taught_count))
    pool = take(train, np.arange(taught_count, taught_count + pool_count))
    rest = split["test"] if len(split["test"].labels) >= N else take(train, np.arange(-N, 0))
    reference = take(rest, np.arange(n))
    classifier = fit_domain(*taught, test=rest, seed=0, say=say)
    pixels = PixelExtractor(pool.images.shape[1:])
    rank, cluster = grouped(classifier.features(pool.images), pixels.features(pool.images), pool.labels)
    return Source(pool, taught, reference, rank, cluster, n), classifier, pixels


def grouped(
    features: NDArray[np.float32], pixels: NDArray[np.float32], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Each image's place in its class by distance from the mean in features, and its cluster in pixels."""
    from sklearn.cluster import KMeans

    rank, cluster = np.zeros(len(labels)), np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        far = np.square(features[own] - features[own].mean(0)).sum(1)
        rank[own] = far.argsort().argsort() / len(own)
        cluster[own] = KMeans(CLUSTERS, n_init=1, random_state=0).fit_predict(pixels[own])
    return rank, cluster


# --- scores ------------------------------------------------------------------------------------------------

ORDER = ("fd", "fd-infinity", "kd", "sw2", "mind", "prdc", "pr3", "vendi", "c2st", "cs", "accuracy", "ms-ssim")
OF_LABELS = ("accuracy", "ms-ssim")
UPWARDS = {"vendi": True, "cs": True, "ms-ssim": False, "c2st": False}
"""Of scores that should equal the reals' own: whether their readers call more of it better."""


def sides_of(fakes: Fakes, classifier: Any, pixels: Any) -> dict[str, Any]:
    """What measures look at, by extractor."""
    from gansmith.metrics.measure import Side

    features, logits = classifier.features_and_logits(fakes.images)
    return {
        "classifier": Side(features, logits, fakes.labels, fakes.images),
        "pixels": Side(pixels.features(fakes.images)),
    }


def scored(real: Mapping[str, Any], fake: Mapping[str, Any], names: Sequence[str] = ORDER) -> dict[str, float]:
    """Every measure's numbers, by `name` in the classifier's features and `name-pixels` in pixels."""
    from gansmith.metrics.measure import Materials, measures, title

    out = {}
    for kind, side in fake.items():
        for name in names:
            measure = measures()[name]
            if kind == "pixels" and measure.needs != {"features"}:
                continue
            compute = CHEAPER.get(name, measure.compute)
            for part, value in compute(Materials(real[kind], side)).items():
                out[title(measure, part, kind, "pixels" if kind == "pixels" else "")] = value.value
    return out


def _kd(materials: Any) -> dict[str, Any]:
    """The kernel distance of the whole sets, of which the measure's mean over subsets is an estimate."""
    from gansmith.metrics.kernel import squared_mmd
    from gansmith.metrics.measure import Value

    return {"": Value(squared_mmd(materials.fake.features, materials.real.features))}


def _mind(materials: Any) -> dict[str, Any]:
    """MIND with a quarter of the directions."""
    from gansmith.metrics import mind
    from gansmith.metrics.measure import Value

    return {"": Value(mind(materials.fake.features, materials.real.features, directions=MIND_DIRECTIONS))}


CHEAPER = {"kd": _kd, "mind": _mind}


def sign_of(metric: str) -> tuple[int, bool]:
    """1 where more is worse and −1 where less is; and whether real examples' own value is the best."""
    from gansmith.metrics.measure import measures

    stem = metric.removesuffix("-pixels")
    if stem.startswith(("precision", "recall", "density", "coverage")):
        return -1, False
    measure = measures()["ms-ssim" if stem.startswith("ms-ssim") else stem]
    if measure.better == "real":
        return (-1 if UPWARDS[measure.name] else 1), True
    return (-1 if measure.better == "higher" else 1), False


def verdict(responses: Sequence[float], seen: int, real: bool) -> str:
    """Say what a metric made of a degradation.

    Args:
        responses: weakest strength first, above 0 where the score is worse.
        seen: the place of the weakest strength that a person sees.
        real: whether the real examples' own value is the best.
    """
    told = list(responses[seen:])
    if min(told) < -LIMIT:
        return "too good" if real else "wrong"
    above = [response > LIMIT for response in told]
    return "sees" if all(above) else "late" if any(above) else "blind"


def behaviour(name: str, root: Path, *, n: int, draws: int) -> list[dict[str, Any]]:
    """A row for each metric, with a cell for each degradation: the verdict, and the response at each strength."""
    source, classifier, pixels = open_source(name, root, n, say=print)
    print(f"{name}: the classifier names {classifier.accuracy:.1%} of held-out images rightly", flush=True)
    real = sides_of(source.reference, classifier, pixels)
    of = partial(sides_of, classifier=classifier, pixels=pixels)
    clean = [scored(real, of(source.clean(i))) for i in range(len(source.pool.labels) // n)]
    spread = {metric: float(np.std([each[metric] for each in clean], ddof=1)) for metric in clean[0]}
    colour, began = source.pool.images.shape[1] == 3, time.process_time()
    rows = [{"data": name, "metric": "(strengths)"}]
    rows += [
        {"data": name, "metric": m, "clean": float(np.mean([each[m] for each in clean])), "spread": spread[m]}
        for m in spread
    ]
    for one in DEGRADATIONS:
        if one.colour and not colour:
            continue
        rows[0][one.name] = f"{' '.join(f'{s:g}' for s in one.strengths)} {one.unit}, seen from {one.seen:g}"
        asked = OF_LABELS if one.name == "wrong labels" else ORDER  # the others stay as they are
        found = [
            [{**clean[i], **scored(real, of(one(source, i, s)), asked)} for i in range(draws)] for s in one.strengths
        ]
        for row in rows[1:]:
            metric, seen = row["metric"], one.strengths.index(one.seen)
            sign, best_is_real = sign_of(metric)
            moved_by = [np.mean([f[metric] - clean[i][metric] for i, f in enumerate(each)]) for each in found]
            told = [sign * float(by) / spread[metric] + 0.0 for by in moved_by]
            row[one.name] = f"{verdict(told, seen, best_is_real)}: {' '.join(f'{r:.3g}' for r in told)}"
        print(f"{name}: {one.name} after {time.process_time() - began:.0f} CPU-seconds", flush=True)
    return rows


# --- the classification accuracy score, which fits a classifier for each number -------------------------------


def cas(name: str, root: Path, *, n: int) -> list[dict[str, Any]]:
    """The classification accuracy score at the strongest strength of each degradation, one draw."""
    from gansmith.metrics.measure import Materials, measures

    source, classifier, pixels = open_source(name, root, n, say=print)
    real = sides_of(source.reference, classifier, pixels)["classifier"]

    def of(fakes: Fakes) -> float:
        side = sides_of(fakes, classifier, pixels)["classifier"]
        return measures()["cas"].compute(Materials(real, side))[""].value

    rows = [{"data": name, "degradation": "none", "strength": None, "cas": of(source.clean(i))} for i in range(2)]
    for one in DEGRADATIONS:
        if one.name in CAS_OF:
            found = of(one(source, 0, one.strengths[-1]))
            rows.append({"data": name, "degradation": one.name, "strength": one.strengths[-1], "cas": found})
            print(table(rows[-1:]).splitlines()[-1], flush=True)
    return rows


CAS_OF = ("noise", "mirrored", "lost clusters", "only typical", "repeats", "copies of training", "wrong labels")

# --- the command -------------------------------------------------------------------------------------------

MARKS = {"sees": "●", "late": "◐", "blind": "○", "wrong": "✕", "too good": "◇"}


def compact(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same rows, with the verdict's mark and the response at the weakest strength that a person sees."""
    out, places = [], {one.name: one.strengths.index(one.seen) for one in DEGRADATIONS}
    for row in rows:
        if row["metric"] == "(strengths)":
            continue
        short: dict[str, Any] = {"data": row["data"], "metric": row["metric"]}
        for key in row.keys() & places.keys():
            found, told = row[key].split(": ")
            short[key] = f"{MARKS[found]} {_short(float(told.split()[places[key]]))}"
        out.append({key: short[key] for key in row if key in short})
    return out


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 10 else f"{round(value, 1) + 0.0:.1f}"


def main() -> None:
    """Print the tables."""
    parser = flags(__doc__)
    parser.add_argument("--part", choices=("behaviour", "behaviour-cas"), default="behaviour")
    parser.add_argument(
        "--data", choices=tuple(SIZES), action="append", help="both by default; of `behaviour-cas`, mnist"
    )
    args = parser.parse_args()
    n, draws = (500, 1) if args.quick else (N, DRAWS)
    for name in args.data or (["mnist"] if args.part == "behaviour-cas" else SIZES):
        if args.part == "behaviour-cas":
            found = cas(name, args.data_root, n=n)
            print(table(found))
        else:
            found = behaviour(name, args.data_root, n=n, draws=draws)
            print("\n" + ", ".join(f"{mark} {what}" for what, mark in MARKS.items()))
            print(f"\n{table(compact(found))}\n", flush=True)
        record(f"{args.part}-{name}", found, quick=args.quick)


if __name__ == "__main__":
    main()
