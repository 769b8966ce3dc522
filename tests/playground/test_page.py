"""The Lab in a real browser: every control does what it says."""

import base64
import json
import re
import shlex
import time

import pytest
import torch

from .chromium import page_at, wait
from .serving import served

QUICK = {"d_width": 16, "g_width": 16, "batch": 32}


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    with served(tmp_path_factory.mktemp("runs")) as port:
        yield port


@pytest.fixture
def page(browser, port):
    with page_at(browser, f"http://127.0.0.1:{port}/") as page:
        ready(page)
        yield page


def ready(page):
    page.wait_for_selector("output[data-at]")
    wait(page, "document.querySelector('figcaption').textContent.length > 0")


def at(page):
    return int(page.get_attribute("output", "data-at"))


def reach(page, moment):
    wait(page, f"Number(document.querySelector('output').dataset.at) >= {moment}")


def settled(page, moment=None):
    """Nothing goes on, and the address is up to date."""
    wait(page, "document.querySelector('output').dataset.busy === ''")
    if moment is not None:
        wait(page, f"Number(document.querySelector('output').dataset.at) === {moment}")
    wait(page, f"{STATE}.sides[0].at === Number(document.querySelector('output').dataset.at)")


STATE = "JSON.parse(atob(location.hash.split('?')[1].replaceAll('-', '+').replaceAll('_', '/')))"


def state(page):
    text = page.evaluate("location.hash").split("?")[1]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def picture(page, who=0):
    return page.evaluate(f"document.querySelectorAll('canvas.plane')[{who}].toDataURL()")


def scrub(page, moment):
    page.evaluate(
        "at => { const s = document.querySelector('[data-do=scrub]'); s.value = at; "
        "s.dispatchEvent(new Event('input')); }",
        moment,
    )


def put(page, name, value):
    page.fill(f"#set-{name}", str(value))
    page.press(f"#set-{name}", "Tab")


def quick(page):
    for name, value in QUICK.items():
        put(page, name, value)
        wait(page, f"{STATE}.sides[0].begun.{name} === {value}")


def test_run_pause_steps_time_branch_and_a_new_browser(page, browser, port):
    quick(page)
    page.click("[data-do=stepBoth]")
    settled(page, 1)
    page.click("[data-do=again]")
    settled(page, 0)
    first = picture(page)
    page.press("body", "s")
    settled(page, 1)
    assert picture(page) != first
    page.click("[data-do=run]")
    reach(page, 230)
    page.keyboard.press("Escape")
    page.click("[data-do=run]")
    settled(page)
    end = at(page)
    last = picture(page)
    scrub(page, 200)
    settled(page, 200)
    back = picture(page)
    assert back != last
    # A new browser, the same address: the same picture, pixel for pixel, at step 200.
    with page_at(browser, f"http://127.0.0.1:{port}/{page.evaluate('location.hash')}") as other:
        settled(other, 200)
        assert int(other.get_attribute("output", "data-end")) == end
        assert picture(other) == back
    # Another way from here; the old one stays, and leads where it led.
    put(page, "g_lr", 0.01)
    page.click("[data-do=stepG]")
    page.wait_for_selector("[data-branch='0']")
    settled(page, 201)
    assert [each[0] for each in state(page)["sides"][0]["acts"]] == ["round", "change", "generator"]
    page.click("[data-branch='0']")
    settled(page, end)
    assert picture(page) == last
    scrub(page, 0)
    settled(page, 0)
    assert picture(page) == first
    page.click("[data-do=branch]")
    page.wait_for_selector("[data-branch='1']")
    assert page.get_attribute("output", "data-end") == "0"


def test_the_copied_command_comes_to_the_weights_that_are_shown(page, tmp_path, monkeypatch):
    from gansmith.cli import train
    from gansmith.engine import checkpoint
    from gansmith.playground.lab.play import Play
    from gansmith.playground.lab.settings import opened as data_of
    from gansmith.playground.lab.settings import read
    from gansmith.run import Run

    quick(page)
    page.click("[data-set=moons]")
    wait(page, f"{STATE}.sides[0].begun.data === 'moons'")
    page.click("[data-do=stepD]")
    page.click("[data-do=stepG]")
    settled(page, 2)  # a round, in its two moves
    page.click("[data-do=stepBoth]")
    settled(page, 3)
    page.click("[data-do=copy]")
    command = page.input_value("dialog textarea")
    assert "the very weights that are shown" in page.inner_text("dialog")
    for kind, has in (("yaml", "loss: relativistic"), ("python", "gansmith.train(")):
        page.click(f"[data-copy={kind}]")
        assert has in page.input_value("dialog textarea").replace("{name: relativistic}", "relativistic").replace(
            "loss:\n  name:", "loss:"
        )
    page.keyboard.press("Escape")
    side = state(page)["sides"][0]
    settings = read(side["begun"])
    play = Play(settings, data_of(settings, None))
    play.load(side["acts"])
    while not play.towards(side["at"]):
        pass
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command.replace("\\\n", " "))
    assert train.run([*words[2:], "--score", "false", "--snapshots", "1", "--on-trouble", "ignore"]) == 0
    trained = checkpoint.newest(Run(tmp_path / "runs/lab-moons")).tensors
    mine = play.player.tensors()
    assert all(torch.equal(trained[name], mine[name]) for name in mine if name.startswith("weights."))


