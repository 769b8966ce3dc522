"""`gansmith anomaly`: learn what is normal, and say what is not."""

from __future__ import annotations

import argparse
import csv
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gansmith.cli.data import options_of
from gansmith.cli.flags import Parser, add_data_flags, add_device_flag, new_file, seed, whole
from gansmith.errors import DONE, PARTLY, Refused, nearest

if TYPE_CHECKING:
    from gansmith.applications.examples import Examples

EXAMPLES = """\
  gansmith anomaly fit --data normal.csv --out runs/pump
  gansmith anomaly score runs/pump --data new.csv --out scores.csv
  gansmith anomaly fit --data bottles/good --resolution 64 --out runs/bottle
  gansmith anomaly score runs/bottle --data bottles/new --resolution 64 --out scores.csv
  gansmith anomaly score runs/pump --data checked.csv --label fault --out scores.csv   how good is it?
  gansmith anomaly fit --run runs/ganomaly --data unseen/ --out runs/set    by a training of your own"""

ACTIONS = ("fit", "score")
WORST = 24
"""Pictures on the page of the worst."""


def share(text: str) -> float:
    """A number between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expected a share between 0 and 1, not {text!r}")
    return value


def parser() -> Parser:
    """The command's flags."""
    flags = Parser("anomaly", "Learn what is normal of normal examples, and say of others which are not.", EXAMPLES)
    flags.add_argument("action", metavar="fit|score", help="learn, or score with what was learnt")
    flags.add_argument("run", nargs="?", metavar="DIR", help="score: the folder that `fit` wrote")
    flags.add_argument("--data", metavar="FOLDER_OR_CSV", help="pictures, or a CSV of numbers; fit: normal ones")
    flags.add_argument("--run", dest="trained", metavar="DIR", help="fit: a run of fanogan, ganomaly or alad")
    flags.add_argument("--out", metavar="PATH", help="fit: the folder to write; score: a .csv (scores.csv)")
    flags.add_argument("--method", default="auto", metavar="M", help="fit: critic, encoder, fanogan, ganomaly or alad")
    flags.add_argument("--alarm-rate", type=share, default=0.01, metavar="R", help="fit: normals called odd (0.01)")
    flags.add_argument("--members", type=whole, metavar="N", help="fit: games whose scores are averaged")
    flags.add_argument("--examples", type=whole, metavar="N", help="fit: examples that each game is shown")
    flags.add_argument("--seed", type=seed, default=0, metavar="S", help="fit: of everything random (0)")
    flags.add_argument("--compare", action="store_true", help="fit: print baselines beside it, on made anomalies")
    flags.add_argument("--ignore", action="append", default=[], metavar="COLUMN", help="leave a column out (again)")
    flags.add_argument("--label", metavar="COLUMN", help="1 where anomalous; left out, and in score compared with")
    flags.add_argument("--no-heat", action="store_true", help="score: no heat maps and no page of the worst")
    flags.add_argument("--force", action="store_true", help="write over what is there")
    add_device_flag(flags)
    add_data_flags(flags)
    return flags


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    flags = parser()
    args = flags.read(argv)
    if args.action not in ACTIONS:
        near = nearest(args.action, list(ACTIONS))
        flags.error(f"{args.action!r} is neither fit nor score" + (f"; did you mean {near}?" if near else ""))
    if args.data is None:
        flags.error("--data is missing")
    return (_fit if args.action == "fit" else _score)(flags, args)


def _examples(args: argparse.Namespace) -> Examples:
    from gansmith.applications.examples import read_examples

    found = read_examples(options_of(args, args.data), ignored=args.ignore, label=args.label)
    kind = f"pictures of {'x'.join(map(str, found.data.shape[1:]))}" if found.data.ndim == 4 else "rows"
    columns = f", {len(found.columns)} columns" if found.columns else ""
    print(f"{found.where}: {len(found.data):,} {kind}{columns}")
    for note in found.notes:
        print(f"  {note}")
    return found


