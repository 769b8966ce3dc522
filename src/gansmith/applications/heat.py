"""Where in a picture the anomaly is: heat maps over pictures, and a page of the worst."""

from __future__ import annotations

import os
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gansmith import page

if TYPE_CHECKING:
    from gansmith.applications.anomaly import AnomalyDetector
    from gansmith.applications.examples import Examples

HOT = np.array([255.0, 40.0, 0.0])
SIDE = 192
"""Pixels of a picture's longer side on the page, at least."""


def overlaid(image: NDArray[np.uint8], heat: NDArray[np.float32], level: float) -> NDArray[np.uint8]:
    """A picture in grey with its heat over it: none at half of the level, full at twice.

    Args:
        image: uint8 [C, H, W].
        heat: [H, W].
        level: what the hottest pixels of normal pictures have.
    """
    colours = image[:3] if image.shape[0] >= 3 else image[:1]
    grey = np.repeat(colours.astype(np.float64).mean(0)[..., None], 3, axis=2)
    over = np.clip((heat / max(level, 1e-6) - 0.5) / 1.5, 0, 1)[..., None]
    return np.round(grey * (1 - over) + HOT * over).astype(np.uint8)


def write_heat(
    detector: AnomalyDetector, found: Examples, scores: NDArray[np.float64], folder: Path, worst: int
) -> tuple[Path, Path]:
    """Write a heat map over each picture into a folder, and a page of the worst beside it.

    Returns:
        The folder and the page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    heat = detector.heat(found.data)
    made: list[Image.Image] = []
    for i, (name, image, map_) in enumerate(zip(found.names, found.data, heat, strict=True)):
        stem = re.sub(r"[^\w.-]+", "_", Path(name).with_suffix("").as_posix())
        made.append(Image.fromarray(overlaid(image, map_, detector.heat_level_)))
        made[-1].save(folder / f"{i:05d}-{stem}.png")
    order = np.argsort(scores, kind="stable")[:worst]
    figures = "".join(
        f"<figure>{_picture(found.data[i])}{_shown(made[i])}"
        f"<figcaption>{escape(found.names[i])}<br>score {scores[i]:.2f}"
        f"{' · anomalous' if scores[i] < detector.offset_ else ''}</figcaption></figure>"
        for i in order
    )
    limit = detector.threshold_
    body = (
        f"<h1>The {len(order)} least normal of {len(scores):,} pictures</h1>\n<p>{escape(found.where)}, scored by "
        f"{escape(' and '.join(detector.methods_))}. Below {limit.offset:.2f} a picture is called anomalous, as "
        f"{limit.rate:.2%} of normal ones are ({limit.interval[0]:.2%} to {limit.interval[1]:.2%}). Red is where a "
        f"picture is not as the generator would make it.</p>\n"
        f'<div class="frames" style="flex-wrap: wrap">{figures}</div>\n'
    )
    file = folder.with_name(folder.name + ".html")
    part = file.with_name(file.name + ".part")
    part.write_text(page.whole("anomalies", body), encoding="utf-8")
    os.replace(part, file)
    return folder, file


def _picture(image: NDArray[np.uint8]) -> str:
    layers = image[:3] if image.shape[0] >= 3 else np.repeat(image[:1], 3, axis=0)
    return _shown(Image.fromarray(np.ascontiguousarray(layers.transpose(1, 2, 0))))


def _shown(picture: Image.Image) -> str:
    times = max(1, round(SIDE / max(picture.size)))
    grown = picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)
    return f'<img src="{page.picture_uri(grown)}" alt="" style="display: inline-block; margin-right: 6px">'
