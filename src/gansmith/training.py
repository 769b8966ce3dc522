"""Train, plan and resume: what the command line calls, and a Python user too.

Brings recipe, data, game and engine together; the work is done in those rooms.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import gansmith
from gansmith import auto, collectives, schedule
from gansmith import recipe as recipes
from gansmith import run as runs
from gansmith.build import Facts, build
from gansmith.data import Dataset, open_dataset
from gansmith.data.finish import reserve
from gansmith.data.given import checked
from gansmith.data.pairs import absolute, blinded
from gansmith.engine import checkpoint, distributed, duality, hardware, measure
from gansmith.engine.hardware import Numerics
from gansmith.engine.listener import Listener
from gansmith.engine.player import Player
from gansmith.engine.sampler import examples_of
from gansmith.engine.trainer import Scores, Trainer
from gansmith.errors import Refused
from gansmith.recipe import Recipe
from gansmith.recorder import Recorder
from gansmith.run import Run
from gansmith.scoring import HeldScoring, Scoring, check_metrics, held_out, unseen_split


@dataclass(frozen=True)
class Plan:
    """A resolved training that has not begun.

    Attributes:
        recipe: resolved.
        dataset: to train on.
        parameters: number of parameters of each network.
        rate: images/s measured.
        images: length.
        memory: bytes at most in use after the trial.
        out: the folder that will be written.
        notes: what was chosen, and why.
    """

    recipe: Recipe
    dataset: Dataset
    parameters: Mapping[str, int]
    rate: float
    images: int
    memory: int
    out: str | None
    notes: Sequence[str]

    @property
    def hours(self) -> float:
        """Expected length in hours."""
        return self.images / self.rate / 3600

    def lines(self) -> list[str]:
        """The plan for people."""
        data, minutes = self.dataset, self.hours * 60
        took = f"{minutes:.1f} minutes" if minutes < 90 else f"{self.hours:.1f} hours"
        sizes = ", ".join(f"{name} {count:,}" for name, count in self.parameters.items())
        checkpoint_mb = 12 * sum(self.parameters.values()) / 1e6
        return [
            f"recipe      {self.recipe.name}",
            f"data        {data.name}: {data.count:,} {data.kinds} of {'x'.join(map(str, data.shape))}",
            *(f"note        {note}" for note in (*data.notes, *self.notes)),
            f"parameters  {sizes}",
            f"memory      {self.memory / 2**20:,.0f} MiB at most in the trial",
            f"speed       {self.rate:,.0f} images/s, measured",
            f"length      {self.images:,} images: about {took}",
            f"will write  {self.out or 'nothing (no --out)'}: {self.recipe.snapshots} sample grids, checkpoints of "
            f"about {checkpoint_mb:.0f} MB, events.jsonl, tensorboard/, report.html",
            "",
            recipes.dump(self.recipe).rstrip(),
        ]


@dataclass
class _Ready:
    player: Player
    recipe: Recipe
    dataset: Dataset
    known: Dataset
    """The same with the labels that the networks may not be told of."""
    opened: bool
    """Whether it is what the recipe's data open to, and not a Python user's own under some name."""
    held: Dataset | None
    """Examples of the same kind that it does not train on."""
    rate: measure.Rate
    notes: list[str]


def train(
    recipe: str | Path | Recipe = "auto",
    data: str | Dataset | None = None,
    out: str | Path | None = None,
    *,
    images: int | str | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    cpu_minutes: float | None = None,
    start_from: str | Path | None = None,
    device: str = "auto",
    data_root: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    listeners: Sequence[Listener] = (),
    scores: Scores | None = None,
) -> Run:
    """Train a GAN, and write a run.

    Args:
        recipe: a zoo name, a YAML file, or a recipe.
        data: catalogue name, path or hub id; or a dataset already open.
        out: the run's folder, new or empty; by default `runs/RECIPE-DATA`.
        images, epochs, minutes, cpu_minutes: the length, one of them; times are resolved to images once,
            after a short measurement. None takes the recipe's.
        start_from: a run whose weights to begin with (fine-tuning).
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        data_root: folder in which a catalogue name is looked for.
        overrides: recipe fields by dotted name (`{"optimizer.lr": 1e-3}`).
        listeners: told of progress, beside the recorder that writes the run.
        scores: what scores the snapshots, in the place of the recipe's metrics.

    Returns:
        The run.

    Raises:
        Refused: anything wrong with recipe, data, folder or machine, before any work.
        Diverged: weights became non-finite again after two roll-backs.
    """
    place = hardware.pick_device(device)
    given = overrides or {}
    fields, where = _fields(recipe, data, data_root, given)
    path = Path(out) if out is not None else Path("runs") / _default_name(fields, where)
    runs.refuse_existing(path)
    with distributed.joined(place), hardware.borrowed():
        lengths = {"images": images, "epochs": epochs, "minutes": minutes, "cpu_minutes": cpu_minutes}
        ready = _prepare(fields, where, data, place, lengths, start_from)
        player = ready.player
        info = _info(ready, start_from)
        run = runs.create(path, ready.recipe, info) if distributed.is_first() else Run(path)
        with run.locked() if distributed.is_first() else nullcontext():
            trainer = Trainer(player, run, [Recorder(), *listeners], held=ready.held)
            return _finish(run, ready, trainer, place, scores)


def plan(
    recipe: str | Path | Recipe = "auto",
    data: str | Dataset | None = None,
    out: str | Path | None = None,
    *,
    images: int | str | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    cpu_minutes: float | None = None,
    start_from: str | Path | None = None,
    device: str = "auto",
    data_root: str | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Plan:
    """Resolve a training and measure a few steps of it, without writing anything; arguments as of `train`."""
    place = hardware.pick_device(device)
    fields, where = _fields(recipe, data, data_root, overrides or {})
    if out is not None:
        runs.refuse_existing(Path(out))
    with distributed.joined(place), hardware.borrowed():
        lengths = {"images": images, "epochs": epochs, "minutes": minutes, "cpu_minutes": cpu_minutes}
        ready = _prepare(fields, where, data, place, lengths, start_from)
        player = ready.player
        player.close()
        return Plan(
            ready.recipe, ready.dataset, {name: flat.size for name, flat in player.flats.items()},
            ready.rate.images_per_second, ready.recipe.images, measure.peak_memory(place),
            None if out is None else str(out), ready.notes,
        )  # fmt: skip


def resume(
    path: str | Path,
    *,
    data: Dataset | None = None,
    device: str = "auto",
    listeners: Sequence[Listener] = (),
    scores: Scores | None = None,
) -> Run:
    """Go on with a training exactly where it stopped.

    With another torch version, thread count, device or number of ranks it goes on too, and warns that
    it is no longer bit-exact.

    Args:
        path: the run's folder.
        data: the dataset, where the training was given one that it cannot open by itself.
        device: where to train.
        listeners: told of progress, beside the recorder.
        scores: as of `train`.

    Raises:
        Refused: no run, no readable checkpoint, or data that are gone or have changed.
    """
    run = Run(Path(path))
    info, recipe = run.info(), run.recipe()
    place = hardware.pick_device(device)
    lock = run.locked() if distributed.is_first() else nullcontext()
    with distributed.joined(place), hardware.borrowed(), lock:
        newest = None if _never_saved(run, info) else checkpoint.newest(run)
        stored = info.get("numerics", {})
        now = _numerics_again(stored, recipe, place)
        hardware.apply(now)
        known = open_dataset(recipe.data) if data is None else checked(data)
        dataset, held = _parted(known, recipe, data is None)
        if dataset.fingerprint != info["data"]["fingerprint"]:
            raise Refused(
                f"{run.path}: the data are not those that it began with ({dataset.name})",
                "Put the old data back; or begin a new training with --from.",
            )
        player = Player(build(recipe, facts_of(dataset)), dataset, recipe, place, now)
        if newest is not None:
            player.load(newest.tensors, newest.rest)
        notes = [measure.hardware_note(player)]
        if stored.get("compiled"):
            notes.append(measure.choose_compilation(player, measure.trial(player), "on")[1])
        differences = player.numerics.differs(stored)
        warnings = newest.warnings() if newest is not None else []
        if differences:
            warnings.append(f"no longer bit-exact: {'; '.join(differences)}")
        rest = newest.rest if newest is not None else {}
        held, said = _shown(player, known, held, data is None)
        ready = _Ready(player, recipe, dataset, known, data is None, held, measure.Rate(1.0, 1.0), notes + said)
        trainer = Trainer(
            player, run, [Recorder(), *listeners], seconds=rest.get("seconds", 0.0),
            cpu_seconds=rest.get("cpu_seconds", 0.0), warnings=warnings, held=held,
        )  # fmt: skip
        trainer.best = tuple(rest["best"]) if rest.get("best") else None
        trainer.rollbacks = int(rest.get("rollbacks", 0))
        if trainer.watch is not None:
            trainer.watch.load(rest.get("watch"))
        if distributed.is_first():
            checkpoint.put_aside(run, newest.damaged if newest is not None else [])
            run.update_info(status="running")
        return _finish(run, ready, trainer, place, scores)


def _never_saved(run: Run, info: Mapping[str, Any]) -> bool:
    """Whether a training was stopped before its first checkpoint, and all that it began with is known."""
    return not run.checkpoints() and info.get("from") is None


# --- the parts -------------------------------------------------------------------------------------


def _fields(
    recipe: str | Path | Recipe, data: str | Dataset | None, root: str | None, overrides: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    if isinstance(recipe, Recipe):
        fields, where = recipe.model_dump(mode="json", exclude_defaults=True), f"recipe {recipe.name}"
    else:
        fields, where = recipes.read_fields(recipe)
    fields = recipes.merge(fields, recipes.parse_overrides(overrides))
    named: dict[str, Any] = {"source": data} if isinstance(data, str) else {}
    if isinstance(data, Dataset):
        named = {"source": data.name}
    if root is not None:
        named["root"] = str(Path(root).resolve())
    if named.get("source") and Path(named["source"]).exists() and not isinstance(data, Dataset):
        named["source"] = str(Path(named["source"]).resolve())  # a resume may start in another folder
    elif isinstance(data, str):
        named["source"] = absolute(data)
    return recipes.merge(fields, {"data": named}), where


def _default_name(fields: Mapping[str, Any], where: str) -> str:
    source = Path(str(fields.get("data", {}).get("source") or "data")).stem
    return f"{fields.get('name', 'custom')}-{source}"


def _prepare(
    fields: Mapping[str, Any],
    where: str,
    data: str | Dataset | None,
    place: torch.device,
    lengths: Mapping[str, Any],
    start_from: str | Path | None,
) -> _Ready:
    given = [name for name, value in lengths.items() if value is not None]
    if len(given) > 1:
        raise Refused(f"{' and '.join(given)}: give one length, not {len(given)}")
    for name in given:
        if name != "images" and not 0 < float(lengths[name]) < math.inf:
            raise Refused(f"{name}: expected a number above zero, not {lengths[name]!r}")
    # A rule fills in what is left out, so a field of which only a part is given is whole only after it.
    ruled = fields.get("rule") == "auto"
    draft = recipes.validate({"rule": "auto", "data": fields.get("data", {})} if ruled else fields, where)
    if draft.data.source is None:
        raise Refused(
            "no data were named", "Give --data: a name (digits, mnist, cifar10, ring, …), a folder, .zip or .npz."
        )
    dataset = known = checked(data) if isinstance(data, Dataset) else open_dataset(draft.data)
    notes: list[str] = []
    if draft.rule == "auto":
        classes = len(dataset.classes or ()) if dataset.labels is not None else 0
        seen = auto.Seen(dataset.modality, dataset.shape, dataset.count, classes, _spread(dataset))
        chosen, reasons = auto.choose(seen)
        own = {k: v for k, v in fields.items() if k != "rule"}
        draft = recipes.validate(recipes.merge(chosen, own), where)
        notes += [f"auto: {reason}" for reason in reasons]
    if draft.score and draft.metrics:
        check_metrics(draft.metrics, known)
    dataset, held = _parted(known, draft, not isinstance(data, Dataset))
    draft = draft.model_copy(update={"conditional": facts_of(dataset).classes > 0})
    if lengths["images"] is not None:
        draft = draft.model_copy(update={"images": _counted(lengths["images"])})
    elif lengths["epochs"] is not None:
        draft = draft.model_copy(update={"images": max(1, round(float(lengths["epochs"]) * dataset.count))})
    numerics = hardware.decide(draft.precision, "off", place, collectives.world(), draft.deterministic)
    hardware.apply(numerics)
    player = Player(build(draft, facts_of(dataset)), dataset, draft, place, numerics)
    notes += player.game.notes
    if start_from is not None:
        source = Run(Path(start_from))
        source.info()
        taken, there = player.start_from(checkpoint.newest(source).tensors)
        if not taken:
            raise Refused(
                f"{start_from}: none of its weights fit recipe {draft.name}", "Use the recipe it was made by."
            )
        notes.append(f"from {start_from}: {taken} of {there} parameter tensors taken")
    by_cpu = lengths["cpu_minutes"] is not None
    timed = lengths["minutes"] if lengths["minutes"] is not None else lengths["cpu_minutes"]
    rate = measure.choose_threads(player, by_cpu, 60 * float(timed or 0))
    notes.append(measure.hardware_note(player))
    if timed is not None:
        speed = rate.images_per_cpu_second if by_cpu else rate.images_per_second
        draft = draft.model_copy(update={"images": max(draft.batch, round(float(timed) * 60 * speed))})
        unit = "processor minutes" if by_cpu else "minutes"
        notes.append(f"{timed:g} {unit}: {draft.images:,} images at {speed:,.0f} images/s, measured")
    player.recipe, player.total = draft, draft.images
    if player.phases:
        ends = [f"{name} to {min(end, player.total):,.0f}" for name, _, end in player.spans()]
        notes.append(f"phases: {', '.join(ends)}")
    rate, line = measure.choose_compilation(player, rate, draft.compile)
    notes.append(line)
    duality.check(player, held)
    held, said = _shown(player, known, held, not isinstance(data, Dataset))
    return _Ready(player, draft, dataset, known, not isinstance(data, Dataset), held, rate, notes + said)


def _counted(value: int | str) -> int:
    try:
        return schedule.count(value)
    except ValueError as error:
        raise Refused(f"images: {error}") from None


def _parted(known: Dataset, recipe: Recipe, opened: bool) -> tuple[Dataset, Dataset | None]:
    """What to train on, and examples of the same kind to keep from it."""
    dataset = _conditioned(known, recipe)
    if recipe.data.reserve is not None:
        kept, held = reserve(dataset, recipe.data.reserve)
        return blinded(kept), held
    held = held_out(known, recipe, opened=opened)
    return blinded(dataset), None if held is None else _conditioned(held, recipe)


def _shown(player: Player, known: Dataset, held: Dataset | None, opened: bool) -> tuple[Dataset | None, list[str]]:
    """Examples to look at, of a game that makes nothing of noise alone; and what is to be said of them."""
    if player.game.use is None or held is not None:
        return held, []
    held = unseen_split(known, player.recipe.data, opened=opened)
    if held is not None:
        return held, [f"pictures and scores are of {held.name}'s {held.split} split"]
    return None, ["pictures and scores are of examples that it trains on; --data.reserve N keeps some from it"]


def _conditioned(dataset: Dataset, recipe: Recipe) -> Dataset:
    """The dataset with what the networks are told of and nothing else: conditions, or else labels, or neither."""
    if recipe.conditional is False:
        return replace(dataset, labels=None, conditions=None)
    if dataset.conditions is not None:
        return replace(dataset, labels=None)
    if recipe.conditional and dataset.labels is None:
        raise Refused(f"{dataset.name}: has no labels, so the training cannot be conditional", "--conditional false")
    return dataset


def _spread(dataset: Dataset) -> float:
    """Root mean square distance of a point's coordinate from its mean; 1 of other data."""
    if dataset.modality != "points" or dataset.array is None:
        return 1.0
    return float(dataset.array[:10_000].astype(np.float64).var(0).mean() ** 0.5)


