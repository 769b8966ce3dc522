"""`gansmith.augment`: examples made from few, with labels and provenance; and whether they help."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gansmith.applications.augmenting import Kind, Made, Task, by_test_set, cross_validated, grow
from gansmith.applications.augmenting_images import Pictures
from gansmith.applications.augmenting_tables import Rows
from gansmith.applications.benefit import Codes, Trial, scores_for
from gansmith.applications.examples import images_of
from gansmith.data import frames
from gansmith.data.tables import column, csv_text, missing, rows_of
from gansmith.errors import Refused, nearest
from gansmith.media import background_for, grid, picture, save_image
from gansmith.run import Run, refuse_existing, write_json, write_text

SHOWN = 12
"""Made pictures of a class on the sheet that `save` writes."""

EVEN = 1.2
"""The largest class, in terms of the smallest, up to which classes count as even."""

MANY = 100
"""Classes above which y is taken for no classes."""


@dataclass(frozen=True)
class Augmented:
    """Made examples, and whether they help.

    Attributes:
        X: of the same kind as the real ones: uint8 images, a frame, columns by name, or numbers [n, D].
        y: the class of each, as the real ones' are named.
        made: where each is from, and what was rejected.
        trial: whether they help; None where it was not measured.
        run: the generator's run. It lies in a temporary folder, which goes with this object; `save` copies it.
        classes: names of the classes, by code.
        target: what the column of classes is called, of tables; None of images.
    """

    X: Any
    y: NDArray[Any]
    made: Made
    trial: Trial | None
    run: Run
    classes: tuple[str, ...]
    target: str | None = None

    @property
    def verdict(self) -> str:
        """One sentence: how much they helped, or that they did not, and what did."""
        return "Whether they help was not measured." if self.trial is None else self.trial.verdict

    def provenance(self) -> dict[str, NDArray[Any]]:
        """Of each made example its class, the draw that it is of, and how it stands to the real ones, by name.

        `seed` and `place`: the generator's sample of that class, with that seed, in that place. `share` is how sure a
        classifier of the real examples is of the class; `nearest` the training example of that class that it is
        nearest to, from 0, and `distance` how far away, in that classifier's features.
        """
        made = self.made
        return {
            "class": np.array([self.classes[c] for c in made.labels], dtype=object),
            "seed": made.draw[:, 0], "place": made.draw[:, 1], "share": made.share, "nearest": made.nearest,
            "distance": made.distance,
        }  # fmt: skip

    def __str__(self) -> str:
        reasons = ", ".join(f"{number:,} {why}" for why, number in self.made.reasons.items() if number)
        lines = [f"{len(self.made.labels):,} examples were made" + (f"; rejected: {reasons}" if reasons else "")]
        lines += [f"  only {n:,} of class {self.classes[c]} could be kept" for c, n in self.made.lacking.items()]
        return "\n".join([*lines, "", *([] if self.trial is None else [str(self.trial), ""]), self.verdict])

    def plain(self) -> dict[str, Any]:
        """What was made, and the trial, as plain JSON."""
        made = {self.classes[c]: int((self.made.labels == c).sum()) for c in np.unique(self.made.labels)}
        return {
            "synthetic": True, "made": made, "rejected": dict(self.made.reasons), "verdict": self.verdict,
            "trial": None if self.trial is None else self.trial.plain(), "recipe": self.run.recipe().name,
        }  # fmt: skip

    def save(self, out: str | Path) -> Path:
        """Write everything to a folder, new or empty: whole, or not at all.

        Pictures go to `CLASS/000000.png`, rows to `synthetic.csv`; beside them `provenance.csv` with a line for each,
        `augment.json` (the trial, and what was rejected), and the generator's run as `generator/`.

        Returns:
            The folder.

        Raises:
            Refused: it holds something, or cannot be written.
        """
        out = Path(out)
        refuse_existing(out)
        part = out.with_name(out.name + ".part")
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            names = _write_rows(self, part) if self.target is not None else _write_pictures(self, part)
            write_text(part / "provenance.csv", csv_text({**names, **self.provenance()}))
            write_json(part / "augment.json", self.plain())
            shutil.copytree(self.run.path, part / "generator")
            if out.exists():
                out.rmdir()
            os.replace(part, out)
        except BaseException as error:
            shutil.rmtree(part, ignore_errors=True)
            if isinstance(error, OSError):
                raise Refused(f"{out}: cannot be written ({error.strerror or error})") from None
            raise
        return out


def _write_rows(found: Augmented, folder: Path) -> dict[str, NDArray[Any]]:
    assert found.target is not None
    write_text(folder / "synthetic.csv", csv_text({**found.made.data, found.target: column(found.y)}))
    return {}


def _write_pictures(found: Augmented, folder: Path) -> dict[str, NDArray[Any]]:
    images: NDArray[np.uint8] = found.made.data
    labels, names, seen = found.made.labels, list[str](), dict[int, int]()
    for image, label in zip(images, labels.tolist(), strict=True):
        place = seen[label] = seen.get(label, -1) + 1
        kind = re.sub(r"[^\w .-]+", "_", found.classes[label]).strip(" .") or str(label)
        names.append(f"{kind}/{place:06d}.png")
        save_image(folder / names[-1], picture(image))
    some = [rows for rows in (np.flatnonzero(labels == c)[:SHOWN] for c in np.unique(labels)) if len(rows) == SHOWN]
    sheet = images[np.concatenate(some)] if some else images[:SHOWN]
    save_image(folder / "sheet.png", grid(sheet, columns=SHOWN, background=background_for(sheet)))
    return {"file": np.array(names, dtype=object)}


def augment(
    X: Any,
    y: Any,
    n: int | Mapping[Any, int] = 500,
    *,
    test: tuple[Any, Any] | None = None,
    measure: bool = True,
    folds: int = 5,
    score: str | None = None,
    recipe: str = "auto",
    images: int | None = None,
    epochs: float | None = None,
    classifier: Callable[[int, bool], Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
    names: Sequence[str] | None = None,
    target: str | None = None,
    seed: int = 0,
    device: str = "auto",
    say: Callable[[str], None] | None = None,
) -> Augmented:
    """Make labelled examples by a GAN that is trained on few, and measure whether they help a classifier.

    A conditional generator is trained; what it makes is kept where a classifier of the real examples finds it to be
    of its class, and where it is neither a copy of a real one nor far from all. Then classifiers are trained with and
    without, and by what needs no GAN (class weights; flips, shifts and mixup of images; SMOTE of rows), in a
    cross-validation of which each fold has a generator and a filter of its own.

    >>> found = gansmith.augment(X, y, n=500)          # doctest: +SKIP
    >>> print(found.verdict)                           # doctest: +SKIP
    >>> found.save("more")                             # doctest: +SKIP

    Args:
        X: uint8 images [n, H, W], [n, C, H, W] or [n, H, W, C]; or a table: a frame, columns by name, numbers [n, D].
        y: the class of each.
        n: how many to make of each class; or by class, and none of those that are not named.
        test: other examples and their classes, to measure by in the place of a cross-validation.
        measure: whether to.
        folds: of the cross-validation; or seeds, where there is a `test`.
        score: to judge by. Where one class is asked for, or there are two, that one or the rarer is judged by
            `average precision` (or `F1`, `balanced accuracy`); several by `balanced accuracy` (or `accuracy`).
        recipe: by which the generator is trained: of images, or a method of `TableGAN`; `auto` is the default of each.
        images: that a generator of images is shown.
        epochs: passes of a generator of rows.
        classifier: of rows: makes one of scikit-learn's of (seed, whether classes are weighed); None is a random
            forest.
        overrides: fields of the recipe by dotted name.
        names: of the classes, where y has numbers from 0.
        target: what the column of classes is called, of a table; None is y's own name, or `target`.
        seed: of everything random.
        device: where to train.
        say: told in one line, now and then, where it stands.

    Raises:
        Refused: data that it cannot take, before any work; or nothing of what was made could be kept.
        KeyboardInterrupt: it was interrupted; nothing is left.
    """
    values, labels = _classes(y)
    form = _form(X, y, target)
    if rows_or_images(form.data) != len(labels):
        raise Refused(f"X has {rows_or_images(form.data):,} examples, and y {len(labels):,}")
    shown = tuple(str(names[v]) if names is not None else str(v) for v in values.tolist())
    counts = np.bincount(labels)
    wanted = _wanted(n, values, names)
    focus = next(iter(wanted)) if len(wanted) == 1 else int(counts.argmin()) if len(counts) == 2 else None
    _check(measure, folds, score, focus)
    how: dict[str, Any] = {"recipe": recipe, "device": device, "overrides": overrides}
    how["uneven"] = bool(counts.max() > EVEN * counts.min())
    kind: Kind
    if form.target is None:
        kind = Pictures(form.data.shape[1:], shown, **how, images=images)
    else:
        kind = Rows(form.target, values.tolist(), **how, epochs=epochs, classifier=classifier)
    task = Task(kind, form.data, labels, shown, wanted, seed, say or (lambda text: None))
    if measure and test is None and counts.min() < 2:
        raise Refused(
            f"class {shown[int(counts.argmin())]}: has one example, so that none is left to test by",
            "Give a test set, or do not measure.",
        )
    tested = None if test is None else _tested(test, form, values)
    folder = tempfile.mkdtemp(prefix="gansmith-augment-")
    try:
        made = grow(task, Path(folder) / "generator")
        if not len(made.labels):
            why = ", ".join(f"{number:,} {reason}" for reason, number in made.reasons.items())
            raise Refused(f"nothing of what the generator made could be kept ({why})", "Train it for longer.")
        trial = None
        if measure and tested is not None:
            trial = by_test_set(task, made, folds, *tested, focus, score)
        elif measure:
            trial = cross_validated(task, folds, focus, score)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    run = Run(Path(folder) / "generator")
    found = Augmented(form.back(made.data), values[made.labels], made, trial, run, shown, form.target)
    weakref.finalize(found, shutil.rmtree, folder, ignore_errors=True)
    return found


# --- what is given ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Form:
    """Examples as the work takes them, and the way back to what was given."""

    data: Any
    back: Callable[[Any], Any]
    target: str | None = None


def rows_or_images(data: Any) -> int:
    """How many examples there are."""
    return rows_of(data) if isinstance(data, Mapping) else len(data)


def _form(X: Any, y: Any, target: str | None) -> _Form:
    if getattr(X, "ndim", 0) in (3, 4):
        try:
            data = images_of(X)
        except ValueError as error:
            raise Refused(f"X: {error}") from None
        last = X.ndim == 4 and data.shape != X.shape

        def images_back(made: NDArray[np.uint8]) -> NDArray[np.uint8]:
            return made[:, 0] if X.ndim == 3 else made.transpose(0, 2, 3, 1) if last else made

        return _Form(data, images_back)
    name = target or str(getattr(y, "name", None) or "target")
    if frames.is_frame(X):
        columns, types = frames.columns_of(X)
        form = _Form(columns, lambda made: frames.frame_of(made, types), name)
    elif isinstance(X, Mapping):
        form = _Form({key: column(values) for key, values in X.items()}, lambda made: made, name)
    else:
        form = _numbers(X, name)
    if name in form.data:
        raise Refused(f"X has a column {name!r}, as y is called", "Leave it out of X, or give target=… another name.")
    if not form.data:
        raise Refused("X has no columns")
    return form


def _numbers(X: Any, name: str) -> _Form:
    array = np.asarray(X)
    if array.ndim != 2 or array.dtype.kind not in "iufb":
        raise Refused(
            f"X: {array.dtype} of shape {list(array.shape)}",
            "It takes uint8 images, a frame, columns by name, or numbers [n, D].",
        )
    if not len(array):
        raise Refused("X holds no examples")
    columns = {f"x{i}": array[:, i] for i in range(array.shape[1])}
    return _Form(columns, lambda made: np.stack([made[key] for key in columns], 1).astype(array.dtype), name)


def _classes(y: Any) -> tuple[NDArray[Any], Codes]:
    """The classes that there are, sorted, and the code of each example's."""
    if y is None:
        raise Refused("y is missing: the class of each example is needed")
    labels = np.asarray(y)
    if labels.ndim != 1 or not len(labels):
        raise Refused(f"y: a class for each example, not an array of shape {list(labels.shape)}")
    if missing(labels).any():
        raise Refused(f"y: the class of example {int(missing(labels).argmax())} is missing", "Leave such examples out.")
    try:
        values, codes = np.unique(labels, return_inverse=True)
    except TypeError:
        kinds = sorted({type(v).__name__ for v in labels.tolist()})
        raise Refused(f"y: mixes {' and '.join(kinds)}", "Make text of them.") from None
    if len(values) < 2:
        raise Refused(f"y: one class only, {values.tolist()[0]!r}; there is nothing to tell apart")
    if len(values) > MANY or (labels.dtype.kind == "f" and (labels != np.rint(labels)).any()):
        raise Refused(f"y: {len(values):,} values, which are no classes", f"It takes from 2 to {MANY} classes.")
    return values, codes.astype(np.int64)


