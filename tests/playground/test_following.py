import json
import math
import os

import numpy as np
import pytest

from gansmith.contenders import collect
from gansmith.errors import Refused
from gansmith.playground import following
from gansmith.playground.following import LISTED, ROWS, Follower, OfFile, Table, damaged
from playground.written import append, progress, write


def told(table, epoch=0, have=0):
    return table.told(epoch, have)


def test_a_table_tells_what_one_lacks():
    table = Table()
    for i in range(1, 6):
        table.add(i * 10, i / 2, {"loss": float(i)})
    whole = told(table)
    assert whole["images"] == [10, 20, 30, 40, 50]
    assert whole["seconds"] == [0.5, 1.0, 1.5, 2.0, 2.5]
    assert whole["columns"] == {"loss": {"mean": [1, 2, 3, 4, 5]}}
    assert (whole["from"], whole["stride"]) == (0, 1)
    table.add(60, 3.0, {"loss": 6.0, "late": 1.0})
    new = told(table, table.epoch, 5)
    # The last row that one has comes again: it may have grown.
    assert (new["from"], new["images"]) == (4, [50, 60])
    assert new["columns"] == {"loss": {"mean": [5, 6]}, "late": {"mean": [None, 1]}}
    assert told(table, table.epoch + 1, 5)["from"] == 0
    assert told(table, table.epoch, 10**9)["images"] == [60]


def test_many_reports_share_rows_and_lose_neither_mean_nor_extremes():
    generator, most = np.random.default_rng(0), 16
    values, table = generator.normal(size=1000), Table(most)
    for i, value in enumerate(values):
        table.add(i + 1, float(i), {"loss": value, **({"rare": value} if i % 5 == 0 else {})})
        assert len(table.images) <= most
    whole, stride = told(table), table.stride
    assert stride == 64
    for row in range(len(whole["images"])):
        mine = values[row * stride : (row + 1) * stride]
        rare = [v for i, v in enumerate(values) if i % 5 == 0 and row * stride <= i < (row + 1) * stride]
        assert whole["images"][row] == min((row + 1) * stride, 1000)
        for name, of in (("loss", mine), ("rare", rare)):
            found = {key: column[row] for key, column in whole["columns"][name].items()}
            assert found == pytest.approx({"mean": np.mean(of), "low": min(of), "high": max(of)}, rel=1e-5)


def test_what_a_roll_back_undid_is_forgotten():
    table = Table()
    for images in (10, 20, 30, 40):
        table.add(images, images, {"loss": 1.0})
    epoch = table.epoch
    table.add(25, 50, {"loss": 2.0})
    assert told(table)["images"] == [10, 20, 25]
    assert table.epoch > epoch


def test_a_run_is_read_on_from_where_the_last_look_ended(tmp_path):
    run = write(tmp_path / "a", [progress(i) for i in range(10, 1010, 10)])
    follower = Follower(run)
    follower.look()
    size = run.events_file.stat().st_size
    assert follower.bytes_read == size
    assert len(follower.table.images) == 100
    append(
        run, progress(1010), {"event": "score", "images": 1010, "scores": {"fd-digits": 3.0, "fd-digits/spread": 0.5}}
    )
    for _ in range(3):
        follower.look()
    assert follower.bytes_read == run.events_file.stat().st_size
    assert follower.scores == [{"images": 1010, "values": {"fd-digits": 3.0}, "spreads": {"fd-digits": 0.5}}]
    assert follower.best() == {"name": "fd-digits", "value": 3.0, "images": 1010, "better": "lower"}
    assert follower.table.seconds_at(1005) == pytest.approx(10.05)


def test_a_line_that_is_not_whole_waits(tmp_path):
    run = write(tmp_path / "a")
    follower = Follower(run)
    line = json.dumps(progress(10))
    append(run, progress(5))
    with open(run.events_file, "a", encoding="utf-8") as file:
        file.write(line[:20])
    follower.look()
    assert follower.table.images == [5]
    with open(run.events_file, "a", encoding="utf-8") as file:
        file.write(line[20:] + "\nnonsense\n[1]\n" + json.dumps({"event": "progress"}) + "\n")
    follower.look()
    assert follower.table.images == [5, 10]


