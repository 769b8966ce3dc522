"""Run folders made by hand, as a training writes them."""

import json
from pathlib import Path

import numpy as np

from gansmith import media, recipe
from gansmith.run import Run, create

INFO = {
    "status": "running",
    "data": {"name": "digits", "modality": "image", "shape": [1, 8, 8], "count": 1500, "classes": list("0123456789"),
             "conditional": True},
    "parameters": {"generator": 12, "discriminator": 34},
}  # fmt: skip
CARD = {"measure": "fd", "better": "lower", "samples": 297, "extractor": "domain"}


def progress(images, total=1000, **fields):
    return {
        "event": "progress", "images": images, "time": 1000.0 + images, "total": total, "seconds": images / 100,
        "rate": 100.0, "terms": {"generator/adversarial": 1.0 / (1 + images)}, "knobs": {"lr": 0.001}, **fields,
    }  # fmt: skip


def write(path: Path, events=(), cards=None, time=1000.0, **info) -> Run:
    cards = {"fd-digits": CARD} if cards is None else cards
    run = create(path, recipe.load("gan"), {**INFO, "cards": cards, **info})
    append(run, {"event": "begin", "images": 0, "time": time, "recipe": "gan", "data": "digits", "total": 1000})
    append(run, *events)
    return run


def append(run: Run, *events, end="\n"):
    with open(run.events_file, "a", encoding="utf-8") as file:
        file.write("\n".join(json.dumps(event) for event in events) + end if events else "")


def grid_at(run: Run, images: int, grey: int = 100):
    media.save_image(run.sample_file(images), media.grid(np.full((4, 1, 8, 8), grey, np.uint8)))
    append(run, {"event": "snapshot", "images": images, "time": 1000.0, "file": f"samples/{images:012d}.png"})
