import shlex

import pytest

from gansmith.cli.main import main
from gansmith.engine import checkpoint
from gansmith.playground import server
from gansmith.run import Run
from playground.chromium import assert_reachable, opened, page_of, until
from playground.written import CARD, append, grid_at, progress, write


def score(images, value):
    return {"event": "score", "images": images, "scores": {"fd-digits": value, "fd-digits/spread": 0.1}}


def points(page, title):
    """How many points the first curve of a chart has."""
    path = page.locator(f'figure.plot:has(figcaption:text-is("{title}")) path.curve').first.get_attribute("d")
    return path.count("L") + path.count("M")


@pytest.fixture
def folder(tmp_path):
    for name, grey in (("one", 60), ("two", 200)):
        run = write(
            tmp_path / "runs" / name, [progress(i) for i in range(50, 500, 50)] + [score(100, 9), score(400, 4)]
        )
        for at in (100, 200, 400):
            grid_at(run, at, grey + at // 10)
        append(run, {"event": "warning", "images": 450, "text": "it leans"})
        append(run, {"event": "end", "images": 500, "time": 2000.0, "reason": "done"})
    other = {"fd-digits": {**CARD, "samples": 10}}
    write(tmp_path / "runs" / "three", [progress(50), score(50, 1.0)], cards=other)
    write(tmp_path / "secret", [progress(50)])
    return tmp_path / "runs"


def test_runs_are_looked_at_side_by_side(folder, browser):
    with opened(folder) as address, page_of(browser) as page:
        page.goto(address + "#runs")
        page.get_by_role("button", name="Show one alone").click()
        page.wait_for_selector("figure.plot path.curve")
        assert points(page, "generator") == 9
        assert page.locator(".warnings li").inner_text() == "At 450: it leans"
        assert page.locator('tr[data-run="one"] .status').inner_text() == "done"
        assert_reachable(page)
        # The scrubber: another picture, and its clock beside it.
        before = until(page, lambda: page.locator(".grids img").get_attribute("src"))
        slider = page.get_by_label("Time of the snapshots")
        slider.focus()
        page.keyboard.press("Home")
        until(page, lambda: page.locator(".grids img").get_attribute("src") != before)
        until(page, lambda: "after 100 images" in page.locator(".grids figcaption").inner_text())
        page.get_by_role("button", name="Newest").click()
        until(page, lambda: page.locator(".grids img").get_attribute("src") == before)
        # Two runs in one chart, and a third whose card is another in a chart of its own.
        page.get_by_label("Show two beside the others").check()
        page.get_by_label("Show three beside the others").check()
        charts = page.locator('[data-part="scores"] figure')
        until(page, lambda: charts.count() == 2)
        assert charts.nth(0).locator("path.curve").count() == 2
        assert "samples: 297 and 10" in charts.nth(1).inner_text()
        assert page.locator(".grids figure").count() == 3
        # Against time, logarithmic; and the address keeps it all.
        page.get_by_label("Against").select_option("seconds")
        page.get_by_label("Logarithmic").check()
        until(page, lambda: "x=seconds" in page.url and "log=1" in page.url)
        chart = page.locator("figure.plot svg[role=img]").first
        chart.focus()
        page.keyboard.press("End")
        assert page.locator("figure.plot .keys").first.inner_text()
        with page_of(browser, color_scheme="dark", viewport={"width": 390, "height": 800}) as other:
            other.goto(page.url)
            other.wait_for_selector("figure.plot path.curve")
            assert other.locator(".list input:checked").count() == 3
            assert other.get_by_label("Against").input_value() == "seconds"
            assert_reachable(other)


def test_a_live_run_is_watched_and_the_server_may_come_and_go(folder, browser):
    run = write(folder / "live", [progress(10), progress(20)])
    with page_of(browser) as page:
        with opened(folder) as address:
            page.goto(address + "#runs?show=live")
            page.wait_for_selector("figure.plot path.curve")
            assert points(page, "generator") == 2
            append(run, progress(30), {"event": "warning", "images": 30, "text": "careful"})
            until(page, lambda: points(page, "generator") == 3)
            assert page.locator(".warnings li").inner_text() == "At 30: careful"
        page.wait_for_selector("#link.lost")
        append(run, progress(40), {"event": "end", "images": 40, "time": 1.0, "reason": "done"})
        with opened(folder, int(address.rsplit(":")[-1].strip("/"))):
            until(page, lambda: points(page, "generator") == 4)
            until(page, lambda: page.locator('tr[data-run="live"] .status').inner_text() == "done")
        lost = "net::ERR_CONNECTION_REFUSED"  # what Chromium says of a server that is not there
        page.troubles[:] = [each for each in page.troubles if lost not in each and "WebSocket" not in each]


def test_a_path_outside_is_answered_plainly_and_in_no_other_words_than_any(folder, browser):
    ask = """([address, names]) => new Promise((done) => {
      const line = new WebSocket(address), heard = [];
      line.onopen = () => names.forEach((run, id) => line.send(JSON.stringify({room: "runs", do: "details", run, id})));
      line.onmessage = (event) => (heard.push(JSON.parse(event.data)), heard.length === names.length && done(heard));
    })"""
    names = ["../secret", "../nothing", "/etc/passwd", "one/../../secret", "nothing"]
    with opened(folder) as address, page_of(browser) as page:
        page.goto(address + "#runs")
        told = page.evaluate(ask, [address.replace("http", "ws") + "socket", names])
        assert [each["refused"] for each in told] == [f"no run {name!r} in the runs folder" for name in names]
        page.goto(address + "#runs?show=../secret")
        page.reload()
        page.wait_for_selector('tr[data-run="one"]')
        assert page.locator("figure.plot").count() == 0


SMALL = "score=false\ngenerator.hidden=[8]\ndiscriminator.hidden=[8]\nbatch=16\nsnapshots=2\ncompile=off"


def fill(page, images):
    page.get_by_role("button", name="New training").click()
    page.locator("[name=recipe]").select_option("gan")
    page.locator("[name=data]").select_option("ring")
    page.locator("[name=value]").fill(images)
    page.locator("[name=seed]").fill("5")
    page.locator("[name=fields]").fill(SMALL)
    code = page.locator(".start pre")
    until(page, lambda: "--compile=off" in code.inner_text() and "--seed 5" in code.inner_text())
    return code.inner_text()


def status(page, name):
    line = page.locator(f'tr[data-run="{name}"] .status')
    return line.inner_text() if line.count() else ""


@pytest.mark.slow
def test_a_run_started_in_the_page_equals_the_command_that_it_shows(tmp_path, browser):
    runs = tmp_path / "runs"
    with opened(runs) as address, page_of(browser) as page:
        page.goto(address + "#runs")
        until(page, lambda: "No runs in" in page.locator("main").inner_text())
        fill(page, "640")
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.get_by_role("button", name="Copy").click()
        page.get_by_role("button", name="Copied").wait_for()
        command = page.evaluate("navigator.clipboard.readText()")
        assert_reachable(page)
        page.get_by_role("button", name="Start").click()
        until(page, lambda: status(page, "gan-ring") == "done", 60)
        until(page, lambda: page.locator(".grids img").get_attribute("src"))
    words = shlex.split(command)
    words[words.index("--out") + 1] = str(tmp_path / "other")
    assert main(words[1:]) == 0
    made = [checkpoint.newest(Run(path)) for path in (runs / "gan-ring", tmp_path / "other")]
    assert made[0].rest["images"] == made[1].rest["images"] == 640
    assert made[0].tensors.keys() == made[1].tensors.keys()
    assert all(made[0].tensors[name].equal(made[1].tensors[name]) for name in made[0].tensors)


@pytest.mark.slow
def test_a_run_is_stopped_and_resumed_in_the_page(tmp_path, browser):
    with opened(tmp_path) as address, page_of(browser) as page:
        page.goto(address + "#runs")
        fill(page, "50M")
        page.get_by_role("button", name="Start").click()
        until(page, lambda: status(page, "gan-ring") == "starting")
        until(
            page, lambda: status(page, "gan-ring") == "running" and page.locator("figure.plot path.curve").count(), 60
        )
        page.get_by_role("button", name="Stop gan-ring").click()
        until(page, lambda: status(page, "gan-ring") == "stopped, saved", 60)
        images = checkpoint.newest(Run(tmp_path / "gan-ring")).rest["images"]
        page.get_by_role("button", name="Go on with gan-ring").click()
        until(page, lambda: status(page, "gan-ring") == "running", 60)
        until(page, lambda: [e for e in Run(tmp_path / "gan-ring").events("progress") if e["images"] > images], 60)
        page.get_by_role("button", name="Stop gan-ring").click()
        until(page, lambda: status(page, "gan-ring") == "stopped, saved", 60)
        assert page.locator("#toast").inner_text() == ""


def test_what_cannot_be_started_is_said_before_it_is(folder, browser):
    with opened(folder) as address, page_of(browser, locale="zh-CN") as page:
        page.goto(address + "#runs")
        page.get_by_role("button", name="新的训练").click()
        page.locator("[name=fields]").fill("nonsense=1")
        until(page, lambda: "no field of a recipe" in page.locator(".start pre").inner_text())
        assert page.locator(".start button[type=submit]").is_disabled()
        page.locator("[name=fields]").fill("")
        until(page, lambda: "gansmith train auto --data digits" in page.locator(".start pre").inner_text())
        page.locator("[name=value]").fill("soon")
        until(page, lambda: "length in images" in page.locator(".start pre").inner_text())


def test_the_rooms_are_known_to_the_server():
    assert {"runs", "explore"} <= set(server.ROOMS)