def test_every_part_of_the_picture_can_be_switched(page):
    quick(page)
    page.click("[data-do=stepBoth]")
    settled(page, 1)
    for part in ("warp", "arrows", "field", "surface", "fakes", "real"):
        before = picture(page)
        page.click(f"[data-part={part}]")
        wait(page, "before => document.querySelector('canvas.plane').toDataURL() !== before", arg=before)
    page.check("[data-part=network]")
    page.wait_for_selector("canvas.network", state="visible")
    wait(page, "document.querySelector('canvas.network').width > 300")


def test_settings_reach_the_training(page):
    page.select_option("#set-loss", "hinge")
    wait(page, f"{STATE}.sides[0].begun.loss === 'hinge'")
    page.select_option(".penalty select >> nth=0", "gradient_penalty")
    wait(page, f"'gradient_penalty' in {STATE}.sides[0].begun.penalties")
    page.click(".penalty button >> nth=1")
    wait(page, f"!('r2' in {STATE}.sides[0].begun.penalties)")
    page.fill(".penalty input >> nth=0", "2.5")
    page.press(".penalty input >> nth=0", "Tab")
    wait(page, f"{STATE}.sides[0].begun.penalties.gradient_penalty === 2.5")
    page.click("text=Add a penalty")
    wait(page, f"{STATE}.sides[0].begun.penalties.r1 === 0.1")
    page.select_option("#set-optimizer", "rmsprop")
    for name, value in (("d_lr", 0.001), ("g_lr", 0.002), ("beta1", 0.5), ("beta2", 0.9), ("d_steps", 2),
                        ("g_steps", 3), ("d_width", 8), ("d_depth", 1), ("g_width", 9), ("g_depth", 3), ("noise", 4),
                        ("batch", 16), ("seed", 5)):  # fmt: skip
        put(page, name, value)
        wait(page, f"{STATE}.sides[0].begun.{name} === {value}")
    page.click("[data-do=stepBoth]")
    settled(page, 1)
    put(page, "d_lr", 0.5)
    wait(page, f"{STATE}.sides[0].acts.at(-1)[0] === 'change'")
    put(page, "d_lr", 99)  # not in its range: as it was
    wait(page, "document.querySelector('#set-d_lr').value === '0.5'")
    page.click("[data-do=reseed]")
    settled(page, 0)
    assert state(page)["sides"][0]["begun"]["seed"] != 5


def test_a_duel_a_drawing_and_slow_motion(page):
    quick(page)
    page.click("[data-do=duel]")
    wait(page, "document.querySelectorAll('canvas.plane').length === 2")
    page.select_option("#set-loss", "wasserstein")
    wait(page, f"{STATE}.sides[1].begun.loss === 'wasserstein'")
    page.click("[data-do=stepBoth]")
    settled(page, 1)
    assert [side["begun"]["loss"] for side in state(page)["sides"]] == ["relativistic", "wasserstein"]
    assert picture(page, 0) != picture(page, 1)
    assert "B: step 1" in page.inner_text(".pictures")
    page.click("[data-do=duel]")
    wait(page, "document.querySelectorAll('canvas.plane').length === 1")

    page.click("[data-set=drawn]")
    box = page.locator("canvas.plane.drawing").bounding_box()
    x, y, side = box["x"], box["y"], box["width"]
    page.mouse.move(x + 0.2 * side, y + 0.4 * side)
    page.mouse.down()
    page.mouse.move(x + 0.8 * side, y + 0.4 * side, steps=8)
    page.mouse.up()
    page.click("[data-do=drawn]")
    wait(page, f"{STATE}.drawn.length > 100 && {STATE}.sides[0].begun.data === 'drawn'")
    drawn = state(page)["drawn"]
    assert max(drawn[0::2]) - min(drawn[0::2]) == pytest.approx(3, abs=0.2)
    page.click("[data-do=stepBoth]")
    settled(page, 1)

    page.select_option("[data-do=speed]", "-1")
    page.click("[data-do=run]")
    for name in ("draw", "judge", "moveD", "make", "slope", "moveG"):
        page.wait_for_selector(f"[data-substep={name}]")
    page.click("[data-do=run]")
    settled(page)
    assert [each[0] for each in state(page)["sides"][0]["acts"]][:3] == ["round", "discriminator", "generator"]