def _fit(flags: Parser, args: argparse.Namespace) -> int:
    if args.out is None:
        flags.error("--out is missing")
    if args.run is not None:
        flags.error("fit takes its folder as --out DIR")
    out = Path(args.out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not args.force:
        raise Refused(f"{out}: exists already, and is not empty", "Give another --out, or --force to write over it.")

    from gansmith.applications.anomaly import AnomalyDetector

    found = _examples(args)
    data: Any = found.data
    if found.labels is not None:
        data = data[~_odd(found)]
        print(f"  {len(found.data) - len(data):,} rows labelled anomalous are left out")
    detector = AnomalyDetector(
        args.method, alarm_rate=args.alarm_rate, members=args.members, examples=args.examples, compare=args.compare,
        verbose=sys.stderr.isatty(), device=args.device, random_state=args.seed,
    )  # fmt: skip
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        if args.trained is None:
            _sure(found, lambda: detector.fit(data))
        else:
            rate, device = args.alarm_rate, args.device
            detector = _sure(found, lambda: detector.of_run(args.trained, data, alarm_rate=rate, device=device))
    detector.columns_ = found.columns
    limit = detector.threshold_
    low, high = limit.interval
    trained = "" if args.trained else f", {len(detector.members_)} trained on {len(detector.fitted_):,}"
    print(
        f"{' and '.join(detector.methods_)}{trained}; threshold {limit.offset:.3f} by {limit.examples:,} held-out "
        "normal examples"
    )
    print(f"false alarms: {limit.rate:.2%} expected, {low:.2%} to {high:.2%} with 95 %")
    for warning in told:
        if issubclass(warning.category, UserWarning):
            print(f"  {warning.message}")
    detector.save(out)
    print(f"{out}: the detector; `gansmith anomaly score {out} --data …` uses it")
    return PARTLY if found.skipped else DONE


def _score(flags: Parser, args: argparse.Namespace) -> int:
    if args.run is None:
        flags.error("the folder that `gansmith anomaly fit` wrote is missing")
    out = new_file(args.out or "scores.csv", ".csv", "scores are", args.force)

    from gansmith.applications.anomaly import AnomalyDetector

    detector = AnomalyDetector.load(args.run)
    found = _examples(args)
    if detector.columns_ and found.columns and detector.columns_ != found.columns:
        _columns(found, detector.columns_)
    if (found.data.ndim == 4) != (detector.kind_ == "images"):
        raise Refused(f"{args.run}: was fitted on {detector.kind_}, and {found.where} holds others")
    scores = _sure(found, lambda: detector.score_samples(found.data))
    odd = scores < detector.offset_
    part = out.with_name(out.name + ".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["example", "score", "threshold", "prediction"])
        for name, score, is_odd in zip(found.names, scores, odd, strict=True):
            writer.writerow([name, f"{score:.6g}", f"{detector.offset_:.6g}", -1 if is_odd else 1])
    os.replace(part, out)
    expected = detector.threshold_.rate * len(scores)
    print(f"{out}: {len(scores):,} scores, {int(odd.sum()):,} below the threshold ({expected:.1f} if all were normal)")
    if found.labels is not None:
        _quality(found, scores, odd)
    if detector.kind_ == "images" and not args.no_heat:
        from gansmith.applications.heat import write_heat

        folder, page = write_heat(detector, found, scores, out.with_suffix(""), WORST)
        print(f"{folder}/: a heat map over each picture\n{page}: the {min(WORST, len(scores))} worst")
    return PARTLY if found.skipped else DONE


def _sure(found: Examples, work: Any) -> Any:
    """What the estimator gives; what it refuses is said in its own words, and where."""
    import numpy as np

    try:
        return work()
    except ValueError as error:
        first = str(error).strip().split("\n")[0]
        remedy = None
        if found.columns and np.isnan(found.data).any():
            row, column = (int(where[0]) for where in np.nonzero(np.isnan(found.data)))
            remedy = (
                f"The first is in line {row + 2}, column {found.columns[column]!r}: fill such values in, or drop rows."
            )
        raise Refused(f"{found.where}: {first}", remedy) from None


def _columns(found: Examples, wanted: tuple[str, ...]) -> None:
    lacking = [name for name in wanted if name not in found.columns]
    more = [name for name in found.columns if name not in wanted]
    if lacking:
        raise Refused(f"{found.where}: has no column {lacking[0]!r}, which the detector was fitted on")
    if more:
        raise Refused(f"{found.where}: column {more[0]!r} is none that it was fitted on", f"--ignore {more[0]}")
    raise Refused(f"{found.where}: its columns are in another order than {', '.join(wanted)}")


def _odd(found: Examples) -> Any:
    from gansmith.applications.anomaly import labels_of

    try:
        return labels_of(found.labels)
    except ValueError as error:
        raise Refused(f"{found.where}: {error}") from None


def _quality(found: Examples, scores: Any, odd: Any) -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    truth = _odd(found)
    auroc, precision = roc_auc_score(truth, -scores), average_precision_score(truth, -scores)
    print(f"against {int(truth.sum()):,} labelled anomalies: AUROC {auroc:.3f}, average precision {precision:.3f};")
    print(f"  {odd[truth].mean():.0%} of them are found, with false alarms in {odd[~truth].mean():.2%} of the others")