def test_a_resume_that_rewrites_the_events_is_noticed(tmp_path):
    run = write(tmp_path / "a", [progress(i) for i in range(10, 110, 10)])
    follower = Follower(run)
    follower.look()
    epoch = follower.table.epoch
    run.truncate_events(50)
    append(run, *[progress(i) for i in range(60, 220, 10)])  # longer than it was, so its size tells nothing
    follower.look()
    assert follower.table.images == list(range(10, 220, 10))
    assert follower.table.epoch > epoch
    text = run.events_file.read_text(encoding="utf-8")
    run.events_file.write_text(text.replace("0.001", "0.002"), encoding="utf-8")  # the same file and the same size
    follower.look()
    assert set(follower.table.columns["knobs/lr"].mean) == {0.002}


def test_curves_are_those_that_a_comparison_draws(tmp_path):
    events = []
    for images in range(50, 650, 50):
        events.append(progress(images))
        if images % 100 == 0:
            events.append({"event": "score", "images": images, "scores": {"fd-digits": 1000 / images}})
    events += [progress(320), {"event": "score", "images": 320, "scores": {"fd-digits": 2.0}}]  # rolled back
    for name in "ab":
        write(tmp_path / name, events)
    follower = Follower(write(tmp_path / "c", events))
    follower.look()
    wanted = collect([tmp_path / "a", tmp_path / "b"]).runs[0].curves["fd-digits"]
    found = [(s["images"], follower.table.seconds_at(s["images"]), s["values"]["fd-digits"]) for s in follower.scores]
    assert found == [(p.images, pytest.approx(p.seconds), p.value) for p in wanted]


def test_status(tmp_path):
    run = write(tmp_path / "a", [progress(10)])
    follower = Follower(run)
    follower.look()
    assert follower.status() == "running"  # it spoke just now
    old = run.events_file.stat().st_mtime - 1000
    os.utime(run.events_file, (old, old))
    assert follower.status() == "stopped"
    with run.locked():
        assert follower.status() == "running"
    append(run, {"event": "end", "images": 10, "reason": "interrupted"})
    follower.look()
    assert follower.status() == "interrupted"
    append(run, {"event": "begin", "images": 10, "total": 2000})
    follower.look()
    assert (follower.status(), follower.total) == ("running", 2000)


def test_memory_is_bounded(tmp_path):
    events = [progress(i) for i in range(1, 3 * ROWS)]
    events += [{"event": "warning", "images": i, "text": "w"} for i in range(2 * LISTED)]
    events += [{"event": "score", "images": i, "scores": {"fd": 1.0}} for i in range(2 * LISTED)]
    events += [{"event": "snapshot", "images": i} for i in range(2 * LISTED)]
    follower = Follower(write(tmp_path / "a", events))
    follower.look()
    assert len(follower.table.images) <= ROWS
    assert (len(follower.warnings), len(follower.scores), len(follower.snapshots)) == (LISTED, LISTED, LISTED)
    assert follower.warned == 2 * LISTED
    assert follower.snapshots[-1] == 2 * LISTED - 1


def test_a_long_run_is_read_in_several_looks(tmp_path, monkeypatch):
    monkeypatch.setattr(following, "PIECE", 2000)
    monkeypatch.setattr(following, "PATIENCE", -1.0)
    end = {"event": "end", "images": 100, "reason": "done"}
    run = write(tmp_path / "a", [*(progress(i) for i in range(1, 101)), end])
    follower, looks = Follower(run), 0
    while not looks or follower.behind:
        follower.look()
        looks += 1
        assert follower.status() == ("reading" if follower.behind else "done")
    assert looks > 5
    assert follower.table.images == list(range(1, 101))


def test_numbers_that_are_none_leave_a_gap(tmp_path):
    broken = progress(20, terms={"generator/adversarial": None, "x": True}, rate=None)
    follower = Follower(write(tmp_path / "a", [progress(10), broken, {"event": "score", "images": 20, "scores": None}]))
    follower.look()
    assert follower.table.columns["terms/generator/adversarial"].mean[1] is None
    assert "terms/x" not in follower.table.columns
    assert follower.scores == []
    assert follower.best() is None
    assert not any(math.isnan(v) for v in follower.table.columns["rate"].mean if v is not None)


def test_a_file_is_read_again_only_when_it_has_changed(tmp_path):
    file, reads = tmp_path / "f", []
    held = OfFile(file, lambda: reads.append(1) or file.read_text())
    file.write_text("one")
    assert [held.get(), held.get()] == ["one", "one"]
    assert len(reads) == 1
    file.write_text("another")
    assert held.get() == "another"


def test_what_is_wrong_is_told_without_paths():
    assert damaged(Refused("/home/who/run.json: damaged, or not readable")) == "damaged, or not readable"
