"""What ships explains itself; a plug-in's recipes are found, trained by name, and never in the way of what ships."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from gansmith import build, recipe, zoo
from gansmith.cli import eval as evaluation
from gansmith.cli import train, upscale
from gansmith.errors import Refused

ROOT = Path(__file__).parents[2]
FAMILIES = {
    "default", "classic", "conditional", "divergences", "Wasserstein", "energies", "relativistic", "against collapse",
    "spectral", "large", "consistency", "little data", "growing and style", "R3GAN", "autoencoders",
    "without labels", "translation", "anomalies", "super-resolution", "tables",
}  # fmt: skip

RECIPE = """\
name: theirs
summary: A stranger's.
generator: {network: "plugnets.nets:Generator"}
discriminator: {network: mlp, hidden: [8]}
conditional: false
"""
NETS = """\
from torch import nn


class Generator(nn.Module):
    def __init__(self, shape, noise):
        super().__init__()
        self.layer = nn.Linear(noise, shape[0])

    def forward(self, noise, labels=None):
        return self.layer(noise)
"""


@pytest.fixture
def plug_in(tmp_path, monkeypatch):
    """Installs a distribution whose entry points are these."""

    def install(points="theirs = plugnets.recipes"):
        folder = tmp_path / "site"
        recipes = folder / "plugnets" / "recipes"
        recipes.mkdir(parents=True)
        (folder / "plugnets" / "__init__.py").touch()
        (folder / "plugnets" / "nets.py").write_text(NETS)
        (recipes / "__init__.py").touch()
        (recipes / "theirs.yaml").write_text(RECIPE)
        (recipes / "dcgan.yaml").write_text("name: dcgan\n")
        info = folder / "plugnets-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugnets\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{zoo.GROUP}]\n{points}\n")
        monkeypatch.syspath_prepend(str(folder))

    yield install
    for name in [name for name in sys.modules if name.split(".")[0] == "plugnets"]:
        del sys.modules[name]


def test_a_plug_ins_recipe_is_one_of_the_zoo(plug_in):
    plug_in()
    assert "theirs" in zoo.names()
    assert zoo.plugged()[1] == {"theirs": "theirs"}
    made = build.build(recipe.load("theirs"), build.Facts((2,)))
    assert type(made.generator).__module__ == "plugnets.nets"


def test_what_ships_goes_before_what_is_plugged_in(plug_in):
    before = zoo.text_of("dcgan")
    plug_in()
    assert zoo.text_of("dcgan") == before
    assert zoo.plugged()[2] == ["plug-in theirs: dcgan ships with gansmith already"]


def test_a_broken_plug_in_is_told_and_passed_over(plug_in):
    plug_in("theirs = plugnets.recipes\nbroken = nowhere.recipes\ntwice = plugnets.recipes")
    found, _, problems = zoo.plugged()
    assert set(found) == {"theirs"}
    assert [line.split(" (")[0] for line in problems if "ships" not in line] == [
        "plug-in broken: nowhere.recipes cannot be read", "plug-in twice: theirs is of plug-in theirs already",
    ]  # fmt: skip


def test_a_module_that_is_not_there_is_refused():
    wrong = recipe.validate({"generator": "nowhere.nets:Generator", "discriminator": "mlp"}, "test")
    with pytest.raises(Refused, match=r"nowhere\.nets: cannot be imported"):
        build.build(wrong, build.Facts((2,)))


def test_scores_are_of_recipes_that_ship():
    for name, found in zoo.scores().items():
        assert name in zoo.shipped()
        assert found["low"] <= found["value"] <= found["high"]


@pytest.mark.parametrize("name", sorted(zoo.shipped()))
def test_what_ships_explains_itself(name):
    told = recipe.load(name)
    assert told.family in FAMILIES
    first = " ".join(told.summary.split()).partition(". ")[0]
    assert 0 < len(first) <= 90
    paragraphs = [part for part in told.explanation.split("\n\n") if part.strip()]
    assert len(paragraphs) >= 2
    assert re.search(r"\bL(_[A-Z])? = ", told.explanation), "no formula of the loss"
    assert (told.paper is None) == (name == "auto")
    assert (told.reproduce is None) == (name == "auto")


@pytest.mark.parametrize("name", sorted(set(zoo.shipped()) - {"auto"}))
def test_the_commands_that_reproduce_are_ones_that_gansmith_knows(name):
    told = recipe.load(name).reproduce
    assert told is not None
    first, second = (shlex.split(part) for part in told.command.split("&&"))
    if recipe.load(name).family == "tables":
        out = first[first.index("--out") + 1]
        assert first[:3] == ["gansmith", "table", "fit"]
        assert (first[first.index("--method") + 1] if "--method" in first else "tablegan") == name
        assert second[:4] == ["gansmith", "table", "report", out]
        return
    assert first[:3] == ["gansmith", "train", name]
    args, fields = train.parser().read_with_fields(first[2:])
    recipe.load(name, train.arguments(args, fields)["overrides"])
    assert second[0] == "gansmith"
    if second[1] == "upscale":
        assert upscale.parser().read(second[2:]).run == args.out
        return
    assert second[1] == "eval"
    assert evaluation.parser().read(second[2:]).what == args.out


def test_the_page_on_the_zoo_tells_all_families_and_recipes():
    page = (ROOT / "docs/zoo.md").read_text(encoding="utf-8")
    shipped = {name: recipe.load(name).family for name in zoo.shipped()}
    rows = {line.split("|")[1].strip(): line for line in page.splitlines() if line.startswith("|")}
    assert [name for name, family in shipped.items() if f"`{name}`" not in rows.get(str(family), "")] == []