def facts_of(dataset: Dataset) -> Facts:
    """What networks are built by, of a dataset as it is fed: shape, classes or conditions, and what lies beside it."""
    beside = {name: other.dataset.shape for name, other in dataset.beside.items()}
    if dataset.conditions is not None:
        return Facts(dataset.shape, dataset.conditions.shape[1], vectors=True, beside=beside)
    return Facts(dataset.shape, len(dataset.classes or ()) if dataset.labels is not None else 0, beside=beside)


def _info(ready: _Ready, start_from: str | Path | None) -> dict[str, Any]:
    data = ready.dataset
    return {
        "status": "running",
        "gansmith": gansmith.__version__,
        "data": {
            "name": data.name, "modality": data.modality, "shape": list(data.shape), "count": data.count,
            "split": data.split, "classes": list(data.classes) if data.classes else None,
            "conditional": data.labels is not None, "fingerprint": data.fingerprint, "notes": list(data.notes),
            "conditions": None if data.conditions is None else examples_of(data.conditions).tolist(),
            "beside": {name: list(other.dataset.shape) for name, other in data.beside.items()},
            "skipped": len(data.problems),
        },
        "parameters": {name: flat.size for name, flat in ready.player.flats.items()},
        "numerics": ready.player.numerics.record(),
        "use": ready.player.game.use,
        "notes": ready.notes,
        "from": None if start_from is None else str(start_from),
        "versions": _versions(),
        "host": {"system": platform.platform(), "processor": hardware.processor(ready.player.device)},
    }  # fmt: skip


