from __future__ import annotations

import json
import signal
from dataclasses import replace

import numpy as np
import pytest

import gansmith
from gansmith.applications import table as tables
from gansmith.applications.table import Schema, TableGAN, resume, rows_in, schema_in
from gansmith.data import constraints
from gansmith.data.tables import csv_text, listed, missing
from gansmith.engine.listener import Listener
from gansmith.errors import Refused
from gansmith.run import Run

from .tabling import QUICK, objects, people

RULES = ("low <= high", "town with country")


@pytest.fixture(scope="module")
def model():
    return TableGAN(epochs=4, target="rich", constraints=RULES, overrides=QUICK).fit(people(), name="people")


def test_rows_have_the_types_and_the_order_of_the_table(model):
    made = model.columns(50)
    for name, values in people().items():
        assert made[name].dtype == values.dtype, name
        assert len(made[name]) == 50
    assert list(made) == list(people())
    assert set(listed(made["town"])) <= {"Rome", "Paris", None}
    assert missing(model.columns(400)["pay"]).any()


def test_equal_seeds_give_equal_rows(model):
    one, two = model.columns(30, seed=3), model.columns(60, seed=3)
    for name in one:
        assert listed(one[name]) == listed({**two}[name][:30]) or name == "pay"
    assert np.array_equal(one["pay"], two["pay"][:30], equal_nan=True)
    assert csv_text(model.columns(30, seed=4)) != csv_text(one)


def test_constraints_hold_in_each_row(model):
    made = model.columns(300)
    assert (made["low"] <= made["high"]).all()
    assert set(zip(listed(made["town"]), listed(made["country"]), strict=True)) <= {
        ("Rome", "Italy"), ("Paris", "France"), (None, None),
    }  # fmt: skip


@pytest.mark.parametrize(
    "where", [{"rich": "yes"}, {"town": "Rome", "low": (2, 6)}, {"town": ["Paris", None]}, {"pay": None}]
)
def test_rows_meet_the_conditions(model, where):
    made = model.columns(20, where=where)
    assert constraints.matches(where, made).all()
    assert len(made["low"]) == 20


def test_the_rarest_kind_that_is_asked_for_is_told(model):
    told = model._told({"rich": "yes"})
    assert told.sum() == 1
    code = model._schema.encoding
    widths = {c.name: c.block.categories for c in code.columns if not c.block.numbers}
    place = list(widths).index("rich")
    start = sum(list(widths.values())[:place])
    assert told[0, start + code.column("rich").levels.index("yes")] == 1
    assert model._told({"low": 3}) is None


def test_a_report_measures_all_parts(model, tmp_path):
    found = model.report(people(80, 9), n=200)
    assert found.target == "rich"
    assert found.positive in ("yes", "no")
    assert set(found.numbers()) == {
        "shapes", "trends", "c2st-nearest neighbours", "c2st-logistic regression", "f1", "f1-real", "closer", "copies",
    }  # fmt: skip
    assert 0 < found.shape <= 1
    alone = model.report(n=100)
    assert alone.records is None
    assert not alone.held_out


def test_a_run_is_saved_and_loaded(model, tmp_path):
    model.save(tmp_path / "run")
    again = TableGAN.load(tmp_path / "run")
    assert again.target == "rich"
    assert csv_text(again.columns(20, seed=1)) == csv_text(model.columns(20, seed=1))
    with pytest.raises(Refused, match="not empty"):
        model.save(tmp_path / "run")
    assert gansmith.TableGAN is TableGAN


def test_a_run_tells_all(model):
    run = model.run
    assert schema_in(run) == model._schema
    assert Schema.of_plain(json.loads(json.dumps(model._schema.plain()))) == model._schema
    assert rows_in(run).shape == (120, model._schema.encoding.width)
    scores = list(run.events("score"))
    assert [set(event["scores"]) for event in scores] == [{"trends", "shapes"}] * 2
    assert run.info()["cards"]["trends"]["better"] == "higher"
    assert run.info()["use"].startswith("table sample")
    back = model.training_rows()
    assert listed(back["town"]) == listed(people()["town"])


class StopsAt(Listener):
    def __init__(self, images):
        self.images, self.trainer = images, None

    def snapshot(self, images, sampler):
        if images >= self.images:
            raise KeyboardInterrupt


