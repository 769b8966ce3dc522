"""Small trainings on digits, made once for all tests of this folder."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import torch

import gansmith
from gansmith import recipe as recipes
from gansmith.engine import hardware, measure

SMALL = {"noise": 6, "batch": 16, "images": 64, "seed": 3, "score": False, "precision": "fp32", "snapshots": 2,
         "compile": "off"}  # fmt: skip
NETWORKS = {
    "dcgan": {"generator": {"network": "dcgan", "width": 4}, "discriminator": {"network": "dcgan", "width": 4}},
    "styled": {
        "generator": {"network": "stylegan2", "base": 64, "most": 8, "mapping_layers": 2, "width_w": 5},
        "discriminator": {"network": "stylegan2", "base": 64, "most": 8},
    },
    "points": {"generator": {"network": "mlp", "hidden": [8]}, "discriminator": {"network": "mlp", "hidden": [8]}},
}


@cache
def runs() -> Path:
    """A folder of runs: `classed` and `plain` (DCGAN), `styled`, and `points`."""
    folder = Path(mkdtemp(prefix="gansmith-tests-"))
    kept, measure.trial.__defaults__ = measure.trial.__defaults__, (0.0,)
    try:
        with hardware.borrowed():
            torch.set_num_threads(1)
            for name, network, data, conditional in (
                ("classed", "dcgan", "digits", True), ("plain", "dcgan", "digits", False),
                ("styled", "styled", "digits", True), ("points", "points", "ring", False),
            ):  # fmt: skip
                fields = {"name": name, "game": "synthesis", **SMALL, **NETWORKS[network], "conditional": conditional}
                gansmith.train(recipes.validate(fields, "test"), data, folder / name)
    finally:
        measure.trial.__defaults__ = kept
    return folder