def _wanted(n: int | Mapping[Any, int], values: NDArray[Any], names: Sequence[str] | None) -> dict[int, int]:
    """How many to make, by code."""
    known = values.tolist()
    if isinstance(n, Mapping):
        shown = [str(v) if names is None else str(names[v]) for v in known]
        out: dict[int, int] = {}
        for label, count in n.items():
            place = known.index(label) if label in known else shown.index(str(label)) if str(label) in shown else None
            if place is None:
                near = nearest(str(label), shown)
                hint = f"; did you mean {near!r}?" if near else f"; there are {', '.join(shown[:10])}"
                raise Refused(f"n: no class {label!r}{hint}")
            out[place] = count
    else:
        out = dict.fromkeys(range(len(known)), n)
    if not out or any(count < 1 or count != int(count) for count in out.values()):
        raise Refused("n: a whole number above zero, of each class")
    return out


def _check(measure: bool, folds: int, score: str | None, focus: int | None) -> None:
    if measure and (folds < 2 or folds != int(folds)):
        raise Refused(f"folds: two at least, not {folds}")
    known = list(scores_for(focus))
    if score is not None and score not in known:
        near = nearest(score, known)
        hint = f"did you mean {near!r}?" if near else f"here there are {', '.join(known)}"
        raise Refused(f"score: none is called {score!r}; {hint}")


def _tested(test: tuple[Any, Any], form: _Form, values: NDArray[Any]) -> tuple[Any, Codes]:
    held = _form(test[0], test[1], form.target)
    truth = np.asarray(test[1])
    if (held.target is None) != (form.target is None) or rows_or_images(held.data) != len(truth):
        raise Refused("test: examples of the same kind, and a class for each")
    if form.target is None and held.data.shape[1:] != form.data.shape[1:]:
        raise Refused(f"test: images of {list(held.data.shape[1:])}, and X has {list(form.data.shape[1:])}")
    if form.target is not None and set(held.data) != set(form.data):
        raise Refused("test: its columns are not those of X")
    odd = [v for v in truth.tolist() if v not in values.tolist()]
    if odd or not len(truth):
        raise Refused(f"test: class {odd[0]!r} is none of y's" if odd else "test: holds no examples")
    return held.data, np.searchsorted(values, truth).astype(np.int64)