def test_a_training_that_was_stopped_goes_on_exactly(tmp_path):
    options = {"epochs": 4, "overrides": QUICK}
    whole = TableGAN(**options).fit(people(), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        TableGAN(**options).fit(people(), tmp_path / "half", listeners=[StopsAt(400)])
    resume(tmp_path / "half")
    again = TableGAN.load(tmp_path / "half")
    assert csv_text(again.columns(30)) == csv_text(whole.columns(30))


def test_a_fit_that_is_interrupted_gives_no_model(tmp_path):
    class Interrupts(Listener):
        def snapshot(self, images, sampler):
            signal.raise_signal(signal.SIGINT)

    model = TableGAN(epochs=2, overrides=QUICK)
    with pytest.raises(KeyboardInterrupt):
        model.fit(people(), tmp_path / "run", listeners=[Interrupts()])
    assert Run(tmp_path / "run").info()["status"] == "interrupted"
    with pytest.raises(Refused):
        model.columns(3)


def test_a_target_of_kinds_has_a_classifier(model):
    assert model._model.recipe.networks["classifier"].arguments["noise"] == 2
    assert "classifier" in dict(model._model.game.named_children())
    assert TableGAN()._classifier(model._schema, {}, 0.0) == {}  # the recipe asks for none
    for target in (None, "low"):  # no target, or one of numbers
        fields = {}
        assert TableGAN()._classifier(replace(model._schema, target=target), fields, 1.0) == {}
        assert fields == {}


@pytest.mark.parametrize("method", ["ctgan", "tvae"])
def test_the_published_methods(method):
    overrides = {k: v for k, v in QUICK.items() if method == "ctgan" or k != "discriminator.hidden"}
    model = TableGAN(epochs=2, method=method, overrides=overrides).fit(people())
    assert not any(getattr(c, "spikes", ()) for c in model._schema.encoding.columns)
    assert len(model.columns(40)["low"]) == 40
    assert len(model.columns(5, where={"town": "Rome"})["low"]) == 5


def test_a_table_of_numbers_alone():
    rng = np.random.default_rng(0)
    model = TableGAN(epochs=2, overrides=QUICK).fit({"x": rng.normal(size=100), "y": rng.random(100)})
    made = model.columns(30)
    assert np.isfinite(made["x"]).all()
    assert made["y"].min() >= 0


def test_free_columns_are_numbered_through():
    table = {**people(60), "id": np.arange(60) + 7}
    model = TableGAN(epochs=1, free=["id"], overrides=QUICK).fit(table)
    assert model.columns(5000)["id"].tolist() == list(range(67, 5067))
    assert "id" not in model.report(n=60).shapes


def test_a_frame_comes_back_as_a_frame():
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pd.DataFrame(people(60))
    frame["grade"] = pd.Categorical(["a", "b", "c"] * 20, ["c", "b", "a"], ordered=True)
    frame["count"] = pd.array([1, None, 3] * 20, "Int64")
    made = TableGAN(epochs=1, drop=["high"], overrides=QUICK).fit(frame).sample(10)
    wanted = frame.drop(columns="high")
    assert list(made.columns) == list(wanted.columns)
    assert (made.dtypes == wanted.dtypes).all()


@pytest.mark.parametrize(
    ("options", "table", "says"),
    [
        ({"target": "rihc"}, people(), "target: the table has no column 'rihc'; did you mean 'rich'"),
        ({"target": "rich"}, {**people(), "rich": objects(["no"] * 120)}, "rich has one value only"),
        ({"drop": ["id"]}, people(), "drop: the table has no column"),
        ({}, people(12), "has 12 rows; 20 are needed"),
        (
            {"method": "ctgan", "overrides": {"discriminator.pack": 50, "batch": 50}},
            people(30),
            "judges 50 rows as one",
        ),
        ({"method": "ctgan", "overrides": {"batch": 44}}, people(), "44 is no multiple of the 10 rows"),
        ({"method": "autp"}, people(), "none is called 'autp'; did you mean 'auto'"),
        ({}, {**people(), "low": objects([1, "a"] * 60)}, "column low: mixes int, str"),
        ({}, {"a": np.full(30, np.nan)}, "all values of the table are missing"),
        ({"constraints": ["high <= low"]}, people(), "high <= low: does not hold in"),
        ({"constraints": [("town", "country")], "free": ["town"]}, people(), "town stands with another"),
        ({}, [1, 2], "no list"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(options, table, says, tmp_path):
    with pytest.raises(Refused, match=says):
        TableGAN(epochs=1, **options).fit(table, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_refusals_of_use(model, tmp_path):
    with pytest.raises(Refused, match="has not been trained"):
        TableGAN().columns(3)
    with pytest.raises(Refused, match="epochs"):
        TableGAN(epochs=0)
    with pytest.raises(Refused, match="rich is nowhere 'maybe'; there are"):
        model.columns(3, where={"rich": "maybe"})
    with pytest.raises(Refused, match="n: a whole number"):
        model.columns(-1)
    with pytest.raises(Refused, match="not a run"):
        TableGAN.load(tmp_path)
    run = Run(tmp_path / "other")
    run.path.mkdir()
    run.update_info(status="done")
    with pytest.raises(Refused, match="is no run of a table"):
        schema_in(run)
    (run.path / "table.json").write_text("{")
    with pytest.raises(Refused, match="damaged"):
        schema_in(run)
    with pytest.raises(Refused, match="gone or damaged"):
        rows_in(run)


def test_what_is_met_too_seldom_is_said(model, monkeypatch):
    monkeypatch.setattr(tables, "CHUNK", 64)
    monkeypatch.setattr(constraints, "matches", lambda where, columns: np.zeros(len(columns["low"]), bool))
    monkeypatch.setattr(constraints, "check_where", lambda where, columns: None)
    with pytest.raises(Refused, match=r"only 0 of 3,200 rows that were made have low <= high and low = 3"):
        model.columns(5, where={"low": 3})
