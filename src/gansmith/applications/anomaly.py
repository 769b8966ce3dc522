"""`gansmith.AnomalyDetector`: what is normal, learnt by a GAN, in scikit-learn's manner."""

from __future__ import annotations

import json
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from scipy.stats import beta
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from gansmith.applications import baselines
from gansmith.applications.baselines import Comparison
from gansmith.applications.examples import images_of
from gansmith.applications.normality import METHODS, Member, ready, train
from gansmith.errors import Refused
from gansmith.games.anomaly import Alad, FAnoGan, Ganomaly
from gansmith.run import write_json

SCHEMA = 1
"""Version of what `save` writes."""

AUTO = {"vectors": ("critic",), "images": ("encoder",)}
"""What `auto` takes, by the kind of data; docs/anomalies.md shows why."""

GAMES = {"fanogan": FAnoGan, "ganomaly": Ganomaly, "alad": Alad}
"""The method that a trained game stands for."""

LENGTH = {"critic": 160_000, "encoder": 128_000, "fanogan": 230_000, "ganomaly": 128_000, "alad": 100_000}
"""Vectors that each game is shown."""

PICTURES = 40_000
"""Images that each game is shown."""

MEMBERS = {"vectors": 3, "images": 1}

EXTREME = 1e6
"""Deviations to which a column's value is cut, so that its square is finite in float32."""


HOTTEST = 0.999
"""Share of the pixels of held-out normal images that are below the level of a heat map."""


class Threshold(NamedTuple):
    """Where examples begin to be called anomalous.

    Attributes:
        offset: scores below it are.
        rate: the expected share of normal examples that are called so.
        interval: in which that share lies with 95 %, over which examples were held out.
        examples: held-out normal examples that it was set by.
    """

    offset: float
    rate: float
    interval: tuple[float, float]
    examples: int


def threshold(scores: NDArray[np.float64], alarm_rate: float) -> Threshold:
    """A threshold for scores of held-out normal examples, higher being more normal.

    With k = ⌊α (n + 1)⌋ it is the k-th lowest of n scores. A new normal example, exchangeable with them, lies below
    with probability k / (n + 1) at most; and the share that does so is Beta(k, n + 1 − k) over draws of the n: the
    law of an order statistic, which asks nothing of the scores but that they do not tie.
    """
    n = len(scores)
    k = min(max(int(np.floor(alarm_rate * (n + 1) + 1e-9)), 1), n)
    low, high = beta.ppf([0.025, 0.975], k, n + 1 - k)
    return Threshold(float(np.sort(scores)[k - 1]), k / (n + 1), (float(low), float(high)), n)


