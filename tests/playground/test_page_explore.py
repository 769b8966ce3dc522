import json

import numpy as np
import pytest
from PIL import Image

import gansmith
from playground.chromium import assert_reachable, opened, page_of, until
from playground.trained import runs

PIXELS = """
() => [...document.querySelectorAll(".explore .grid canvas")].map((c) => {
  const data = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
  return Array.from({ length: c.width * c.height }, (_, i) => data[4 * i]);
})
"""


def grid(page):
    return np.array(page.evaluate(PIXELS), np.uint8)


def drawn(page):
    return int(page.locator(".explore .grid").get_attribute("data-drawn") or 0)


def settle(page, act):
    """Do something, and wait until the grid is drawn anew."""
    before = drawn(page)
    act()
    until(page, lambda: drawn(page) > before)


def slide(page, selector, value):
    page.locator(selector).evaluate(f"e => {{ e.value = {value}; e.dispatchEvent(new Event('input')); }}")


@pytest.fixture(scope="module")
def address():
    with opened(runs()) as found:
        yield found


def test_a_model_is_explored(address, browser):
    model = gansmith.load(runs() / "classed")
    with page_of(browser) as page:
        page.goto(address + "#explore?run=classed")
        until(page, lambda: drawn(page) and page.locator("[data-direction]").count() == 6, 60)
        assert np.array_equal(grid(page), model.sample(36, seed=0).reshape(36, 64))
        settle(page, lambda: page.locator("[name=label]").select_option("7"))
        assert np.array_equal(grid(page), model.sample(36, seed=0, label=7).reshape(36, 64))
        settle(page, lambda: (page.locator("[name=seed]").fill("12"), page.locator("[name=seed]").press("Enter")))
        settle(page, lambda: page.locator("[name=n]").select_option("16"))
        still = grid(page)
        assert np.array_equal(still, model.sample(16, seed=12, label=7).reshape(16, 64))
        # Sliders: each changes what is seen, and takes it back.
        settle(page, lambda: slide(page, "[name=truncation]", 0.5))
        assert np.array_equal(grid(page), model.sample(16, seed=12, label=7, truncation=0.5).reshape(16, 64))
        settle(page, lambda: slide(page, "[name=truncation]", 1))
        settle(page, lambda: slide(page, "[data-direction='0']", 3))
        moved = grid(page)
        assert not np.array_equal(moved, still)
        assert "push=3" in page.url
        # The same address in another browser is the same picture.
        with page_of(browser, viewport={"width": 390, "height": 800}, color_scheme="dark") as other:
            other.goto(page.url)
            until(other, lambda: drawn(other), 60)
            assert np.array_equal(grid(other), moved)
            assert other.locator("[data-direction='0']").input_value() == "3"
            assert_reachable(other)
        settle(page, lambda: page.locator("[name=by]").select_option("weights"))
        settle(page, lambda: slide(page, "[data-direction='0']", 3))
        settle(page, lambda: page.get_by_role("button", name="Reset the sliders").click())
        assert np.array_equal(grid(page), still)
        settle(page, lambda: page.get_by_role("button", name="Another seed").click())
        assert not np.array_equal(grid(page), still)


def test_samples_are_kept_walked_between_compared_and_saved(address, browser, tmp_path):
    with page_of(browser) as page:
        page.goto(address + "#explore?run=classed&seed=4")
        until(page, lambda: drawn(page), 60)
        buttons = page.locator(".explore .grid button")
        buttons.nth(2).focus()
        page.keyboard.press("Enter")
        until(page, lambda: page.locator(".kept .face").count() == 1)
        assert buttons.nth(2).get_attribute("aria-pressed") == "true"
        assert page.locator(".walk").is_hidden()
        buttons.nth(5).click()
        until(page, lambda: page.locator(".kept .face").count() == 2)
        place = page.get_by_label("Place in the walk")
        until(page, lambda: place.get_attribute("max") == "47")
        frame = "() => document.querySelector('.walk canvas').toDataURL()"
        first = page.evaluate(frame)
        place.focus()
        page.keyboard.press("ArrowRight")
        assert place.input_value() == "1"
        slide(page, ".walk input", 24)
        assert page.evaluate(frame) != first
        page.get_by_role("button", name="Play").click()
        until(page, lambda: place.input_value() not in ("24", "25"))
        page.get_by_role("button", name="Pause").click()
        page.get_by_role("button", name="by pixels").click()
        until(page, lambda: page.locator(".near canvas").count() == 6)
        assert "1,500 training images, by pixels" in page.locator(".card:has(.near)").inner_text()
        assert_reachable(page)
        with page.expect_download() as download:
            page.get_by_role("button", name="Download PNG").click()
        download.value.save_as(tmp_path / "one.png")
        saved = Image.open(tmp_path / "one.png")
        assert download.value.suggested_filename == "classed-seed4-000005.png"
        assert (saved.text["run"], saved.text["seed"], saved.text["index"]) == ("classed", "4", "5")
        assert np.array_equal(np.asarray(saved), gansmith.load(runs() / "classed").sample(6, seed=4)[5, 0])
        page.get_by_role("button", name="Remove Sample 2 of seed 4, class 2").click()
        until(page, lambda: page.locator(".kept .face").count() == 1)
        assert buttons.nth(2).get_attribute("aria-pressed") == "false"


def test_other_models_and_none_at_all(address, browser, tmp_path):
    with page_of(browser, locale="zh-CN") as page:
        page.goto(address + "#explore?run=nothing")
        until(page, lambda: drawn(page), 60)
        assert page.locator("#toast").inner_text() == "nothing?"
        for name in ("styled", "plain"):
            settle(page, lambda name=name: page.locator("[name=model]").select_option(name))
            assert json.dumps(name) in json.dumps(page.locator("[name=model]").input_value())
        assert page.locator("[name=label]").is_hidden()
        with opened(tmp_path) as empty:
            page.goto(empty + "#explore")
            page.get_by_text("训练文件夹里还没有图像模型").wait_for()