def test_the_gallery_and_the_watch(page):
    page.click("[data-do=gallery]")
    assert page.locator("dialog article").count() == 4
    page.click("[data-exhibit=vanishing]")
    wait(page, f"{STATE}.sides[0].begun.loss === 'minimax'")
    assert "stand still" in page.inner_text("[role=status] >> nth=1")
    reach(page, 64)
    assert "Too early" in page.inner_text(".verdict")
    page.click("[data-do=run]")
    settled(page)


def test_the_tour_in_both_languages_light_and_dark_at_phone_width(browser, port):
    words = {"en-GB": ("Tour", 1300, "light"), "zh-CN": ("导览", 390, "dark")}
    for language, (tour, width, scheme) in words.items():
        with page_at(
            browser, f"http://127.0.0.1:{port}/", locale=language, color_scheme=scheme, reduced_motion="reduce"
        ) as page:
            page.set_viewport_size({"width": width, "height": 844})
            ready(page)
            page.click(f"text={tour} >> nth=0")
            for step in range(1, 9):
                wait(page, f"document.querySelector('.tour h2').textContent.startsWith('{step} / 8')")
                assert len(page.inner_text(".tour p")) > 40
                page.wait_for_timeout(120)
                page.click(".tour button.main")
            assert page.is_hidden(".tour")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert not re.findall(r"lab\.\w+|undefined|NaN", page.inner_text("body"))
            page.click("[data-do=run]")


def test_each_control_has_a_name_and_can_be_reached_by_keyboard(page):
    nameless = page.evaluate(
        """[...document.querySelectorAll('button, input, select, a, canvas, textarea')]
        .filter(e => e.offsetParent !== null)
        .filter(e => !(e.getAttribute('aria-label') || e.textContent.trim() || (e.labels && e.labels.length)))
        .map(e => e.outerHTML)"""
    )
    assert nameless == []
    seen = set()
    for _ in range(70):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.dataset.do || document.activeElement.id || ''"))
    assert {
        "run",
        "stepD",
        "stepG",
        "stepBoth",
        "again",
        "reseed",
        "speed",
        "branch",
        "tour",
        "copy",
        "duel",
        "set-loss",
        "set-batch",
    } <= seen
    page.focus("[data-do=stepBoth]")
    page.keyboard.press("Enter")
    settled(page, 1)


def test_the_server_dies_and_is_back_and_nothing_is_lost(browser, tmp_path):
    with served(tmp_path) as port:
        context = browser.new_context()
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(f"http://127.0.0.1:{port}/")
        ready(page)
        quick(page)
        for _ in range(3):
            page.click("[data-do=stepBoth]")
        settled(page, 3)
        before = picture(page)
    page.wait_for_selector("#link.lost")
    with served(tmp_path, port=port):
        page.wait_for_selector("#link:not(.lost)", state="attached")
        wait(page, "document.querySelector('output').dataset.at === '3'")
        end = time.monotonic() + 60
        while picture(page) != before and time.monotonic() < end:
            page.wait_for_timeout(50)
        assert picture(page) == before
        context.close()


def test_rooms_can_be_switched(page):
    for room in ("runs", "explore", "lab"):
        page.click(f"nav a[data-room={room}]")
        page.wait_for_selector(f"main .room.{room}")
        assert page.get_attribute(f"nav a[data-room={room}]", "aria-current") == "page"
    ready(page)


@pytest.mark.slow
def test_twenty_five_gaussians_to_full_coverage(page):
    page.click("[data-set=grid]")
    wait(page, f"{STATE}.sides[0].begun.data === 'grid'")
    for name, value in (
        ("d_width", 128),
        ("g_width", 128),
        ("d_depth", 3),
        ("g_depth", 3),
        ("g_lr", 0.002),
        ("beta2", 0.99),
    ):
        put(page, name, value)
        wait(page, f"{STATE}.sides[0].begun.{name} === {value}")
    weights(page, 0.3)
    stages = ((1200, 0.001, 0.05), (2000, 2e-4, 0.01))
    page.click("[data-do=run]")
    for moment, rate, weight in stages:
        wait(page, f"Number(document.querySelector('output').dataset.at) >= {moment}", timeout=240)
        put(page, "d_lr", rate)
        put(page, "g_lr", rate)
        weights(page, weight)
    wait(page, "document.querySelector('figcaption').textContent.includes('25 of 25 modes')", timeout=240)
    page.click("[data-do=run]")
    settled(page)


def weights(page, weight):
    for i in range(2):
        page.fill(f".penalty input >> nth={i}", str(weight))
        page.press(f".penalty input >> nth={i}", "Tab")
        wait(
            page,
            f"(() => {{ const s = {STATE}.sides[0], c = s.acts.filter(a => a[0] === 'change');"
            f"return Object.values((c.length ? c.at(-1)[1] : s.begun).penalties)[{i}] === {weight}; }})()",
        )
