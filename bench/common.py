"""What the benchmarks share: children with a fixed number of threads, results on disk, tables."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
MARK = "RESULT "


def flags(doc: str | None) -> argparse.ArgumentParser:
    """Make a parser with the flags that each benchmark has."""
    parser = argparse.ArgumentParser(description=(doc or "").strip().split("\n")[0])
    parser.add_argument("--data-root", type=Path, default=HERE.parent.parent / "shared" / "data", metavar="DIR")
    parser.add_argument("--quick", action="store_true", help="a smoke test: the numbers mean nothing")
    parser.add_argument("--child", default=None, help=argparse.SUPPRESS)
    return parser


def child(script: str, work: Mapping[str, Any], *, threads: int | None = None, timeout: float | None = None) -> Any:
    """Run `script --child WORK` in a fresh process on so many cores and threads; give what it reports.

    Raises:
        SystemExit: the child failed; its output is shown.
    """
    env = dict(os.environ)
    if threads is not None:
        env.update(OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
    chosen = None
    if threads is not None and hasattr(os, "sched_setaffinity"):
        chosen = sorted(os.sched_getaffinity(0))[:threads]

    def pin() -> None:
        if chosen is not None:
            os.sched_setaffinity(0, chosen)

    command = [sys.executable, str(HERE / script), "--child", json.dumps(work)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=timeout, preexec_fn=pin)
    lines = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    if done.returncode or not lines:
        sys.stderr.write(done.stdout[-4000:] + done.stderr[-4000:])
        raise SystemExit(f"{script}: the child for {json.dumps(work)} failed with exit code {done.returncode}")
    return json.loads(lines[-1].removeprefix(MARK))


def report(value: Any) -> None:
    """Hand a child's result to its parent."""
    print(MARK + json.dumps(value), flush=True)


def record(name: str, rows: Sequence[Mapping[str, Any]], *, quick: bool) -> Path | None:
    """Append rows to bench/results/NAME.json, with what they were measured on; a smoke test leaves nothing."""
    if quick:
        return None
    import torch

    file = RESULTS / f"{name}.json"
    RESULTS.mkdir(exist_ok=True)
    held = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    held.append(
        {
            "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "commit": _commit(),
            # Where things lie on one machine is of no use on another.
            "command": " ".join(
                ["python", f"bench/{Path(sys.argv[0]).name}"]
                + ["PATH" if Path(argument).is_absolute() else argument for argument in sys.argv[1:]]
            ),
            "host": {"processor": processor(), "cores": os.cpu_count(), "system": platform.system()},
            "torch": torch.__version__,
            "python": platform.python_version(),
            "rows": list(rows),
        }
    )
    file.write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")
    return file


def _commit() -> str | None:
    try:
        found = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True)
    except OSError:
        return None
    return found.stdout.strip() or None


def processor() -> str:
    """Name the processor, as `gansmith doctor` does."""
    from gansmith.cli.doctor import cpu_name  # here, so that a reference loop's process loads nothing of gansmith

    return cpu_name()


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lay rows out as a Markdown table, the columns as they first appear."""
    if not rows:
        return "(no rows)"
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_cell(row.get(column)) for column in columns) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def run_child(argument: str | None, work: Callable[[dict[str, Any]], Any]) -> bool:
    """Do a child's work and report it, where this process is one."""
    if argument is None:
        return False
    report(work(json.loads(argument)))
    return True