def _versions() -> dict[str, str]:
    import safetensors

    return {
        "gansmith": gansmith.__version__, "python": platform.python_version(), "torch": torch.__version__,
        "numpy": np.__version__, "safetensors": safetensors.__version__,
    }  # fmt: skip


def _numerics_again(stored: Mapping[str, Any], recipe: Recipe, place: torch.device) -> Numerics:
    """The numerics that a run began with, as far as this machine has them."""
    now = hardware.decide(recipe.precision, "off", place, collectives.world(), recipe.deterministic)
    kept = {k: stored[k] for k in ("precision", "matmul") if k in stored}
    if kept.get("matmul") == "medium" and hardware.probe(place).medium_error > hardware.ACCURATE:
        del kept["matmul"]  # on this processor it means bf16
    threads = int(stored.get("threads", now.threads))
    if threads <= torch.get_num_threads() or place.type != "cpu":
        kept["threads"] = threads
    return replace(now, **kept)


def _finish(run: Run, ready: _Ready, trainer: Trainer, place: torch.device, scores: Scores | None) -> Run:
    """Play to the end, and note how it ended."""
    player, first = ready.player, distributed.is_first()

    def unscored(why: str) -> None:
        run.update_info(unscored=why)
        trainer.tell("warning", player.images, f"no scores from here on: {why}")

    gap = duality.cards(ready.recipe, ready.held)

    def scored(cards: Mapping[str, Mapping[str, Any]]) -> None:
        run.update_info(score=next(iter(cards.values())), cards={**cards, **gap})

    if first and gap:
        run.update_info(cards=gap)
    if first and scores is not None:
        trainer.scores = scores
    elif first and ready.recipe.score and player.game.use is not None:
        trainer.scores = HeldScoring(ready.recipe, scored)
    elif first and ready.recipe.score:
        trainer.scores = Scoring(
            ready.recipe, ready.known, opened=ready.opened, conditional=ready.dataset.labels is not None, device=place,
            ready=scored, failed=unscored,
        )  # fmt: skip
    if first:
        for note in ready.notes:
            trainer.tell("note", note)
    status = "failed"
    try:
        status = trainer.train()
    except KeyboardInterrupt:  # the second Ctrl-C: what was saved last stands
        status = "interrupted"
        raise
    finally:
        player.close()
        if first and run.info_file.exists():
            run.update_info(status=status, images=player.images, seconds=trainer.seconds()[0])
    return run