class AnomalyDetector(OutlierMixin, BaseEstimator):
    """Tells what is not as the training data are, which should be normal examples.

    Scores and threshold are set by normal examples that are kept from the training, never by those that are scored;
    so an example's score does not depend on what it is scored with.

    Args:
        method: `critic` or `encoder` (distance to the nearest normal examples, in the features of a WGAN-GP critic or
            in the codes of GANomaly's encoder, beside GANomaly's own score), `fanogan`, `ganomaly`, `alad`; or `auto`:
            `critic` for tables and `encoder` for images.
        alarm_rate: the share of normal examples that may be called anomalous.
        held_out: the share of the training data that scores and threshold are set by.
        members: games that are trained, each of its own seed, and whose scores are averaged; None by the kind of data.
        neighbours: of whose distances `critic` and `encoder` take the mean.
        examples: that each game is shown; None by the kind of data.
        compare: print baselines beside it once it is fitted, against made anomalies.
        verbose: tell on standard error how far the training is.
        device: `auto`, `cpu`, `cuda`, …
        random_state: of everything random.

    Attributes:
        offset_: scores below it are anomalous.
        threshold_: the same with the false-alarm rate that it stands for, and its interval.
        methods_: the games that were trained.
        comparison_: where `compare` asked for one.
        columns_: names of the columns, where they are known.
        heat_level_: of images: what the hottest pixels of normal ones have.
        fitted_: the examples that the games were trained on; not saved.
        n_features_in_, feature_names_in_: as in scikit-learn.
    """

    def __init__(
        self,
        method: str = "auto",
        *,
        alarm_rate: float = 0.01,
        held_out: float = 0.2,
        members: int | None = None,
        neighbours: int = 3,
        examples: int | None = None,
        compare: bool = False,
        verbose: bool = False,
        device: str = "cpu",
        random_state: Any = 0,
    ) -> None:
        self.method = method
        self.alarm_rate = alarm_rate
        self.held_out = held_out
        self.members = members
        self.neighbours = neighbours
        self.examples = examples
        self.compare = compare
        self.verbose = verbose
        self.device = device
        self.random_state = random_state

    # --- fit ---------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn what is normal.

        Args:
            X: numbers [n, D]; or images, uint8 [n, H, W], [n, C, H, W] or [n, H, W, C].
            y: not looked at.
        """
        self._check()
        data = self._taken(X, reset=True)
        random = check_random_state(self.random_state)
        seed = int(random.randint(1 << 31))
        order = random.permutation(len(data))
        held = min(max(round(self.held_out * len(data)), 1), len(data) - 1)
        self._scale(data[order[held:]])
        apart, self.fitted_ = data[order[:held]], data[order[held:]]
        chosen = AUTO[self.kind_] if self.method == "auto" else (self.method,)
        repeats = self.members or MEMBERS[self.kind_]
        scaled = self._scaled(self.fitted_)
        self.members_: list[Member] = []
        for number, method in ((number, method) for number in range(repeats) for method in chosen):
            length = self.examples or (LENGTH[method] if self.kind_ == "vectors" else PICTURES)
            member = train(
                method, scaled, examples=length, seed=seed + number, neighbours=self.neighbours, device=self.device,
                progress=partial(_told, len(self.members_), repeats * len(chosen)) if self.verbose else None,
            )  # fmt: skip
            member.calibrate(self._scaled(apart))
            self.members_.append(member)
        self.methods_ = chosen
        self._set(apart)
        if self.compare:
            self.comparison_ = self._against_made(apart, seed)
            print(self.comparison_)
        return self

    @classmethod
    def of_run(cls, path: str | Path, X: Any, *, alarm_rate: float = 0.01, device: str = "cpu") -> Self:
        """A detector by the game of a run that `gansmith train` wrote by `fanogan`, `ganomaly` or `alad`.

        Args:
            path: the run's folder.
            X: normal examples that it was not trained on, by which the threshold is set.
            alarm_rate: as of the constructor.
            device: where to use it.

        Raises:
            Refused: no run, or one of another game, or of examples of another shape.
        """
        from gansmith.model import load

        model = load(path, device=device)
        method = next((name for name, kind in GAMES.items() if type(model.game) is kind), None)
        if method is None:
            raise Refused(
                f"{path}: its game is {model.recipe.game.name}, which tells no anomalies",
                f"Those that do: {', '.join(GAMES)}.",
            )
        made = cls(method, alarm_rate=alarm_rate, device=device)
        made._check()
        apart = made._taken(X, reset=True)
        if made.shape_ != tuple(model.shape):
            raise Refused(f"{path}: was trained on examples of {list(model.shape)}, and these are {list(made.shape_)}")
        size = 0 if made.kind_ == "images" else made.n_features_in_
        made.mean_, made.scale_, made.methods_ = np.zeros(size), np.ones(size), (method,)
        member = Member(method, model.recipe, made.shape_, ready(model.game, made.shape_))
        member.calibrate(made._scaled(apart))
        made.members_ = [member]
        made._set(apart)
        return made

    def _set(self, apart: NDArray[Any]) -> None:
        """Set the threshold by held-out normal examples."""
        self.columns_: tuple[str, ...] = tuple(getattr(self, "feature_names_in_", ()))
        self.threshold_ = threshold(self._scores(apart), self.alarm_rate)
        self.offset_ = self.threshold_.offset
        self.heat_level_ = float(np.quantile(self.heat(apart), HOTTEST)) if self.kind_ == "images" else 0.0
        if self.threshold_.rate > self.alarm_rate * 1.5:
            warnings.warn(
                f"{len(apart):,} held-out examples cannot set an alarm rate of {self.alarm_rate:g}, only "
                f"{self.threshold_.rate:.2g}; that takes {int(np.ceil(1 / self.alarm_rate)):,} of them",
                stacklevel=3,
            )

    def _check(self) -> None:
        if self.method != "auto" and self.method not in METHODS:
            raise ValueError(f"method must be auto, {', '.join(METHODS)}, not {self.method!r}")
        for name in ("alarm_rate", "held_out"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)!r}")
        for name in ("members", "neighbours", "examples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be 1 or more, not {value!r}")

    # --- what it tells -----------------------------------------------------------------------------

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """How normal each example is, [n]; higher is more. Held-out normal examples have a mean of about 0."""
        check_is_fitted(self)
        return self._scores(self._taken(X))

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """`score_samples` from the threshold on: below 0 is anomalous."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> NDArray[np.int64]:
        """1 for what is normal, −1 for what is not."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def reconstruct(self, X: Any) -> NDArray[Any]:
        """What the first member's game makes of each example by way of its latent vector, in the data's own scale."""
        check_is_fitted(self)
        made = self.members_[0].reconstruct(self._scaled(self._taken(X)))
        if self.kind_ == "vectors":
            return made * self.scale_ + self.mean_
        return np.clip(np.round(made * 127.5 + 127.5), 0, 255).astype(np.uint8)

    def heat(self, X: Any) -> NDArray[np.float32]:
        """Where images differ from what the game makes of them, [n, H, W]: means of 3x3 pixels, in levels of 0 to 1."""
        check_is_fitted(self)
        if self.kind_ != "images":
            raise ValueError("heat maps are of images")
        data = self._taken(X)
        apart = np.abs(data.astype(np.float32) - self.reconstruct(X).astype(np.float32)).mean(1) / 255
        edged = np.pad(apart, ((0, 0), (1, 1), (1, 1)), mode="edge")
        h, w = apart.shape[1:]
        return np.mean([edged[:, i : i + h, j : j + w] for i in range(3) for j in range(3)], axis=0).astype(np.float32)

    def compared(self, X: Any, y: Any) -> Comparison:
        """This detector beside isolation forest, nearest neighbours and PCA, fitted on what it was trained on.

        Args:
            X: examples, of which some are anomalous.
            y: which are: −1, or 1 where the others are 0.
        """
        data, truth = self._taken(X), labels_of(y)
        if len(truth) != len(data):
            raise ValueError(f"y has {len(truth)} labels for {len(data)} examples")
        return self._against(data, truth, f"{len(truth):,} examples, {int(truth.sum()):,} of them anomalous")

    def _against_made(self, held: NDArray[Any], seed: int) -> Comparison:
        odd = baselines.exchanged(held, seed)
        kind = "columns exchanged among rows" if self.kind_ == "vectors" else "a quarter is another's"
        of = f"{len(held):,} held-out examples and as many made anomalies ({kind}), which are no stand-in for real ones"
        return self._against(np.concatenate([held, odd]), np.repeat([False, True], len(held)), of)

    def _against(self, data: NDArray[Any], truth: NDArray[np.bool_], of: str) -> Comparison:
        check_is_fitted(self)
        if not hasattr(self, "fitted_"):
            raise ValueError("a detector that was saved keeps no training data to fit baselines on")
        others = baselines.beside(self.fitted_, data)
        return baselines.compare(self.method, -self._scores(data), others, truth, of)

    # --- on disk -----------------------------------------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Write `detector.json` and `detector.safetensors` into a folder; no training data, but features of them.

        Returns:
            The folder.
        """
        check_is_fitted(self)
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"{i}.{k}": v for i, member in enumerate(self.members_) for k, v in member.tensors().items()}
        save_file(tensors, folder / "detector.safetensors")
        given = self.get_params()
        given["random_state"] = given["random_state"] if isinstance(given["random_state"], int) else None
        names = getattr(self, "feature_names_in_", None)
        write_json(folder / "detector.json", {
            "schema_version": SCHEMA, "parameters": given, "kind": self.kind_, "shape": list(self.shape_),
            "mean": self.mean_.tolist(), "scale": self.scale_.tolist(), "threshold": self.threshold_._asdict(),
            "methods": list(self.methods_), "members": [member.facts() for member in self.members_],
            "heat_level": self.heat_level_, "columns": list(self.columns_),
            "features": None if names is None else [str(name) for name in names],
        })  # fmt: skip
        return folder

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """What `save` wrote.

        Raises:
            Refused: no such folder, or one that holds no detector, or a damaged one.
        """
        folder = Path(path)
        file = folder / "detector.json"
        if not file.is_file():
            raise Refused(f"{folder}: holds no detector", "`gansmith anomaly fit --data … --out DIR` makes one.")
        try:
            held = json.loads(file.read_text(encoding="utf-8"))
            if held["schema_version"] > SCHEMA:
                raise Refused(f"{file}: its schema version is {held['schema_version']}; this gansmith reads {SCHEMA}")
            tensors = load_file(folder / "detector.safetensors")
            made = cls(**held["parameters"])
            made.kind_, made.shape_, made.methods_ = held["kind"], tuple(held["shape"]), tuple(held["methods"])
            made.n_features_in_ = int(np.prod(made.shape_))
            if held["features"] is not None:
                vars(made)["feature_names_in_"] = np.array(held["features"], dtype=object)
            made.mean_, made.scale_ = np.array(held["mean"]), np.array(held["scale"])
            made.heat_level_, made.columns_ = float(held["heat_level"]), tuple(held["columns"])
            found = held["threshold"]
            made.threshold_ = Threshold(**{**found, "interval": tuple(found["interval"])})
            made.offset_ = made.threshold_.offset
            made.members_ = []
            for i, facts in enumerate(held["members"]):
                mine = {k.partition(".")[2]: v for k, v in tensors.items() if k.startswith(f"{i}.")}
                made.members_.append(Member.of(facts, mine))
        except (KeyError, TypeError, ValueError, OSError, SafetensorError) as error:
            raise Refused(f"{folder}: its detector cannot be read ({error})") from None
        return made

    # --- the data ----------------------------------------------------------------------------------

    def _taken(self, X: Any, reset: bool = False) -> NDArray[Any]:
        """Examples as they are kept: float64 [n, D], or uint8 [n, C, H, W]."""
        if not reset:
            check_is_fitted(self)
        axes: int = np.ndim(X) if type(X) in (list, tuple) else getattr(X, "ndim", 2)
        if axes in (3, 4) and (reset or self.kind_ == "images"):
            data = images_of(X)
            if reset:
                self.kind_, self.shape_ = "images", tuple(data.shape[1:])
                self.n_features_in_ = int(np.prod(self.shape_))
                if len(data) < 2:
                    raise ValueError(f"{len(data)} image: a minimum of 2 is required")
            elif data.shape[1:] != self.shape_:
                raise ValueError(f"images of {list(data.shape[1:])}, but it was fitted on {list(self.shape_)}")
            return data
        if not reset and self.kind_ == "images":
            raise ValueError(f"it was fitted on images of {list(self.shape_)}")
        data: Any = validate_data(self, X, reset=reset, dtype=np.float64, ensure_min_samples=2 if reset else 1)
        if reset:
            self.kind_, self.shape_ = "vectors", (data.shape[1],)
        return data

    def _scale(self, data: NDArray[Any]) -> None:
        if self.kind_ == "images":
            self.mean_ = self.scale_ = np.zeros(0)
        else:
            scaler: Any = StandardScaler().fit(data)
            self.mean_, self.scale_ = scaler.mean_, scaler.scale_

    def _scaled(self, data: NDArray[Any]) -> NDArray[Any]:
        if self.kind_ == "images":
            return data
        return np.clip((data - self.mean_) / self.scale_, -EXTREME, EXTREME)

    def _scores(self, data: NDArray[Any]) -> NDArray[np.float64]:
        scaled = self._scaled(data)
        return -np.mean([member.score(scaled) for member in self.members_], axis=0)


def _told(done: int, games: int, share: float) -> None:
    end = "\n" if done == games - 1 and share == 1 else ""
    print(f"\r{(done + share) / games:4.0%} trained", end=end, file=sys.stderr, flush=True)


def labels_of(y: Any) -> NDArray[np.bool_]:
    """Which examples are anomalous: those labelled −1; or 1, where the others are 0.

    Raises:
        ValueError: other labels, or one kind only.
    """
    values = np.asarray(y)
    found = set(np.unique(values).tolist())
    if found not in ({-1, 1}, {0, 1}):
        raise ValueError(f"labels must be 1 and -1 (an anomaly), or 0 and 1 (an anomaly), not {sorted(found)}")
    return values == (-1 if -1 in found else 1)
