"""Runs the code blocks of a page of documentation, as a reader would paste them.

A block after `<!-- not run: why -->` is passed over; one after `<!-- file: NAME -->` is written to that
file, and one after `<!-- adds to: MODULE -->` is put at the end of that module. Lengths of trainings are
cut: what is tested is that the commands are right, not what they train.
"""

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from gansmith.cli.main import main

ROOT = Path(__file__).parent.parent
SHORT = ["--images", "128", "--snapshots", "1"]
LENGTHS = ("--images", "--minutes", "--cpu-minutes", "--epochs")

_BLOCK = re.compile(r"(?:^<!-- ([^\n]*) -->\n)?^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    note: str
    language: str
    text: str


def blocks(page):
    return [Block(*found) for found in _BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))]


def commands(text):
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            yield words


def cut(words):
    """A command with its training made short."""
    kept, words = [], list(words)
    while words:
        word = words.pop(0)
        if word in LENGTHS:
            words.pop(0)
        else:
            kept.append(word)
    if kept[:1] == ["bench"] and len(kept) > 1:
        return [*kept, *SHORT[:2]]
    if kept[:2] == ["table", "fit"]:
        return [*kept, "--epochs", "1"]
    if kept[:2] == ["anomaly", "fit"]:
        return [*kept, "--members", "1", "--examples", "500"]
    if kept[:1] == ["augment"]:
        return [*kept, "--epochs", "20", "--images", "500", "--folds", "2"]
    return [*kept, *SHORT] if "train" in kept else kept


def run_page(page, monkeypatch):
    """Run all of a page's blocks in the current folder; gives how many were run."""
    number = 0
    for block in blocks(page):
        kind, _, what = block.note.partition(": ")
        if kind == "not run":
            assert what, "a block that is not run says why"
            continue
        number += 1
        if kind == "file":
            Path(what).write_text(block.text, encoding="utf-8")
        elif kind == "adds to":
            module = importlib.import_module(what)
            names = dict(vars(module))
            exec(compile(block.text, page, "exec"), names)
            for name in set(names) - set(vars(module)):
                names[name].__module__ = what
                monkeypatch.setattr(module, name, names[name], raising=False)
        elif block.language == "python":
            text = re.sub(r'images="\w+"', "images=128", block.text)
            exec(compile(text, page, "exec"), {})
        elif block.language == "sh":
            for words in commands(block.text):
                _run(words)
        else:
            number -= 1
    return number


def _run(words):
    if words[0] == "gansmith":
        assert main(cut(words[1:])) == 0, shlex.join(words)
    elif words[0] == "torchrun":
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", *cut(words[1:])]
        done = subprocess.run(launch, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
    else:
        raise AssertionError(f"{shlex.join(words)}: a page's test does not know {words[0]}")
