"""Runs the trainings of a suite, one after the other; what is finished is not done twice."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gansmith.engine.trainer import Diverged
from gansmith.errors import Refused
from gansmith.evaluation import evaluate
from gansmith.run import Run, write_json, write_text
from gansmith.suites.results import Result, Results
from gansmith.suites.suite import Suite, Trial
from gansmith.training import resume, train


def run_suite(
    suite: Suite,
    out: Path,
    *,
    device: str = "auto",
    data_root: str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Results:
    """Train and score every row of a suite; a second call goes on where the first was stopped.

    Args:
        suite: which.
        out: the folder of its runs, of `results.json`, and of the tables in `table.md` and `page.html`.
        device: where to train.
        data_root: folder in which a catalogue name is looked for.
        say: told, in one line, of each training.

    Raises:
        Refused: a folder of another suite; anything wrong with a recipe or its data.
        KeyboardInterrupt: it was interrupted; what was trained by then is kept, for a second call.
    """
    results = read_results(suite, out)
    write_json(out / "results.json", results.record())  # so that a folder that holds runs is known for the suite's
    trials = suite.trials()
    for number, trial in enumerate(trials, 1):
        if trial.key in results.found:
            continue
        say(f"{number} of {len(trials)}: {trial.row} on {trial.data}, seed {trial.seed}")
        result = _played(suite, trial, out / trial.folder, device, data_root)
        results.found[trial.key] = result
        write_json(out / "results.json", results.record())
        write_text(out / "table.md", results.markdown())
        write_text(out / "page.html", results.page())
        say(f"    {result.line()}")
    return results


def read_results(suite: Suite, out: Path) -> Results:
    """The results that a folder holds of a suite, none where it is new.

    Raises:
        Refused: a folder that holds something else, or the results of another suite or length.
    """
    file = out / "results.json"
    if not file.exists():
        if out.exists() and any(out.iterdir()):
            raise Refused(f"{out}: is not empty, and no results of a suite are in it", "Give another --out.")
        return Results(suite)
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        found = Results.of(suite, record)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"{file}: cannot be read ({error})") from None
    if record["suite"] != suite.name or record["length"] != suite.length.model_dump(exclude_none=True):
        raise Refused(f"{out}: holds results of suite {record['suite']}, {record['length']}", "Give another --out.")
    return found


def _played(suite: Suite, trial: Trial, folder: Path, device: str, data_root: str | None) -> Result:
    """Train, or go on with a training that was stopped, and score it."""
    began = time.process_time()
    try:
        run = _trained(suite, trial, folder, device, data_root)
    except Diverged as error:
        return Result(None, time.process_time() - began, {}, error.what)
    cpu = _cpu_seconds(run, time.process_time() - began)
    scored = evaluate(run.path, metrics=suite.metrics, n=suite.samples, seed=trial.seed, device=device)
    scores = {score.name: score.value for score in scored.scores}
    floors = {score.name: score.floor for score in scored.scores if score.floor is not None}
    finite = {name: value for name, value in scores.items() if math.isfinite(value)}
    bad = [name for name, value in scores.items() if name not in finite or suite.fails(name, value)]
    return Result(scored.images, cpu, finite, f"{bad[0]} {scores[bad[0]]:.4g}" if bad else None, floors)


def _trained(suite: Suite, trial: Trial, folder: Path, device: str, data_root: str | None) -> Run:
    run = Run(folder)
    if not run.info_file.exists():
        # Scoring on the way would cost some rows more time than others.
        overrides: dict[str, Any] = {**trial.fields, "score": False, "snapshots": 4}
        train(
            trial.recipe, None, folder, **suite.length.model_dump(exclude_none=True), device=device,
            data_root=data_root, overrides=overrides,
        )  # fmt: skip
    elif not run.whole:
        if not run.checkpoints():
            raise Refused(f"{folder}: a training that was stopped before its first checkpoint", "Remove that folder.")
        resume(folder, device=device)
    return run.finished()


def _cpu_seconds(run: Run, used: float) -> float:
    """Processor seconds of a training, over all sessions; what this session used where the run does not tell."""
    told = [event["cpu_seconds"] for event in run.events("progress") if "cpu_seconds" in event]
    return max(told, default=used)
